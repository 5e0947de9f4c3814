#include "compiler/kernel/number.h"

#include <cmath>
#include <cstring>

#include "ir/integer.h"

namespace tenon {
namespace {

template <typename T>
T read(const std::byte* base, int64_t position) {
  T value;
  std::memcpy(&value, base + position * static_cast<int64_t>(sizeof value), sizeof value);
  return value;
}
template <typename T>
void write(std::byte* base, int64_t position, T value) {
  std::memcpy(base + position * static_cast<int64_t>(sizeof value), &value, sizeof value);
}

}  // namespace

Number rounded(DType dtype, double x) { return {dtype, dtype == f32 ? static_cast<float>(x) : x, 0}; }

Number load_number(const std::byte* base, DType dtype, int64_t position) {
  switch (dtype) {
    case DType::f64: return {dtype, read<double>(base, position), 0};
    case DType::f32: return {dtype, read<float>(base, position), 0};
    case DType::i64: return {dtype, 0, read<int64_t>(base, position)};
    case DType::i32: return {dtype, 0, read<int32_t>(base, position)};
    case DType::u8:
    case DType::boolean: break;
  }
  return {dtype, 0, read<uint8_t>(base, position)};
}

void store_number(std::byte* base, int64_t position, const Number& x) {
  switch (x.dtype) {
    case DType::f64: return write(base, position, x.real);
    case DType::f32: return write(base, position, static_cast<float>(x.real));
    case DType::i64: return write(base, position, x.whole);
    case DType::i32: return write(base, position, static_cast<int32_t>(x.whole));
    case DType::u8:
    case DType::boolean: return write(base, position, static_cast<uint8_t>(x.whole));
  }
}

Number convert(const Number& x, DType to) {
  if (to == boolean) return {to, 0, x.as_double() != 0};
  if (is_float(to)) {
    if (is_float(x.dtype)) return rounded(to, x.real);
    // From the integer itself: by way of a double it would be rounded twice.
    return {to, to == f32 ? static_cast<float>(x.whole) : static_cast<double>(x.whole), 0};
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
    return is_float(result) ? rounded(result, static_cast<double>(value)) : Number{result, 0, value};
  }
  if (f == Scalar::fma && result == f32)
    return {f32,
            std::fmaf(static_cast<float>(real(0)), static_cast<float>(real(1)), static_cast<float>(real(2))),
            0};
  const double value = function(f).reference(real(0), real(1), real(2));
  return is_float(result) ? rounded(result, value) : Number{result, 0, value != 0};
}

}  // namespace tenon
