// A sum or contraction of which a factor is computed in the result's own shape: that factor is made before
// the sum begins.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <cmath>
#include <cstdlib>

using namespace tenon;

namespace {

constexpr int64_t maximum = 9, rows = 7;  // n and its value

struct Spelling {
  const char* name;
  Value (*build)(Value a, Value b, Value c, Extent n);  // a [n], b [n,3], c [k]
  double (*expected)(const float* a, const float* b, float c);
};

float value(int64_t i) { return 0.25f * static_cast<float>(i % 7) - 0.5f; }

double sum_of(const float* x, int64_t count, int64_t step = 1) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(x[i * step]);
  return sum;
}

constexpr Spelling spellings[] = {
    {"sum over leading axes",
     [](Value, Value, Value c, Extent n) {
       return sum(broadcast(exp(c), {n, c.shape()[0]}, {1}), {0});
     },
     [](const float*, const float*, float c) { return rows * std::exp(static_cast<double>(c)); }},
    {"i,ij->j",
     [](Value a, Value, Value c, Extent n) {
       return contract(a, broadcast(exp(c), {n, c.shape()[0]}, {1}), "i,ij->j");
     },
     [](const float* a, const float*, float c) { return sum_of(a, rows) * std::exp(static_cast<double>(c)); }},
    {"ij,i->j",
     [](Value a, Value, Value c, Extent n) {
       return contract(broadcast(exp(c), {n, c.shape()[0]}, {1}), a, "ij,i->j");
     },
     [](const float* a, const float*, float c) { return sum_of(a, rows) * std::exp(static_cast<double>(c)); }},
    {"ij,i->j of a transposed factor",
     [](Value a, Value, Value c, Extent n) {
       return contract(transpose(broadcast(exp(c), {c.shape()[0], n}, {0})), a, "ij,i->j");
     },
     [](const float* a, const float*, float c) { return sum_of(a, rows) * std::exp(static_cast<double>(c)); }},
    {"weights from a softmax",
     [](Value a, Value, Value c, Extent n) {
       return contract(softmax(a), broadcast(tanh(c), {n, c.shape()[0]}, {1}), "i,ij->j");
     },
     [](const float*, const float*, float c) { return std::tanh(static_cast<double>(c)); }},
    {"two axes of the result",
     [](Value, Value b, Value c, Extent n) {
       const Extent k = c.shape()[0];
       return contract(contract(b, broadcast(exp(c), {n, k}, {1}), "ij,ik->jk"), full(c.body(), {f32, {3}}, 1), "jk,j->k");
     },
     [](const float*, const float* b, float c) { return sum_of(b, 3 * rows) * std::exp(static_cast<double>(c)); }},
};

void check_values(const Spelling& spelling, int64_t width, const CompileOptions& options) {
  CAPTURE(spelling.name);
  CAPTURE(width);
  Graph g;
  const Extent n = g.size("n", maximum);
  Value a = g.input("a", f32, {n}), b = g.input("b", f32, {n, 3}), c = g.input("c", f32, {width});
  g.entry("f", {{"y", spelling.build(a, b, c, n)}, {"same", sum(a) + sum(b)}});
  Session session(compile(g, options));
  auto tensor = [](std::vector<int64_t> extents, int64_t count) {
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(value(i));
    return Tensor::of<float>(std::move(extents), std::span<const float>(values));
  };
  const Tensor at = tensor({rows}, rows), bt = tensor({rows, 3}, 3 * rows), ct = tensor({width}, width);
  Outputs outputs = session.run("f", {{"a", at}, {"b", bt}, {"c", ct}});
  const auto y = outputs["y"].read<float>(), c_values = ct.read<float>();
  for (size_t j = 0; j < static_cast<size_t>(width); ++j)
    CHECK(y[j] ==
          doctest::Approx(spelling.expected(at.read<float>().data(), bt.read<float>().data(), c_values[j])).epsilon(1e-5));
}

}  // namespace

TEST_CASE("a computed factor of the result's shape is written before the sum reads it, on every ISA") {
  for (Isa isa : {Isa::sse2, Isa::avx2, Isa::avx512}) {
    if (Target::host().isa < isa) continue;
    for (const Spelling& spelling : spellings)
      for (int64_t width : {1, 16, 33}) check_values(spelling, width, {.isa = isa, .listings = false});
  }
}

TEST_CASE("and with each optional pass left out") {
  for (const char* pass : {"simplify", "fold", "stabilise"}) {
    CAPTURE(pass);
    setenv("TENON_SKIP", pass, 1);
    for (const Spelling& spelling : spellings) check_values(spelling, 5, {.listings = false});
    unsetenv("TENON_SKIP");
  }
}
