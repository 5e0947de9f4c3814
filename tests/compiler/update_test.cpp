// minimize(): each optimiser against its formula in plain loops, groups, clipping, and the errors' texts.
#include "compiler/graph/update.h"

#include <doctest/doctest.h>

#include <cmath>

#include "compiler/graph/canonicalise.h"
#include "compiler/graph/expand.h"
#include "compiler/graph/fuse_loss.h"
#include "compiler/graph/simplify.h"
#include "compiler/graph/stabilise.h"
#include "ir/evaluate.h"
#include "ir/model/initializers.h"
#include "ir/ops.h"
#include "ir/text.h"

using namespace tenon;

namespace {

Initializer start(double value) {
  return [value](Graph& graph, const Type& type) { return full(graph.body(), type, value); };
}

ReferenceArray array(DType dtype, Shape shape, std::vector<double> values) {
  return ReferenceArray::of(Type{dtype, std::move(shape)}, values);
}

// A parameter w = (1, 2) with the loss sum(c * w^2 / 2), so that its gradient is c * w, trained for some
// steps.
std::vector<double> train(const Optimizer& optimizer, int steps, const MinimizeOptions& options = {}) {
  Graph g;
  Value w = g.parameter("w", f64, {2}, start(1)), c = g.input("c", f64, {2});
  g.entry("train", {}, minimize(sum(0.5 * c * w * w), optimizer, options));
  Bindings states = evaluate_initial(g.body(), 1);
  states["w"] = array(f64, {2}, {1, 2});
  states["c"] = array(f64, {2}, {1, 10});
  for (int i = 0; i < steps; ++i)
    for (auto& [name, value] : evaluate_entry(g.body(), "train", states).states) states[name] = value;
  CHECK(states["step"].at(0) == steps);
  return states["w"].real;
}

// The same by a formula: step(w, g, t) for each element on its own, with two slots of memory.
template <typename Step>
std::vector<double> by_hand(int steps, Step step) {
  std::vector<double> w{1, 2}, c{1, 10};
  for (int i : {0, 1}) {
    double m = 0, v = 0;
    for (int t = 1; t <= steps; ++t) step(w[i], c[i] * w[i], m, v, t);
  }
  return w;
}

void check_close(const std::vector<double>& a, const std::vector<double>& b) {
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-12));
}

template <typename Call>
std::string message(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string line_name(int line) { return fmt::format("update_test.cpp:{}", line); }
template <typename... Args>
std::string at(int line, fmt::format_string<Args...> format, Args&&... args) {
  return line_name(line) + ": " + fmt::format(format, std::forward<Args>(args)...);
}

std::string optimised(const Graph& g) {
  return print(simplify(expand(simplify(fuse_loss(stabilise(canonicalise(g)))))), {.origins = false});
}

}  // namespace

TEST_CASE("sgd, with and without decay") {
  check_close(train(sgd(0.01), 5), by_hand(5, [](double& w, double g, double&, double&, int) { w -= 0.01 * g; }));
  check_close(train(sgd(0.01, 0.5), 5),
              by_hand(5, [](double& w, double g, double&, double&, int) { w -= 0.01 * (g + 0.5 * w); }));
}

TEST_CASE("momentum and nesterov") {
  check_close(train(momentum(0.01, 0.8), 5), by_hand(5, [](double& w, double g, double& m, double&, int) {
                m = 0.8 * m + g;
                w -= 0.01 * m;
              }));
  check_close(train(nesterov(0.01, 0.8), 5), by_hand(5, [](double& w, double g, double& m, double&, int) {
                m = 0.8 * m + g;
                w -= 0.01 * (g + 0.8 * m);
              }));
}

TEST_CASE("rmsprop") {
  check_close(train(rmsprop(0.01, 0.9, 1e-6), 5), by_hand(5, [](double& w, double g, double&, double& v, int) {
                v = 0.9 * v + 0.1 * g * g;
                w -= 0.01 * g / std::sqrt(v + 1e-6);
              }));
}

TEST_CASE("adam and adamw") {
  auto adam_step = [](double& w, double g, double& m, double& v, int t) {
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    double unbiased_m = m / (1 - std::pow(0.9, t)), unbiased_v = v / (1 - std::pow(0.999, t));
    w -= 0.01 * unbiased_m / (std::sqrt(unbiased_v) + 1e-8);
  };
  check_close(train(adam(0.01), 7), by_hand(7, adam_step));
  check_close(train(adamw(0.01, 0.1), 7), by_hand(7, [&](double& w, double g, double& m, double& v, int t) {
                double before = w;
                adam_step(w, g, m, v, t);
                w -= 0.01 * 0.1 * before;
              }));
}

TEST_CASE("clipping by value and by the norm of all gradients") {
  check_close(train(sgd(0.01), 1, {.clip_value = 3}), {1 - 0.01, 2 - 0.03});
  double norm = std::sqrt(1.0 + 400.0);
  check_close(train(sgd(0.01), 1, {.clip_norm = 2}), {1 - 0.01 * 2 / norm, 2 - 0.01 * 20 * 2 / norm});
  check_close(train(sgd(0.01), 1, {.clip_norm = 1000}), {1 - 0.01, 2 - 0.2});
}

TEST_CASE("groups: own rate, no decay on biases, frozen") {
  Graph g;
  Value w = g.parameter("dense1/w", f64, {}, start(1)), b = g.parameter("dense1/b", f64, {}, start(1)),
        still = g.parameter("still", f64, {}, start(1));
  Value rate = g.input("rate", f32, {});
  MinimizeOptions options{.groups = {{.includes = is_bias, .rate = 0.5, .decay = 0},
                                     {.includes = [](auto name) { return name == "still"; }, .frozen = true}}};
  auto updates = minimize(w * 2 + b * 3 + still, sgd(rate, 0.125), options);
  CHECK(updates.size() == 3);
  g.entry("train", {}, updates);
  Bindings states = evaluate_initial(g.body(), 1);
  states["rate"] = array(f32, {}, {0.25});
  auto after = evaluate_entry(g.body(), "train", states).states;
  CHECK(after["dense1/w"].at(0) == 1 - 0.25 * (2 + 0.125));
  CHECK(after["dense1/b"].at(0) == 1 - 0.5 * 3);
  CHECK(after["still"].at(0) == 1);
  CHECK_FALSE(is_bias("dense1/web"));
}

TEST_CASE("adam computes its two scalars once for each parameter") {
  Graph g;
  Value a = g.parameter("a", f32, {3}, start(1)), b = g.parameter("b", f32, {4}, start(1));
  Value loss = sum(a * a) + sum(b * b);
  g.entry("train", {}, minimize(loss, adam()));
  std::map<std::string_view, int> scalars;
  for (const Node& node : g.body().nodes) {
    if (node.type.scalar()) ++scalars[node.op->name];
    CHECK((node.op->name != "expm1" || node.type.scalar()));
  }
  CHECK(scalars["expm1"] == 4);
  CHECK(scalars["div"] == 2);
  CHECK(g.body().state("a/adam.m"));
  CHECK(g.body().state("b/adam.v"));
  CHECK_FALSE(g.body().state("b/adam.v")->trainable);
  CHECK(g.body().node(g.body().state("b/adam.t")->node).type == Type{i64, {}});
}

TEST_CASE("an optimiser of one's own counts in a slot of integers") {
  const Optimizer averaged{"averaged", 1, 0, [](const OptimizerStep& s) -> std::vector<Update> {
                             Value n = s.slot("averaged.n", {i64, {}});
                             return {{n, n + 1}, {s.parameter, s.parameter - s.rate * s.gradient / cast(n + 1, f64)}};
                           }};
  check_close(train(averaged, 3), by_hand(3, [](double& w, double g, double&, double&, int t) { w -= g / t; }));
}

TEST_CASE("a schedule reads the step that all entries advance, or a count of one entry's own") {
  Graph g;
  Value a = g.parameter("a", f64, {}, start(0)), b = g.parameter("b", f64, {}, start(0));
  Value count = g.state("b_steps", i64, {}, zeros());
  g.entry("a", {}, minimize(a, sgd(1 / (1 + cast(g.step(), f64))), {.parameters = {a}}));
  auto updates = minimize(b, sgd(1 / (1 + cast(count, f64))), {.parameters = {b}});
  updates.push_back({count, count + 1});
  g.entry("b", {}, updates);
  Bindings states = evaluate_initial(g.body(), 1);
  for (const char* entry : {"a", "b", "a", "b"})
    for (auto& [name, value] : evaluate_entry(g.body(), entry, states).states) states[name] = value;
  CHECK(states["step"].at(0) == 4);
  CHECK(states["a"].at(0) == doctest::Approx(-(1 + 1.0 / 3)).epsilon(1e-12));
  CHECK(states["b"].at(0) == doctest::Approx(-(1 + 1.0 / 2)).epsilon(1e-12));
}

TEST_CASE("a state that has an optimiser's name and another type is an error") {
  Graph g;
  const int made = __LINE__ + 1;
  Value w = g.parameter("w", f32, {3}, start(1));
  g.state("w/adam.t", f32, {}, zeros());
  g.state("w/adamw.m", f32, {4}, zeros());
  CHECK(message([&] { minimize(sum(w * w), adam()); }) == at(made, "state 'w/adam.t': is f32[], but an optimiser needs i64[]"));
  CHECK(message([&] { minimize(sum(w * w), adamw()); }) ==
        at(made, "state 'w/adamw.m': is f32[4], but an optimiser needs f32[3]"));
}

TEST_CASE("sgd() and a hand-written one give the same optimised text") {
  auto build = [](bool by_hand) {
    Graph g;
    Extent n = g.size("n", 32);
    Value x = g.input("x", f32, {n, 4}), y = g.input("y", u8, {n}), rate = g.input("rate", f32, {});
    Value w = g.parameter("w", f32, {4, 3}, start(0)), b = g.parameter("b", f32, {3}, start(0));
    Value loss = mean(-log(pick(softmax(matmul(x, w) + b), y)));
    std::vector<Update> updates;
    if (by_hand) {
      auto d = gradients(loss, {w, b});
      updates = {{w, w - rate * d[0]}, {b, b - rate * d[1]}, {g.step(), g.step() + 1}};
    } else {
      updates = minimize(loss, sgd(rate));
    }
    g.entry("train", {{"loss", loss}}, updates);
    return optimised(g);
  };
  CHECK(build(true) == build(false));
  CHECK(build(true).find("contract") != std::string::npos);
}

TEST_CASE("a parameter that is not reached is an error, unless allowed") {
  Graph g;
  const int made = __LINE__ + 1;
  Value w = g.parameter("w", f32, {}, start(1)), idle = g.parameter("idle", f32, {}, start(1));
  int line = __LINE__ + 1;
  std::string text = message([&] { minimize(w * w, sgd(0.1)); });
  CHECK(text == at(line,
                   "minimize: no gradient reaches parameter 'idle' ({}): the loss does not depend on it; freeze it, "
                   "or allow_unreached() it",
                   line_name(made)));
  line = __LINE__ + 1;
  text = message([&] { minimize(w * floor(idle), sgd(0.1)); });
  CHECK(text == at(line,
                   "minimize: no gradient reaches parameter 'idle' ({}): the loss depends on it only through 'floor "
                   "({})', whose gradient is zero everywhere; freeze it, or allow_unreached() it",
                   line_name(made), line_name(line)));
  g.allow_unreached(idle);
  CHECK(minimize(w * w, sgd(0.1)).size() == 2);
}

TEST_CASE("what cannot be a rate, a bound or a parameter is an error") {
  Graph g;
  Value w = g.parameter("w", f32, {}, start(1)), x = g.input("x", f32, {3});
  CHECK(message([&] { minimize(w * w, sgd(x)); }).ends_with("minimize: the rate is f32[3]; it must be a number or f32[]"));
  CHECK(message([&] {
          minimize(w * w, sgd(0.1), {.clip_norm = -1});
        }).ends_with("minimize: clip_norm is -1; it must be above 0"));
  CHECK(message([&] {
          minimize(w * w, sgd(0.1), {.parameters = {x}});
        }).ends_with("minimize: only parameters of the loss's graph can be trained, not 'input'"));
  CHECK(message([&] {
          minimize(sum(x), sgd(0.1));
        }).ends_with("the loss does not depend on it; freeze it, or allow_unreached() it"));
  Graph none;
  CHECK(message([&] {
          minimize(sum(none.input("x", f32, {3})), sgd(0.1));
        }).ends_with("minimize: there is no parameter to train"));
}
