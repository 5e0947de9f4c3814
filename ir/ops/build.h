#pragma once
// What the records and builders in this folder share: operands made into Values, attributes that a hostile
// text may lack, axes, and gradient masks.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "ir/ops.h"

namespace tenon {

Line line_of(const Operand& a, const Operand& b);
// The operand as a Value; Error "relu: needs a Value, not only numbers" for a number.
Value value_of(std::string_view operation, const Operand& x);
// Whether a number that becomes one of this type is the integer that the user wrote, not its double.
bool keeps_whole(const Operand& number, DType dtype);
// Error "add: 0.5 is not a value of i32; the other side is i32[3]" if the number does not fit x's element
// type.
void check_fits(std::string_view operation, const Operand& number, const Value& x, Line line);
// A number as a Value of that type.
Value number_of(Body& body, const Type& type, const Operand& number);
// A number as a Value of x's type.
Value adopt(std::string_view operation, const Operand& number, const Value& x, Line line);
Value unary(const Op& op, const Operand& x, Attributes attributes = {});
Value binary(const Op& op, Operand a, Operand b, Attributes attributes = {});

Attributes attributes(std::vector<std::pair<std::string, Attribute>> entries);
Shape list(const Axes& axes);
Attribute attribute_of(Extent extent);  // as Attributes::extent reads it
// Attributes as a type rule reads them: absent or of another kind is an Error, for the text may come from
// anywhere.
template <typename T>
const T& attribute(const Application& a, std::string_view name) {
  const Attribute* found = a.attributes.find(name);
  if (!found || !std::holds_alternative<T>(*found)) a.fail("attribute '{}' is missing or of another kind", name);
  return std::get<T>(*found);
}
// Error unless there are values of the type: for rules that go on to compute with its extents.
void need_possible(const Application& a, const Type& type);
Axes list_attribute(const Application& a, std::string_view name);
// Distinct axes of a value of that rank.
Axes axes_attribute(const Application& a, std::string_view name, int64_t rank);
Extent extent_attribute(const Application& a, std::string_view name);
int64_t axis_attribute(const Application& a, std::string_view name, int64_t rank);
// A word out of `words`, such as kink="left".
const std::string& word_attribute(const Application& a, std::string_view name, std::initializer_list<std::string_view> words);

// Counted from the end if negative; Error "sum: axis 2 is not one of f32[3,4]".
int64_t normalise_axis(std::string_view operation, const Value& x, int64_t axis, Line line);
// Sorted, distinct; all axes if none are named.
Axes normalise_axes(std::string_view operation, const Value& x, Axes axes, Line line);
Axes inverse(const Axes& permutation);
Axes axes_but(int64_t rank, const Axes& without);
bool contains(const Axes& axes, int64_t axis);

Type same_number(const Application& a);  // same_shape, and not bool
Type same_bool(const Application& a);

// Repeats a reduced value along the axes that were reduced.
Value restore(const Value& reduced, const Shape& shape, const Axes& reduced_axes);
// The axes moved to the end and made one; `unflatten` is its inverse.
Value flatten_axes(const Value& x, const Axes& axes);
Value unflatten_axes(const Value& flat, const Shape& shape, const Axes& axes);
// i64, the position along an axis, in the shape of x.
Value position(const Value& x, int64_t axis);
// bool, in x's shape: where the position on the last axis equals index (of x's leading shape).
Value at_index(const Value& x, const Value& index);
// The same for a label of the user's: one out of range is an Error of the run, also where nothing is read by it.
Value at_label(const Value& x, const Value& label);

// A pullback is a map that is linear in dy. A mask stays outside of it: for dy = select(c, d, 0) the result
// is select(c, map(d), 0), so that 0 * inf and 0 / 0 never arise where the mask is off, at no cost where
// there is none, and the same holds when the result is differentiated again. `spread` brings c to the
// result's shape if map changes shapes.
using Map = std::function<Value(const Value&)>;
Value through_mask(const Value& dy, const Map& map, const Map& spread = {});
Value scale(const Value& dy, const Operand& factor);  // dy * factor
bool is_zero(const Value& x);                         // a constant of zeros, perhaps broadcast

}  // namespace tenon
