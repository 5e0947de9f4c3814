// What follows from constants is a constant, with the bits of the graph that was folded.
#include "compiler/graph/fold.h"

#include <doctest/doctest.h>

#include <cmath>

#include "ir/evaluate.h"
#include "ir/op.h"
#include "ir/ops.h"

using namespace tenon;

namespace {

Graph folded(Graph& g, Value value) {
  g.entry("main", {{"value", value}});
  return fold(g);
}

Value result(const Graph& graph) { return graph.body().value(graph.body().entry("main")->outputs[0].second); }

}  // namespace

TEST_CASE("arithmetic of constants is one constant, rounded step by step") {
  Graph g;
  Value third = constant(g.body(), f32, 1.0) / 3, value = sqrt(third) * 10 + 0.1;
  Graph after = folded(g, value);
  REQUIRE(&result(after).op() == &constant_op);
  CHECK(after.body().size() == 1);
  CHECK(result(after).attributes().get<Literal>("value").at(0) == evaluate(value, {}, 1, Arithmetic::typed).literal().at(0));
  CHECK(result(after).attributes().get<Literal>("value").at(0) == std::sqrt(1.0f / 3) * 10 + 0.1f);
}

TEST_CASE("a repeated number stays one number under a broadcast") {
  Graph g;
  Extent n = g.size("n", 64);
  Value x = g.input("x", f32, {n, 10});
  Graph after = folded(g, x + exp(full(g.body(), {f32, {n, 10}}, 2) * 3));
  Value sum = result(after);
  REQUIRE(&sum.op() == &add_op);
  REQUIRE(&sum.operand(1).op() == &broadcast_op);
  CHECK(sum.operand(1).operand(0).attributes().get<Literal>("value").at(0) == doctest::Approx(std::exp(6.0)).epsilon(1e-6));
}

TEST_CASE("tables of constants fold while they are small") {
  for (int64_t count : {16, 5000}) {
    Graph g;
    Value table = constant(g.body(), Literal::of({f64, {count}}, std::vector<double>(static_cast<size_t>(count), 2)));
    Graph after = folded(g, table * table);
    CHECK((&result(after).op() == &constant_op) == (count == 16));
  }
}

TEST_CASE("what reads an input, a state or the run-time size stays") {
  Graph g;
  Extent n = g.size("n", 4);
  Value s = g.step(), count = size_of(g.body(), n), x = g.input("x", i64, {});
  Graph after = folded(g, s + count + x);
  CHECK(&result(after).op() == &add_op);
}
