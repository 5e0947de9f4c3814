#include "compiler/graph/expand.h"

#include <algorithm>

#include "compiler/graph/rewrite.h"
#include "ir/ops.h"

namespace tenon {
namespace {

bool empty(const Shape& shape) {
  return std::ranges::any_of(shape, [](const Extent& extent) { return extent.count == 0; });
}

// Whether it has no elements, or each is a sum over nothing.
bool nothing_to_compute(Value x) {
  if (x.op().leaf || empty(x.shape())) return !x.op().leaf;
  if (!x.op().compute) return false;
  Application application{x.op(), {}, x.attributes(), x.line(), x.type()};
  for (size_t i = 0; i < x.operand_count(); ++i) application.operands.push_back(x.operand(i).type());
  Definition definition = x.op().compute(application);
  return definition.reduction == Reduction::sum && empty(definition.reduced);
}

}  // namespace

Graph expand(const Graph& graph) {
  return rewrite(graph, [](Value candidate) {
    if (nothing_to_compute(candidate)) return full(candidate.body(), candidate.type(), 0, candidate.line());
    if (!candidate.op().expand) return candidate;
    std::vector<Value> x;
    for (size_t i = 0; i < candidate.operand_count(); ++i) x.push_back(candidate.operand(i));
    Value simpler = candidate.op().expand(x, candidate.attributes());
    return simpler ? simpler : candidate;
  });
}

}  // namespace tenon
