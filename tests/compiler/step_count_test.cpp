// Adam and AdamW count the steps of each parameter on its own: two optimisers that alternate, and parameters
// that are trained later or in another entry too; compiled and evaluated, beside plain loops and beside
// PyTorch 1.13.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <array>
#include <cmath>

#include "tests/runtime/folder.h"

using namespace tenon;

namespace {

using Pair = std::array<double, 2>;
constexpr double rate = 0.01;

struct Rule {
  Optimizer optimizer;
  double decay;  // apart from the gradient
};
const Rule with_adam{adam(rate), 0}, with_adamw{adamw(rate, 0.1), 0.1};

// A parameter of two elements, updated as PyTorch documents its Adam and AdamW.
struct Plain {
  Pair w, m{}, v{};
  int t = 0;

  void step(const Pair& g, double decay) {
    ++t;
    for (size_t i : {0, 1}) {
      w[i] -= rate * decay * w[i];
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      const double unbiased_m = m[i] / (1 - std::pow(0.9, t)), unbiased_v = v[i] / (1 - std::pow(0.999, t));
      w[i] -= rate * unbiased_m / (std::sqrt(unbiased_v) + 1e-8);
    }
  }
};

// A critic and a generator, each with a loss and an entry of its own.
Graph adversaries(const Rule& rule) {
  Graph g;
  const Value d = g.parameter("d", f64, {2}, zeros()), x = g.parameter("x", f64, {2}, zeros());
  g.entry("critic", {}, minimize(0.5 * sum((d - x) * (d - x)), rule.optimizer, {.parameters = {d}}));
  g.entry("generator", {}, minimize(0.5 * sum(x * x) + sum(d * x), rule.optimizer, {.parameters = {x}}));
  return g;
}

// One loss of two parameters, and an entry for each set of them; `a` alone is trained by freezing the other.
Graph two_parts(const Rule& rule) {
  Graph g;
  const Value a = g.parameter("a", f64, {2}, zeros()), b = g.parameter("b", f64, {2}, zeros());
  const Value loss = sum(exp(-a) * (1 + b * b));
  const ParameterGroup frozen_b{.includes = [](std::string_view name) { return name == "b"; }, .frozen = true};
  g.entry("a", {}, minimize(loss, rule.optimizer, {.groups = {frozen_b}}));
  g.entry("both", {}, minimize(loss, rule.optimizer));
  g.entry("b", {}, minimize(loss, rule.optimizer, {.parameters = {b}}));
  return g;
}

Pair slope_a(const Pair& a, const Pair& b) {
  return {-std::exp(-a[0]) * (1 + b[0] * b[0]), -std::exp(-a[1]) * (1 + b[1] * b[1])};
}
Pair slope_b(const Pair& a, const Pair& b) { return {2 * std::exp(-a[0]) * b[0], 2 * std::exp(-a[1]) * b[1]}; }

void write(Session& session, const char* name, const Pair& values) { session.write(name, Tensor::of<double>({2}, values)); }

Pair read(const Session& session, const char* name) {
  const Tensor values = session.read(name);
  return {values.at(0), values.at(1)};
}

int64_t count(const Session& session, const char* name) { return session.read(name).read<int64_t>()[0]; }

std::span<const std::byte> bytes(const Tensor& tensor) { return {tensor.data(), static_cast<size_t>(tensor.byte_count())}; }

// One run of an entry; evaluated from the same states it leaves the same.
void run_and_evaluate(Session& session, const Graph& graph, const char* entry) {
  Bindings before;
  for (const StateBinding& state : session.program().states)
    before.emplace(state.name, ReferenceArray::of(state.type, bytes(session.read(state.name))));
  session.run(entry);
  for (const auto& [name, expected] : evaluate_entry(graph.body(), entry, before).states) {
    const Comparison comparison = compare(expected, bytes(session.read(name)));
    CHECK_MESSAGE(comparison.agree(), entry, " ", name, ": ", comparison.str());
    CHECK(comparison.undecided == 0);
  }
}

void check_close(const Pair& actual, const Pair& expected, double tolerance = 1e-12) {
  for (size_t i : {0, 1}) CHECK_MESSAGE(std::abs(actual[i] / expected[i] - 1) < tolerance, actual[i], " is not ", expected[i]);
}

// What is left of the way from `before` to `after` without the decay has the length of the rate.
void check_one_rate(const Pair& before, const Pair& after, double decay) {
  for (size_t i : {0, 1}) {
    const double way = std::abs(after[i] - before[i] * (1 - rate * decay));
    CHECK_MESSAGE(std::abs(way / rate - 1) < 1e-6, way, " is not ", rate);
  }
}

}  // namespace

TEST_CASE("two optimisers that alternate each begin with one rate, and 50 steps of both are PyTorch's") {
  struct {
    Rule rule;
    Pair critic, generator;  // PyTorch's after 50 steps
  } const cases[] = {{with_adam, {0.7104055390193148, -0.5232843772919566}, {0.508079979295116, 1.5009623323879402}},
                     {with_adamw, {0.6733284284935314, -0.48976061436944685}, {0.47458380859697946, 1.4184494286086322}}};
  for (const auto& [rule, critic, generator] : cases) {
    const Graph g = adversaries(rule);
    Session session(compile(g));
    session.init(1);
    Plain d{{0.5, -1}}, x{{1, 2}};
    write(session, "d", d.w), write(session, "x", x.w);
    for (int i = 0; i < 50; ++i) {
      const Pair d_before = d.w, x_before = x.w;
      run_and_evaluate(session, g, "critic");
      d.step({d.w[0] - x.w[0], d.w[1] - x.w[1]}, rule.decay);
      run_and_evaluate(session, g, "generator");
      x.step({x.w[0] + d.w[0], x.w[1] + d.w[1]}, rule.decay);
      check_close(read(session, "d"), d.w);
      check_close(read(session, "x"), x.w);
      if (i > 0) continue;
      check_one_rate(d_before, read(session, "d"), rule.decay);
      check_one_rate(x_before, read(session, "x"), rule.decay);
    }
    check_close(read(session, "d"), critic);
    check_close(read(session, "x"), generator);
    CHECK(count(session, ("d/" + rule.optimizer.name + ".t").c_str()) == 50);
    CHECK(count(session, ("x/" + rule.optimizer.name + ".t").c_str()) == 50);
    CHECK(count(session, "step") == 100);
  }
}

TEST_CASE("a part trained after 2000 steps begins with one rate, and the other goes on as it was") {
  struct {
    Rule rule;
    Pair alone, a, b;  // PyTorch's a after 2000 steps, and both after 5 more
  } const cases[] = {{with_adam,
                      {4.886301705627608, 4.136301728762962},
                      {4.8908680341557345, 4.140868057338777},
                      {0.950050558925953, -0.9500505412957041}},
                     {with_adamw,
                      {3.2972464743353114, 2.784049494576619},
                      {3.2992363339437003, 2.7860819172215363},
                      {0.9451628438710057, -0.9451628765466982}}};
  for (const auto& [rule, alone, after_a, after_b] : cases) {
    const Graph g = two_parts(rule);
    Session session(compile(g));
    session.init(1);
    Plain a{{0.25, -0.5}}, b{{1, -1}};
    write(session, "a", a.w), write(session, "b", b.w);
    for (int i = 0; i < 2000; ++i) session.run("a"), a.step(slope_a(a.w, b.w), rule.decay);
    check_close(read(session, "a"), a.w, 1e-10);
    check_close(read(session, "a"), alone, 1e-10);
    CHECK(read(session, "b") == b.w);
    const auto step = [&](const char* entry, bool trains_a, bool trains_b) {
      const Pair of_a = slope_a(a.w, b.w), of_b = slope_b(a.w, b.w);
      run_and_evaluate(session, g, entry);
      if (trains_a) a.step(of_a, rule.decay);
      if (trains_b) b.step(of_b, rule.decay);
      check_close(read(session, "a"), a.w, 1e-10);
      check_close(read(session, "b"), b.w, 1e-10);
    };
    step("both", true, true);
    check_one_rate({1, -1}, read(session, "b"), rule.decay);
    for (int i = 1; i < 5; ++i) step("both", true, true);
    check_close(read(session, "a"), after_a, 1e-10);
    check_close(read(session, "b"), after_b, 1e-10);
    for (int i = 0; i < 3; ++i) step("b", false, true), step("a", true, false), step("b", false, true);
    CHECK(count(session, ("a/" + rule.optimizer.name + ".t").c_str()) == 2008);
    CHECK(count(session, ("b/" + rule.optimizer.name + ".t").c_str()) == 11);
    CHECK(count(session, "step") == 2014);
  }
}

TEST_CASE("in f32 the first step is one rate whenever it comes, and counts are exact far beyond f32 and f64") {
  Graph g;
  const Value a = g.parameter("a", f32, {}, zeros()), b = g.parameter("b", f32, {}, zeros());
  g.entry("a", {}, minimize(3 * a, adam(rate), {.parameters = {a}}));
  g.entry("b", {}, minimize(3 * b, adam(rate), {.parameters = {b}}));
  Session session(compile(g));
  session.init(1);
  for (int i = 0; i < 2000; ++i) session.run("a");
  run_and_evaluate(session, g, "b");
  CHECK(std::abs(session.read("b").number() / -rate - 1) < 1e-6);

  // With nothing left to correct, the first gradient moves by 0.1 / sqrt(0.001) rates.
  session.init(1);
  const int64_t many = (int64_t{1} << 62) + 1;
  session.write("b/adam.t", Tensor::scalar(many));
  run_and_evaluate(session, g, "b");
  CHECK(count(session, "b/adam.t") == many + 1);
  CHECK(std::abs(session.read("b").number() / (-rate * std::sqrt(10.0)) - 1) < 1e-6);
}

TEST_CASE("the counts are states of the text, and a program read from it trains to the same bits") {
  const Graph g = two_parts(with_adam);
  const std::string text = print(g);
  CHECK(text.find("= state() name=\"a/adam.t\" dtype=i64 shape=[] : i64[]") != std::string::npos);
  const Graph again = parse(text);
  CHECK(again == g);
  Session session(compile(g)), other(compile(again));
  for (Session* s : {&session, &other}) {
    s->init(1);
    write(*s, "a", {0.25, -0.5}), write(*s, "b", {1, -1});
    for (const char* entry : {"a", "both", "b", "a"}) s->run(entry);
  }
  for (const StateBinding& state : session.program().states)
    CHECK_MESSAGE(session.read(state.name).same_bits(other.read(state.name)), state.name);
  CHECK(count(session, "a/adam.t") == 3);
  CHECK(count(session, "b/adam.t") == 2);
}

TEST_CASE("a checkpoint keeps counts that differ, and one without counts is refused") {
  const test::Folder folder;
  const Program program = compile(two_parts(with_adam));
  Session whole(program), resumed(program);
  whole.init(1), resumed.init(2);
  write(whole, "a", {0.25, -0.5}), write(whole, "b", {1, -1});
  for (const char* entry : {"a", "a", "both", "a"}) whole.run(entry);
  save(whole, folder / "c");
  load(resumed, folder / "c");
  CHECK(count(resumed, "a/adam.t") == 4);
  CHECK(count(resumed, "b/adam.t") == 1);
  for (Session* s : {&whole, &resumed})
    for (const char* entry : {"both", "b", "a", "both"}) s->run(entry);
  for (const StateBinding& state : program.states)
    CHECK_MESSAGE(whole.read(state.name).same_bits(resumed.read(state.name)), state.name);

  Graph old;  // the states that adam() had when it read the graph's step
  const Value w = old.parameter("w", f32, {3}, zeros()), m = old.state("w/adam.m", f32, {3}, zeros()),
              v = old.state("w/adam.v", f32, {3}, zeros());
  old.entry("train", {}, {{w, w + 1}, {m, m + 1}, {v, v + 1}, {old.step(), old.step() + 1}});
  Session before(compile(old));
  before.init(1);
  save(before, folder / "old");
  Graph g;
  const Value now = g.parameter("w", f32, {3}, constant(2));
  g.entry("train", {}, minimize(sum(now * now), adam(rate)));
  Session session(compile(g));
  session.init(1);
  CHECK(test::message(folder, [&] { load(session, folder / "old"); }) ==
        "old: a checkpoint of another model: w/adam.t: i64[] is missing in the file");
  CHECK(session.read("w").same_bits(Tensor::of<float>({3}, {2, 2, 2})));
}
