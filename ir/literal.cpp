// The elements of a constant: from numbers to bytes, and back.
#include <cstring>

#include "ir/graph.h"

namespace tenon {

Literal Literal::of(Type type, std::span<const double> values, Line line) {
  if (std::string why = flaw(type, 1); !why.empty())
    fail(line, "constant: {} is not a possible type: {}", type.str(), why);
  if (type.elements() != Extent(values.size()))
    fail(line, "constant: {} has {} elements, there are {} values", type.str(), type.elements().str(), values.size());
  auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * static_cast<size_t>(byte_size(type.dtype)));
  auto put = [&]<typename T>(T) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!fits(values[i], type.dtype)) fail(line, "constant: {} is not a value of {}", values[i], name(type.dtype));
      T value = static_cast<T>(values[i]);
      std::memcpy(bytes->data() + i * sizeof(T), &value, sizeof(T));
    }
  };
  switch (type.dtype) {
    case f64: put(double{}); break;
    case f32: put(float{}); break;
    case i64: put(int64_t{}); break;
    case i32: put(int32_t{}); break;
    case u8: put(uint8_t{}); break;
    case boolean: put(uint8_t{}); break;
  }
  return {std::move(type), std::move(bytes)};
}

Literal Literal::of(int64_t value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {{i64, {}}, std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end())};
}

namespace {
template <typename T>
T element(const Literal& literal, int64_t i) {
  T value;
  std::memcpy(&value, literal.bytes->data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
  return value;
}
}  // namespace

double Literal::at(int64_t i) const {
  if (type.dtype == f64) return element<double>(*this, i);
  if (type.dtype == f32) return element<float>(*this, i);
  return static_cast<double>(integer_at(i));
}

int64_t Literal::integer_at(int64_t i) const {
  switch (type.dtype) {
    case f64:
    case f32: return static_cast<int64_t>(at(i));
    case i64: return element<int64_t>(*this, i);
    case i32: return element<int32_t>(*this, i);
    default: return element<uint8_t>(*this, i);
  }
}

}  // namespace tenon
