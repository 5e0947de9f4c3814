// The order of a sum is the same for every declared maximum, and loses few digits however long it is.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <cmath>
#include <random>

#include "tests/compiler/native.h"

using namespace tenon;

namespace {

Tensor uniform_positive(std::vector<int64_t> shape, unsigned seed) {
  Tensor t(f32, shape);
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0, 1);
  for (float& x : t.write<float>()) x = uniform(random);
  return t;
}

// The largest relative error of a[i,:] . b[:,j] over the elements of y; rows of a and columns of b lie together.
double worst_error(const Tensor& y, const Tensor& a, const Tensor& b, int64_t points, int64_t a_step, int64_t b_step) {
  const auto p = a.read<float>(), q = b.read<float>(), got = y.read<float>();
  const int64_t rows = static_cast<int64_t>(p.size()) / points, columns = static_cast<int64_t>(q.size()) / points;
  double worst = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < points; ++k)
        sum += double(p[static_cast<size_t>(a_step == 1 ? i * points + k : k * a_step + i)]) *
               q[static_cast<size_t>(k * b_step + j)];
      worst = std::max(worst, std::abs(got[static_cast<size_t>(i * columns + j)] - sum) / sum);
    }
  return worst;
}

}  // namespace

TEST_CASE("products and column sums of positive terms keep their digits, however long") {
  for (int64_t points : {100, 1000, 4096, 60000, 1000000}) {
    CAPTURE(points);
    const double bound = points <= 4096 ? 3e-6 : 1e-5;
    const Tensor a = uniform_positive({2, points}, 1), x = uniform_positive({points, 2}, 2),
                 b = uniform_positive({points, 3}, 3);
    for (bool runtime : {false, true}) {
      Graph g;
      const Extent n = runtime ? g.size("n", points) : Extent(points);
      const Value rows = g.input("x", f32, {n, 2}), right = g.input("b", f32, {n, 3});
      g.entry("gradient", {{"y", matmul(rows, right, true, false)}, {"column", sum(right, {0})}});
      if (!runtime) g.entry("product", {{"y", matmul(g.input("a", f32, {2, points}), right)}});
      Session session(compile(g));
      const auto gradient = session.run("gradient", {{"x", x}, {"b", b}});
      CHECK(worst_error(gradient["y"], x, b, points, 2, 3) < bound);
      Tensor ones(f32, {points, 1});
      for (float& one : ones.write<float>()) one = 1;
      CHECK(worst_error(gradient["column"], ones, b, points, 1, 3) < bound);
      if (!runtime) CHECK(worst_error(session.run("product", {{"a", a}, {"b", b}})["y"], a, b, points, 1, 3) < bound);
    }
  }
}

TEST_CASE("twenty million ones are twenty million") {
  const int64_t rows = 20'000'000;
  Tensor x(f32, {rows, 1});
  for (float& one : x.write<float>()) one = 1;
  Graph g;
  const Extent n = g.size("n", rows);
  const Value v = g.input("x", f32, {n, 1});
  g.entry("f", {{"column", sum(v, {0})}, {"all", sum(v)}});
  const auto results = Session(compile(g)).run("f", {{"x", x}});
  CHECK(results["column"].read<float>()[0] == 2e7f);
  CHECK(results["all"].read<float>()[0] == 2e7f);
}

TEST_CASE("the declared maximum changes no bit of a sum") {
  struct Result {
    int64_t maximum;
    std::vector<Tensor> values;
  };
  std::map<int64_t, Result> first;  // by size
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  Tensor data(f32, {5000, 24});
  for (float& x : data.write<float>()) x = normal(random);
  auto part = [&](int64_t n, int64_t from, int64_t columns) {
    Tensor t(f32, {n, columns});
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < columns; ++j)
        t.write<float>()[static_cast<size_t>(i * columns + j)] = data.read<float>()[static_cast<size_t>(i * 24 + from + j)];
    return t;
  };
  for (int64_t maximum : {64, 512, 5000, 100000}) {
    Graph g;
    const Extent n = g.size("n", maximum);
    const Value x = g.input("x", f32, {n, 7}), y = g.input("y", f32, {n, 17});
    const Value w = g.parameter("w", f32, {7, 17}, constant(0.1));
    const Value loss = sum(pow(matmul(x, w) - y, 2)) / 17;
    g.entry("sums", {{"gradient", matmul(x, y, true, false)},
                     {"columns", sum(y, {0})},
                     {"all", sum(y)},
                     {"rows", sum(y, {1})},
                     {"norms", sum(x * x, {0})},
                     {"largest", reduce_max(y)},
                     {"product", matmul(x, w)}});
    g.entry("train", {{"loss", loss}}, minimize(loss, sgd(1e-5)));
    const Program program = compile(g, {.listings = false});
    for (int64_t size : {1, 63, 4097, 5000}) {
      if (size > maximum) continue;
      CAPTURE(maximum);
      CAPTURE(size);
      const Tensor p = part(size, 0, 7), q = part(size, 7, 17);
      Session session(program, {.threads = 1 + static_cast<int>(maximum % 3)});
      session.init(1);
      Result result{maximum, {}};
      const auto sums = session.run("sums", {{"x", p}, {"y", q}});
      for (const char* name : {"gradient", "columns", "all", "rows", "norms", "largest", "product"})
        result.values.push_back(sums[name].clone());
      result.values.push_back(session.run("train", {{"x", p}, {"y", q}})["loss"].clone());
      result.values.push_back(session.read("w"));
      const auto [it, added] = first.try_emplace(size, result);
      if (added) continue;
      for (size_t i = 0; i < result.values.size(); ++i)
        CHECK_MESSAGE(result.values[i].same_bits(it->second.values[i]),
                      "value " << i << " differs from that of the maximum " << it->second.maximum);
    }
  }
  CHECK(first.size() == 4);
}

TEST_CASE("the chains and blocks of a row's sum are what its kernel says, at every level") {
  std::map<std::string, std::vector<std::byte>> sums;  // by order
  for (const std::string order : {"", " in 16 chains by 32", " in 16 chains by 64", " in 16 chains by 2048"}) {
    const std::string text =
        "kernels 1\nentry \"f\"\narena 0 bytes, at least 0\ninput \"x\" f32[50,1001]\noutput \"y\" f32[50]\n"
        "buffer x input f32[50,1001] slot 0\nbuffer y output f32[50] slot 0\n"
        "k1 for i<50\n  y[i] = sum over j<1001" +
        order + " of x[i,j]\n";
    const KernelList list = parse_kernels(text)[0];
    CHECK(parse_kernels(str(list))[0] == list);
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(0, 1);
    const native::Memory start = native::fill(list, 1, [&](BufferId, int64_t) { return uniform(random); });
    native::Memory expected = start;
    native::expect(list, 1, expected);
    for (Isa isa : {Isa::sse2, Isa::avx2, Isa::avx512}) {
      if (Target::host().isa < isa) continue;
      native::Memory loops = start, machine = start;
      native::run_loops(list, Target::host(isa), 1, 1, loops);
      CHECK(native::difference(list, 1, loops, expected) == "");
      native::run(list, native::linked({list}, Target::host(isa)), 1, 1, true, machine);
      CHECK(native::difference(list, 1, machine, expected) == "");
    }
    sums[order] = expected.bytes[1];
  }
  CHECK(sums[""] == sums[" in 16 chains by 2048"]);  // one block either way
  CHECK(sums[" in 16 chains by 32"] != sums[""]);
  CHECK(sums[" in 16 chains by 32"] != sums[" in 16 chains by 64"]);
}
