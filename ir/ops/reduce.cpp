// Reductions: the reduced axes disappear. Over nothing: sum 0, prod 1, mean NaN, reduce_max -inf, reduce_min
// +inf (or the ends of the integer type), argmax 0. A NaN anywhere makes sum, prod, max and min NaN; argmax
// gives the first NaN.
#include "ir/ops/build.h"

namespace tenon {
namespace {

using Gradients = std::vector<Value>;

Type reduced_type(const Application& a) {
  const Type& x = a.operand(0);
  if (x.dtype == boolean) a.fail("needs numbers, got {}; cast it first", x.str());
  Type result{x.dtype, {}};
  for (int64_t axis : axes_but(x.rank(), axes_attribute(a, "axes", x.rank())))
    result.shape.push_back(x.shape[static_cast<size_t>(axis)]);
  return result;
}

Definition reduce(const Application& a, const Axes& axes, Reduction reduction) {
  const Type& x = a.operand(0);
  Definition definition{.axes = a.result.shape, .reduced = {}, .reduction = reduction, .body = {}, .scatter = {}};
  std::vector<Scalar> indices;
  int64_t kept = 0;
  for (int64_t axis = 0; axis < x.rank(); ++axis) {
    if (!contains(axes, axis)) {
      indices.push_back(Scalar::index(kept++));
      continue;
    }
    indices.push_back(Scalar::index(a.result.rank() + static_cast<int64_t>(definition.reduced.size())));
    definition.reduced.push_back(x.shape[static_cast<size_t>(axis)]);
  }
  if (axes.empty()) definition.reduction = Reduction::none;
  definition.body = Scalar::read(0, x.dtype, std::move(indices));
  return definition;
}

template <Reduction reduction>
Definition reduce_axes(const Application& a) {
  return reduce(a, a.attributes.axes("axes"), reduction);
}

Value reduction(const Op& op, const Operand& x, Axes axes) {
  Value of = value_of(op.name, x);
  return unary(op, x, attributes({{"axes", list(normalise_axes(op.name, of, std::move(axes), x.line))}}));
}

Value restored(const Pullback& p, const Value& d) { return restore(d, p.x[0].shape(), p.attributes.axes("axes")); }

// dy where x has its first extremum over the reduced axes in row-major order, 0 elsewhere.
Gradients to_first(const Pullback& p, bool minimum) {
  const Value& x = p.x[0];
  Axes axes = p.attributes.axes("axes");
  if (axes.empty()) return {p.dy};
  Value flat = flatten_axes(x, axes);
  Value hot = unflatten_axes(at_index(flat, argmax(minimum ? -flat : flat, -1)), x.shape(), axes);
  return {select(hot, restored(p, p.dy), 0)};
}

Extent reduced_elements(const Value& x, const Axes& axes) {
  Shape reduced;
  for (int64_t axis : axes) reduced.push_back(x.shape()[static_cast<size_t>(axis)]);
  return elements(reduced);
}

// x / (number of elements that one mean is over).
Value over_count(const Value& x, const Value& operand, const Axes& axes) {
  Extent count = reduced_elements(operand, axes);
  if (!count.symbolic()) return x / static_cast<double>(count.count);
  return x / cast(size_of(x.body(), count), x.dtype());
}

}  // namespace

constinit const Op sum_op = {
    .name = "sum",
    .operands = 1,
    .type = reduced_type,
    .gradient =
        [](const Pullback& p) {
          auto back = [&](const Value& d) { return restored(p, d); };
          return Gradients{through_mask(p.dy, back, back)};
        },
    .compute = reduce_axes<Reduction::sum>,
};

constinit const Op mean_op = {
    .name = "mean",
    .operands = 1,
    .type =
        [](const Application& a) {
          same_float(a);
          return reduced_type(a);
        },
    .gradient =
        [](const Pullback& p) {
          auto back = [&](const Value& d) { return restored(p, d); };
          auto share = [&](const Value& d) { return restored(p, over_count(d, p.x[0], p.attributes.axes("axes"))); };
          return Gradients{through_mask(p.dy, share, back)};
        },
    .expand =
        [](std::span<const Value> x, const Attributes& attributes) {
          Axes axes = attributes.axes("axes");
          return over_count(apply(sum_op, {x[0]}, attributes), x[0], axes);
        },
};

// Each element's gradient is the product of the others, multiplied out (n^2 products) so that zeros are right
// at every order, where dy * y / x would be 0 / 0.
constinit const Op prod_op = {
    .name = "prod",
    .operands = 1,
    .type = reduced_type,
    .gradient =
        [](const Pullback& p) {
          const Value& x = p.x[0];
          Axes axes = p.attributes.axes("axes");
          if (axes.empty()) return Gradients{p.dy};
          Value flat = flatten_axes(x, axes);
          int64_t last = flat.rank() - 1;
          Shape square = flat.shape();
          square.push_back(square.back());
          Value pairs = restore(flat, square, {last});
          Value others = prod(select(equal(position(pairs, last), position(pairs, last + 1)), 1, pairs), {last + 1});
          return Gradients{scale(restored(p, p.dy), unflatten_axes(others, x.shape(), axes))};
        },
    .compute = reduce_axes<Reduction::product>,
};

constinit const Op reduce_max_op = {
    .name = "reduce_max",
    .operands = 1,
    .type = reduced_type,
    .gradient = [](const Pullback& p) { return to_first(p, false); },
    .compute = reduce_axes<Reduction::max>,
};

constinit const Op reduce_min_op = {
    .name = "reduce_min",
    .operands = 1,
    .type = reduced_type,
    .gradient = [](const Pullback& p) { return to_first(p, true); },
    .compute = reduce_axes<Reduction::min>,
};

constinit const Op argmax_op = {
    .name = "argmax",
    .operands = 1,
    .type =
        [](const Application& a) {
          const Type& x = a.operand(0);
          if (x.dtype == boolean) a.fail("needs numbers, got {}; cast it first", x.str());
          int64_t axis = axis_attribute(a, "axis", x.rank());
          Type result{i64, x.shape};
          result.shape.erase(result.shape.begin() + axis);
          return result;
        },
    .gradient = zero_gradient,
    .compute = [](const Application& a) { return reduce(a, {a.attributes.get<int64_t>("axis")}, Reduction::argmax); },
};

Value sum(Operand x, Axes axes) { return reduction(sum_op, x, std::move(axes)); }
Value mean(Operand x, Axes axes) { return reduction(mean_op, x, std::move(axes)); }
Value prod(Operand x, Axes axes) { return reduction(prod_op, x, std::move(axes)); }
Value reduce_max(Operand x, Axes axes) { return reduction(reduce_max_op, x, std::move(axes)); }
Value reduce_min(Operand x, Axes axes) { return reduction(reduce_min_op, x, std::move(axes)); }
Value argmax(Operand x, int64_t axis) {
  Value of = value_of("argmax", x);
  return unary(argmax_op, x, attributes({{"axis", normalise_axis("argmax", of, axis, x.line)}}));
}

}  // namespace tenon
