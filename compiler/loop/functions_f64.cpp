// expm1, log1p, erf, sin and cos of f32, evaluated in f64, so that one rounding to f32 at the end is nearly
// the only error. No FMA: the bits are the same on every ISA, and none needs a library call. Branch-free, no
// tables. The coefficients are minimax fits of the named function on the named interval, weighted by relative
// error (Remez in quadruple precision).
#include <limits>
#include <numbers>

#include "compiler/loop/polynomial.h"

namespace tenon::loop {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double to_integer = 0x1.8p52;  // adding it rounds to an integer, which the low bits then hold
constexpr uint64_t to_integer_bits = 0x4338000000000000, one_bits = 0x3ff0000000000000;

Arithmetic wide(const Arithmetic& narrow) { return {narrow.b, narrow.real.with(f64), narrow.isa}; }

struct Exponential {
  Value expm1;  // e^x = (1 + expm1) * scale, |expm1| < 0.42
  Value scale;
};

// For |x| < 700.
Exponential exponential(const Arithmetic& m, Value x) {
  Value shifted = m.add(m.mul(x, m.number(std::numbers::log2e)), m.number(to_integer));
  Value n = m.sub(shifted, m.number(to_integer));
  Value r = m.sub(x, m.mul(n, m.number(std::numbers::ln2)));
  // e^r - 1 = r + r^2 p(r) on |r| <= ln(2) / 2; error 2^-32.
  Value p = m.unfused_polynomial(r, {0.5000000044151639, 0.16666666370558395, 0.041666360959380783, 0.0083333893533221563,
                                     0.0013940623816498371, 0.00019845882517356583});
  Value expm1 = m.add(r, m.mul(m.mul(r, r), p));
  return {expm1, m.from_bits(m.b.add(m.b.shift_left(m.bits(shifted), m.whole(52)), m.whole(one_bits)))};
}

// sin(x + quarter * pi/2).
Value trigonometric(const Arithmetic& narrow, Value x, uint64_t quarter) {
  Arithmetic m = wide(narrow);
  auto& b = m.b;
  Value d = m.to_float(x);
  Value shifted = m.add(m.mul(d, m.number(2 / std::numbers::pi)), m.number(to_integer));
  Value n = m.sub(shifted, m.number(to_integer));
  // pi/2 in two parts, the first of 33 bits: its product with n is exact, and so is the difference.
  constexpr double high = 0x1.921fb544p0, low = 0x1.0b4611a626331p-34;
  Value r = m.sub(m.sub(d, m.mul(n, m.number(high))), m.mul(n, m.number(low)));
  Value u = m.mul(r, r);
  // On |r| <= pi/4: sin(r) = r + r^3 p(r^2), error 2^-37.5; cos(r) = 1 - r^2 / 2 + r^4 p(r^2), error 2^-33.
  Value sine =
      m.unfused_polynomial(u, {-0.1666666664054704, 0.0083333292751958821, -0.00019839302600438717, 2.7180285417810865e-06});
  sine = m.add(r, m.mul(m.mul(r, u), sine));
  Value cosine = m.unfused_polynomial(u, {1, -0.5, 0.041666645530962318, -0.001388730858876531, 2.4432255554347279e-05});
  Value turn = b.add(m.bits(shifted), m.whole(quarter));
  Value odd = b.ne(b.bit_and(turn, m.whole(1)), m.whole(0));
  Value sign = b.shift_left(b.bit_and(turn, m.whole(2)), m.whole(62));
  return b.cast(m.from_bits(b.bit_xor(m.bits(b.select(odd, cosine, sine)), sign)), f32);
}

}  // namespace

Value expand_expm1(const Arithmetic& narrow, Value x) {
  Arithmetic m = wide(narrow);
  auto& b = m.b;
  // Beyond these bounds the result is -1 or infinity in f32, as it is at them.
  Value d = m.at_least(m.at_most(m.to_float(x), 90), -30);
  auto [expm1, scale] = exponential(m, d);
  Value y = m.add(m.mul(scale, expm1), m.sub(scale, m.number(1)));
  return b.cast(m.copysign(y, d), f32);
}

Value expand_log1p(const Arithmetic& narrow, Value x) {
  Arithmetic m = wide(narrow);
  auto& b = m.b;
  Value d = m.to_float(x);
  Value v = m.add(m.number(1), d);
  // v = 2^e (1 + f) with 1 + f in [2/3, 4/3); where e is 0, f is x itself, which v may have rounded.
  constexpr uint64_t two_thirds_bits = 0x3fe5555555555555;
  Value biased = b.shift_right_unsigned(b.add(m.bits(v), m.whole(one_bits - two_thirds_bits)), m.whole(52));
  Value e = m.sub(m.from_bits(b.add(biased, m.whole(to_integer_bits))), m.number(to_integer + 1023));
  Value shift = b.shift_left(b.sub(biased, m.whole(1023)), m.whole(52));
  Value f = m.sub(m.from_bits(b.sub(m.bits(v), shift)), m.number(1));
  f = b.select(b.eq(biased, m.whole(1023)), d, f);
  // log(1 + f) = f + f^2 p(f); error 2^-30.5.
  Value p = m.unfused_polynomial(
      f, {-0.50000001903552194, 0.33333338170727372, -0.2499964905193606, 0.19999417474849568, -0.16684302952316379,
          0.14308875748961458, -0.1214468926104777, 0.10710181939528661, -0.13034928607485441, 0.12161417264608385});
  Value y = m.add(m.mul(e, m.number(std::numbers::ln2)), m.add(f, m.mul(m.mul(f, f), p)));
  y = b.select(b.lt(d, m.number(infinity)), y, d);
  y = b.select(b.lt(d, m.number(-1)), m.number(nan), y);
  y = b.select(b.eq(d, m.number(-1)), m.number(-infinity), y);
  return b.cast(m.copysign(y, d), f32);
}

Value expand_erf(const Arithmetic& narrow, Value x) {
  Arithmetic m = wide(narrow);
  auto& b = m.b;
  Value d = m.to_float(x);
  Value a = m.at_most(m.fabs(d), 4);  // 1 in f32 from 3.92 on
  Value u = m.mul(a, a);
  // a p(a^2) for a < 1; error 2^-29.6.
  Value small =
      m.mul(a, m.unfused_polynomial(u, {1.1283791657267346, -0.37612625824397372, 0.11283585150453657, -0.026853812011392864,
                                        0.0051883278290164271, -0.00080101948747553903, 7.8538654540317711e-05}));
  // 1 - e^-p(a) for 1 <= a <= 4, where p is -log(erfc(a)); error 2^-29.8.
  Value p = m.unfused_polynomial(a, {0.00034152294630870417, 1.1270891904674039, 0.63814483231037489, 0.10310675493827584,
                                     -0.021838064134138167, 0.0029476583166820527, -0.00018637919087136502});
  auto [expm1, scale] = exponential(m, b.neg(p));
  Value large = m.sub(m.sub(m.number(1), scale), m.mul(scale, expm1));
  Value y = b.select(b.lt(a, m.number(1)), small, large);
  return b.cast(m.copysign(y, d), f32);
}

Value expand_sin(const Arithmetic& m, Value x) { return m.b.select(m.b.eq(x, m.number(0)), x, trigonometric(m, x, 0)); }

Value expand_cos(const Arithmetic& m, Value x) { return trigonometric(m, x, 1); }

}  // namespace tenon::loop
