// Which axes of a contraction become m and n. The last of n fills the vector lanes, so it is the unit-stride axis of
// the result; where that axis belongs to the first factor, the factors change places (a product does not mind). Neighbours
// join it where they are one axis in memory; so do those of m.
#include <algorithm>

#include "compiler/kernel/flatten.h"
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

// Neighbouring axes that merge in x, as one.
std::vector<std::vector<int64_t>> neighbours(const std::vector<int64_t>& axes, const Scalar& x, const Item& item,
                                             const Body& body) {
  auto shape = [&](int64_t source) -> const Shape& { return body.node(static_cast<NodeId>(source)).type.shape; };
  auto axis = [&](int64_t a) { return Axis{a, item.type.shape[static_cast<size_t>(a)]}; };
  std::vector<std::vector<int64_t>> result;
  for (int64_t a : axes) {
    const bool joins = !result.empty() && result.back().back() + 1 == a && merges(x, axis(a - 1), axis(a), shape);
    if (!joins) result.emplace_back();
    result.back().push_back(a);
  }
  return result;
}

}  // namespace

Roles roles(const Item& item, const Body& body) {
  check(item.contraction && item.value->function == Scalar::mul, "a contraction is a sum of products");
  Roles r{.rows = {}, .m = {}, .n = {}, .a = item.value->arguments[0], .b = item.value->arguments[1]};
  std::set<int64_t> in_a = variables(r.a), in_b = variables(r.b);
  const Sizes& largest = body.sizes;
  auto size = [&](int64_t axis) { return item.type.shape[static_cast<size_t>(axis)].at(largest); };
  auto only = [](const std::set<int64_t>& here, const std::set<int64_t>& there, int64_t axis) {
    return here.contains(axis) && !there.contains(axis);
  };
  const int64_t rank = item.type.rank();
  // The innermost axis that is longer than 1 and belongs to one factor; else the innermost that belongs to one.
  std::optional<int64_t> innermost;
  for (int64_t longer = 1; longer >= 0 && !innermost; --longer)
    for (int64_t axis = rank; axis-- > 0 && !innermost;)
      if (size(axis) > longer && (only(in_a, in_b, axis) || only(in_b, in_a, axis))) innermost = axis;
  if (innermost && in_a.contains(*innermost)) {
    std::swap(r.a, r.b);
    std::swap(in_a, in_b);
  }
  std::vector<int64_t> of_a, of_b;
  for (int64_t axis = 0; axis < rank; ++axis) {
    if (only(in_a, in_b, axis)) of_a.push_back(axis);
    if (only(in_b, in_a, axis)) of_b.push_back(axis);
  }
  auto points = [&](const std::vector<int64_t>& axes) {
    int64_t product = 1;
    for (int64_t axis : axes) product = checked_product(product, size(axis));
    return product;
  };
  for (auto& axes : neighbours(of_b, r.b, item, body))
    if (std::ranges::find(axes, *innermost) != axes.end()) r.n = axes;
  for (auto& axes : neighbours(of_a, r.a, item, body))
    if (r.m.empty() || points(axes) >= points(r.m)) r.m = axes;
  std::set<int64_t> taken(r.m.begin(), r.m.end());
  taken.insert(r.n.begin(), r.n.end());
  for (int64_t axis = 0; axis < rank; ++axis)
    if (!taken.contains(axis)) r.rows.push_back(axis);
  return r;
}

}  // namespace tenon
