#include "compiler/graph/simplify.h"

#include <cmath>

#include "compiler/graph/canonicalise.h"
#include "compiler/graph/rewrite.h"
#include "compiler/graph/rules.h"
#include "ir/op.h"
#include "ir/ops.h"

namespace tenon {
namespace {

bool is(Value value, const Op& op) { return &value.op() == &op; }

// contract(transpose(a), b, spec) -> contract(a, b, spec'): the contraction reads a with other letters.
Value transposes_into_contraction(Value v) {
  if (!is(v, contract_op)) return v;
  const std::string& spec = v.attributes().get<std::string>("spec");
  size_t comma = spec.find(','), arrow = spec.find("->");
  std::string letters[] = {spec.substr(0, comma), spec.substr(comma + 1, arrow - comma - 1)};
  Value operands[] = {v.operand(0), v.operand(1)};
  bool changed = false;
  for (size_t side : {0, 1}) {
    if (!is(operands[side], transpose_op)) continue;
    Axes permutation = operands[side].attributes().axes("permutation");
    std::string read = letters[side];
    for (size_t i = 0; i < permutation.size(); ++i) read[static_cast<size_t>(permutation[i])] = letters[side][i];
    letters[side] = read;
    operands[side] = operands[side].operand(0);
    changed = true;
  }
  return changed ? contract(operands[0], operands[1], letters[0] + "," + letters[1] + spec.substr(arrow)) : v;
}

Value constant_select(Value v) {
  if (!is(v, select_op)) return v;
  auto condition = repeated_number(v.operand(0));
  return condition ? v.operand(*condition != 0 ? 1 : 2) : v;
}

Value whole_view(Value v) {
  if (is(v, concat_op) && v.operand_count() == 1) return v.operand(0);
  return (is(v, slice_op) || is(v, pad_op)) && v.type() == v.operand(0).type() ? v.operand(0) : v;
}

// pick from rows that all are the same: from a vector of classes, or from one number per row.
Value pick_of_broadcast(Value v) {
  if (!is(v, pick_op) || !is(v.operand(0), broadcast_op)) return v;
  Value rows = v.operand(0), x = rows.operand(0);
  Axes axes = rows.attributes().axes("axes");
  if (axes == Axes{rows.rank() - 1}) return gather(x, v.operand(1));
  if (axes.empty() || axes.back() != rows.rank() - 1) return broadcast(x, v.shape(), axes);
  return v;
}

// x / 2^k -> x * 2^-k, where that is a normal number.
Value power_of_two(Value v) {
  if (!is(v, div_op) || !is_float(v.dtype())) return v;
  auto number = repeated_number(v.operand(1));
  int exponent = 0;
  if (!number || std::abs(std::frexp(*number, &exponent)) != 0.5 || std::abs(exponent) > 120) return v;
  return v.operand(0) * Operand(1 / *number);
}

}  // namespace

Graph simplify(const Graph& graph) {
  static const Rules rules(simple_rules());
  return rewrite(graph, [](Value candidate) {
    Scope scope(candidate.body(), Origin(candidate.node().origin));
    Value replacement;
    if (rules.match(candidate, replacement)) return replacement;
    for (auto step : {canonical, transposes_into_contraction, constant_select, whole_view, pick_of_broadcast, power_of_two})
      if (Value value = step(candidate); value != candidate) return value;
    return candidate;
  });
}

}  // namespace tenon
