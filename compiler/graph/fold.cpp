#include "compiler/graph/fold.h"

#include "compiler/graph/match.h"
#include "compiler/graph/rewrite.h"
#include "ir/evaluate.h"
#include "ir/op.h"
#include "ir/ops.h"

namespace tenon {
namespace {

constexpr int64_t largest = 4096;  // elements of a folded constant

// The one-element constant that a value repeats.
Value source(Value v) {
  while (&v.op() != &constant_op) v = v.operand(0);
  return reshape(v, {});
}

Value computed(Value v) { return constant(v.body(), evaluate(v, {}, 1, Arithmetic::typed).literal()); }

Value folded(Value v) {
  bool constants = v.operand_count() > 0, repeated = constants;
  for (size_t i = 0; i < v.operand_count(); ++i) {
    constants = constants && &v.operand(i).op() == &constant_op;
    repeated = repeated && repeated_number(v.operand(i));
  }
  if (repeated && !constants && is_pointwise(v)) {
    std::vector<Value> scalars;
    for (size_t i = 0; i < v.operand_count(); ++i) scalars.push_back(source(v.operand(i)));
    // At once, so that a chain of them is folded in one round.
    return broadcast_to(computed(apply(v.op(), scalars, v.attributes())), v.shape());
  }
  Extent count = v.type().elements();
  if (!constants || &v.op() == &broadcast_op || count.symbolic() || count.count > largest) return v;
  return computed(v);
}

}  // namespace

Graph fold(const Graph& graph) {
  return rewrite(graph, [](Value candidate) {
    Scope scope(candidate.body(), Origin(candidate.node().origin));
    return folded(candidate);
  });
}

}  // namespace tenon
