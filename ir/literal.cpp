// The elements of a constant: from numbers to bytes, and back.
#include <cstring>

#include "ir/graph.h"

namespace tenon {

Literal Literal::of(Type type, std::span<const double> values, Line line) {
  if (std::string why = flaw(type, 1); !why.empty()) fail(line, "constant: {} is not a possible type: {}", type.str(), why);
  if (type.elements() != Extent(values.size()))
    fail(line, "constant: {} has {} elements, there are {} values", type.str(), type.elements().str(), values.size());
  auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * static_cast<size_t>(byte_size(type.dtype)));
  with_type(type.dtype, [&]<typename T>(T) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!fits(values[i], type.dtype)) fail(line, "constant: {} is not a value of {}", values[i], name(type.dtype));
      T value = static_cast<T>(values[i]);
      std::memcpy(bytes->data() + i * sizeof(T), &value, sizeof(T));
    }
  });
  return {std::move(type), std::move(bytes)};
}

Literal Literal::of(int64_t value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {{i64, {}}, std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end())};
}

double real_at(DType dtype, std::span<const std::byte> bytes, int64_t i) {
  return with_type(dtype, [&]<typename T>(T) { return static_cast<double>(element<T>(bytes, i)); });
}
int64_t whole_at(DType dtype, std::span<const std::byte> bytes, int64_t i) {
  return with_type(dtype, [&]<typename T>(T) { return static_cast<int64_t>(element<T>(bytes, i)); });
}

double Literal::at(int64_t i) const { return real_at(type.dtype, *bytes, i); }

int64_t Literal::integer_at(int64_t i) const { return whole_at(type.dtype, *bytes, i); }

}  // namespace tenon
