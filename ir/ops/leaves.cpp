// Where values come from: bindings, constants, positions and run-time sizes. Builders of constants stand
// here too.
#include "ir/ops/build.h"

namespace tenon {
namespace {

Type declared(const Application& a) {
  const std::string& name = attribute<std::string>(a, "name");
  if (name.empty()) a.fail("needs a name");
  check_name(a.op.name, name, a.line);
  return {attribute<DType>(a, "dtype"), attribute<Shape>(a, "shape")};
}

Value declare(Body& body, const Op& op, std::string_view name, const Type& type, Line line) {
  return append(body, op, {}, attributes({{"name", std::string(name)}, {"dtype", type.dtype}, {"shape", type.shape}}), line);
}

}  // namespace

constinit const Op input_op = {
    .name = "input",
    .operands = 0,
    .type = declared,
    .leaf = true,
};
constinit const Op parameter_op = {
    .name = "parameter",
    .operands = 0,
    .type = declared,
    .leaf = true,
};
constinit const Op state_op = {
    .name = "state",
    .operands = 0,
    .type = declared,
    .leaf = true,
};
constinit const Op constant_op = {
    .name = "constant",
    .operands = 0,
    .type = [](const Application& a) { return attribute<Literal>(a, "value").type; },
    .leaf = true,
};

constinit const Op iota_op = {
    .name = "iota",
    .operands = 0,
    .type =
        [](const Application& a) {
          const Shape& shape = attribute<Shape>(a, "shape");
          axis_attribute(a, "axis", static_cast<int64_t>(shape.size()));
          return Type{i64, shape};
        },
    .gradient = zero_gradient,
    .compute = [](const Application& a) { return elementwise(a, Scalar::index(a.attributes.get<int64_t>("axis"))); },
};

constinit const Op size_op = {
    .name = "size",
    .operands = 0,
    .type =
        [](const Application& a) {
          const Shape& extent = attribute<Shape>(a, "extent");
          if (extent.size() != 1) a.fail("takes one extent");
          need_possible(a, {i64, extent});
          return Type{i64, {}};
        },
    .gradient = zero_gradient,
    .compute = [](const Application& a) { return elementwise(a, Scalar::extent(a.attributes.get<Shape>("extent")[0])); },
};

Value input(Body& body, std::string_view name, const Type& type, Line line) {
  return declare(body, input_op, name, type, line);
}
Value parameter(Body& body, std::string_view name, const Type& type, Line line) {
  return declare(body, parameter_op, name, type, line);
}
Value state(Body& body, std::string_view name, const Type& type, Line line) {
  return declare(body, state_op, name, type, line);
}
Value constant(Body& body, Literal literal, Line line) {
  return append(body, constant_op, {}, attributes({{"value", std::move(literal)}}), line);
}
Value iota(Body& body, Shape shape, int64_t axis, Line line) {
  return append(body, iota_op, {}, attributes({{"shape", std::move(shape)}, {"axis", axis}}), line);
}
Value size_of(Body& body, Extent extent, Line line) {
  return append(body, size_op, {}, attributes({{"extent", Shape{extent}}}), line);
}

Value constant(Body& body, DType dtype, double value, Line line) {
  return constant(body, Literal::of({dtype, {}}, std::span(&value, 1), line_of(body, line)), line);
}
Value whole_constant(Body& body, DType dtype, int64_t value, Line line) {
  if (dtype == i64) return constant(body, Literal::of(value), line);
  return constant(body, dtype, static_cast<double>(value), line);
}
Value full(Body& body, const Type& type, double value, Line line) {
  return full(body, type, constant(body, type.dtype, value, line), line);
}
Value full(Body& body, const Type& type, Value value, Line line) {
  check_type(body, "full", type, line_of(body, line));
  return broadcast_to(Operand(value, line), type.shape);
}
Value full_like(Value x, double value, Line line) { return full(x.body(), x.type(), value, line); }
Value zeros_like(Value x, Line line) { return full_like(x, 0, line); }
Value ones_like(Value x, Line line) { return full_like(x, 1, line); }

}  // namespace tenon
