// simplify, canonicalise and expand keep every bit; what they should make of a graph is stated as the graph
// that a user could have written.
#include "compiler/graph/simplify.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>

#include "compiler/graph/canonicalise.h"
#include "compiler/graph/expand.h"
#include "compiler/graph/rewrite.h"
#include "ir/evaluate.h"
#include "ir/op.h"
#include "ir/ops.h"
#include "ir/text.h"

using namespace tenon;

namespace {

struct Inputs {
  Graph g;
  Extent n = g.size("n", 8);
  Value x = g.input("x", f32, {n, 4}), y = g.input("y", f32, {n, 4}), r = g.input("r", f32, {n}), w = g.input("w", f32, {4}),
        m = g.input("m", f32, {4, 3}), i = g.input("i", i64, {n}), c = g.input("c", boolean, {n, 4});
};

Bindings samples() {
  auto array = [](DType dtype, Shape shape, std::vector<double> values) {
    return ReferenceArray::of(Type{dtype, std::move(shape)}, values);
  };
  const double nan = std::nan(""), inf = INFINITY;
  return {{"x", array(f32, {3, 4}, {0.0, -0.0, 1.5, nan, inf, -inf, 1e-40, 3e38, -1, 2, -3, 0.1})},
          {"y", array(f32, {3, 4}, {-0.0, 0.0, 1.5, 2, inf, 7, -1e-40, 3e38, -1, -2, 0.3, 0.7})},
          {"r", array(f32, {3}, {-0.0, 2.5, inf})},
          {"w", array(f32, {4}, {1, -0.0, 0.25, 3})},
          {"m", array(f32, {4, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})},
          {"i", array(i64, {3}, {3, 0, 2})},
          {"c", array(boolean, {3, 4}, {0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0})}};
}

using Build = Value (*)(Inputs&);

std::string text_of(Graph graph) { return print(graph, {.origins = false}); }

Graph with_output(Build build) {
  Inputs in;
  Value value = build(in);
  in.g.entry("main", {{"value", value}});
  return sweep(in.g);
}

ReferenceArray result(const Graph& graph) {
  return evaluate_entry(graph.body(), "main", samples(), 3, Arithmetic::typed).outputs["value"];
}

// simplify(before) is `after`, node for node, and both have the same bits.
void becomes(const char* what, Build before, Build after) {
  CAPTURE(what);
  Graph first = with_output(before), second = simplify(first);
  CHECK(text_of(sweep(second)) == text_of(with_output(after)));
  ReferenceArray a = result(first), b = result(second);
  for (int64_t k = 0; k < a.elements(); ++k)
    CHECK(
        ((std::isnan(a.at(k)) && std::isnan(b.at(k))) || std::bit_cast<uint64_t>(a.at(k)) == std::bit_cast<uint64_t>(b.at(k))));
}

}  // namespace

TEST_CASE("what changes no bit is left out") {
  becomes(
      "times 1", [](Inputs& in) { return 1 * in.x; }, [](Inputs& in) { return in.x; });
  becomes(
      "minus 0", [](Inputs& in) { return in.x - 0; }, [](Inputs& in) { return in.x; });
  becomes(
      "neg of neg", [](Inputs& in) { return -(-in.x); }, [](Inputs& in) { return in.x; });
  becomes(
      "a chosen branch",
      [](Inputs& in) {
        return select(full(in.g.body(), {boolean, {in.n, 4}}, 1), in.x, in.y);
      },
      [](Inputs& in) { return in.x; });
  becomes(
      "the same condition twice", [](Inputs& in) { return select(in.c, select(in.c, in.x, in.y), in.y); },
      [](Inputs& in) { return select(in.c, in.x, in.y); });
  becomes(
      "plus neg", [](Inputs& in) { return in.x + -in.y; }, [](Inputs& in) { return in.x - in.y; });
  becomes(
      "negations meet", [](Inputs& in) { return -in.x * -in.y; }, [](Inputs& in) { return in.x * in.y; });
}

TEST_CASE("what would change a zero's sign or a NaN stays") {
  for (Build same : {Build([](Inputs& in) { return in.x + 0; }), Build([](Inputs& in) { return 0 - in.x; }),
                     Build([](Inputs& in) { return in.x * 0; }), Build([](Inputs& in) { return in.x - in.x; }),
                     Build([](Inputs& in) { return -(in.x - in.y); }), Build([](Inputs& in) { return in.x / in.x; })}) {
    Graph before = with_output(same), after = simplify(before);
    CHECK(after.body().size() == before.body().size());
    ReferenceArray a = result(before), b = result(after);
    for (int64_t k = 0; k < a.elements(); ++k)
      CHECK(((std::isnan(a.at(k)) && std::isnan(b.at(k))) ||
             std::bit_cast<uint64_t>(a.at(k)) == std::bit_cast<uint64_t>(b.at(k))));
  }
}

TEST_CASE("a division by a power of two is a multiplication, another one is not") {
  becomes(
      "over 8", [](Inputs& in) { return in.x / 8; }, [](Inputs& in) { return in.x * 0.125; });
  becomes(
      "over 3", [](Inputs& in) { return in.x / 3; }, [](Inputs& in) { return in.x / 3; });
  becomes(
      "over 2^-126", [](Inputs& in) { return in.x / 0x1p-126; }, [](Inputs& in) { return in.x / 0x1p-126; });
}

TEST_CASE("views do not stack, and stand outside of elementwise operations") {
  becomes(
      "reshapes",
      [](Inputs& in) {
        return reshape(reshape(in.x, {in.n * 2, 2}), {in.n * 4});
      },
      [](Inputs& in) { return reshape(in.x, {in.n * 4}); });
  becomes(
      "a way and back", [](Inputs& in) { return transpose(transpose(in.x)); }, [](Inputs& in) { return in.x; });
  becomes(
      "one number per row, computed once",
      [](Inputs& in) {
        return exp(broadcast(in.r, {in.n, 4}, {0}) * 2);
      },
      [](Inputs& in) {
        return broadcast(exp(in.r * 2), {in.n, 4}, {0});
      });
  becomes(
      "two views alike", [](Inputs& in) { return transpose(in.x) + transpose(in.y); },
      [](Inputs& in) { return transpose(in.x + in.y); });
  becomes(
      "two views that differ",
      [](Inputs& in) {
        return broadcast(in.r, {in.n, 4}, {0}) + broadcast(in.w, {in.n, 4}, {1});
      },
      [](Inputs& in) {
        return broadcast(in.r, {in.n, 4}, {0}) + broadcast(in.w, {in.n, 4}, {1});
      });
  becomes(
      "everything of it", [](Inputs& in) { return concat({slice(in.x, 1, 0, 4)}, 1); }, [](Inputs& in) { return in.x; });
}

TEST_CASE("a contraction reads its operands in their own layout") {
  becomes(
      "transposes", [](Inputs& in) { return matmul(transpose(transpose(in.m)), transpose(in.x), true); },
      [](Inputs& in) { return contract(in.m, in.x, "ki,jk->ij"); });
  Graph g = simplify(with_output([](Inputs& in) { return matmul(transpose(in.m), transpose(in.x)); }));
  int transposes = 0;
  for (const Node& node : g.body().nodes) transposes += node.op == &transpose_op;
  CHECK(transposes == 0);
}

TEST_CASE("picking from equal rows picks from one") {
  becomes(
      "class weights",
      [](Inputs& in) {
        return pick(broadcast(in.w, {in.n, 4}, {1}), in.i);
      },
      [](Inputs& in) { return gather(in.w, in.i); });
  becomes(
      "row weights",
      [](Inputs& in) {
        return pick(broadcast(in.r, {in.n, 4}, {0}), in.i);
      },
      [](Inputs& in) { return in.r; });
}

TEST_CASE("expand leaves compute definitions only; a pass changes nothing when run again") {
  Inputs in;
  Value h = gelu(in.x) * silu(in.y) + log_softmax(in.x) - mean(in.y);
  in.g.entry("main", {{"value", mean(softmax_cross_entropy(h, in.i))}});
  Graph expanded = expand(simplify(canonicalise(in.g)));
  for (const Node& node : expanded.body().nodes) CHECK((node.op->leaf || node.op->compute));
  Graph once = simplify(expanded), twice = simplify(once);
  CHECK(text_of(sweep(once)) == text_of(sweep(twice)));
  CHECK(text_of(canonicalise(once)) == text_of(sweep(once)));
  CHECK(once.body().size() <= expanded.body().size());
}

TEST_CASE("a rewrite carries over what belongs to the program, and drops what is dead") {
  Graph g;
  Extent n = g.size("n", 16);
  Value x = g.input("x", f32, {n});
  Value w = g.parameter("w", f32, {}, [](Graph& graph, const Type& type) { return full(graph.body(), type, 1); });
  Value idle = g.parameter("idle", f32, {}, [](Graph& graph, const Type& type) { return full(graph.body(), type, 2); });
  (void)exp(x);
  g.entry("train", {{"y", sum(x * w)}}, {{w, w * 1 + 1}});
  g.allow_unreached(idle);
  Graph copy = simplify(g);
  const Body& body = copy.body();
  CHECK(body.sizes.at("n") == 16);
  CHECK(body.states.size() == 2);
  CHECK(body.state("w")->trainable);
  CHECK(body.allow_unreached.size() == 1);
  REQUIRE(body.entry("train"));
  CHECK(body.entry("train")->outputs[0].first == "y");
  CHECK(body.entry("train")->updates[0].first == body.state("w")->node);
  for (const Node& node : body.nodes) CHECK(node.op != &exp_op);
  CHECK(g.body().entry("train")->updates.size() == 1);
}

TEST_CASE("any number of views moves past any number of pointwise operations") {
  Graph g;
  Value y = g.input("x", f32, {2, 3});
  for (int i = 0; i < 120; ++i) y = relu(transpose(reshape(y, {2, 3}), {1, 0}));
  g.entry("e", {{"y", y}});
  CHECK(simplify(g).body().size() > 0);
}
