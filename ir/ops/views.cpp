// Builders of shapes: what the user may leave out is filled in here, so that the graph says everything.
#include "ir/ops/build.h"

namespace tenon {
namespace {

// NumPy's rule: trailing axes aligned, extents of 1 stretched.
Shape common_shape(std::string_view operation, const Value& a, const Value& b, Line line) {
  const Shape &x = a.shape(), &y = b.shape();
  Shape result(std::max(x.size(), y.size()));
  for (size_t back = 1; back <= result.size(); ++back) {
    Extent p = back <= x.size() ? x[x.size() - back] : Extent(1);
    Extent q = back <= y.size() ? y[y.size() - back] : Extent(1);
    if (p != q && p != Extent(1) && q != Extent(1))
      fail(line, "{}: shapes do not broadcast: a is {}, b is {}", operation, a.type().str(), b.type().str());
    result[result.size() - back] = p == Extent(1) ? q : p;
  }
  return result;
}

}  // namespace

void unify(std::string_view operation, Operand& a, Operand& b) {
  Line line = line_of(a, b);
  if (!a.value && !b.value) fail(line, "{}: needs a Value, not only numbers", operation);
  if (!a.value) a.value = adopt(operation, a, b.value, line);
  if (!b.value) b.value = adopt(operation, b, a.value, line);
  if (a.value.dtype() != b.value.dtype())
    fail(line, "{}: element types differ: a is {}, b is {}; cast {}", operation, a.value.type().str(), b.value.type().str(),
         is_storage(a.value.dtype())   ? "a"
         : is_storage(b.value.dtype()) ? "b"
                                       : "one of them");
  if (a.value.shape() == b.value.shape()) return;
  Shape shape = common_shape(operation, a.value, b.value, line);
  a.value = broadcast_to(Operand(a.value, line), shape);
  b.value = broadcast_to(Operand(b.value, line), shape);
}

Value broadcast_to(Operand x, const Shape& shape) {
  Value of = value_of("broadcast_to", x);
  if (of.shape() == shape) return of;
  int64_t lead = static_cast<int64_t>(shape.size()) - of.rank();
  Shape kept;
  Axes axes;
  for (int64_t i = 0; i < of.rank() && lead >= 0; ++i) {
    Extent extent = of.shape()[static_cast<size_t>(i)], wanted = shape[static_cast<size_t>(lead + i)];
    if (extent == wanted) {
      kept.push_back(extent);
      axes.push_back(lead + i);
    } else if (extent != Extent(1)) {
      lead = -1;
    }
  }
  if (lead < 0) fail(x.line, "broadcast_to: {} does not stretch to {}", of.type().str(), str(shape));
  return broadcast(Operand(reshape(Operand(of, x.line), kept), x.line), shape, axes);
}

Value reshape(Operand x, Shape shape) {
  Value of = value_of("reshape", x);
  return of.shape() == shape ? of : unary(reshape_op, x, attributes({{"shape", std::move(shape)}}));
}

Value transpose(Operand x, Axes permutation) {
  Value of = value_of("transpose", x);
  if (permutation.empty())
    for (int64_t axis = of.rank(); axis-- > 0;) permutation.push_back(axis);
  for (int64_t& axis : permutation) axis = normalise_axis("transpose", of, axis, x.line);
  if (permutation == axes_but(of.rank(), {})) return of;
  return unary(transpose_op, x, attributes({{"permutation", list(permutation)}}));
}

Value broadcast(Operand x, Shape shape, Axes axes) {
  return unary(broadcast_op, x, attributes({{"shape", std::move(shape)}, {"axes", list(axes)}}));
}

Value slice(Operand x, int64_t axis, Extent begin, Extent end, int64_t step) {
  Value of = value_of("slice", x);
  axis = normalise_axis("slice", of, axis, x.line);
  const Extent extent = of.shape()[static_cast<size_t>(axis)];
  for (Extent* bound : {&begin, &end})
    if (bound->count < 0 && bound->like(extent)) *bound = *bound + extent;
  if (begin == Extent(0) && step == 1 && extent == end) return of;
  return unary(slice_op, x,
               attributes({{"axis", axis}, {"begin", attribute_of(begin)}, {"end", attribute_of(end)}, {"step", step}}));
}

Value concat(std::vector<Value> parts, int64_t axis, std::source_location at) {
  if (parts.empty()) fail(at, "concat: needs at least one part");
  axis = normalise_axis("concat", parts[0], axis, at);
  return apply(concat_op, std::move(parts), attributes({{"axis", axis}}), at);
}

Value pad(Operand x, Shape low, Shape high, Operand value) {
  Value of = value_of("pad", x);
  if (value.value) fail(x.line, "pad: the value around {} is a number, not {}", of.type().str(), value.value.type().str());
  check_fits("pad", value, of, x.line);
  auto none = [](const Shape& amounts) { return std::ranges::all_of(amounts, [](Extent e) { return e == Extent(0); }); };
  if (low.size() == of.shape().size() && high.size() == low.size() && none(low) && none(high)) return of;
  Attributes given = attributes({{"low", std::move(low)}, {"high", std::move(high)}, {"value", value.number}});
  if (keeps_whole(value, of.dtype())) given.entries.back().second = *value.whole;
  return unary(pad_op, x, std::move(given));
}

Value reverse(Operand x, Axes axes) {
  Value of = value_of("reverse", x);
  return unary(reverse_op, x, attributes({{"axes", list(normalise_axes("reverse", of, std::move(axes), x.line))}}));
}

Value expand_dims(Operand x, int64_t axis) {
  Value of = value_of("expand_dims", x);
  int64_t at = axis < 0 ? axis + of.rank() + 1 : axis;
  if (at < 0 || at > of.rank()) fail(x.line, "expand_dims: {} has no place for an axis {}", of.type().str(), axis);
  Shape shape = of.shape();
  shape.insert(shape.begin() + at, 1);
  return reshape(x, std::move(shape));
}

}  // namespace tenon
