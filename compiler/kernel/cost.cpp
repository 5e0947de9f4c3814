#include "compiler/kernel/cost.h"

#include <unordered_set>

namespace tenon {
namespace {

int weight(const ScalarNode& x) {
  // A pixel over a constant is emitted as products.
  if (x.function == Scalar::div && x.arguments[0]->function == Scalar::cast && x.arguments[1]->function == Scalar::constant &&
      x.arguments[0]->arguments[0]->dtype == u8)
    return 1;
  const int row = function(x.function).cost;
  return x.function == Scalar::div && !is_float(x.dtype) ? 2 * row : row;
}

}  // namespace

bool is_expensive(Scalar::Function f) { return function(f).cost >= 16; }

int cost(const Scalar& x) {
  std::unordered_set<const ScalarNode*> seen;
  std::vector<Scalar> open{x};
  int sum = 0;
  while (!open.empty()) {
    const Scalar node = std::move(open.back());
    open.pop_back();
    if (!seen.insert(&*node).second) continue;
    sum += weight(*node);
    if (node->function != Scalar::load)
      open.insert(open.end(), node->arguments.begin(), node->arguments.end());
    else if (node->guarded)
      ++sum, open.insert(open.end(), {node->guard(), node->otherwise()});
  }
  return sum;
}

}  // namespace tenon
