#include "compiler/kernel/number.h"

#include <cmath>
#include <cstring>

#include "ir/integer.h"

namespace tenon {
Number real_number(DType dtype, double x) { return {dtype, rounded(dtype, x), 0}; }

Number load_number(const std::byte* base, DType dtype, int64_t position) {
  return with_type(dtype, [&]<typename T>(T value) {
    std::memcpy(&value, base + position * static_cast<int64_t>(sizeof value), sizeof value);
    return is_float(dtype) ? Number{dtype, static_cast<double>(value), 0} : Number{dtype, 0, static_cast<int64_t>(value)};
  });
}

void store_number(std::byte* base, int64_t position, const Number& x) {
  with_type(x.dtype, [&]<typename T>(T value) {
    value = is_float(x.dtype) ? static_cast<T>(x.real) : static_cast<T>(x.whole);
    std::memcpy(base + position * static_cast<int64_t>(sizeof value), &value, sizeof value);
  });
}

Number convert(const Number& x, DType to) {
  if (to == boolean) return {to, 0, x.as_double() != 0};
  if (is_float(to)) {
    if (is_float(x.dtype)) return real_number(to, x.real);
    // From the integer itself: by way of a double it would be rounded twice.
    return with_type(to, [&]<typename T>(T) { return Number{to, static_cast<double>(static_cast<T>(x.whole)), 0}; });
  }
  if (is_float(x.dtype)) return {to, 0, to_integer(to, x.real)};
  return {to, 0, wrap(to, static_cast<uint64_t>(x.whole))};
}

Number apply(Scalar::Function f, DType result, std::span<const Number> a) {
  auto real = [&](size_t i) { return i < a.size() ? a[i].real : 0; };
  auto whole = [&](size_t i) { return i < a.size() ? a[i].whole : 0; };
  if (f == Scalar::philox) return {result, 0, philox_bits(whole(0), whole(1), whole(2), whole(3))};
  if (!is_float(a[0].dtype)) {
    int64_t value = integer_function(f, a[0].dtype, whole(0), whole(1), whole(2));
    return is_float(result) ? real_number(result, static_cast<double>(value)) : Number{result, 0, value};
  }
  if (f == Scalar::fma && result == f32)
    return {f32, std::fmaf(static_cast<float>(real(0)), static_cast<float>(real(1)), static_cast<float>(real(2))), 0};
  const double value = function(f).reference(real(0), real(1), real(2));
  return is_float(result) ? real_number(result, value) : Number{result, 0, value != 0};
}

}  // namespace tenon
