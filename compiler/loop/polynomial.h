#pragma once
// What the polynomials of functions_f32.cpp and functions_f64.cpp are written in: operations on one float type, scalar or
// vector, and on its bits as integers of the same width. mul and add stay separate; fma is one rounding.
#include <initializer_list>

#include "compiler/kernel/target.h"
#include "compiler/loop/build.h"

namespace tenon::loop {

struct Arithmetic {
  Builder& b;
  ValueType real;  // of f32 or f64
  Isa isa;
  DType integer = real.dtype == f32 ? i32 : i64;  // as wide

  Value number(double x) const { return b.number(real, x); }
  Value whole(uint64_t x) const { return b.bit_pattern(real.with(integer), x); }
  Value bits(Value x) const { return b.bits(x, integer); }
  Value from_bits(Value x) const { return b.bits(x, real.dtype); }
  Value to_float(Value x) const { return b.cast(x, real.dtype); }

  Value add(Value x, Value y) const { return b.add(x, y); }
  Value sub(Value x, Value y) const { return b.sub(x, y); }
  Value mul(Value x, Value y) const { return b.mul(x, y); }
  Value div(Value x, Value y) const { return b.div(x, y); }
  Value fma(Value x, Value y, Value z) const { return b.fma(x, y, z); }
  Value fabs(Value x) const { return b.abs(x); }
  Value copysign(Value x, Value sign) const { return b.copysign(x, sign); }
  // A NaN stays: one instruction each, whose second operand wins where either is NaN.
  Value at_most(Value x, double bound) const { return b.select(b.lt(number(bound), x), number(bound), x); }
  Value at_least(Value x, double bound) const { return b.select(b.gt(number(bound), x), number(bound), x); }

  // c[0] + c[1] x + c[2] x^2 ... by Horner's rule, with one rounding a step, or with two.
  Value polynomial(Value x, std::initializer_list<double> c) const {
    auto at = c.end();
    Value y = number(*--at);
    while (at != c.begin()) y = fma(y, x, number(*--at));
    return y;
  }
  Value unfused_polynomial(Value x, std::initializer_list<double> c) const {
    auto at = c.end();
    Value y = number(*--at);
    while (at != c.begin()) y = add(mul(y, x), number(*--at));
    return y;
  }
};

// m and x are of f32, and so is the value.
Value expand_exp(const Arithmetic& m, Value x);
Value expand_log(const Arithmetic& m, Value x);
Value expand_tanh(const Arithmetic& m, Value x);
Value expand_sigmoid(const Arithmetic& m, Value x);
Value expand_expm1(const Arithmetic& m, Value x);
Value expand_log1p(const Arithmetic& m, Value x);
Value expand_erf(const Arithmetic& m, Value x);
// Within |x| <= trigonometric_bound; any value beyond it.
inline constexpr double trigonometric_bound = 1 << 20;
Value expand_sin(const Arithmetic& m, Value x);
Value expand_cos(const Arithmetic& m, Value x);

}  // namespace tenon::loop
