#include "runtime/safetensors.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <utility>

#include "runtime/file.h"

namespace tenon {

namespace {
constexpr std::string_view metadata_key = "__metadata__";
constexpr int64_t size_bytes = 8;
constexpr int64_t largest_header = 100'000'000;  // the format's own bound

struct Range {
  std::string name;
  DType dtype = f32;
  Extents extents;
  int64_t begin = 0, end = 0;
};

// JSON of the one form that the format knows.
class Header {
 public:
  Header(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  void parse(std::map<std::string, std::string>& metadata, std::vector<Range>& ranges) {
    std::set<std::string> keys;
    object(keys, [&](const std::string& key) {
      if (key != metadata_key) return ranges.push_back(range(key));
      std::set<std::string> names;
      object(names, [&](const std::string& name) { metadata[name] = string(); });
    });
    skip_space();
    if (at_ != text_.size()) stop("expected the end of the header");
  }

 private:
  [[noreturn]] void stop(std::string_view what) const {
    throw Error(fmt::format("{}: bad safetensors header at byte {}: {}", name_, size_bytes + static_cast<int64_t>(at_), what));
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    return ++at_, true;
  }
  void take(char c) {
    if (!accept(c)) stop(fmt::format("expected '{}'", c));
  }

  template <typename Member>
  void object(std::set<std::string>& keys, const Member& member) {
    take('{');
    if (accept('}')) return;
    do {
      const std::string key = string();
      if (!keys.insert(key).second) stop(fmt::format("key \"{}\" is given twice", key));
      take(':');
      member(key);
    } while (accept(','));
    take('}');
  }

  unsigned hex4() {
    unsigned value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '?';
      const bool digit = c >= '0' && c <= '9', lower = c >= 'a' && c <= 'f', upper = c >= 'A' && c <= 'F';
      if (!digit && !lower && !upper) stop("expected four hexadecimal digits");
      value = value * 16 + static_cast<unsigned>(digit ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
  }

  void escape(std::string& to) {
    constexpr std::string_view from = "\"\\/bfnrt", into = "\"\\/\b\f\n\r\t";
    const char c = at_ < text_.size() ? text_[at_++] : '?';
    if (const size_t i = from.find(c); i != from.npos) return to.push_back(into[i]);
    if (c != 'u') stop("unknown escape");
    unsigned code = hex4();
    if (code >= 0xd800 && code < 0xe000) {
      if (code >= 0xdc00 || !text_.substr(at_).starts_with("\\u")) stop("half a surrogate pair");
      at_ += 2;
      const unsigned low = hex4();
      if (low < 0xdc00 || low >= 0xe000) stop("half a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    auto put = [&](unsigned byte) { to.push_back(static_cast<char>(byte)); };
    if (code < 0x80) return put(code);
    if (code < 0x800) return put(0xc0 | code >> 6), put(0x80 | (code & 63));
    if (code < 0x10000) return put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 63)), put(0x80 | (code & 63));
    put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 63)), put(0x80 | (code >> 6 & 63)), put(0x80 | (code & 63));
  }

  std::string string() {
    take('"');
    std::string result;
    for (;;) {
      if (at_ == text_.size()) stop("the string is never closed");
      const char c = text_[at_++];
      if (c == '"') return result;
      if (static_cast<unsigned char>(c) < 0x20) stop("a control character in a string");
      if (c == '\\')
        escape(result);
      else
        result.push_back(c);
    }
  }

  int64_t integer() {
    skip_space();
    const size_t begin = at_;
    int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[at_] - '0', &value))
        stop("the number overflows 63 bits");
    if (at_ == begin || (text_[begin] == '0' && at_ > begin + 1)) stop("expected a non-negative integer");
    return value;
  }

  std::vector<int64_t> integers() {
    std::vector<int64_t> values;
    take('[');
    if (accept(']')) return values;
    do values.push_back(integer());
    while (accept(','));
    take(']');
    return values;
  }

  Range range(const std::string& name) {
    Range range{.name = name, .extents = {}};
    std::set<std::string> keys;
    object(keys, [&](const std::string& key) {
      if (key == "dtype") {
        const std::string text = string();
        if (!parse_dtype(text, range.dtype, &ElementType::safetensors))
          stop(fmt::format("dtype {}, supported are {}", text, list(&ElementType::safetensors, " ")));
      } else if (key == "shape") {
        range.extents = integers();
      } else if (key == "data_offsets") {
        const std::vector<int64_t> offsets = integers();
        if (offsets.size() != 2 || offsets[0] > offsets[1]) stop("data_offsets are not [begin, end]");
        range.begin = offsets[0];
        range.end = offsets[1];
      } else {
        stop(fmt::format("unknown key \"{}\"", key));
      }
    });
    if (keys.size() != 3) stop(fmt::format("dtype, shape or data_offsets of \"{}\" is missing", name));
    int64_t bytes = byte_size(range.dtype);
    for (int64_t extent : range.extents)
      if (__builtin_mul_overflow(bytes, extent, &bytes)) stop(fmt::format("the shape of \"{}\" overflows", name));
    if (bytes != range.end - range.begin)
      stop(fmt::format("\"{}\" is {}{} of {} bytes, but its range has {}", name, tenon::name(range.dtype), str(range.extents),
                       bytes, range.end - range.begin));
    return range;
  }

  std::string_view text_, name_;
  size_t at_ = 0;
};

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      result += '\\', result += c;
    else if (static_cast<unsigned char>(c) < 0x20)
      result += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      result += c;
  }
  return result + '"';
}
}  // namespace

const Tensor* SafeTensors::find(std::string_view name) const {
  for (const auto& [key, tensor] : tensors)
    if (key == name) return &tensor;
  return nullptr;
}

namespace {
using Next = std::function<void(std::byte* to, int64_t bytes)>;  // the next bytes of the data, which are there

class Reader {
 public:
  Reader(std::string_view name, int64_t size, Next next) : name_(name), size_(size), next_(std::move(next)) {}

  SafeTensors read() {
    if (size_ < size_bytes) stop(size_, "truncated: the size of the header is missing");
    std::array<std::byte, size_bytes> begin;
    next_(begin.data(), size_bytes);
    uint64_t header = 0;
    for (size_t i = size_bytes; i-- > 0;) header = header << 8 | std::to_integer<uint64_t>(begin[i]);
    if (header > largest_header || static_cast<int64_t>(header) > size_ - size_bytes)
      stop(0, fmt::format("the header has {} bytes, but the file {} and the limit is {}", header, size_ - size_bytes,
                          largest_header));
    data_ = size_bytes + static_cast<int64_t>(header);
    std::string text(header, ' ');
    next_(reinterpret_cast<std::byte*>(text.data()), data_ - size_bytes);
    SafeTensors file;
    std::vector<Range> ranges;
    Header(text, name_).parse(file.metadata, ranges);
    tile(ranges);
    require_memory(size_ - data_, "the tensors");
    for (const Range& range : ranges) file.tensors.emplace_back(range.name, tensor(range));
    return file;
  }

 private:
  [[noreturn]] void stop(int64_t at, std::string_view what) const {
    throw Error(fmt::format("{}: bad safetensors file at byte {}: {}", name_, at, what));
  }

  // Puts the ranges in the order of their bytes, all of which they must cover once.
  void tile(std::vector<Range>& ranges) const {
    std::stable_sort(ranges.begin(), ranges.end(),
                     [](const Range& a, const Range& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    int64_t end = 0;
    for (const Range& range : ranges) {
      if (range.begin != end)
        stop(data_ + std::min(range.begin, end),
             fmt::format("\"{}\" begins at {} of the data, {} {}", range.name, range.begin,
                         range.begin < end ? "overlapping what ends at" : "after a gap from", end));
      if (range.end > size_ - data_)
        stop(size_,
             fmt::format("truncated: \"{}\" ends at {} of the data, which has {} bytes", range.name, range.end, size_ - data_));
      end = range.end;
    }
    if (end != size_ - data_) stop(data_ + end, fmt::format("{} trailing bytes", size_ - data_ - end));
  }

  Tensor tensor(const Range& range) const {
    Tensor tensor(range.dtype, range.extents);
    next_(tensor.writable_data(), tensor.byte_count());
    if (range.dtype == boolean)
      for (int64_t i = 0; i < tensor.byte_count(); ++i)
        if (tensor.data()[i] > std::byte{1}) stop(data_ + range.begin + i, "the byte is no BOOL");
    return tensor;
  }

  std::string_view name_;
  int64_t size_;
  Next next_;
  int64_t data_ = 0;  // where the header ends
};
}  // namespace

SafeTensors parse_safetensors(std::span<const std::byte> bytes, std::string_view name) {
  const std::byte* at = bytes.data();
  const Next next = [&](std::byte* to, int64_t count) { std::copy_n(std::exchange(at, at + count), count, to); };
  return Reader(name, static_cast<int64_t>(bytes.size()), next).read();
}

SafeTensors read_safetensors(const std::filesystem::path& path) {
  return reading(path, [&] {
    RawFile file(path);
    const std::string name = path.string();
    return Reader(name, file.size(), [&](std::byte* to, int64_t count) { file.read(to, count); }).read();
  });
}

void write_safetensors(const std::filesystem::path& path, const SafeTensors& file) {
  std::vector<const std::pair<std::string, Tensor>*> order;
  std::set<std::string_view> names = {metadata_key};
  for (const auto& entry : file.tensors) {
    if (!names.insert(entry.first).second)
      throw Error(fmt::format("{}: two tensors are called {}", path.string(), entry.first));
    order.push_back(&entry);
  }
  // Wide elements first, so that with the padded header all are aligned in the file.
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return byte_size(a->second.dtype()) > byte_size(b->second.dtype()); });
  std::string header = "{";
  for (const auto& [key, value] : file.metadata)
    header += fmt::format("{}{}:{}", header.size() > 1 ? "," : "\"__metadata__\":{", json_string(key), json_string(value));
  if (!file.metadata.empty()) header += "}";
  int64_t at = 0;
  std::vector<std::span<const std::byte>> parts(2);
  for (const auto* entry : order) {
    const Tensor& tensor = entry->second;
    header += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}", header.size() > 1 ? "," : "",
                          json_string(entry->first), traits(tensor.dtype()).safetensors, str(tensor.extents()), at,
                          at + tensor.byte_count());
    at += tensor.byte_count();
    parts.emplace_back(tensor.data(), static_cast<size_t>(tensor.byte_count()));
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::array<std::byte, size_bytes> size;
  for (size_t i = 0; i < size.size(); ++i) size[i] = static_cast<std::byte>(header.size() >> 8 * i);
  parts[0] = size;
  parts[1] = std::as_bytes(std::span(header));
  replace_file(path, parts);
}

}  // namespace tenon
