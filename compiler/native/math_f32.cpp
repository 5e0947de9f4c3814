// exp, log, tanh and sigmoid of f32, in f32: the functions whose speed a training step feels. Branch-free, no
// tables. The coefficients are minimax fits of the named function on the named interval, weighted by relative
// error (Remez in quadruple precision), then rounded to f32.
#include <numbers>

#include "compiler/native/polynomial.h"

namespace tenon {

using llvm::Value;

namespace {

constexpr double log2e = std::numbers::log2e;
constexpr double ln2_high = 0x1.62e4p-1;  // 15 bits: times any exponent it is exact in f32
constexpr double ln2_low = std::numbers::ln2 - ln2_high;
constexpr double to_integer = 0x1.8p23;  // adding it rounds to an integer, which the low bits then hold
constexpr uint64_t to_integer_bits = 0x4b400000;
constexpr uint64_t one_bits = 0x3f800000;

struct Exponential {
  Value* fraction;   // e^x = fraction * 2^exponent, fraction in [0.7, 1.42]
  Value* above_one;  // fraction - 1 before its rounding
  Value* exponent;   // as an integer
};

// For |x| < 2^7; a NaN makes the fraction NaN.
Exponential exponential(const Arithmetic& m, Value* x) {
  Value* shifted = m.fma(x, m.number(log2e), m.number(to_integer));
  Value* n = m.sub(shifted, m.number(to_integer));
  Value* r = m.fma(n, m.number(-ln2_high), x);
  r = m.fma(n, m.number(-ln2_low), r);
  // 1 + r + r^2 p(r) on |r| <= ln(2) / 2; error 2^-28.3.
  Value* p = m.polynomial(r, {1, 0.49999993450732561, 0.16666520651982028, 0.041668387490812892,
                              0.0083687146030611871, 0.0013814620661168526});
  return {m.fma(p, r, m.number(1)), m.mul(p, r), m.b.CreateSub(m.bits(shifted), m.whole(to_integer_bits))};
}

// 2^n, for n in the range of normal numbers.
Value* power_of_two(const Arithmetic& m, Value* n) {
  return m.from_bits(m.b.CreateAdd(m.b.CreateShl(n, 23), m.whole(one_bits)));
}

// e^x rounded, and what the rounding lost.
std::pair<Value*, Value*> exp_and_rest(const Arithmetic& m, Value* x) {
  // Beyond these bounds the result is 0 or infinity, as it is at them.
  auto [fraction, above_one, n] = exponential(m, m.at_least(m.at_most(x, 89), -104));
  // Two factors, so that the only rounding into the subnormals is the last multiplication's.
  Value* half = m.b.CreateAShr(n, 1);
  Value *first = power_of_two(m, half), *second = power_of_two(m, m.b.CreateSub(n, half));
  Value* rest = m.sub(above_one, m.sub(fraction, m.number(1)));
  return {m.mul(m.mul(fraction, first), second), m.mul(m.mul(rest, first), second)};
}

}  // namespace

Value* emit_exp(llvm::IRBuilderBase& b, Value* x) {
  return exp_and_rest(Arithmetic(b, x->getType()), x).first;
}

Value* emit_log(llvm::IRBuilderBase& b, Value* x) {
  Arithmetic m(b, x->getType());
  Value* subnormal = b.CreateFCmpOLT(x, m.number(0x1p-126));
  Value* bits = m.bits(b.CreateSelect(subnormal, m.mul(x, m.number(0x1p23)), x));
  // x = 2^e (1 + f) with 1 + f in [2/3, 4/3).
  Value* above = b.CreateSub(bits, m.whole(0x3f2aaaab));
  Value* e = b.CreateAShr(above, 23);
  Value* f = m.sub(m.from_bits(b.CreateSub(bits, b.CreateShl(e, 23))), m.number(1));
  e = m.add(b.CreateSIToFP(e, m.real), b.CreateSelect(subnormal, m.number(-23), m.number(0)));
  // log(1 + f) = f + f^2 p(f); error 2^-27.7.
  Value* p = m.polynomial(f, {-0.50000001207574374, 0.33333208434317962, -0.24999717459310375,
                              0.20010746760697834, -0.16682305802200056, 0.14001172520896349,
                              -0.12167152639836233, 0.14004704534779405, -0.12948972236663525});
  Value* y = m.fma(e, m.number(std::numbers::ln2), m.fma(m.mul(f, f), p, f));
  y = b.CreateSelect(b.CreateFCmpOLT(x, llvm::ConstantFP::getInfinity(m.real)), y, x);
  y = b.CreateSelect(b.CreateFCmpOLT(x, m.number(0)), llvm::ConstantFP::getNaN(m.real), y);
  return b.CreateSelect(b.CreateFCmpOEQ(x, m.number(0)), llvm::ConstantFP::getInfinity(m.real, true), y);
}

Value* emit_tanh(llvm::IRBuilderBase& b, Value* x) {
  Arithmetic m(b, x->getType());
  Value* a = m.fabs(x);
  Value* u = m.mul(a, a);
  // tanh(a) = a + a^3 p(a^2) for a < 0.55; error 2^-29.8.
  Value* p = m.polynomial(u, {-0.33333317575217303, 0.13332586550453387, -0.053852346265556676,
                              0.021071810246579434, -0.0062744063954470585});
  Value* small = m.fma(m.mul(a, u), p, a);
  // 1 - 2 / (e^2a + 1) otherwise; 1 in f32 from 9.01 on.
  Value* twice = m.at_most(m.add(a, a), 20);
  Exponential power = exponential(m, twice);
  Value* e = m.mul(power.fraction, power_of_two(m, power.exponent));
  Value* large = m.sub(m.number(1), m.div(m.number(2), m.add(e, m.number(1))));
  return m.copysign(b.CreateSelect(b.CreateFCmpOLT(a, m.number(0.55)), small, large), x);
}

Value* emit_sigmoid(llvm::IRBuilderBase& b, Value* x) {
  Arithmetic m(b, x->getType());
  Value *one = m.number(1), *zero = m.number(0);
  // e = exp(-|x|) is at most 1, so neither 1 / (1 + e) nor e / (1 + e) overflows or cancels.
  auto [e, e_rest] = exp_and_rest(m, b.CreateFNeg(m.fabs(x)));
  Value* negative = b.CreateFCmpOLT(x, zero);
  Value *above = b.CreateSelect(negative, e, one), *above_rest = b.CreateSelect(negative, e_rest, zero);
  Value* below = m.add(one, e);
  Value* below_rest = m.add(m.add(m.sub(one, below), e), e_rest);
  // With t = 1 / below rounded, 1 / (below + below_rest) = t (1 + correction).
  Value* t = m.div(one, below);
  Value* minus_t = b.CreateFNeg(t);
  Value* correction = m.fma(minus_t, below_rest, m.fma(minus_t, below, one));
  return m.fma(above, t, m.fma(m.mul(above, t), correction, m.mul(above_rest, t)));
}

}  // namespace tenon
