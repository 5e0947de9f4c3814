// What the loop language's codes give for one element against plain C++ of the same type, on random bits.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "compiler/loop/compute.h"
#include "ir/compute.h"

using namespace tenon;
using loop::Code;

namespace {

template <typename T>
constexpr DType dtype_of = std::is_same_v<T, double>    ? f64
                           : std::is_same_v<T, float>   ? f32
                           : std::is_same_v<T, int64_t> ? i64
                           : std::is_same_v<T, int32_t> ? i32
                           : std::is_same_v<T, bool>    ? boolean
                                                        : u8;

template <typename T>
uint64_t as_bits(T x) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<uint32_t>(x);
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<uint64_t>(x);
  else
    return loop::low_bits(static_cast<uint64_t>(x), dtype_of<T>);
}
template <typename T>
T value_of(uint64_t bits) {
  T result;
  std::memcpy(&result, &bits, sizeof(T));
  return result;
}

class Random {
 public:
  // All patterns, and often a half of a small integer, a power of two or an end of the range, a float near 1.
  uint64_t bits(DType dtype) {
    const uint64_t kind = next() % 8, x = next();
    if (kind == 0 && is_float(dtype)) return loop::from_double(double(x % 33) / 2 - 8, dtype);
    if (kind == 0) return loop::low_bits(x % 9 - 4, dtype);
    if (kind == 2 && is_float(dtype)) return loop::from_double(std::ldexp(int64_t(x), int(x % 141) - 133), dtype);
    if (kind == 1) return loop::low_bits((uint64_t{1} << x % 64) - (x >> 32) % 2, dtype);
    return loop::low_bits(x, dtype);
  }

 private:
  uint64_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return std::rotl(state_, 29) * 0x9e3779b97f4a7c15u >> 7 ^ state_ << 40;
  }
  uint64_t state_ = 5;
};

// compute() against `expected` on 4,000 random triples; of a NaN the bits do not count.
template <typename T, typename F>
void agrees(Code code, F expected, int64_t integer = 0) {
  using Result = decltype(expected(T{}, T{}, T{}));
  Random random;
  int different = 0;
  for (int i = 0; i < 4000; ++i) {
    std::array<uint64_t, 3> x;
    for (uint64_t& bits : x) bits = random.bits(dtype_of<T>);
    const Result want = expected(value_of<T>(x[0]), value_of<T>(x[1]), value_of<T>(x[2]));
    const auto have = loop::compute({.code = code, .type = {dtype_of<Result>}, .integer = integer}, dtype_of<T>, x);
    REQUIRE(have.has_value());
    if constexpr (std::is_floating_point_v<Result>)
      if (std::isnan(want) && std::isnan(value_of<Result>(*have))) continue;
    if (*have == as_bits(want)) continue;
    if (++different > 3) continue;
    MESSAGE(fmt::format("code {} of {}: {:x} {:x} {:x} gives {:x} in place of {:x}", int(code), name(dtype_of<T>), x[0], x[1],
                        x[2], *have, as_bits(want)));
  }
  INFO("code " << int(code) << " of " << name(dtype_of<T>));
  CHECK(different == 0);
}

using Wide = __int128;

// A whole number to the nearest of the type.
template <typename To>
To clamped(long double x) {
  using Limits = std::numeric_limits<To>;
  if (std::isnan(x)) return 0;
  return static_cast<To>(
      std::clamp(std::trunc(x), static_cast<long double>(Limits::min()), static_cast<long double>(Limits::max())));
}

template <typename T>
T even(T x) {
  const T below = std::floor(x), rest = x - below;
  const bool up = rest > T{0.5} || (rest == T{0.5} && std::fmod(below, T{2}) != 0);
  return std::copysign(up ? below + 1 : below, x);
}

template <typename T>
void check_floats() {
  agrees<T>(Code::add, [](T a, T b, T) { return a + b; });
  agrees<T>(Code::sub, [](T a, T b, T) { return a - b; });
  agrees<T>(Code::mul, [](T a, T b, T) { return a * b; });
  agrees<T>(Code::div, [](T a, T b, T) { return a / b; });
  agrees<T>(Code::fma, [](T a, T b, T c) { return std::fma(a, b, c); });
  agrees<T>(Code::neg, [](T a, T, T) { return -a; });
  agrees<T>(Code::abs, [](T a, T, T) { return std::fabs(a); });
  agrees<T>(Code::sqrt, [](T a, T, T) { return std::sqrt(a); });
  agrees<T>(Code::floor, [](T a, T, T) { return std::floor(a); });
  agrees<T>(Code::ceil, [](T a, T, T) { return std::ceil(a); });
  agrees<T>(Code::round, [](T a, T, T) { return even(a); });
  agrees<T>(Code::copysign, [](T a, T b, T) { return std::copysign(a, b); });
  agrees<T>(Code::max, [](T a, T b, T) { return a != a || b != b ? T(NAN) : a > b || (a == b && !std::signbit(a)) ? a : b; });
  agrees<T>(Code::min, [](T a, T b, T) { return a != a || b != b ? T(NAN) : a < b || (a == b && std::signbit(a)) ? a : b; });
  agrees<T>(
      Code::reference, [](T a, T b, T) { return T(std::pow(double(a), double(b))); }, Scalar::pow);
  agrees<T>(Code::cast, [](T a, T, T) { return clamped<int64_t>(a); });
  agrees<T>(Code::cast, [](T a, T, T) { return clamped<int32_t>(a); });
  agrees<T>(Code::cast, [](T a, T, T) { return clamped<uint8_t>(a); });
  agrees<T>(Code::cast, [](T a, T, T) { return static_cast<float>(a); });
  agrees<T>(Code::cast, [](T a, T, T) { return static_cast<double>(a); });
  // Exact in a long double but for the last rounding.
  agrees<T>(Code::scale, [](T a, T b, T) {
    const T n = std::isfinite(b) ? std::clamp(std::floor(b), T{-3000}, T{3000}) : T{0};
    if (std::isinf(b) && std::isnan(a)) return b > 0 ? b : T{0};
    if (std::isinf(b)) return b > 0 ? a * b : std::isinf(a) ? T(NAN) : std::copysign(T{0}, a);
    return std::isnan(b) ? b : static_cast<T>(std::ldexp(static_cast<long double>(a), static_cast<int>(n)));
  });
}

template <typename T>
void check_integers() {
  using Unsigned = std::conditional_t<std::is_same_v<T, bool>, bool,
                                      std::make_unsigned_t<std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>>>;
  constexpr int width = std::is_same_v<T, bool> ? 1 : 8 * sizeof(T);
  const auto wrapped = [](Wide x) { return value_of<T>(loop::low_bits(static_cast<uint64_t>(x), dtype_of<T>)); };
  agrees<T>(Code::add, [&](T a, T b, T) { return wrapped(Wide{a} + b); });
  agrees<T>(Code::sub, [&](T a, T b, T) { return wrapped(Wide{a} - b); });
  agrees<T>(Code::mul, [&](T a, T b, T) { return wrapped(Wide{a} * b); });
  agrees<T>(Code::fma, [&](T a, T b, T c) { return wrapped(Wide{a} * b + c); });
  agrees<T>(Code::neg, [&](T a, T, T) { return wrapped(-Wide{a}); });
  agrees<T>(Code::abs, [&](T a, T, T) { return wrapped(a < T{0} ? -Wide{a} : Wide{a}); });
  agrees<T>(Code::bit_and, [&](T a, T b, T) { return wrapped(Wide{a} & b); });
  agrees<T>(Code::bit_or, [&](T a, T b, T) { return wrapped(Wide{a} | b); });
  agrees<T>(Code::bit_xor, [&](T a, T b, T) { return wrapped(Wide{a} ^ b); });
  agrees<T>(Code::max, [&](T a, T b, T) { return a > b ? a : b; });
  agrees<T>(Code::min, [&](T a, T b, T) { return a > b ? b : a; });
  agrees<T>(Code::eq, [&](T a, T b, T) { return a == b; });
  agrees<T>(Code::ult, [&](T a, T b, T) { return Unsigned(a) < Unsigned(b); });
  agrees<T>(Code::cast, [&](T a, T, T) { return static_cast<float>(static_cast<long double>(a)); });
  agrees<T>(Code::cast, [&](T a, T, T) { return static_cast<double>(static_cast<long double>(a)); });
  agrees<T>(Code::cast, [&](T a, T, T) { return static_cast<int64_t>(a); });
  agrees<T>(Code::cast, [&](T a, T, T) { return static_cast<int32_t>(a); });
  agrees<T>(Code::cast, [&](T a, T, T) { return static_cast<uint8_t>(a); });
  agrees<T>(Code::zero_extend, [&](T a, T, T) { return static_cast<int64_t>(static_cast<uint64_t>(Unsigned(a))); });

  // Those that do not give a result for every operand, in a loop of their own.
  Random random;
  for (int i = 0; i < 4000; ++i) {
    const std::array<uint64_t, 2> x{random.bits(dtype_of<T>), random.bits(dtype_of<T>)};
    const T a = value_of<T>(x[0]), b = value_of<T>(x[1]);
    auto same = [&](Code code, bool has, Wide want) {
      const auto have = loop::compute({.code = code, .type = {dtype_of<T>}}, dtype_of<T>, x);
      INFO("code " << int(code) << " of " << name(dtype_of<T>) << ": " << Wide{a} << " " << int64_t(b));
      REQUIRE(have == (has ? std::optional(as_bits(wrapped(want))) : std::nullopt));
    };
    const bool fits = b && wrapped(Wide{a} / Wide{b}) == Wide{a} / Wide{b};
    same(Code::div, fits, b ? Wide{a} / Wide{b} : 0);
    same(Code::rem, fits, b ? Wide{a} % Wide{b} : 0);
    same(Code::udiv, x[1], x[1] ? x[0] / x[1] : 0);
    same(Code::urem, x[1], x[1] ? x[0] % x[1] : 0);
    const uint64_t by = x[1] % 64;
    const Wide power = Wide{1} << by;
    same(Code::shift_left, x[1] < width, Wide{a} * power);
    same(Code::shift_right, x[1] < width, (Wide{a} - (Wide{a} % power + power) % power) / power);
    same(Code::shift_right_unsigned, x[1] < width, Wide{x[0]} / power);
  }
}

template <typename T>
void check_both() {
  agrees<T>(Code::eq, [](T a, T b, T) { return a == b; });
  agrees<T>(Code::ne, [](T a, T b, T) { return a != b; });
  agrees<T>(Code::lt, [](T a, T b, T) { return a < b; });
  agrees<T>(Code::le, [](T a, T b, T) { return a <= b; });
  agrees<T>(Code::cast, [](T a, T, T) { return a != T{0}; });
}

}  // namespace

TEST_CASE("every code is the plain C++ of the same type on random bits") {
  check_floats<float>(), check_floats<double>();
  check_integers<int64_t>(), check_integers<int32_t>(), check_integers<uint8_t>(), check_integers<bool>();
  check_both<float>(), check_both<double>();
  check_both<int64_t>(), check_both<int32_t>(), check_both<uint8_t>(), check_both<bool>();
}
