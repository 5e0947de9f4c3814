// Integer arithmetic as compiled code does it: wrapping, with the stated values for division by zero.
#include "ir/integer.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace tenon {

int64_t wrap(DType dtype, uint64_t x) {
  if (dtype == boolean) return x & 1;
  return with_type(dtype, [&]<typename T>(T) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<int64_t>(static_cast<T>(x));
    else
      return static_cast<int64_t>(x);
  });
}
int64_t greatest(DType dtype) { return static_cast<int64_t>((uint64_t{1} << traits(dtype).digits) - 1); }
int64_t least(DType dtype) { return traits(dtype).is_signed ? -greatest(dtype) - 1 : 0; }

// Truncates; saturates; NaN to 0.
int64_t to_integer(DType dtype, double x) {
  if (std::isnan(x)) return 0;
  if (x <= static_cast<double>(least(dtype))) return least(dtype);
  if (x >= static_cast<double>(greatest(dtype))) return greatest(dtype);
  return static_cast<int64_t>(x);
}

int64_t integer_function(Scalar::Function function, DType dtype, int64_t a, int64_t b, int64_t c) {
  auto u = [](int64_t x) { return static_cast<uint64_t>(x); };
  switch (function) {
    case Scalar::add: return wrap(dtype, u(a) + u(b));
    case Scalar::sub: return wrap(dtype, u(a) - u(b));
    case Scalar::mul: return wrap(dtype, u(a) * u(b));
    case Scalar::fma: return wrap(dtype, u(a) * u(b) + u(c));
    case Scalar::div: return b == 0 ? 0 : b == -1 ? wrap(dtype, -u(a)) : a / b;
    case Scalar::floordiv: return b == 0 ? 0 : b == -1 ? wrap(dtype, -u(a)) : a / b - (a % b != 0 && (a < 0) != (b < 0));
    case Scalar::mod: return b == 0 || b == -1 ? 0 : (a % b != 0 && (a < 0) != (b < 0)) ? a % b + b : a % b;
    case Scalar::neg: return wrap(dtype, -u(a));
    case Scalar::abs: return a < 0 ? wrap(dtype, -u(a)) : a;
    case Scalar::sign: return (a > 0) - (a < 0);
    case Scalar::eq: return a == b;
    case Scalar::ne: return a != b;
    case Scalar::lt: return a < b;
    case Scalar::le: return a <= b;
    case Scalar::logical_and: return a && b;
    case Scalar::logical_or: return a || b;
    case Scalar::logical_not: return !a;
    case Scalar::max: return std::max(a, b);
    case Scalar::min: return std::min(a, b);
    case Scalar::floor:
    case Scalar::ceil:
    case Scalar::round: return a;
    case Scalar::is_finite: return 1;
    default: check(false, "the function is one of integers"); return 0;
  }
}

}  // namespace tenon
