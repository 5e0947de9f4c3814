#include "ir/reader.h"

#include <algorithm>

namespace tenon {

bool TextReader::next_statement() {
  for (;; ++at_) {
    skip_blanks();
    if (at_ >= text_.size()) return false;
    if (text_[at_] != '\n') break;
    ++line_;
  }
  return true;
}

std::string TextReader::string() {
  expect("\"");
  std::string result;
  for (;; ++at_) {
    if (line_ended()) fail_at(at_, "expected '\"' at the end of a string");
    if (text_[at_] == '"') break;
    if (text_[at_] != '\\') {
      result += text_[at_];
      continue;
    }
    ++at_;
    if (peek() == '"' || peek() == '\\') {
      result += peek();
    } else if (text_.substr(at_, 1) == "x") {
      uint8_t byte = 0;
      const char* digits = text_.data() + at_ + 1;
      if (text_.size() - at_ < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2)
        fail_at(at_, "expected two hexadecimal digits after \\x");
      result += static_cast<char>(byte);
      at_ += 2;
    } else {
      fail_at(at_, "expected \\\\, \\\" or \\x and two hexadecimal digits");
    }
  }
  ++at_;
  return result;
}

Extent TextReader::extent() {
  skip_blanks();
  int64_t count = is_letter(peek()) ? 1 : number<int64_t>("an extent");
  if (!is_letter(peek())) return count;
  const size_t begin = at_;
  Extent extent = count;
  do {
    skip_blanks();
    const size_t start = at_;
    const std::string_view size = word("the name of a run-time size");
    if (!sizes_.contains(size)) fail_at(start, fmt::format("there is no run-time size '{}'", size));
    place(begin, "extent", [&] { extent = extent * Extent(1, size); });
  } while (accept('*'));
  return extent;
}

Shape TextReader::shape() {
  Shape shape;
  expect("[");
  if (accept(']')) return shape;
  do shape.push_back(extent());
  while (accept(','));
  expect("]");
  return shape;
}

DType TextReader::dtype() {
  skip_blanks();
  size_t start = at_;
  DType dtype;
  if (!parse_dtype(identifier(), dtype)) fail_at(start, "expected an element type: one of " + list(&ElementType::name, ", "));
  return dtype;
}

void TextReader::fail_at(size_t at, std::string_view message) const {
  at = std::min(at, text_.size());
  size_t begin = at ? text_.rfind('\n', at - 1) : std::string_view::npos;
  begin = begin == std::string_view::npos ? 0 : begin + 1;
  size_t end = std::min(text_.find('\n', at), text_.size());
  auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
  size_t from = at - begin > 80 ? at - 80 : begin;
  std::string shown(text_.substr(from, std::min(end, from + 120) - from));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  throw Error(fmt::format("{}:{}:{}: {}\n{}\n{:>{}}", file_, line, at - begin + 1, message, shown, '^', at - from + 1));
}

Literal TextReader::literal(DType dtype, size_t start, const LiteralTable& literals) {
  Type type{dtype, shape()};
  Extent count;
  place(start, "constant", [&] {
    for (Extent extent : type.shape)
      if (extent.symbolic() || extent.count < 0) throw Error("a constant has fixed extents: " + type.str());
    count = type.elements();
    type.bytes(1);
  });
  if (accept('@')) {
    uint64_t hash = hexadecimal("the hash of a constant");
    auto found = literals.find(hash);
    if (found == literals.end()) fail_at(start, fmt::format("no constant with the hash {:016x} was given", hash));
    if (found->second.type != type || !found->second.bytes ||
        static_cast<int64_t>(found->second.bytes->size()) != type.bytes(1) || found->second.hash() != hash)
      fail_at(start, fmt::format("the constant with the hash {:016x} is another one", hash));
    return found->second;
  }
  auto bytes = std::make_shared<std::vector<std::byte>>();
  auto put = [&](auto value) {
    auto begin = reinterpret_cast<const std::byte*>(&value);
    bytes->insert(bytes->end(), begin, begin + sizeof value);
  };
  expect("{");
  int64_t read = 0;
  for (bool more = !accept('}'); more; ++read) {
    if (read == count.count) fail_at(at_, fmt::format("{} has {} elements, this is one more", type.str(), read));
    skip_blanks();
    size_t place = at_;
    with_type(dtype, [&]<typename T>(T) {
      const T value = element<T>(dtype);
      if (dtype == boolean && as_number(value) > 1) fail_at(place, "a bool is 0 or 1");
      put(value);
    });
    more = accept(',');
    if (!more) expect("}");
  }
  if (read != count.count) fail_at(start, fmt::format("{} has {} elements, here are {}", type.str(), count.count, read));
  return {std::move(type), std::move(bytes)};
}

}  // namespace tenon
