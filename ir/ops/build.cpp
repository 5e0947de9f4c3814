#include "ir/ops/build.h"

namespace tenon {

Line line_of(const Operand& a, const Operand& b) { return a.line.known() ? a.line : b.line; }

Value value_of(std::string_view operation, const Operand& x) {
  if (!x.value) fail(x.line, "{}: needs a Value, not only numbers", operation);
  return x.value;
}

bool keeps_whole(const Operand& number, DType dtype) { return number.whole && dtype == i64; }

void check_fits(std::string_view operation, const Operand& number, const Value& x, Line line) {
  if (!keeps_whole(number, x.dtype()) && !fits(number.number, x.dtype()))
    fail(line, "{}: {} is not a value of {}; the other side is {}", operation, number.number, name(x.dtype()), x.type().str());
}

Value number_of(Body& body, const Type& type, const Operand& number) {
  if (keeps_whole(number, type.dtype)) return full(body, type, *number.whole, number.line);
  return full(body, type, number.number, number.line);
}

Value adopt(std::string_view operation, const Operand& number, const Value& x, Line line) {
  check_fits(operation, number, x, line);
  Operand placed = number;
  placed.line = line;
  return number_of(x.body(), x.type(), placed);
}

Value unary(const Op& op, const Operand& x, Attributes attributes) {
  return apply(op, {value_of(op.name, x)}, std::move(attributes), x.line);
}

Value binary(const Op& op, Operand a, Operand b, Attributes attributes) {
  unify(op.name, a, b);
  return apply(op, {a.value, b.value}, std::move(attributes), line_of(a, b));
}

Attributes attributes(std::vector<std::pair<std::string, Attribute>> entries) {
  Attributes result;
  result.entries = std::move(entries);
  return result;
}

Shape list(const Axes& axes) { return Shape(axes.begin(), axes.end()); }

Attribute attribute_of(Extent extent) { return extent.symbolic() ? Attribute(Shape{extent}) : Attribute(extent.count); }

void need_possible(const Application& a, const Type& type) {
  if (std::string why = flaw(type, 1); !why.empty()) a.fail("{} is not a possible type: {}", type.str(), why);
}

Axes list_attribute(const Application& a, std::string_view name) {
  Axes axes;
  for (Extent extent : attribute<Shape>(a, name)) {
    if (extent.symbolic()) a.fail("attribute '{}' holds the run-time size {}", name, extent.str());
    axes.push_back(extent.count);
  }
  return axes;
}

Axes axes_attribute(const Application& a, std::string_view name, int64_t rank) {
  Axes axes = list_attribute(a, name);
  std::vector<bool> seen(static_cast<size_t>(rank));
  for (int64_t axis : axes) {
    if (axis < 0 || axis >= rank || seen[static_cast<size_t>(axis)])
      a.fail("attribute '{}': {} is no axis of rank {}, or named twice", name, axis, rank);
    seen[static_cast<size_t>(axis)] = true;
  }
  return axes;
}

Extent extent_attribute(const Application& a, std::string_view name) {
  const Attribute* found = a.attributes.find(name);
  const Shape* extents = found ? std::get_if<Shape>(found) : nullptr;
  if (!extents) return attribute<int64_t>(a, name);
  if (extents->size() != 1) a.fail("attribute '{}' holds {} extents, and is one", name, extents->size());
  return extents->front();
}

int64_t axis_attribute(const Application& a, std::string_view name, int64_t rank) {
  int64_t axis = attribute<int64_t>(a, name);
  if (axis < 0 || axis >= rank) a.fail("attribute '{}': {} is no axis of rank {}", name, axis, rank);
  return axis;
}

const std::string& word_attribute(const Application& a, std::string_view name, std::initializer_list<std::string_view> words) {
  const std::string& word = attribute<std::string>(a, name);
  if (std::find(words.begin(), words.end(), word) == words.end()) a.fail("attribute '{}' cannot be '{}'", name, word);
  return word;
}

int64_t normalise_axis(std::string_view operation, const Value& x, int64_t axis, Line line) {
  int64_t result = axis < 0 ? axis + x.rank() : axis;
  if (result < 0 || result >= x.rank())
    fail(line, "{}: axis {} is not one of {}, which has {}", operation, axis, x.type().str(), x.rank());
  return result;
}

Axes normalise_axes(std::string_view operation, const Value& x, Axes axes, Line line) {
  if (axes.empty()) return axes_but(x.rank(), {});
  for (int64_t& axis : axes) axis = normalise_axis(operation, x, axis, line);
  std::sort(axes.begin(), axes.end());
  if (auto twice = std::adjacent_find(axes.begin(), axes.end()); twice != axes.end())
    fail(line, "{}: axis {} of {} is named twice", operation, *twice, x.type().str());
  return axes;
}

bool contains(const Axes& axes, int64_t axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); }

Axes inverse(const Axes& permutation) {
  Axes result(permutation.size());
  for (size_t i = 0; i < result.size(); ++i) result[static_cast<size_t>(permutation[i])] = static_cast<int64_t>(i);
  return result;
}

Axes axes_but(int64_t rank, const Axes& without) {
  Axes axes;
  for (int64_t axis = 0; axis < rank; ++axis)
    if (!contains(without, axis)) axes.push_back(axis);
  return axes;
}

Type same_number(const Application& a) {
  Type type = same_shape(a);
  if (type.dtype == boolean) a.fail("needs numbers, got {}; cast it first", type.str());
  return type;
}

Type same_bool(const Application& a) {
  Type type = same_shape(a);
  if (type.dtype != boolean) a.fail("needs bool, got {}; compare first", type.str());
  return type;
}

Value restore(const Value& reduced, const Shape& shape, const Axes& reduced_axes) {
  return broadcast(reduced, shape, axes_but(static_cast<int64_t>(shape.size()), reduced_axes));
}

namespace {
// The permutation that moves `axes` to the end.
Axes to_end(int64_t rank, const Axes& axes) {
  Axes order = axes_but(rank, axes);
  order.insert(order.end(), axes.begin(), axes.end());
  return order;
}
Shape permuted(const Shape& shape, const Axes& order) {
  Shape result;
  for (int64_t axis : order) result.push_back(shape[static_cast<size_t>(axis)]);
  return result;
}
}  // namespace

Value flatten_axes(const Value& x, const Axes& axes) {
  Axes order = to_end(x.rank(), axes);
  Shape shape = permuted(x.shape(), order);
  size_t kept = shape.size() - axes.size();
  Extent last = elements(Shape(shape.begin() + static_cast<std::ptrdiff_t>(kept), shape.end()));
  shape.resize(kept);
  shape.push_back(last);
  return reshape(transpose(x, order), shape);
}

Value unflatten_axes(const Value& flat, const Shape& shape, const Axes& axes) {
  const Axes order = to_end(static_cast<int64_t>(shape.size()), axes);
  return transpose(reshape(flat, permuted(shape, order)), inverse(order));
}

Value position(const Value& x, int64_t axis) { return iota(x.body(), x.shape(), axis); }

Value at_label(const Value& x, const Value& label) {
  Value classes = iota(x.body(), {x.shape().back()}, 0);
  return at_index(x, gather(classes, label));  // the label itself, checked
}

Value at_index(const Value& x, const Value& index) {
  return equal(position(x, x.rank() - 1), restore(cast(index, i64), x.shape(), {x.rank() - 1}));
}

bool is_zero(const Value& repeated) {
  Value x = repeated;
  while (&x.op() == &broadcast_op) x = x.operand(0);
  if (&x.op() != &constant_op) return false;
  const Literal& literal = x.attributes().get<Literal>("value");
  for (int64_t i = 0; i < literal.type.elements().count; ++i)
    if (literal.at(i) != 0) return false;
  return true;
}

namespace {

constexpr size_t most_masks = 8;  // around one gradient; more become one, or each operation after n kinks had n of them

// dy = select(condition, value, 0), or select(condition, 0, value) if not `on`.
struct Masked {
  Value condition, value;
  bool on;
};
std::optional<Masked> masked(const Value& dy) {
  if (&dy.op() != &select_op || is_zero(dy.operand(1)) == is_zero(dy.operand(2))) return {};
  bool on = is_zero(dy.operand(2));
  return Masked{dy.operand(0), dy.operand(on ? 1 : 2), on};
}
Value mask(const Value& condition, const Value& value, bool on) {
  return on ? select(condition, value, 0) : select(condition, 0, value);
}

}  // namespace

Value through_mask(const Value& dy, const Map& map, const Map& spread) {
  std::vector<Masked> masks;  // outermost first
  Value inner = dy;
  for (auto found = masked(inner); found; found = masked(inner)) {
    inner = found->value;
    masks.push_back(*found);
    if (spread) masks.back().condition = spread(found->condition);
  }
  inner = map(inner);
  if (masks.size() > most_masks) {
    auto open = [](const Masked& m) { return m.on ? m.condition : logical_not(m.condition); };
    Value all = open(masks[0]);
    for (size_t i = 1; i < masks.size(); ++i) all = logical_and(all, open(masks[i]));
    return mask(all, inner, true);
  }
  for (size_t i = masks.size(); i-- > 0;) inner = mask(masks[i].condition, inner, masks[i].on);
  return inner;
}

Value add_gradients(const Value& a, const Value& b) {
  auto x = masked(a), y = masked(b);
  if (x && y && x->condition == y->condition && x->on == y->on)
    return mask(x->condition, add_gradients(x->value, y->value), x->on);
  return a + b;
}

Value scale(const Value& dy, const Operand& factor) {
  return through_mask(dy, [&](const Value& d) { return d * factor; });
}

}  // namespace tenon
