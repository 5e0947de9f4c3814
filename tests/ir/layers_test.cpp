// Layers own their parameters, number themselves, share weights, and speak of the user's line.
#include "ir/model/layers.h"

#include <doctest/doctest.h>

#include "ir/model/losses.h"
#include "ir/ops.h"

using namespace tenon;

namespace {

struct Model {
  Graph g;
  Extent n = g.size("n", 64);
  Value x = g.input("x", f32, {n, 784});
};

std::vector<std::string> parameters(const Graph& g) {
  std::vector<std::string> names;
  for (const State& state : g.body().states)
    if (state.trainable) names.push_back(g.body().node(state.node).attributes.get<std::string>("name"));
  return names;
}

}  // namespace

TEST_CASE("dense layers number themselves and own W and b") {
  Model m;
  const Value h = relu(dense(m.g, m.x, 128));
  const Value z = dense(m.g, h, 10);
  CHECK(z.type().str() == "f32[n,10]");
  CHECK(parameters(m.g) == std::vector<std::string>{"dense1/W", "dense1/b", "dense2/W", "dense2/b"});
  CHECK(m.g.body().value(m.g.body().state("dense1/W")->node).type().str() == "f32[784,128]");
  CHECK(m.g.body().value(m.g.body().state("dense2/b")->node).type().str() == "f32[10]");
}

TEST_CASE("numbers start again within a scope, and a name replaces the number") {
  Model m;
  dense(m.g, m.x, 3);
  {
    const Scope scope(m.g, "encoder");
    dense(m.g, m.x, 3);
    dense(m.g, m.x, 3, {.bias = nullptr, .name = "out"});
  }
  CHECK(parameters(m.g) ==
        std::vector<std::string>{"dense1/W", "dense1/b", "encoder/dense1/W", "encoder/dense1/b", "encoder/out/W"});
}

TEST_CASE("a layer applied twice shares its weights; applied to one value it is one node") {
  Model m;
  const Value other = m.g.input("other", f32, {m.n, 784});
  const Dense layer(m.g, f32, 784, 16);
  const Value y = layer(m.x);
  CHECK(layer(m.x) == y);
  CHECK(layer(other) != y);
  CHECK(parameters(m.g).size() == 2);
  const Dense tied(m.g, f32, 784, 16, {.name = layer.name});
  CHECK(tied.W == layer.W);
  CHECK(parameters(m.g).size() == 2);
}

TEST_CASE("a dense layer works on the last axis of any rank") {
  Model m;
  const Value vector = m.g.input("vector", f32, {5});
  const Value cube = m.g.input("cube", f32, {m.n, 7, 5});
  const Dense layer(m.g, f32, 5, 3);
  CHECK(layer(vector).type().str() == "f32[3]");
  CHECK(layer(cube).type().str() == "f32[n,7,3]");
}

TEST_CASE("nodes of a layer are named by its scope and carry the line of its caller") {
  Model m;
  const uint32_t line = std::source_location::current().line() + 1;
  const Value y = dense(m.g, m.x, 128);
  for (const Node& node : m.g.body().nodes)
    if (node.origin.scope.starts_with("dense1")) {
      CAPTURE(node.op->name);
      CHECK(node.origin.lines.back() == Line(__FILE__, line));
    }
  CHECK(y.node().origin.scope == "dense1");
}

TEST_CASE("mistakes with layers name the user's line") {
  Model m;
  const Value pixels = m.g.input("pixels", u8, {m.n, 784});
  const auto fails = [](auto mistake, const std::string& text, std::source_location at = std::source_location::current()) {
    CHECK_THROWS_WITH_AS(mistake(), (Line(at).str() + ": " + text).c_str(), Error);
  };
  fails([&] { dense(m.g, pixels, 9); }, "dense: x is u8[n,784]; it must be f32 or f64 with a constant last axis");
  fails([&] { dense(m.g, m.x, 0); }, "dense: needs inputs and units, not 784 and 0");
  const Dense layer(m.g, f32, 5, 3);
  fails([&] { layer(m.x); }, "dense1: x is f32[n,784]; it must be f32[..., 5] to go with W, f32[5,3]");
  fails([&] { dropout(m.g, m.x, 1, Mode::train); }, "dropout: the rate is 1; it must be at least 0 and below 1");
  fails([&] { uniform(1, 1); }, "uniform: low must be below high, not 1 and 1");
  fails([&] { normal(-1); }, "normal: the standard deviation must be above 0, not -1");
  // the mistake stands on the line of its check
  // clang-format off
  fails([&] { m.g.parameter("v", f32, {3}, he()); },
        "he: a weight [in, out] has at least two axes, the parameter is f32[3]");
  const Value target = m.g.input("target", f32, {m.n});
  const Value y = layer(m.g.input("five", f32, {m.n, 5}));
  fails([&] { mse(y, target); },
        "mse: the prediction is f32[n,3], the target is f32[n]; both must be of one type, f32 or f64");
  fails([&] { accuracy(y, target); },
        "accuracy: the logits are f32[n,3], the label is f32[n]; they must be f32 or f64 [..., classes] and "
        "integers [...]");
  // clang-format on
}

TEST_CASE("dropout draws in training and is absent in prediction") {
  Model m;
  CHECK(dropout(m.g, m.x, 0.5, Mode::predict) == m.x);
  CHECK(dropout(m.g, m.x, 0.0, Mode::train) == m.x);
  const Value first = dropout(m.g, m.x, 0.5, Mode::train);
  CHECK(first.type() == m.x.type());
  CHECK(first != dropout(m.g, m.x, 0.5, Mode::train));  // another draw, never shared
}

TEST_CASE("two layers draw their weights from different streams") {
  Model m;
  dense(m.g, m.x, 16);
  dense(m.g, m.x, 16);
  CHECK(m.g.body().state("dense1/W")->initial != m.g.body().state("dense2/W")->initial);
  CHECK(m.g.body().state("dense1/b")->initial == m.g.body().state("dense2/b")->initial);  // constants are shared
}
