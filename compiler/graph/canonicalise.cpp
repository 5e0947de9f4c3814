#include "compiler/graph/canonicalise.h"

#include <algorithm>
#include <numeric>

#include "compiler/graph/rewrite.h"
#include "compiler/graph/rules.h"
#include "ir/op.h"
#include "ir/ops.h"

namespace tenon {
namespace {

bool is(Value value, const Op& op) { return &value.op() == &op; }

// The one-element constant below views, if that is all there is.
Value literal_of(Value value) {
  if (!repeated_number(value)) return {};
  while (!is(value, constant_op)) value = value.operand(0);
  return reshape(value, {});
}

// Literals on the right; x - literal as a sum.
Value order_literals(Value v) {
  bool commutes = is(v, add_op) || is(v, mul_op) || is(v, logical_and_op) || is(v, logical_or_op);
  if (commutes && repeated_number(v.operand(0)) && !repeated_number(v.operand(1)))
    return apply(v.op(), {v.operand(1), v.operand(0)}, v.attributes());
  if (is(v, sub_op) && is_float(v.dtype()) && !repeated_number(v.operand(0)))
    if (auto number = repeated_number(v.operand(1))) return v.operand(0) + Operand(-*number);
  return v;
}

// No view of a view of the same kind, and none that changes nothing.
Value flatten_views(Value v) {
  if (v.operand_count() != 1) return v;
  Value x = v.operand(0);
  if (is(v, reshape_op)) {
    if (x.type() == v.type()) return x;
    if (is(x, reshape_op)) return reshape(x.operand(0), v.shape());
    if (Value literal = literal_of(x)) return broadcast_to(literal, v.shape());
  } else if (is(v, transpose_op)) {
    Axes outer = v.attributes().axes("permutation");
    if (std::is_sorted(outer.begin(), outer.end())) return x;
    if (is(x, transpose_op)) {
      Axes inner = x.attributes().axes("permutation");
      for (int64_t& axis : outer) axis = inner[static_cast<size_t>(axis)];
      return transpose(x.operand(0), outer);
    }
    if (Value literal = literal_of(x)) return broadcast_to(literal, v.shape());
  } else if (is(v, broadcast_op)) {
    if (x.type() == v.type()) {
      Axes axes = v.attributes().axes("axes");
      if (std::is_sorted(axes.begin(), axes.end())) return x;
    }
    if (is(x, broadcast_op)) {
      Axes outer = v.attributes().axes("axes"), inner = x.attributes().axes("axes");
      for (int64_t& axis : inner) axis = outer[static_cast<size_t>(axis)];
      return broadcast(x.operand(0), v.shape(), inner);
    }
  } else if (is(v, cast_op) && x.type() == v.type()) {
    return x;
  }
  return v;
}

// f(view(x), view(y), literal) -> view(f(x, y, literal)): computed on no more elements, and views meet.
Value views_outward(Value v) {
  Value view;
  for (size_t i = 0; i < v.operand_count(); ++i) {
    Value x = v.operand(i);
    if (repeated_number(x)) continue;
    if (!is(x, reshape_op) && !is(x, transpose_op) && !is(x, broadcast_op)) return v;
    if (!view) view = x;
    if (&x.op() != &view.op() || x.shape() != view.shape() || !(x.attributes() == view.attributes()) ||
        x.operand(0).shape() != view.operand(0).shape())
      return v;
  }
  if (!view || !is_pointwise(v)) return v;
  std::vector<Value> inner;
  for (size_t i = 0; i < v.operand_count(); ++i) {
    Value literal = literal_of(v.operand(i));
    inner.push_back(literal ? broadcast_to(literal, view.operand(0).shape()) : v.operand(i).operand(0));
  }
  return apply(view.op(), {apply(v.op(), inner, v.attributes())}, view.attributes());
}

bool is_choice(Value v) { return is(v, pick_op) || is(v, slice_op) || is(v, reverse_op); }

// log(pick(softmax)) -> pick(log(softmax)), where the logarithm can become stable.
Value logarithm_inward(Value v) {
  if (!is(v, log_op) || !is_choice(v.operand(0))) return v;
  Value choice = v.operand(0), x = choice.operand(0);
  Value below = x;
  while (is_choice(below) || is(below, reshape_op) || is(below, transpose_op)) below = below.operand(0);
  if (!is(below, softmax_op)) return v;
  std::vector<Value> operands{log(x)};
  for (size_t i = 1; i < choice.operand_count(); ++i) operands.push_back(choice.operand(i));
  return apply(choice.op(), operands, choice.attributes());
}

}  // namespace

Value canonical(Value candidate) {
  static const Rules rules(canonical_rules());
  Scope scope(candidate.body(), Origin(candidate.node().origin));
  Value replacement;
  if (rules.match(candidate, replacement)) return replacement;
  for (auto step : {order_literals, flatten_views, views_outward, logarithm_inward})
    if (Value value = step(candidate); value != candidate) return value;
  return candidate;
}

Graph canonicalise(const Graph& graph) { return rewrite(graph, canonical); }

}  // namespace tenon
