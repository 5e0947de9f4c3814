#include "compiler/graph/match.h"

#include <cmath>

#include <algorithm>

#include "ir/op.h"
#include "ir/ops.h"

namespace tenon {
namespace {

bool same_kind(DType a, DType b) { return is_float(a) == is_float(b) && is_integer(a) == is_integer(b); }

bool has_hole(Value pattern) {
  if (pattern.op().leaf) return &pattern.op() == &input_op;
  for (size_t i = 0; i < pattern.operand_count(); ++i)
    if (has_hole(pattern.operand(i))) return true;
  return false;
}

// Binds the holes of `pattern` to parts of `candidate`. What holds no hole is left to the comparison of the
// rebuilt left side, and so is a broadcast, which a scalar candidate does not have.
bool bind(Value pattern, Value candidate, std::vector<Value>& holes) {
  if (&pattern.op() == &input_op) {
    Value& hole = holes[static_cast<size_t>(pattern.id())];  // inputs are the first nodes of a pattern
    if (!same_kind(pattern.dtype(), candidate.dtype()) || (hole && hole != candidate)) return false;
    hole = candidate;
    return true;
  }
  if (&pattern.op() != &candidate.op() || pattern.operand_count() != candidate.operand_count()) return false;
  for (size_t i = 0; i < pattern.operand_count(); ++i)
    if (has_hole(pattern.operand(i)) && !bind(pattern.operand(i), candidate.operand(i), holes)) return false;
  return true;
}

}  // namespace

Rules::Rules(std::span<const Rule> table) {
  for (const Rule& rule : table) {
    Graph& graph = graphs_.emplace_back();
    std::vector<Value> holes;
    for (const Type& type : rule.holes) holes.push_back(graph.input(fmt::format("x{}", holes.size()), type.dtype, type.shape));
    Value root = rule.left(holes);
    by_root_[&root.op()].push_back({&rule, root});
  }
}

const Rule* Rules::match(Value candidate, Value& replacement) const {
  auto found = by_root_.find(&candidate.op());
  if (found == by_root_.end()) return nullptr;
  for (const auto& [rule, root] : found->second) {
    std::vector<Value> holes(rule->holes.size());
    if (!bind(root, candidate, holes)) continue;
    {
      // What the comparison touches or adds gets no line of its own.
      Scope scope(candidate.body(), Origin{{}, "", true});
      try {
        if (rule->left(holes) != candidate) continue;
      } catch (const Error&) {
        continue;  // the bound values do not fit the left side's types
      }
    }
    Scope scope(candidate.body(), Origin(candidate.node().origin));
    replacement = rule->right(holes);
    return rule;
  }
  return nullptr;
}

std::optional<double> repeated_number(Value value) {
  while (&value.op() == &broadcast_op || &value.op() == &reshape_op) value = value.operand(0);
  if (&value.op() != &constant_op) return {};
  const Literal& literal = value.attributes().get<Literal>("value");
  if (literal.type.elements().count != 1) return {};
  const double number = literal.at(0);
  if (!is_float(literal.type.dtype) && std::abs(number) > 0x1p53) return {};  // it may be another
  return number;
}

bool is_pointwise(Value value) {
  const Op& op = value.op();
  if (!op.compute) return false;
  Application application{op, {}, value.attributes(), value.line(), value.type()};
  for (size_t i = 0; i < value.operand_count(); ++i) {
    if (value.operand(i).shape() != value.shape()) return false;
    application.operands.push_back(value.operand(i).type());
  }
  Definition definition = op.compute(application);
  if (definition.reduction != Reduction::none || definition.scatter) return false;
  bool pointwise = true;
  Scalar rest = substitute(definition.body, [&](const Scalar& x) -> Scalar {
    if (x->function != Scalar::load) return {};
    pointwise = pointwise && !x->guarded;
    int64_t axis = 0;
    for (const Scalar& index : x->indices())
      pointwise = pointwise && index->function == Scalar::variable && index->integer == axis++;
    return Scalar::number(x->dtype, 0);
  });
  visit(rest, [&](const Scalar& x) { pointwise = pointwise && x->function != Scalar::variable; });
  return pointwise;
}

}  // namespace tenon
