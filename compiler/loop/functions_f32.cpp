// exp, log, tanh and sigmoid of f32, in f32: the functions whose speed a training step feels. Branch-free, no
// tables. The coefficients are minimax fits of the named function on the named interval, weighted by relative
// error (Remez in quadruple precision), then rounded to f32.
#include <limits>
#include <numbers>

#include "compiler/loop/polynomial.h"

namespace tenon::loop {

namespace {

constexpr double log2e = std::numbers::log2e;
constexpr double ln2_high = 0x1.62e4p-1;  // 15 bits: times any exponent it is exact in f32
constexpr double ln2_low = std::numbers::ln2 - ln2_high;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double to_integer = 0x1.8p23;  // adding it rounds to an integer, which the low bits then hold
constexpr uint64_t to_integer_bits = 0x4b400000;
constexpr uint64_t one_bits = 0x3f800000;

struct Exponential {
  Value p, r;  // e^x = (1 + p r) * 2^n, p r in [-0.3, 0.42]
  Value n;     // an integer as a float
  Value fraction(const Arithmetic& m) const { return m.fma(p, r, m.number(1)); }
};

// For |x| < 2^7; a NaN makes p and r NaN.
Exponential exponential(const Arithmetic& m, Value x) {
  Value n = m.sub(m.fma(x, m.number(log2e), m.number(to_integer)), m.number(to_integer));
  Value r = m.fma(n, m.number(-ln2_high), x);
  r = m.fma(n, m.number(-ln2_low), r);
  // 1 + r p(r) on |r| <= ln(2) / 2; error 2^-28.3.
  Value p = m.polynomial(
      r, {1, 0.49999993450732561, 0.16666520651982028, 0.041668387490812892, 0.0083687146030611871, 0.0013814620661168526});
  return {p, r, n};
}

// x 2^n rounded once, for |n| <= 252 an integer and x zero, NaN or in [2^-25, 2].
Value scaled(const Arithmetic& m, Value x, Value n) {
  if (m.isa == Isa::avx512 && m.real.vector) return m.b.scale(x, n);
  // Two factors, so that the only rounding into the subnormals is the last multiplication's.
  Value whole = m.b.sub(m.bits(m.add(n, m.number(to_integer))), m.whole(to_integer_bits));
  Value half = m.b.shift_right(whole, m.whole(1));
  auto power = [&](Value e) { return m.from_bits(m.b.add(m.b.shift_left(e, m.whole(23)), m.whole(one_bits))); };
  return m.mul(m.mul(x, power(half)), power(m.b.sub(whole, half)));
}

}  // namespace

Value expand_exp(const Arithmetic& m, Value x) {
  // Beyond these bounds the result is 0 or infinity, as it is at them.
  Exponential power = exponential(m, m.at_least(m.at_most(x, 89), -104));
  return scaled(m, power.fraction(m), power.n);
}

Value expand_log(const Arithmetic& m, Value x) {
  auto& b = m.b;
  Value subnormal = b.lt(x, m.number(0x1p-126));
  Value bits = m.bits(b.select(subnormal, m.mul(x, m.number(0x1p23)), x));
  // x = 2^e (1 + f) with 1 + f in [2/3, 4/3).
  Value above = b.sub(bits, m.whole(0x3f2aaaab));
  Value e = b.shift_right(above, m.whole(23));
  Value f = m.sub(m.from_bits(b.sub(bits, b.shift_left(e, m.whole(23)))), m.number(1));
  e = m.add(m.to_float(e), b.select(subnormal, m.number(-23), m.number(0)));
  // log(1 + f) = f + f^2 p(f); error 2^-27.7.
  Value p = m.polynomial(
      f, {-0.50000001207574374, 0.33333208434317962, -0.24999717459310375, 0.20010746760697834, -0.16682305802200056,
          0.14001172520896349, -0.12167152639836233, 0.14004704534779405, -0.12948972236663525});
  Value y = m.fma(e, m.number(std::numbers::ln2), m.fma(m.mul(f, f), p, f));
  y = b.select(b.lt(x, m.number(infinity)), y, x);
  y = b.select(b.lt(x, m.number(0)), m.number(nan), y);
  return b.select(b.eq(x, m.number(0)), m.number(-infinity), y);
}

Value expand_tanh(const Arithmetic& m, Value x) {
  Value a = m.fabs(x);
  Value u = m.mul(a, a);
  // tanh(a) = a + a^3 p(a^2) for a < 0.55; error 2^-29.8.
  Value p = m.polynomial(
      u, {-0.33333317575217303, 0.13332586550453387, -0.053852346265556676, 0.021071810246579434, -0.0062744063954470585});
  Value small = m.fma(m.mul(a, u), p, a);
  // 1 - 2 / (e^2a + 1) otherwise; 1 in f32 from 9.01 on.
  Exponential power = exponential(m, m.at_most(m.add(a, a), 20));
  Value e = scaled(m, power.fraction(m), power.n);
  Value large = m.sub(m.number(1), m.div(m.number(2), m.add(e, m.number(1))));
  return m.copysign(m.b.select(m.b.lt(a, m.number(0.55)), small, large), x);
}

Value expand_sigmoid(const Arithmetic& m, Value x) {
  // With e^-x = (1 + p r) 2^n: 2^-n / (1 + (2^-n + p r)), which neither overflows nor cancels; 1 in f32 from 17.4 on,
  // 0 below -104.
  auto [p, r, n] = exponential(m, m.at_most(m.at_least(m.b.neg(x), -20), 104));
  Value one = m.number(1), minus_n = m.b.neg(n);
  Value below = m.add(one, m.fma(p, r, scaled(m, one, minus_n)));
  return scaled(m, m.div(one, below), minus_n);
}

}  // namespace tenon::loop
