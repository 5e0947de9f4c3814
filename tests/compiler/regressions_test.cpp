// Bugs that bit other compilers, one case each, through the public doors: compiled, run, and compared with values worked
// out by hand.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <tenon/tenon.h>

#include <cmath>
#include <limits>
#include <map>

using namespace tenon;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();
constexpr float tiny = std::numeric_limits<float>::denorm_min();
constexpr float huge = 3e38f;

using Row = std::vector<float>;
using Whole = std::vector<int64_t>;
using Named = std::vector<std::pair<std::string, Value>>;

// The entry with these outputs, compiled and run once.
std::map<std::string, Tensor> run(Graph& graph, const Named& outputs, const std::vector<Input>& inputs = {}) {
  graph.entry("run", outputs);
  Program program = compile(graph);
  Session session(program, {.guarded = true});
  session.init(1);
  Outputs results = session.run("run", inputs);
  std::map<std::string, Tensor> copies;
  for (const auto& [name, value] : outputs) copies[name] = results[name].clone();
  return copies;
}

Tensor run(Graph& graph, Value y, const std::vector<Input>& inputs = {}) { return run(graph, {{"y", y}}, inputs).at("y"); }

Tensor floats(Extents extents, Row values) { return Tensor::of<float>(std::move(extents), values); }

// Equal values, NaN with NaN, the zeros told apart.
void check_row(const Tensor& actual, const Row& expected) {
  REQUIRE(actual.elements() == static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    float value = actual.read<float>()[i];
    if (std::isnan(expected[i])) {
      CHECK(std::isnan(value));
    } else {
      CHECK(value == expected[i]);
      CHECK(std::signbit(value) == std::signbit(expected[i]));
    }
  }
}

void check_near(const Tensor& actual, const Row& expected, double relative = 1e-6) {
  REQUIRE(actual.elements() == static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(actual.at(static_cast<int64_t>(i)) == doctest::Approx(expected[i]).epsilon(relative));
  }
}

// y and dy/dx of the sum of f, for the elements of x.
std::map<std::string, Tensor> with_gradient(const Row& at, Value (*f)(Value)) {
  Graph g;
  auto count = static_cast<int64_t>(at.size());
  Value x = g.input("x", f32, {count});
  Value y = f(x);
  return run(g, {{"y", y}, {"dx", gradients(sum(y), {x})[0]}}, {{"x", floats({count}, at)}});
}

}  // namespace

// ---- softmax and cross-entropy ----

TEST_CASE("logits that are a product: the shift is the maximum's own rounding") {
  for (float scale : {1e4f, 1.7e6f, 3.3e30f}) {
    CAPTURE(scale);
    Graph g;
    Value x = g.input("x", f32, {2, 20}), factor = g.input("scale", f32, {}), label = g.input("label", i64, {2});
    Value z = x * factor;
    Value loss = mean(-log(pick(softmax(z), label)));
    Row values;
    for (int i = 0; i < 40; ++i) values.push_back(static_cast<float>(std::sin(i * 1.7)) * 1.0000001f);
    auto results = run(g, {{"loss", loss}, {"p", softmax(z)}, {"dx", gradients(loss, {x})[0]}},
                       {{"x", floats({2, 20}, values)}, {"scale", scale}, {"label", Tensor::of<int64_t>({2}, {3, 7})}});
    CHECK(std::isfinite(results["loss"].number()));
    for (float p : results["p"].read<float>()) CHECK((p >= 0 && p <= 1));
    for (float d : results["dx"].read<float>()) CHECK(std::isfinite(d));
  }
}

TEST_CASE("finite logits up to 3e38 have a finite loss and a gradient of probabilities") {
  Graph g;
  Value z = g.input("z", f32, {3, 3}), label = g.input("label", u8, {3});
  Value loss = sum(softmax_cross_entropy(z, label));
  auto results = run(g, {{"loss", loss}, {"dz", gradients(loss, {z})[0]}},
                     {{"z", floats({3, 3}, {huge, -huge, 0, huge, huge, 0, -huge, -huge, -huge})},
                      {"label", Tensor::of<uint8_t>({3}, {1, 0, 2})}});
  CHECK(std::isfinite(results["loss"].number()));
  check_near(results["dz"], {1, -1, 0, -0.5f, 0.5f, 0, 1 / 3.f, 1 / 3.f, -2 / 3.f});
}

TEST_CASE("masked logits of -inf have probability 0 and gradient 0") {
  Graph g;
  Value z = g.input("z", f32, {3}), label = g.input("label", i32, {});
  Value loss = -log(pick(softmax(z), label));
  auto results = run(g, {{"loss", loss}, {"p", softmax(z)}, {"dz", gradients(loss, {z})[0]}},
                     {{"z", floats({3}, {1, -inf, 1})}, {"label", 2}});
  CHECK(results["loss"].number() == doctest::Approx(std::log(2.0)));
  check_row(results["p"], {0.5f, 0, 0.5f});
  check_row(results["dz"], {0.5f, 0, -0.5f});
}

TEST_CASE("a label out of range is an error that names row and value, bound or computed") {
  for (bool computed : {false, true}) {
    Graph g;
    Value z = g.input("z", f32, {3, 4}), label = g.input("label", i32, {3});
    g.entry("run", {{"loss", softmax_cross_entropy(z, computed ? label + 1 : label)}});
    Program program = compile(g);
    Session session(program);
    session.init(1);
    Tensor logits(f32, {3, 4});
    for (int32_t bad : {4, -2}) {
      std::string text = std::to_string(bad + computed);
      CHECK_THROWS_WITH_AS(session.run("run", {{"z", logits}, {"label", Tensor::of<int32_t>({3}, {0, bad, 1})}}),
                           doctest::Contains(text.c_str()), Error);
      CHECK_THROWS_WITH_AS(session.run("run", {{"z", logits}, {"label", Tensor::of<int32_t>({3}, {0, bad, 1})}}),
                           doctest::Contains("1"), Error);
    }
    CHECK_NOTHROW(session.run("run", {{"z", logits}, {"label", Tensor::of<int32_t>({3}, {0, 2, 1})}}));
  }
}

TEST_CASE("integer labels, one-hot and soft labels agree, for small and for huge logits") {
  Graph g;
  Value z = g.input("z", f32, {2, 3}), label = g.input("label", i64, {2}), q = g.input("q", f32, {2, 3});
  Value hot = one_hot(label, 3);
  Value losses[] = {sum(-log(pick(softmax(z), label))), sum(-hot * log(softmax(z))), sum(softmax_cross_entropy(z, q)),
                    sum(cross_entropy(softmax(z), hot)), sum(logsumexp(z) - pick(z, label))};
  Named outputs;
  for (size_t i = 0; i < 5; ++i) {
    outputs.emplace_back("loss" + std::to_string(i), losses[i]);
    outputs.emplace_back("dz" + std::to_string(i), gradients(losses[i], {z})[0]);
  }
  g.entry("run", outputs);
  Program program = compile(g);
  Session session(program);
  session.init(1);
  for (float scale : {1.f, 1e4f, 1e30f}) {
    Outputs results = session.run("run", {{"z", floats({2, 3}, {scale, -scale, 0, 0, scale, 2 * scale})},
                                          {"label", Tensor::of<int64_t>({2}, {2, 1})},
                                          {"q", floats({2, 3}, {0, 0, 1, 0, 1, 0})}});
    double expected = results["loss0"].number();
    CHECK(expected > 0.9 * 2 * scale);
    CHECK(std::isfinite(expected));
    for (int i = 1; i < 5; ++i) {
      CAPTURE(i);
      CHECK(results["loss" + std::to_string(i)].number() == doctest::Approx(expected));
      check_near(results["dz" + std::to_string(i)],
                 Row(results["dz0"].read<float>().begin(), results["dz0"].read<float>().end()), 1e-5);
    }
  }
}

TEST_CASE("a reshape, a constant factor or a second reader does not defeat the fusion") {
  Graph g;
  Value z = g.input("z", f32, {2, 6}), label = g.input("label", i64, {4});
  Value folded = reshape(z, {4, 3}) * (constant(g.body(), f32, 0.5) + constant(g.body(), f32, 0.5));
  Value p = reshape(softmax(folded), {2, 2, 3});
  Value loss = mean(-log(pick(reshape(p, {4, 3}), label)));
  g.require_fused(loss);
  auto results = run(
      g, {{"loss", loss}, {"p", p}, {"dz", gradients(loss, {z})[0]}},
      {{"z", floats({2, 6}, {0, 1e5, 0, 0, 0, -1e5, 1e5, 0, 0, 0, 0, 0})}, {"label", Tensor::of<int64_t>({4}, {0, 1, 0, 2})}});
  CHECK(results["loss"].number() == doctest::Approx((1e5 + std::log(2) + 0 + std::log(3)) / 4));
  check_near(results["dz"], {-0.25f, 0.25f, 0, 0.125f, -0.125f, 0, 0, 0, 0, 1 / 12.f, 1 / 12.f, -1 / 6.f});
}

TEST_CASE("a logarithm of something near a softmax is not taken for the loss") {
  Graph g;
  Value z = g.input("z", f32, {1, 2}), label = g.input("label", i64, {1});
  Value loss = sum(-log(pick(softmax(z) * 0.5 + 0.25, label)));
  auto results = run(g, {{"loss", loss}}, {{"z", floats({1, 2}, {0, 1e4})}, {"label", Tensor::of<int64_t>({1}, {0})}});
  CHECK(results["loss"].number() == doctest::Approx(std::log(4)));
}

TEST_CASE("a softmax inside a model honours its incoming gradient; losses may be weighted") {
  Graph g;
  Value z = g.input("z", f32, {2}), v = g.input("v", f32, {2});
  Value label = g.input("label", i64, {});
  Value gate = sum(softmax(z) * v), weighted = -log(pick(softmax(z), label)) * 3;
  auto results = run(g, {{"gate", gradients(gate, {z})[0]}, {"weighted", gradients(weighted, {z})[0]}},
                     {{"z", floats({2}, {0, 0})}, {"v", floats({2}, {1, 5})}, {"label", 1}});
  check_near(results["gate"], {-1, 1});  // p (v - p.v)
  check_near(results["weighted"], {1.5f, -1.5f});
}

TEST_CASE("softmax over axis 0 and of a vector") {
  Graph g;
  Value x = g.input("x", f32, {2, 3}), v = g.input("v", f32, {4});
  auto results = run(g, {{"columns", softmax(x, 0)}, {"vector", softmax(v)}, {"log", log_softmax(x, 0)}},
                     {{"x", floats({2, 3}, {0, 5, -1e30f, 0, 5, 1e30f})}, {"v", floats({4}, {7, 7, 7, 7})}});
  check_row(results["columns"], {0.5f, 0.5f, 0, 0.5f, 0.5f, 1});
  check_row(results["vector"], {0.25f, 0.25f, 0.25f, 0.25f});
  check_near(results["log"], {-std::log(2.f), -std::log(2.f), -2e30f, -std::log(2.f), -std::log(2.f), 0});
}

TEST_CASE("the gradient of log-sum-exp is the softmax, for equal, huge and infinite logits") {
  Graph g;
  Value x = g.input("x", f32, {3, 2});
  auto results = run(g, {{"y", logsumexp(x)}, {"dx", gradients(sum(logsumexp(x)), {x})[0]}},
                     {{"x", floats({3, 2}, {0, 0, 1e38f, -1e38f, -inf, 3})}});
  check_near(results["y"], {std::log(2.f), 1e38f, 3});
  check_row(results["dx"], {0.5f, 0.5f, 1, 0, 0, 1});
}

// ---- kinks and 0 * inf ----

TEST_CASE("four spellings of relu have one derivative at 0 and at the subnormals") {
  Row at = {-1, -tiny, -0.f, 0, tiny, 1}, slope = {0, 0, 0, 0, 1, 1};
  for (auto f : {+[](Value x) { return relu(x); }, +[](Value x) { return max(x, 0); }, +[](Value x) { return max(0, x); },
                 +[](Value x) { return select(x > 0, x, 0); }}) {
    auto results = with_gradient(at, f);
    check_row(results["dx"], slope);
    for (size_t i = 0; i < at.size(); ++i) CHECK(results["y"].read<float>()[i] == std::max(at[i], 0.f));
  }
  check_row(with_gradient(at, [](Value x) { return relu(x, Kink::right); })["dx"], {0, 0, 1, 1, 1, 1});
  check_row(with_gradient(at, [](Value x) { return abs(x) + 1; })["dx"], {-1, -1, -0.f, 0, 1, 1});
}

TEST_CASE("0 * inf does not arise in gradients") {
  check_row(with_gradient({0, 4}, [](Value x) { return max(sqrt(x), 1e-3); })["dx"], {0, 0.25f});
  check_row(with_gradient({-1, 0, 2}, [](Value x) { return select(x > 0, log(x), 0); })["dx"], {0, 0, 0.5f});
  check_row(with_gradient({0, 0}, [](Value x) { return sqrt(sum(x * x)); })["dx"], {0, 0});
  check_row(with_gradient({0, 2}, [](Value x) { return pow(x, 0); })["dx"], {0, 0});
  check_row(with_gradient({0, -3}, [](Value x) { return pow(x, 2); })["dx"], {0, -6});
  check_row(with_gradient({2, 0, 3}, [](Value x) { return prod(x); })["dx"], {0, 6, 0});
  check_row(with_gradient({-800, 0, 800}, [](Value x) { return select(x < 0, exp(x), 1 + x); })["dx"], {0, 1, 1});
}

TEST_CASE("no optimisation turns x * 0 or x - x into 0") {
  Graph g;
  Value x = g.input("x", f32, {4});
  auto results = run(g, {{"times", x * 0}, {"minus", x - x}, {"over", x / x}, {"plus", x + 0}},
                     {{"x", floats({4}, {inf, nan_value, -2, -0.f})}});
  check_row(results["times"], {nan_value, nan_value, -0.f, -0.f});
  check_row(results["minus"], {nan_value, nan_value, 0, 0});
  check_row(results["over"], {nan_value, nan_value, 1, nan_value});
  check_row(results["plus"], {inf, nan_value, -2, 0});
}

// ---- choosing by index ----

TEST_CASE("a gather of repeated rows adds their gradients") {
  Graph g;
  Value table = g.input("table", f32, {3, 2}), index = g.input("index", i32, {4}), dy = g.input("dy", f32, {4, 2});
  Value d = gradients(sum(gather(table, index) * dy), {table})[0];
  check_row(
      run(g, d, {{"index", Tensor::of<int32_t>({4}, {2, 0, 2, 2})}, {"dy", floats({4, 2}, {1, 10, 2, 20, 4, 40, 8, 80})}}),
      {2, 20, 0, 0, 13, 130});
}

TEST_CASE("a trained table gets the sum over repeated rows, by any number of threads") {
  Graph g;
  Extent n = g.size("n", 64);
  Value index = g.input("index", u8, {n});
  Value table = g.parameter("table", f32, {5, 3}, constant(1));
  Value loss = sum(gather(table, index));
  g.entry("train", {{"loss", loss}}, minimize(loss, sgd(0.5)));
  Program program = compile(g);
  Tensor indices(u8, {40});
  for (int64_t i = 0; i < 40; ++i) indices.write<uint8_t>()[static_cast<size_t>(i)] = i % 8 == 0 ? 0 : 4;
  for (int threads : {1, 2, 3}) {
    Session session(program, {.threads = threads});
    session.init(1);
    CHECK(session.run("train", {{"index", indices}})["loss"].number() == 120);
    check_row(session.read("table"), {-1.5f, -1.5f, -1.5f, 1, 1, 1, 1, 1, 1, 1, 1, 1, -16.5f, -16.5f, -16.5f});
  }
}

// ---- NaN ----

TEST_CASE("max, min and reductions by them propagate NaN; argmax gives the first NaN, else the first maximum") {
  Graph g;
  Value x = g.input("x", f32, {4, 18}), a = g.input("a", f32, {6}), b = g.input("b", f32, {6});
  Row rows(72, -5);
  rows[3] = nan_value, rows[17] = 9;                // row 0: NaN before a larger number
  rows[18 + 17] = nan_value, rows[18] = 9;          // row 1: NaN after it
  rows[36 + 2] = 7, rows[36 + 16] = 7;              // row 2: two maxima
  for (size_t i = 54; i < 72; ++i) rows[i] = -inf;  // row 3
  auto results = run(g,
                     {{"max", max(a, b)},
                      {"min", min(a, b)},
                      {"rows", reduce_max(x, {1})},
                      {"low", reduce_min(x, {1})},
                      {"arg", argmax(x)},
                      {"columns", reduce_max(x, {0})},
                      {"relu", relu(a)}},
                     {{"x", floats({4, 18}, rows)},
                      {"a", floats({6}, {nan_value, 1, nan_value, -0.f, 0, inf})},
                      {"b", floats({6}, {1, nan_value, nan_value, 0, -0.f, -inf})}});
  check_row(results["max"], {nan_value, nan_value, nan_value, 0, 0, inf});
  check_row(results["min"], {nan_value, nan_value, nan_value, -0.f, -0.f, -inf});
  check_row(results["rows"], {nan_value, nan_value, 7, -inf});
  check_row(results["low"], {nan_value, nan_value, -5, -inf});
  Whole arg(results["arg"].read<int64_t>().begin(), results["arg"].read<int64_t>().end());
  CHECK(arg == Whole{3, 17, 2, 0});
  CHECK(std::isnan(results["columns"].at(3)));
  CHECK(std::isnan(results["columns"].at(17)));
  CHECK(results["columns"].at(2) == 7);
  CHECK(std::isnan(results["relu"].at(0)));
}

TEST_CASE("comparisons with NaN are false; a cast of NaN is 0 and one beyond the range saturates") {
  Graph g;
  Value x = g.input("x", f32, {5});
  auto results =
      run(g, {{"less", cast(x < 1, i64)}, {"same", cast(equal(x, x), i64)}, {"whole", cast(x, i32)}, {"byte", cast(x, u8)}},
          {{"x", floats({5}, {nan_value, inf, -inf, 3e9f, -1.5f})}});
  auto whole = [&](const char* name) {
    Whole values;
    for (int64_t i = 0; i < 5; ++i) values.push_back(results[name].integer_at(i));
    return values;
  };
  CHECK(whole("less") == Whole{0, 0, 1, 0, 1});
  CHECK(whole("same") == Whole{0, 1, 1, 1, 1});
  CHECK(whole("whole") == Whole{0, 2147483647, -2147483648, 2147483647, -1});
  CHECK(whole("byte") == Whole{0, 255, 0, 255, 0});
}

// ---- extents and shapes ----

TEST_CASE("element offsets beyond 2^31") {
  // Only the rows that are read are touched: the rest of the 4 GiB is address space. The second index is beyond 2^32.
  int64_t rows = (int64_t{1} << 26) + 2, bytes = rows * 64;
  auto* base = static_cast<uint8_t*>(
      mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  REQUIRE(base != MAP_FAILED);
  Whole chosen = {0, (int64_t{1} << 25) + 1, rows - 1};
  for (size_t i = 0; i < 3; ++i) base[chosen[i] * 64 + 63] = static_cast<uint8_t>(i + 1);
  Graph g;
  Value table = g.input("table", u8, {rows, 64}), index = g.input("index", i64, {3});
  Value picked = slice(cast(gather(table, index), i64), 1, 63, 64);
  Tensor result = run(g, reshape(picked, {3}),
                      {{"table", Tensor::view<uint8_t>(base, {rows, 64})}, {"index", Tensor::of<int64_t>({3}, chosen)}});
  CHECK(Whole(result.read<int64_t>().begin(), result.read<int64_t>().end()) == Whole{1, 2, 3});
  munmap(base, static_cast<size_t>(bytes));
}

TEST_CASE("64-bit integers keep their bits beyond 2^53") {
  Graph g;
  Value x = g.input("x", i64, {2});
  Tensor y = run(g, x * 3 + 1, {{"x", Tensor::of<int64_t>({2}, {(int64_t{1} << 53) + 1, -(int64_t{1} << 60) - 1})}});
  CHECK(y.integer_at(0) == 3 * ((int64_t{1} << 53) + 1) + 1);
  CHECK(y.integer_at(1) == 3 * (-(int64_t{1} << 60) - 1) + 1);
}

TEST_CASE("reductions of a scalar are the scalar") {
  Graph g;
  Value x = g.input("x", f32, {});
  auto results = run(g,
                     {{"sum", sum(x)},
                      {"mean", mean(x)},
                      {"prod", prod(x)},
                      {"max", reduce_max(x)},
                      {"min", reduce_min(x)},
                      {"d", gradients(mean(x) * sum(x), {x})[0]}},
                     {{"x", -2.5}});
  for (const char* name : {"sum", "mean", "prod", "max", "min"}) check_row(results[name], {-2.5f});
  check_row(results["d"], {-5});
}

TEST_CASE("concat of one part, slices of step 1, of all and of nothing, and a reversal") {
  Graph g;
  Value x = g.input("x", f32, {2, 3});
  auto results = run(g,
                     {{"one", concat({x}, 1)},
                      {"all", slice(x, 1, 0, 3)},
                      {"last", slice(x, 1, 2, 3)},
                      {"none", slice(x, 0, 1, 1)},
                      {"odd", slice(x, 1, 0, 3, 2)},
                      {"back", reverse(x, {0, 1})},
                      {"grown", concat({slice(x, 0, 1, 1), x}, 0)},
                      {"d", gradients(sum(slice(x, 1, 1, 2) * 4), {x})[0]}},
                     {{"x", floats({2, 3}, {1, 2, 3, 4, 5, 6})}});
  check_row(results["one"], {1, 2, 3, 4, 5, 6});
  check_row(results["all"], {1, 2, 3, 4, 5, 6});
  check_row(results["last"], {3, 6});
  check_row(results["none"], {});
  check_row(results["odd"], {1, 3, 4, 6});
  check_row(results["back"], {6, 5, 4, 3, 2, 1});
  check_row(results["grown"], {1, 2, 3, 4, 5, 6});
  check_row(results["d"], {0, 4, 0, 0, 4, 0});
}

TEST_CASE("extents of 0 and 1: identities over nothing, products over nothing, a table of one row") {
  Graph g;
  Value e = g.input("e", f32, {3, 0}), one = g.input("one", f32, {1, 1}), none = g.input("none", i64, {0});
  auto results = run(g,
                     {{"sum", sum(e, {1})},
                      {"prod", prod(e, {1})},
                      {"max", reduce_max(e, {1})},
                      {"min", reduce_min(e, {1})},
                      {"mean", mean(e, {1})},
                      {"matmul", matmul(e, e, false, true)},
                      {"empty", matmul(e, e, true, false)},
                      {"one", matmul(one, one)},
                      {"softmax", softmax(one)},
                      {"rows", gather(one, none)},
                      {"d", gradients(sum(matmul(e, e, false, true)), {e})[0]}},
                     {{"e", Tensor(f32, {3, 0})}, {"one", floats({1, 1}, {3})}, {"none", Tensor(i64, {0})}});
  check_row(results["sum"], {0, 0, 0});
  check_row(results["prod"], {1, 1, 1});
  check_row(results["max"], {-inf, -inf, -inf});
  check_row(results["min"], {inf, inf, inf});
  check_row(results["mean"], {nan_value, nan_value, nan_value});
  check_row(results["matmul"], Row(9, 0));
  check_row(results["empty"], {});
  check_row(results["one"], {9});
  check_row(results["softmax"], {1});
  check_row(results["rows"], {});
  check_row(results["d"], {});
}

TEST_CASE("views, products and random numbers of no elements inside larger values") {
  Graph g;
  Extent n = g.size("n", 5);
  Value x = g.input("x", f32, {n, 8}), w = g.parameter("w", f32, {8, 0}, uniform(-1, 1)), e = g.input("e", i32, {n, 0, 65});
  Value h = relu(matmul(x, w) + 0.1);
  Value noise = dropout(g, sigmoid(cast(e, f32)), 0.25);
  Value chain = slice(noise, 2, 1, 65) + slice(noise, 2, 0, 64);
  auto results = run(g,
                     {{"padded", pad(matmul(h, h, true, false), {0, 1}, {2, 0}, 0.5)},
                      {"all", sum(chain, {1})},
                      {"wide", pad(chain, {0, 1, 0}, {0, 0, 0}, 2)},
                      {"flat", reshape(chain, {0})},
                      {"d", gradients(sum(matmul(h, h, true, false)) + sum(x), {x})[0]}},
                     {{"x", Tensor(f32, {2, 8})}, {"e", Tensor(i32, {2, 0, 65})}});
  check_row(results["padded"], {0.5f, 0.5f});
  check_row(results["all"], Row(128, 0));
  check_row(results["wide"], Row(128, 2));
  check_row(results["flat"], {});
  check_row(results["d"], Row(16, 1));
}

TEST_CASE("vector times matrix, matrix times vector, dot and outer product") {
  Graph g;
  Value v = g.input("v", f32, {2}), w = g.input("w", f32, {3}), m = g.input("m", f32, {2, 3});
  auto results = run(g,
                     {{"vm", contract(v, m, "i,ij->j")},
                      {"mv", contract(m, w, "ij,j->i")},
                      {"dot", contract(w, w, "i,i->")},
                      {"outer", contract(v, w, "i,j->ij")}},
                     {{"v", floats({2}, {1, 10})}, {"w", floats({3}, {1, 2, 3})}, {"m", floats({2, 3}, {1, 2, 3, 4, 5, 6})}});
  check_row(results["vm"], {41, 52, 63});
  check_row(results["mv"], {14, 32});
  check_row(results["dot"], {14});
  check_row(results["outer"], {1, 2, 3, 10, 20, 30});
}

TEST_CASE("a guard on rows and constant lanes masks both halves of a vector, on every ISA") {
  for (Isa isa : {Isa::sse2, Isa::avx2, Isa::avx512}) {
    Graph g;
    Value x = g.input("x", f32, {3, 8});
    Value wide = pad(x, {0, 0}, {0, 2}, 0.5);
    g.entry("run", {{"y", concat({wide, wide * 2}, 0)}});
    Program program = compile(g, {.isa = isa});
    Session session(program);
    Row given, expected;
    for (int i = 0; i < 24; ++i) given.push_back(static_cast<float>(i + 1));
    for (int row = 0; row < 6; ++row)
      for (int i = 0; i < 10; ++i)
        expected.push_back((i < 8 ? given[static_cast<size_t>(row % 3 * 8 + i)] : 0.5f) * (row < 3 ? 1 : 2));
    check_row(session.run("run", {{"x", floats({3, 8}, given)}})["y"], expected);
  }
}

// ---- the step ----

TEST_CASE("the rate is an input, not a number in the code; a short batch needs no other program") {
  Graph g;
  Extent n = g.size("n", 4);
  Value x = g.input("x", f32, {n}), rate = g.input("rate", f32, {});
  Value w = g.parameter("w", f32, {}, constant(0));
  Value loss = sum(w * x);
  g.entry("train", {{"loss", loss}}, minimize(loss, sgd(rate)));
  Program program = compile(g);
  CHECK(program.states.size() == 2);  // w and step
  Session session(program);
  session.init(1);
  session.run("train", {{"x", floats({4}, {1, 2, 3, 4})}, {"rate", 0.5}});
  check_row(session.read("w"), {-5});
  session.run("train", {{"x", floats({1}, {8})}, {"rate", 0.25}});
  check_row(session.read("w"), {-7});
  session.run("train", {{"x", floats({3}, {1, 1, 1})}, {"rate", 0}});
  check_row(session.read("w"), {-7});
  CHECK_THROWS_AS(session.run("train", {{"x", Tensor(f32, {5})}, {"rate", 0}}), Error);
  CHECK_THROWS_AS(session.run("train", {{"x", Tensor(f32, {0})}, {"rate", 0}}), Error);
}

TEST_CASE("parameters are held once: an update in place needs no arena") {
  Graph g;
  Value x = g.input("x", f32, {8, 256}), w = g.parameter("w", f32, {256, 128}, constant(0.25));
  Value loss = sum(matmul(x, w));
  g.entry("train", {{"loss", loss}}, minimize(loss, sgd(0.5)));
  Program program = compile(g);
  CHECK(program.entry("train").arena_bytes < 256 * 128 * 4);
  Session session(program);
  session.init(1);
  Tensor ones(f32, {8, 256});
  for (float& value : ones.write<float>()) value = 1;
  CHECK(session.run("train", {{"x", ones}})["loss"].number() == 8 * 256 * 128 * 0.25);
  check_row(session.read("w"), Row(256 * 128, 0.25f - 4));
}

TEST_CASE("two states swap, and a third takes a transposition of what one was") {
  Graph g;
  auto initial = [](double from) {
    return [from](Graph& graph, const Type& type) {
      return cast(iota(graph.body(), type.shape, 0) * 20 + iota(graph.body(), type.shape, 1), f32) + from;
    };
  };
  Value a = g.state("a", f32, {20, 20}, initial(0)), b = g.state("b", f32, {20, 20}, initial(1000)),
        c = g.state("c", f32, {20, 20}, initial(0));
  g.entry("step", {}, {{a, b}, {b, a}, {c, transpose(c) + transpose(a)}});
  Program program = compile(g);
  for (int threads : {1, 2, 3}) {
    Session session(program, {.threads = threads, .guarded = true});
    session.init(1);
    session.run("step");
    Tensor now_a = session.read("a"), now_b = session.read("b"), now_c = session.read("c");
    for (int64_t i = 0; i < 20; ++i)
      for (int64_t j = 0; j < 20; ++j) {
        REQUIRE(now_a.at(i * 20 + j) == static_cast<double>(i * 20 + j + 1000));
        REQUIRE(now_b.at(i * 20 + j) == static_cast<double>(i * 20 + j));
        REQUIRE(now_c.at(i * 20 + j) == static_cast<double>(2 * (j * 20 + i)));
      }
  }
}

TEST_CASE("an input that an entry reads without effect is bound like the others, and still gives the size") {
  Graph g;
  Extent n = g.size("n", 8);
  Value x = g.input("x", f32, {n, 3}), unused = g.input("unused", f32, {n});
  g.entry("run", {{"ones", select(constant(g.body(), boolean, 1), ones_like(x), x)}, {"count", size_of(g.body(), n)}});
  Program program = compile(g);
  Session session(program);
  session.init(1);
  Outputs results = session.run("run", {{"x", Tensor(f32, {5, 3})}});
  check_row(results["ones"], Row(15, 1));
  CHECK(results["count"].integer_at(0) == 5);
  CHECK_THROWS_AS(session.run("run", {{"x", Tensor(f32, {5, 2})}}), Error);
  CHECK_THROWS_AS(session.run("run", {{"x", Tensor(f32, {5, 3})}, {"unused", Tensor(f32, {5})}}), Error);
  CHECK(unused.rank() == 1);
}
