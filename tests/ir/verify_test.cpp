// Each way in which a graph can be broken is found and named.
#include "ir/verify.h"

#include <doctest/doctest.h>

#include "ir/op.h"
#include "ir/ops.h"

namespace {
using namespace tenon;

struct Program {
  Graph g;
  Value x = g.input("x", f32, {2, 3});
  Value w = g.parameter("w", f32, {3, 4}, [](Graph& graph, const Type& type) { return full(graph.body(), type, 0); });
  Value y = relu(contract(x, w, "ik,kj->ij"));
  Body& body = g.body();
  Node& node(Value value) { return body.nodes[static_cast<size_t>(value.id())]; }
  Program() { g.entry("e", {{"y", y}}, {{w, w * 2}}); }
};

std::string fault(const Program& p) {
  try {
    verify(p.body);
  } catch (const InternalError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a program that the builders made holds together") { CHECK(fault(Program()) == ""); }

TEST_CASE("an operand that is not earlier") {
  Program p;
  p.node(p.y).operands[0] = p.y.id();
  CHECK(fault(p) == fmt::format("verify: %{0} relu: operand %{0} is not an earlier node", p.y.id()));
  p.node(p.y).operands[0] = -1;
  CHECK(fault(p).find("operand %-1 is not an earlier node") != std::string::npos);
}

TEST_CASE("a wrong number of operands") {
  Program p;
  p.node(p.y).operands.clear();
  CHECK(fault(p) == fmt::format("verify: %{} relu: takes 1 operands, has 0", p.y.id()));
}

TEST_CASE("a type that does not re-derive") {
  Program p;
  p.node(p.y).type.dtype = f64;
  CHECK(fault(p) == fmt::format("verify: %{} relu: relu: its type is f32[2,4], not f64[2,4]", p.y.id()));
}

TEST_CASE("an attribute that is gone") {
  Program p;
  NodeId contraction = p.y.operand(0).id();
  p.body.nodes[static_cast<size_t>(contraction)].attributes.entries.clear();
  CHECK(fault(p).find(fmt::format("verify: %{} contract: ", contraction)) == 0);
}

TEST_CASE("a run-time size that nobody declared") {
  Graph other;
  Extent m = other.size("m", 3);
  Program p;
  p.node(p.x).type.shape[0] = m;
  p.node(p.x).attributes.entries[2].second = Shape{m, 3};
  CHECK(fault(p).find("the run-time size 'm', which the graph does not declare") != std::string::npos);
}

TEST_CASE("a type that overflows at the largest size") {
  Graph g;
  Extent n = g.size("n", int64_t{1} << 40);
  Node& x = g.body().nodes[static_cast<size_t>(g.input("x", f32, {n, 3}).id())];
  x.type.shape = {n, int64_t{1} << 40};
  x.attributes.entries[2].second = x.type.shape;
  CHECK(find_flaw(g.body())->text.find("overflow") != std::string::npos);
}

TEST_CASE("states") {
  Program p;
  p.body.states[0].initial = p.x.id();
  CHECK(fault(p).find("is f32[3,4], its initial value is f32[2,3]") != std::string::npos);
  p.body.states[0].initial = 99;
  CHECK(fault(p).find("refers to no node") != std::string::npos);
  Program t;
  t.body.states.push_back(t.body.states[0]);
  CHECK(fault(t).find("is declared as a state twice") != std::string::npos);
  Program q;
  q.body.states[0].node = q.x.id();
  CHECK(fault(q).find("is no parameter or state") != std::string::npos);
  Program r;
  r.body.states.clear();
  CHECK(fault(r).find("'w' has no initial value") != std::string::npos);
  Program s;
  input(s.body, "x", {f64, {}}, {});
  CHECK(fault(s).find("another input is called 'x'") != std::string::npos);
}

TEST_CASE("entries and marks") {
  Program p;
  p.body.entries[0].outputs[0].second = 99;
  CHECK(fault(p) == "verify: entry 'e': output 'y' is no node");
  p.body.entries[0].outputs[0].second = 0;
  p.body.entries[0].updates[0].first = p.x.id();
  CHECK(fault(p).find("is no parameter or state") != std::string::npos);
  p.body.entries[0].updates[0] = {p.w.id(), p.x.id()};
  CHECK(fault(p).find("is f32[3,4], its new value is f32[2,3]") != std::string::npos);
  p.body.entries[0].updates.assign(2, {p.w.id(), p.w.id()});
  CHECK(fault(p).find("is updated twice") != std::string::npos);
  p.body.entries[0].updates.clear();
  CHECK(fault(p) == "");
  p.body.entries.push_back(p.body.entries[0]);
  CHECK(fault(p) == "verify: entry 'e': the name is empty or used twice");
  p.body.entries.pop_back();
  p.body.require_fused = {99};
  CHECK(fault(p) == "verify: require_fused %99: no such node");
  p.body.require_fused = {};
  p.body.allow_unreached = {p.x.id()};
  CHECK(fault(p) == fmt::format("verify: allow_unreached %{}: no parameter or state", p.x.id()));
}

}  // namespace
