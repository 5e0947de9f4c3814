// One element at a time, in a C++ type of the same width. Which NaN an operation makes of NaNs is left open,
// as in LLVM, but for those that only move bits: neg, abs, copysign, select and bits.
#include "compiler/loop/compute.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>

#include "ir/compute.h"

namespace tenon::loop {
namespace {

template <typename T>
T from_bits(uint64_t bits) {
  return std::bit_cast<T>(static_cast<BitsOf<T>>(bits));
}
template <typename T>
uint64_t to_bits(T value) {
  return std::bit_cast<BitsOf<T>>(value);
}

// ---- floats ----

template <typename T>
constexpr uint64_t sign_bit = uint64_t{1} << (8 * sizeof(T) - 1);

template <typename T>
T larger(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return a + b;
  if (a == b) return std::signbit(a) ? b : a;
  return a < b ? b : a;
}
template <typename T>
T smaller(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return a + b;
  if (a == b) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}

// The special cases are those of AVX-512's vscalef: even a quiet NaN scaled by an infinity is 0 or infinite.
template <typename T>
T scaled(T x, T n) {
  if (std::isnan(x)) {
    const bool quiet = to_bits(x) >> (std::numeric_limits<T>::digits - 2) & 1;
    if (quiet && std::isinf(n)) return n > 0 ? n : T{0};
    return x + x;
  }
  if (std::isnan(n)) return n + n;
  if (std::isinf(n)) {
    if (n > 0 ? x == 0 : std::isinf(x)) return std::numeric_limits<T>::quiet_NaN();
    return std::copysign(n > 0 ? n : T{0}, x);
  }
  return std::scalbn(x, static_cast<int>(std::clamp(std::floor(n), T{-10000}, T{10000})));
}

template <std::floating_point T>
std::optional<uint64_t> arithmetic(Code code, std::span<const uint64_t, 3> x, int) {
  const T a = from_bits<T>(x[0]), b = from_bits<T>(x[1]), c = from_bits<T>(x[2]);
  switch (code) {
    case Code::add: return to_bits<T>(a + b);
    case Code::sub: return to_bits<T>(a - b);
    case Code::mul: return to_bits<T>(a * b);
    case Code::fma: return to_bits<T>(std::fma(a, b, c));
    case Code::div: return to_bits<T>(a / b);
    case Code::neg: return x[0] ^ sign_bit<T>;
    case Code::abs: return x[0] & ~sign_bit<T>;
    case Code::max: return to_bits<T>(larger(a, b));
    case Code::min: return to_bits<T>(smaller(a, b));
    case Code::floor: return to_bits<T>(std::floor(a));
    case Code::ceil: return to_bits<T>(std::ceil(a));
    case Code::round: return to_bits<T>(std::nearbyint(a));  // to even: nothing changes the rounding mode
    case Code::sqrt: return to_bits<T>(std::sqrt(a));
    case Code::copysign: return (x[0] & ~sign_bit<T>) | (x[1] & sign_bit<T>);
    case Code::scale: return to_bits<T>(scaled(a, b));
    default: return {};
  }
}

// ---- integers: the caller cuts off the bits above the width ----

// Of numbers of the type T, which is unsigned for udiv and urem.
template <typename T>
std::optional<uint64_t> divided(T a, T b, bool remainder) {
  if (b == 0) return {};
  if constexpr (std::is_signed_v<T>)
    if (a == std::numeric_limits<T>::min() && b == -1) return {};
  return to_bits(static_cast<T>(remainder ? a % b : a / b));
}

template <std::integral T>
std::optional<uint64_t> shifted(Code code, T a, uint64_t by, int width) {
  if (by >= static_cast<uint64_t>(width)) return {};
  if (code == Code::shift_left) return to_bits(a) << by;
  if (code == Code::shift_right_unsigned) return to_bits(a) >> by;
  return to_bits(static_cast<T>(a >> by));
}

template <std::integral T>
std::optional<uint64_t> arithmetic(Code code, std::span<const uint64_t, 3> x, int width) {
  const T a = from_bits<T>(x[0]), b = from_bits<T>(x[1]);
  switch (code) {
    case Code::add: return x[0] + x[1];
    case Code::sub: return x[0] - x[1];
    case Code::mul: return x[0] * x[1];
    case Code::fma: return x[0] * x[1] + x[2];
    case Code::div:
    case Code::rem: return divided(a, b, code == Code::rem);
    case Code::udiv:
    case Code::urem: return divided(static_cast<BitsOf<T>>(a), static_cast<BitsOf<T>>(b), code == Code::urem);
    case Code::neg: return 0 - x[0];
    case Code::abs: return a < T{0} ? 0 - x[0] : x[0];
    case Code::bit_and: return x[0] & x[1];
    case Code::bit_or: return x[0] | x[1];
    case Code::bit_xor: return x[0] ^ x[1];
    case Code::shift_left:
    case Code::shift_right:
    case Code::shift_right_unsigned: return shifted(code, a, x[1], width);
    case Code::max: return a < b ? x[1] : x[0];
    case Code::min: return a < b ? x[0] : x[1];
    default: return {};
  }
}

template <typename T>
std::optional<uint64_t> arithmetic(Code, std::span<const uint64_t, 3>, int) {
  return {};  // f16 and bf16 only store numbers
}

// ---- comparisons ----

template <typename T>
std::optional<uint64_t> compared(Code code, std::span<const uint64_t, 3> x) {
  if constexpr (!std::is_arithmetic_v<T>) return {};
  const auto a = as_number(from_bits<T>(x[0])), b = as_number(from_bits<T>(x[1]));
  switch (code) {
    case Code::eq: return a == b;
    case Code::ne: return a != b;
    case Code::lt: return a < b;
    case Code::le: return a <= b;
    case Code::ult:
      if (std::is_floating_point_v<T>) return {};
      return x[0] < x[1];
    default: return {};
  }
}

// ---- to another type ----

template <std::integral To, std::floating_point From>
To saturated(From x) {
  // One more than the greatest, which as a power of two is a float.
  const From end = static_cast<From>(uint64_t{1} << std::numeric_limits<To>::digits);
  if (std::isnan(x)) return 0;
  if (x >= end) return std::numeric_limits<To>::max();
  if (x < static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
  return static_cast<To>(x);
}

template <typename To, typename From>
uint64_t converted(From x) {
  if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>)
    return to_bits(saturated<To>(x));
  else
    return to_bits(static_cast<To>(x));
}

uint64_t cast(uint64_t x, DType from, DType to) {
  return with_type(from, [&]<typename From>(From) {
    const auto value = as_number(from_bits<From>(x));
    if (to == boolean) return static_cast<uint64_t>(value != 0);
    return with_type(to, [&]<typename To>(To) { return converted<To>(value); });
  });
}

std::optional<uint64_t> extended(uint64_t x, DType from, DType to) {
  if (is_float(from) || is_float(to) || width(to) < width(from)) return {};
  return x;
}
std::optional<uint64_t> reinterpreted(uint64_t x, DType from, DType to) {
  const bool wide = (is_storage(from) && to == i32) || (from == i32 && is_storage(to));
  if (is_float(from) == is_float(to) || (width(to) != width(from) && !wide)) return {};
  return low_bits(x, to);
}

std::optional<uint64_t> reference(const Node& node, DType operand, std::span<const uint64_t, 3> x) {
  if (!is_float(operand) || !is_float(node.type.dtype)) return {};
  if (!is_reference(node.integer)) return {};
  const auto f = tenon::function(static_cast<Scalar::Function>(node.integer)).reference;
  const double value = f(as_double(x[0], operand), as_double(x[1], operand), as_double(x[2], operand));
  return from_double(value, node.type.dtype);
}

}  // namespace

std::optional<uint64_t> compute(const Node& node, DType operand, std::span<const uint64_t> operands) {
  check(operands.size() <= 3, "a code of one element takes at most three operands");
  std::array<uint64_t, 3> x{};
  std::ranges::copy(operands, x.begin());
  const Code code = node.code;
  switch (code) {
    case Code::select: return x[0] & 1 ? x[1] : x[2];
    case Code::cast: return cast(x[0], operand, node.type.dtype);
    case Code::zero_extend: return extended(x[0], operand, node.type.dtype);
    case Code::bits: return reinterpreted(x[0], operand, node.type.dtype);
    case Code::reference: return reference(node, operand, x);
    case Code::eq:
    case Code::ne:
    case Code::lt:
    case Code::le:
    case Code::ult: return with_type(operand, [&]<typename T>(T) { return compared<T>(code, x); });
    default: break;
  }
  auto result = with_type(operand, [&]<typename T>(T) { return arithmetic<T>(code, x, width(operand)); });
  if (result) *result = low_bits(*result, operand);
  return result;
}

int width(DType dtype) { return dtype == boolean ? 1 : static_cast<int>(8 * byte_size(dtype)); }

int64_t as_integer(uint64_t bits, DType dtype) {
  return dtype == i32 ? int64_t{static_cast<int32_t>(bits)} : static_cast<int64_t>(bits);
}
double as_double(uint64_t bits, DType dtype) {
  return with_type(dtype, [&]<typename T>(T) { return static_cast<double>(from_bits<T>(bits)); });
}
uint64_t from_double(double value, DType dtype) {
  return with_type(dtype, [&]<typename T>(T) { return to_bits(static_cast<T>(value)); });
}

}  // namespace tenon::loop
