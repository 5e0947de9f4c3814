#pragma once
// Numbers of 16 bits in memory: IEEE binary16 (10 bits after the leading one, up to 65504) and bfloat16 (7 bits, the range
// of f32). They store numbers and do not compute: each converts to a float exactly, and from one to nearest, ties to even.
// A NaN stays a NaN, and from a float is quiet; too large a number becomes infinite; subnormal numbers are exact.
#include <bit>
#include <cstdint>
#include <type_traits>

namespace tenon {

inline float f16_to_float(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7fffu, shifted = magnitude << 13;
  if (magnitude >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000 | shifted);
  // As the bits of a float it is 2^112 times too small, subnormal or not.
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(std::bit_cast<float>(shifted) * 0x1p112f));
}

inline uint16_t float_to_f16(float number) {
  const auto bits = std::bit_cast<uint32_t>(number);
  const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  uint32_t result;
  if (magnitude > 0x7f800000)
    result = 0x7e00 | (magnitude >> 13 & 0x3ff);
  else if (magnitude >= 0x477ff000)  // 65520 and more
    result = 0x7c00;
  else if (magnitude >= 0x38800000)  // 2^-14
    result = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
  else  // the last place of 0.5 is 2^-24, which is the least f16
    result = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  return static_cast<uint16_t>(sign | result);
}

inline float bf16_to_float(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

inline uint16_t float_to_bf16(float number) {
  const auto bits = std::bit_cast<uint32_t>(number);
  const bool nan = (bits & 0x7fffffff) > 0x7f800000;
  return static_cast<uint16_t>(nan ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// What is not a float becomes one first.
template <uint16_t (*narrow)(float), float (*widen)(uint16_t)>
struct StoredFloat {
  uint16_t bits = 0;

  StoredFloat() = default;
  template <typename T>
  explicit StoredFloat(T number) : bits(narrow(static_cast<float>(number))) {}
  template <typename T>
  requires std::is_arithmetic_v<T>
  explicit operator T() const { return static_cast<T>(widen(bits)); }
};
using half = StoredFloat<float_to_f16, f16_to_float>;
using bfloat = StoredFloat<float_to_bf16, bf16_to_float>;
static_assert(sizeof(half) == 2 && std::is_trivially_copyable_v<half>);

// An element as a number that C++ computes with.
template <typename T>
constexpr auto as_number(T element) {
  if constexpr (std::is_arithmetic_v<T>)
    return element;
  else
    return static_cast<float>(element);
}

}  // namespace tenon
