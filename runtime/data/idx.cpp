#include "runtime/data/idx.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "runtime/file.h"

namespace tenon {

namespace {
struct TypeRow {
  uint8_t code;
  int64_t bytes;
  DType dtype;
};
constexpr TypeRow types[] = {{0x08, 1, u8}, {0x09, 1, i32}, {0x0b, 2, i32}, {0x0c, 4, i32}, {0x0d, 4, f32}, {0x0e, 8, f64}};

void swap_elements(std::byte* data, int64_t elements, int64_t bytes) {
  if (bytes == 1 || std::endian::native == std::endian::big) return;
  for (int64_t i = 0; i < elements; ++i) std::reverse(data + i * bytes, data + (i + 1) * bytes);
}

// The narrow elements may lie at the end of where the wide ones go: none is overwritten before it is read.
template <typename From>
void widen(const std::byte* from, std::span<int32_t> to) {
  for (int32_t& value : to) {
    From narrow;
    std::memcpy(&narrow, from, sizeof narrow);
    value = narrow;
    from += sizeof narrow;
  }
}

Tensor read_elements(InputFile& file) {
  std::array<std::byte, 4> head;
  file.read_exactly(head.data(), 4, "the magic number");
  const auto* type =
      std::find_if(std::begin(types), std::end(types), [&](const TypeRow& row) { return std::byte(row.code) == head[2]; });
  if (head[0] != std::byte{0} || head[1] != std::byte{0} || type == std::end(types))
    throw Error(
        fmt::format("{}: not IDX: it begins with {:02x} {:02x} {:02x} {:02x}, expected 00 00, a type (08, 09, "
                    "0b to 0e) and the rank",
                    file.name(), std::to_integer<int>(head[0]), std::to_integer<int>(head[1]), std::to_integer<int>(head[2]),
                    std::to_integer<int>(head[3])));
  Extents extents;
  int64_t elements = 1, bytes = 0;
  for (int axis = 0; axis < std::to_integer<int>(head[3]); ++axis) {
    std::array<std::byte, 4> extent;
    file.read_exactly(extent.data(), 4, "the extents");
    int64_t value = 0;
    for (std::byte b : extent) value = value << 8 | std::to_integer<int64_t>(b);
    extents.push_back(value);
    if (__builtin_mul_overflow(elements, value, &elements) || __builtin_mul_overflow(elements, 8, &bytes))
      throw Error(fmt::format("{}: the extents {} overflow at byte {}", file.name(), str(extents), file.offset()));
  }
  bytes = elements * type->bytes;
  const std::string what = fmt::format("the elements of {}{}", name(type->dtype), str(extents));
  file.expect(bytes, what);
  require_memory(elements * byte_size(type->dtype), what);
  Tensor tensor(type->dtype, extents);
  std::byte* data = tensor.writable_data() + (tensor.byte_count() - bytes);
  file.read_exactly(data, bytes, what);
  swap_elements(data, elements, type->bytes);
  if (type->dtype == i32 && type->bytes == 1) widen<int8_t>(data, tensor.write<int32_t>());
  if (type->dtype == i32 && type->bytes == 2) widen<int16_t>(data, tensor.write<int32_t>());
  file.expect_end();
  return tensor;
}
}  // namespace

Tensor read_idx(const std::filesystem::path& path) {
  return reading(path, [&] {
    InputFile file(path);
    return read_elements(file);
  });
}

void write_idx(const std::filesystem::path& path, const Tensor& tensor) {
  const auto* type = std::find_if(std::begin(types), std::end(types), [&](const TypeRow& row) {
    return row.dtype == tensor.dtype() && row.bytes == byte_size(row.dtype);
  });
  if (type == std::end(types) || tensor.rank() > 255)
    throw Error(fmt::format("{}: IDX cannot hold {}: it has u8, i32, f32, f64 and ranks to 255", path.string(), tensor.str()));
  std::vector<std::byte> head = {std::byte{0}, std::byte{0}, std::byte(type->code),
                                 std::byte(static_cast<uint8_t>(tensor.rank()))};
  for (int64_t extent : tensor.extents()) {
    if (extent > UINT32_MAX)
      throw Error(fmt::format("{}: IDX cannot hold {}: an extent is above 2^32 - 1", path.string(), tensor.str()));
    for (int shift = 24; shift >= 0; shift -= 8) head.push_back(std::byte(static_cast<uint8_t>(extent >> shift)));
  }
  const Tensor swapped = type->bytes == 1 ? tensor : [&] {
    Tensor copy = tensor.clone();
    swap_elements(copy.writable_data(), copy.elements(), type->bytes);
    return copy;
  }();
  const std::span<const std::byte> parts[] = {head, {swapped.data(), static_cast<size_t>(swapped.byte_count())}};
  replace_file(path, parts);
}

}  // namespace tenon
