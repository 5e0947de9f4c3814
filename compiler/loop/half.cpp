// f32 from and to the types that only store numbers, bit for bit as ir/half.h does it: by the instruction
// where the ISA has one, and otherwise, as for bf16 on every ISA, in integers. Nothing here is a call.
#include "compiler/loop/functions.h"

namespace tenon::loop {
namespace {

// Integers as wide as an f32, of which the bits of a stored number are the lower half.
struct Bits {
  Builder& b;
  ValueType type;  // of an i32 or of a vector of them

  Value whole(uint64_t x) const { return b.bit_pattern(type, x); }
  Value of(Value x) const { return b.bits(x, i32); }
  Value real(double x) const { return b.number(type.with(f32), x); }
  Value to_real(Value x) const { return b.bits(x, f32); }
  Value masked(Value x, uint64_t mask) const { return b.bit_and(x, whole(mask)); }
  Value up(Value x, uint64_t by) const { return b.shift_left(x, whole(by)); }
  Value down(Value x, uint64_t by) const { return b.shift_right_unsigned(x, whole(by)); }
};

Value from_f16(const Bits& m, Value x) {
  Builder& b = m.b;
  const Value bits = m.of(x), magnitude = m.masked(bits, 0x7fff), shifted = m.up(magnitude, 13);
  // As the bits of an f32 it is 2^112 times too small, subnormal or not.
  const Value finite = m.of(b.mul(m.to_real(shifted), m.real(0x1p112)));
  const Value special = b.bit_or(shifted, m.whole(0x7f800000));
  const Value result = b.select(b.lt(magnitude, m.whole(0x7c00)), finite, special);
  return m.to_real(b.bit_or(result, m.up(m.masked(bits, 0x8000), 16)));
}

Value to_f16(const Bits& m, Value x) {
  Builder& b = m.b;
  const Value bits = m.of(x), magnitude = m.masked(bits, 0x7fffffff);
  const Value odd = m.masked(m.down(magnitude, 13), 1);
  const Value rounded = m.down(b.add(b.add(magnitude, m.whole(0xfff - 0x38000000)), odd), 13);
  const Value normal = b.min(rounded, m.whole(0x7c00));
  // The last place of 0.5 is 2^-24, which is the least f16.
  const Value subnormal = b.sub(m.of(b.add(m.to_real(magnitude), m.real(0.5))), m.of(m.real(0.5)));
  const Value nan = b.bit_or(m.masked(m.down(magnitude, 13), 0x3ff), m.whole(0x7e00));
  const Value number = b.select(b.lt(magnitude, m.whole(0x38800000)), subnormal, normal);
  const Value result = b.select(b.gt(magnitude, m.whole(0x7f800000)), nan, number);
  return b.bits(b.bit_or(result, m.masked(m.down(bits, 16), 0x8000)), f16);
}

Value to_bf16(const Bits& m, Value x) {
  Builder& b = m.b;
  const Value bits = m.of(x), odd = m.masked(m.down(bits, 16), 1);
  const Value rounded = b.add(b.add(bits, m.whole(0x7fff)), odd), nan = b.bit_or(bits, m.whole(0x400000));
  return b.bits(m.down(b.select(b.eq(x, x), rounded, nan), 16), bf16);
}

}  // namespace

Value convert(Builder& b, Isa isa, Value x, DType to) {
  const DType from = x.type.dtype;
  const Bits m{b, x.type.with(i32)};
  if (from == bf16) return m.to_real(m.up(m.of(x), 16));
  if (to == bf16) return to_bf16(m, x);
  if (isa == Isa::sse2 && from == f16) return from_f16(m, x);
  if (isa == Isa::sse2 && to == f16) return to_f16(m, x);
  return b.cast(x, to);
}

}  // namespace tenon::loop
