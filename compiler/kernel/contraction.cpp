// Which loops of a contraction become m and n. The loop n fills the vector lanes, so it is the unit-stride axis of
// the result; where that axis belongs to the first factor, the factors change places (a product does not mind).
#include <algorithm>

#include "compiler/kernel/item.h"

namespace tenon {
namespace {

std::set<int64_t> variables(const Scalar& x) {
  std::set<int64_t> found;
  visit(x, [&](const Scalar& node) {
    if (node->function == Scalar::variable) found.insert(node->integer);
  });
  return found;
}

}  // namespace

Roles roles(const Item& item, int64_t maximum) {
  check(item.contraction && item.value->function == Scalar::mul, "a contraction is a sum of products");
  Roles r{.rows = {}, .m = {}, .n = {}, .a = item.value->arguments[0], .b = item.value->arguments[1]};
  std::set<int64_t> in_a = variables(r.a), in_b = variables(r.b);
  auto size = [&](int64_t axis) { return item.type.shape[static_cast<size_t>(axis)].at(maximum); };
  auto only = [](const std::set<int64_t>& here, const std::set<int64_t>& there, int64_t axis) {
    return here.contains(axis) && !there.contains(axis);
  };
  int64_t rank = item.type.rank();
  // The innermost axis that is longer than 1 and belongs to one factor; else the innermost that belongs to one.
  for (int64_t longer = 1; longer >= 0 && !r.n; --longer)
    for (int64_t axis = rank; axis-- > 0 && !r.n;)
      if (size(axis) > longer && (only(in_a, in_b, axis) || only(in_b, in_a, axis))) r.n = axis;
  if (r.n && in_a.contains(*r.n)) {
    std::swap(r.a, r.b);
    std::swap(in_a, in_b);
  }
  for (int64_t axis = 0; axis < rank; ++axis)
    if (only(in_a, in_b, axis) && (!r.m || size(axis) >= size(*r.m))) r.m = axis;
  for (int64_t axis = 0; axis < rank; ++axis)
    if (axis != r.m && axis != r.n) r.rows.push_back(axis);
  return r;
}

}  // namespace tenon
