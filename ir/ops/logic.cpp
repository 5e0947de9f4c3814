// Comparisons, logic, choice by a condition, and changes of element type. No gradient passes through a
// comparison; the untaken branch of a select has gradient zero, never NaN.
#include "ir/ops/build.h"

namespace tenon {
namespace {

Type comparable(const Application& a) { return {boolean, same_shape(a).shape}; }
Type ordered(const Application& a) { return {boolean, same_number(a).shape}; }

}  // namespace

constinit const Op equal_op = {
    .name = "equal",
    .operands = 2,
    .type = comparable,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::eq>,
};

constinit const Op not_equal_op = {
    .name = "not_equal",
    .operands = 2,
    .type = comparable,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::ne>,
};

constinit const Op less_op = {
    .name = "less",
    .operands = 2,
    .type = ordered,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::lt>,
};

constinit const Op less_equal_op = {
    .name = "less_equal",
    .operands = 2,
    .type = ordered,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::le>,
};

constinit const Op logical_and_op = {
    .name = "logical_and",
    .operands = 2,
    .type = same_bool,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::logical_and>,
};

constinit const Op logical_or_op = {
    .name = "logical_or",
    .operands = 2,
    .type = same_bool,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::logical_or>,
};

constinit const Op logical_not_op = {
    .name = "logical_not",
    .operands = 1,
    .type = same_bool,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::logical_not>,
};

constinit const Op is_finite_op = {
    .name = "is_finite",
    .operands = 1,
    .type =
        [](const Application& a) {
          return Type{boolean, same_float(a).shape};
        },
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::is_finite>,
};

constinit const Op select_op = {
    .name = "select",
    .operands = 3,
    .type =
        [](const Application& a) {
          const Type &condition = a.operand(0), &on = a.operand(1), &off = a.operand(2);
          if (condition.dtype != boolean || condition.shape != on.shape)
            a.fail("the condition is {}, the choices are {}; it must be bool of their shape", condition.str(), on.str());
          if (on != off) a.fail("the choices differ: {} and {}", on.str(), off.str());
          return on;
        },
    .gradient =
        [](const Pullback& p) {
          return std::vector<Value>{Value(), select(p.x[0], p.dy, 0), select(p.x[0], 0, p.dy)};
        },
    .compute = pointwise<Scalar::select>,
    .moves = true,
};

// From float to integer it rounds toward zero, saturates at the ends and makes NaN 0; to bool: x != 0. To f16 and bf16 it
// rounds to nearest even, from f32 alone. A gradient is never rounded to those: it stays f32.
constinit const Op cast_op = {
    .name = "cast",
    .operands = 1,
    .type =
        [](const Application& a) {
          const DType from = a.operand(0).dtype, to = attribute<DType>(a, "to");
          if (by_way_of_f32(from, to)) a.fail("{} is cast to {} by way of f32", a.operand(0).str(), name(to));
          return Type{to, a.operand(0).shape};
        },
    .gradient =
        [](const Pullback& p) {
          DType from = p.x[0].dtype();
          if (!is_float(from)) return std::vector<Value>{};
          return std::vector<Value>{through_mask(p.dy, [&](const Value& d) { return cast(d, arithmetic_of(from)); })};
        },
    .compute = [](const Application& a) { return elementwise(a, Scalar::to(a.result.dtype, read_operand(a, 0))); },
    .moves = true,
};

constinit const Op stop_gradient_op = {
    .name = "stop_gradient",
    .operands = 1,
    .type = [](const Application& a) { return a.operand(0); },
    .gradient = zero_gradient,
    .compute = [](const Application& a) { return elementwise(a, read_operand(a, 0)); },
    .moves = true,
};

Value equal(Operand a, Operand b) { return binary(equal_op, a, b); }
Value not_equal(Operand a, Operand b) { return binary(not_equal_op, a, b); }
Value operator<(Operand a, Operand b) { return binary(less_op, a, b); }
Value operator<=(Operand a, Operand b) { return binary(less_equal_op, a, b); }
Value operator>(Operand a, Operand b) { return binary(less_op, b, a); }
Value operator>=(Operand a, Operand b) { return binary(less_equal_op, b, a); }
Value logical_and(Operand a, Operand b) { return binary(logical_and_op, a, b); }
Value logical_or(Operand a, Operand b) { return binary(logical_or_op, a, b); }
Value logical_not(Operand x) { return unary(logical_not_op, x); }
Value is_finite(Operand x) { return unary(is_finite_op, x); }
Value stop_gradient(Operand x) { return unary(stop_gradient_op, x); }

Value select(Operand condition, Operand a, Operand b) {
  Value chooser = value_of("select", condition);
  if (!a.value && !b.value)
    fail(condition.line, "select: one of the choices must be a Value, to give the numbers {} and {} a type", a.number,
         b.number);
  unify("select", a, b);
  // The shapes of condition and choices stretch each other.
  if (chooser.shape() != a.value.shape()) {
    Operand stretched = full(chooser.body(), {a.value.dtype(), chooser.shape()}, 0, condition.line);
    stretched.line = condition.line;
    unify("select", stretched, a);
    unify("select", stretched, b);
    chooser = broadcast_to(Operand(chooser, condition.line), a.value.shape());
  }
  return apply(select_op, {chooser, a.value, b.value}, {}, condition.line);
}

Value cast(Operand x, DType to) {
  Value of = value_of("cast", x);
  if (of.dtype() == to) return of;
  if (by_way_of_f32(of.dtype(), to)) x.value = cast(x, f32);
  return unary(cast_op, x, attributes({{"to", to}}));
}

}  // namespace tenon
