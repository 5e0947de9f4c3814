// Which expansion a function has: a polynomial in place, a polynomial in a function of its own, or its reference.
#include "compiler/loop/functions.h"

#include <array>

#include "compiler/loop/polynomial.h"

namespace tenon::loop {
namespace {

using Polynomial = Value (*)(const Arithmetic&, Value);

// A polynomial in place, or one of f32 that is called: it is longer, and needs its calls and branches out of the way.
struct Expansion {
  Polynomial in_place = nullptr, called = nullptr;
  double bound = 0;  // if not 0: larger arguments go to the reference
};

Expansion expansion(Scalar::Function function) {
  switch (function) {
    case Scalar::exp: return {.in_place = expand_exp};
    case Scalar::log: return {.in_place = expand_log};
    case Scalar::tanh: return {.in_place = expand_tanh};
    case Scalar::sigmoid: return {.in_place = expand_sigmoid};
    case Scalar::expm1: return {.called = expand_expm1};
    case Scalar::log1p: return {.called = expand_log1p};
    case Scalar::erf: return {.called = expand_erf};
    case Scalar::sin: return {.called = expand_sin, .bound = trigonometric_bound};
    case Scalar::cos: return {.called = expand_cos, .bound = trigonometric_bound};
    default: return {};
  }
}

// The body of a function that is called.
Value body(Builder& b, Isa isa, Scalar::Function function, const Values& arguments) {
  const Expansion how = expansion(function);
  Value x = arguments[0];
  if (!how.called || x.type.dtype != f32) return b.reference(function, arguments);
  const Arithmetic m{b, x.type, isa};
  if (how.bound == 0) return how.called(m, x);
  Value within = b.le(b.abs(x), b.number(x.type, how.bound));
  Value outside = b.bit_not(within);
  if (x.type.vector) outside = b.any(outside);
  // Within the bound a lane keeps the bits that it has in other company.
  auto far = [&] {
    Value reference = b.reference(function, arguments);
    return Values{b.select(within, how.called(m, x), reference)};
  };
  return b.branch(outside, far, [&] { return Values{how.called(m, x)}; })[0];
}

}  // namespace

Value expand(Builder& b, Isa isa, Scalar::Function function, const Values& arguments) {
  Value x = arguments[0];
  const Expansion how = expansion(function);
  if (how.in_place && x.type.dtype == f32) return how.in_place({b, x.type, isa}, x);
  const std::string name = fmt::format("tenon.{}.{}", tenon::function(function).name, x.type.str());
  return b.call(name, x.type, arguments,
                [&](Builder& inside, const Values& parameters) { return body(inside, isa, function, parameters); });
}

namespace {

Value philox_body(Builder& b, const Values& parameters) {
  Value seed = parameters[0], stream = parameters[1], step = parameters[2], index = parameters[3];
  auto constant = [&](uint64_t value) { return b.bit_pattern(index.type, value); };
  auto low = [&](Value x) { return b.bit_and(x, constant(0xFFFFFFFF)); };
  auto high = [&](Value x) { return b.shift_right_unsigned(x, constant(32)); };
  Value block = b.shift_right(index, constant(2));
  // Four words of the counter, two of the key. Words are the low halves; what a high half holds is dropped where it would
  // count.
  Value last = b.bit_xor(b.bit_xor(high(seed), high(block)), b.shift_left(high(step), constant(16)));
  const Values state =
      b.loop(b.integer(0), b.integer(10), 1, {block, stream, high(stream), step, seed, last}, [&](Value, const Values& s) {
        Value x = b.mul(low(s[0]), constant(0xD2511F53)), y = b.mul(low(s[2]), constant(0xCD9E8D57));
        return Values{b.bit_xor(b.bit_xor(high(y), s[1]), s[4]), y,
                      b.bit_xor(b.bit_xor(high(x), s[3]), s[5]), x,
                      b.add(s[4], constant(0x9E3779B9)),         b.add(s[5], constant(0xBB67AE85))};
      });
  Value word = b.bit_and(index, constant(3));
  Value odd = b.ne(b.bit_and(word, constant(1)), constant(0));
  return low(b.select(b.ult(word, constant(2)), b.select(odd, state[1], state[0]), b.select(odd, state[3], state[2])));
}

}  // namespace

Value philox(Builder& b, const Values& arguments) {
  const ValueType type = arguments[0].type;
  return b.call("tenon.philox." + type.str(), type, arguments, philox_body);
}

}  // namespace tenon::loop
