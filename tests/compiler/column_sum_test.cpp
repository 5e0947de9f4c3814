// Sums over the leading axes, as of a bias's gradient: each element is a chain in ascending order for each 512 rows, in
// the bits of a plain loop, by any number of threads, alone or with an update behind it, of constant or run-time extents.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <random>

using namespace tenon;

namespace {

Tensor noise(std::vector<int64_t> shape) {
  Tensor t(f32, shape);
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (float& x : t.write<float>()) x = normal(random);
  return t;
}

// Blocks of 512 rows, each in order from zero, added in order.
std::vector<float> plain(const Tensor& x, size_t columns) {
  const auto values = x.read<float>();
  std::vector<float> sums(columns, -0.0f);
  for (size_t begin = 0; begin < values.size(); begin += 512 * columns) {
    std::vector<float> block(columns);
    for (size_t i = begin; i < std::min(values.size(), begin + 512 * columns); ++i) block[i % columns] += values[i];
    for (size_t j = 0; j < columns; ++j) sums[j] += block[j];
  }
  return sums;
}

}  // namespace

TEST_CASE("a sum over the leading axes is one ascending chain for each block of rows") {
  for (int64_t rows : {1, 7, 17, 100, 600, 4096})
    for (int64_t columns : {1, 3, 16, 33, 150}) {
      CAPTURE(rows);
      CAPTURE(columns);
      const Tensor x = noise({rows, columns});
      const std::vector<float> expected = plain(x, static_cast<size_t>(columns));
      for (bool runtime : {false, true}) {
        Graph g;
        const Extent n = runtime ? g.size("n", 4096) : Extent(rows);
        const Value v = g.input("x", f32, {n, columns}), b = g.parameter("b", f32, {columns}, zeros());
        g.entry("sum", {{"y", sum(v, {0})}});
        g.entry("train", {}, {{b, b - sum(v, {0})}});
        const Program program = compile(g);
        for (int threads : {1, 2, 3}) {
          Session session(program, {.threads = threads});
          session.init(1);
          session.run("train", {{"x", x}});
          const Tensor y = session.run("sum", {{"x", x}})["y"], updated = session.read("b");
          for (size_t j = 0; j < expected.size(); ++j) {
            CHECK(y.read<float>()[j] == expected[j]);
            CHECK(updated.read<float>()[j] == 0 - expected[j]);
          }
        }
      }
    }
}

TEST_CASE("several leading axes are summed in row-major order, also of a value that is computed") {
  const Tensor x = noise({20, 5, 48});
  Tensor squares(f32, {20, 5, 48});
  for (size_t i = 0; i < squares.write<float>().size(); ++i)
    squares.write<float>()[i] = x.read<float>()[i] * x.read<float>()[i];
  Graph g;
  const Value v = g.input("x", f32, {20, 5, 48});
  g.entry("e", {{"y", sum(v, {0, 1})}, {"z", sum(v * v, {0, 1})}, {"rows", sum(v, {0})}});
  Session session(compile(g), {.threads = 1});
  const auto results = session.run("e", {{"x", x}});
  const std::vector<float> y = plain(x, 48), z = plain(squares, 48), rows = plain(x, 240);
  for (size_t j = 0; j < 48; ++j) CHECK(results["y"].read<float>()[j] == y[j]);
  for (size_t j = 0; j < 48; ++j) CHECK(results["z"].read<float>()[j] == z[j]);
  for (size_t j = 0; j < 240; ++j) CHECK(results["rows"].read<float>()[j] == rows[j]);
}

TEST_CASE("a sum over a constant and a run-time axis is right at every size, its operand computed into panels") {
  const int64_t most = 1200;
  Graph g;
  const Extent n = g.size("n", most);
  g.entry("f", {{"y", sum(cast(g.input("x", u8, {8, n, 300}), f32) * 0.5, {0, 1})}});
  const Program program = compile(g);
  std::mt19937 random(3);
  for (int64_t size : {int64_t{1}, int64_t{63}, int64_t{100}, most}) {
    CAPTURE(size);
    Tensor x(u8, {8, size, 300});
    std::vector<float> expected(300);
    const std::span<uint8_t> pixels = x.write<uint8_t>();
    for (size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = static_cast<uint8_t>(random() % 256);
      expected[i % 300] += 0.5f * pixels[i];  // exact
    }
    for (int threads : {1, 2}) {
      Session session(program, {.threads = threads, .guarded = true});
      const Tensor y = session.run("f", {{"x", x}})["y"];
      CHECK(std::vector<float>(y.read<float>().begin(), y.read<float>().end()) == expected);
    }
  }
}

TEST_CASE("a sum over a long leading axis keeps its accuracy") {
  const int64_t rows = 1 << 20;
  Tensor x(f32, {rows, 2});
  for (float& value : x.write<float>()) value = 0.1f;
  for (bool runtime : {false, true}) {
    Graph g;
    const Extent n = runtime ? g.size("n", rows) : Extent(rows);
    g.entry("sum", {{"y", sum(g.input("x", f32, {n, 2}), {0})}});
    const Tensor y = Session(compile(g)).run("sum", {{"x", x}})["y"];
    for (float sum : y.read<float>()) CHECK(sum == doctest::Approx(rows * double(0.1f)).epsilon(1e-5));
  }
}
