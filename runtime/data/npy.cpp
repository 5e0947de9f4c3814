#include "runtime/data/npy.h"

#include <array>
#include <charconv>
#include <cstring>

#include "runtime/file.h"

namespace tenon {

namespace {
constexpr std::string_view magic = "\x93NUMPY";
constexpr int64_t largest_header = 1 << 20;  // one of the supported types has a hundred bytes or so

// A Python literal of one form: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, keys in any
// order.
class Header {
 public:
  Header(std::string_view text, int64_t offset, std::string_view name) : text_(text), offset_(offset), name_(name) {}

  void parse(DType& dtype, Extents& extents) {
    bool descr = false, order = false, shape = false;
    auto once = [&](bool& seen, std::string_view key) {
      if (seen) stop(fmt::format("{} is given twice", key));
      seen = true;
    };
    take('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      take(':');
      if (key == "descr")
        once(descr, key), dtype = type();
      else if (key == "fortran_order")
        once(order, key), row_major();
      else if (key == "shape")
        once(shape, key), extents = tuple();
      else
        stop(fmt::format("unknown key '{}'", key));
      if (!accept(',')) {
        take('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) stop("expected the end of the header");
    if (!descr || !order || !shape) stop("descr, fortran_order or shape is missing");
  }

 private:
  [[noreturn]] void stop(std::string_view what) const {
    throw Error(fmt::format("{}: bad NPY header at byte {}: {}", name_, offset_ + static_cast<int64_t>(at_), what));
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    return ++at_, true;
  }
  void take(char c) {
    if (!accept(c)) stop(fmt::format("expected '{}'", c));
  }
  std::string_view quoted() {
    take('\'');
    const size_t end = text_.find('\'', at_);
    if (end == text_.npos) stop("the quote is never closed");
    const std::string_view text = text_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }
  DType type() {
    const std::string_view text = quoted();
    DType dtype;
    if (!parse_dtype(text, dtype, &ElementType::npy))
      stop(fmt::format("element type '{}', supported are {}", text, list(&ElementType::npy, " ")));
    return dtype;
  }
  void row_major() {
    skip_space();
    if (text_.substr(at_).starts_with("True")) stop("Fortran order is not supported: save a C-ordered array");
    if (!text_.substr(at_).starts_with("False")) stop("expected False");
    at_ += 5;
  }
  Extents tuple() {
    Extents extents;
    take('(');
    while (!accept(')')) {
      skip_space();
      int64_t extent = -1;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc() || extent < 0) stop("expected an extent");
      at_ = static_cast<size_t>(end - text_.data());
      extents.push_back(extent);
      if (!accept(',')) {
        take(')');
        break;
      }
    }
    return extents;
  }

  std::string_view text_;
  int64_t offset_;
  std::string_view name_;
  size_t at_ = 0;
};

Tensor read_array(InputFile& file) {
  std::array<unsigned char, 8> head;
  file.read_exactly(reinterpret_cast<std::byte*>(head.data()), 8, "the magic number");
  if (std::memcmp(head.data(), magic.data(), magic.size()) != 0 || head[6] < 1 || head[6] > 3 || head[7] != 0)
    throw Error(fmt::format("{}: not NPY 1.0, 2.0 or 3.0 at byte 0", file.name()));
  std::array<unsigned char, 4> size{};
  file.read_exactly(reinterpret_cast<std::byte*>(size.data()), head[6] == 1 ? 2 : 4, "the size of the header");
  const int64_t bytes = size[0] | int64_t{size[1]} << 8 | int64_t{size[2]} << 16 | int64_t{size[3]} << 24;
  file.expect(bytes, "the header");
  if (bytes > largest_header)
    throw Error(
        fmt::format("{}: bad NPY header at byte 8: it has {} bytes, the limit is {}", file.name(), bytes, largest_header));
  const int64_t offset = file.offset();
  std::string text(static_cast<size_t>(bytes), ' ');
  file.read_exactly(reinterpret_cast<std::byte*>(text.data()), bytes, "the header");
  DType dtype = f32;
  Extents extents;
  Header(text, offset, file.name()).parse(dtype, extents);
  int64_t count = byte_size(dtype);
  for (int64_t extent : extents)
    if (__builtin_mul_overflow(count, extent, &count))
      throw Error(fmt::format("{}: the extents {} overflow", file.name(), str(extents)));
  const std::string what = fmt::format("the elements of {}{}", name(dtype), str(extents));
  file.expect(count, what);
  require_memory(count, what);
  Tensor tensor(dtype, extents);
  file.read_exactly(tensor.writable_data(), count, what);
  if (dtype == boolean)
    for (int64_t i = 0; i < count; ++i)
      if (tensor.data()[i] > std::byte{1})
        throw Error(fmt::format("{}: byte {} is no bool", file.name(), file.offset() - count + i));
  file.expect_end();
  return tensor;
}
}  // namespace

Tensor read_npy(const std::filesystem::path& path) {
  return reading(path, [&] {
    InputFile file(path);
    return read_array(file);
  });
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  const std::string_view type = traits(tensor.dtype()).npy;
  if (type.empty())
    throw Error(fmt::format("{}: NPY cannot hold {}: cast it to f32, or write safetensors", path.string(), tensor.str()));
  std::string shape;
  for (int64_t extent : tensor.extents()) shape += fmt::format("{}, ", extent);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  while ((magic.size() + 4 + header.size() + 1) % 64 != 0) header += ' ';  // the elements begin at a multiple of 64
  header += '\n';
  if (header.size() > UINT16_MAX) throw Error(fmt::format("{}: NPY 1.0 cannot hold {}", path.string(), tensor.str()));
  std::string head(magic);
  head += {1, 0, static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  head += header;
  const std::span<const std::byte> parts[] = {std::as_bytes(std::span(head)),
                                              {tensor.data(), static_cast<size_t>(tensor.byte_count())}};
  replace_file(path, parts);
}

}  // namespace tenon
