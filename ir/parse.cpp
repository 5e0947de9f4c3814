// Text -> graph. Every byte is hostile: the reader never looks past the text, allocates no more than the text
// is long (a constant's elements are counted as they are read), and turns every flaw, of syntax or of
// meaning, into an Error with the place. Meaning is not checked here but by append() and find_flaw().
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "ir/op.h"
#include "ir/text.h"
#include "ir/verify.h"

namespace tenon {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

class Reader {
 public:
  Reader(std::string_view text, std::string_view file, const LiteralTable& literals)
      : text_(text), file_(intern(file)), literals_(literals) {}

  Graph read();

 private:
  // ---- characters ----
  char peek() const { return at_ < text_.size() ? text_[at_] : '\n'; }
  bool line_ended() const { return at_ >= text_.size() || text_[at_] == '\n'; }
  void skip_blanks() {
    while (!line_ended() && (peek() == ' ' || peek() == '\t' || peek() == '\r')) ++at_;
    if (peek() == '#')
      while (!line_ended()) ++at_;
  }
  bool accept(char c) {
    skip_blanks();
    if (line_ended() || peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(std::string_view token) {
    skip_blanks();
    if (text_.substr(at_, token.size()) != token) fail_at(at_, fmt::format("expected '{}'", token));
    at_ += token.size();
  }
  bool accept_word(std::string_view word) {
    skip_blanks();
    size_t start = at_;
    if (identifier() == word) return true;
    at_ = start;
    return false;
  }
  std::string_view identifier() {  // empty if there is none
    size_t start = at_;
    while (!line_ended() && (is_letter(peek()) || (at_ > start && (is_digit(peek()) || peek() == '.'))))
      ++at_;
    return text_.substr(start, at_ - start);
  }
  std::string_view word(std::string_view what) {
    skip_blanks();
    size_t start = at_;
    std::string_view text = identifier();
    if (text.empty()) fail_at(start, fmt::format("expected {}", what));
    return text;
  }
  // Skips blanks, comments and ends of lines; false at the end of the text.
  bool next_statement() {
    for (;; ++at_) {
      skip_blanks();
      if (at_ >= text_.size()) return false;
      if (text_[at_] != '\n') break;
      ++line_;
    }
    return true;
  }
  void end_statement() {
    skip_blanks();
    if (!line_ended()) fail_at(at_, "expected the end of the line");
  }

  // ---- values ----
  template <typename T>
  T number(std::string_view what) {
    skip_blanks();
    T value{};
    const char *begin = text_.data() + at_, *end = text_.data() + text_.size();
    auto [stop, error] = std::from_chars(begin, end, value);
    if (error == std::errc::result_out_of_range) fail_at(at_, fmt::format("{} is out of range", what));
    if (error != std::errc()) fail_at(at_, fmt::format("expected {}", what));
    at_ += static_cast<size_t>(stop - begin);
    return value;
  }
  uint64_t hexadecimal(std::string_view what) {
    uint64_t value = 0;
    const char *begin = text_.data() + at_, *end = text_.data() + text_.size();
    auto [stop, error] = std::from_chars(begin, end, value, 16);
    if (error != std::errc()) fail_at(at_, fmt::format("expected {} in hexadecimal", what));
    at_ += static_cast<size_t>(stop - begin);
    return value;
  }
  template <typename T, typename Bits>
  T floating() {
    skip_blanks();
    size_t start = at_;
    if (text_.substr(at_, 4) == "nan(") {
      at_ += 4;
      expect("0x");
      uint64_t bits = hexadecimal("the bits of a NaN");
      expect(")");
      T value = std::bit_cast<T>(static_cast<Bits>(bits));
      if (bits > std::numeric_limits<Bits>::max() || !std::isnan(value))
        fail_at(start, "these bits are no NaN");
      return value;
    }
    if (text_.substr(at_, 3) == "nan") return at_ += 3, std::numeric_limits<T>::quiet_NaN();
    return number<T>("a number");
  }
  std::string string() {
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
  Extent extent() {
    skip_blanks();
    int64_t count = is_letter(peek()) ? 1 : number<int64_t>("an extent");
    if (!is_letter(peek())) return count;
    size_t start = at_;
    std::string_view size = identifier();
    if (!body_.sizes.contains(size)) fail_at(start, fmt::format("there is no run-time size '{}'", size));
    return Extent(count, size);
  }
  Shape shape() {
    Shape shape;
    expect("[");
    if (accept(']')) return shape;
    do shape.push_back(extent());
    while (accept(','));
    expect("]");
    return shape;
  }
  DType dtype() {
    skip_blanks();
    size_t start = at_;
    DType dtype;
    if (!parse_dtype(identifier(), dtype))
      fail_at(start, "expected an element type: f64, f32, i64, i32, u8 or bool");
    return dtype;
  }
  Literal literal(DType dtype, size_t start);
  Attribute attribute();

  // ---- statements ----
  Value value() {
    expect("%");
    size_t start = at_;
    int64_t number = this->number<int64_t>("the number of a node");
    auto known = values_.find(number);
    if (known == values_.end()) fail_at(start, fmt::format("%{} is not defined before this line", number));
    return known->second;
  }
  void node();
  void entry();

  template <typename Action>
  void place(size_t at, std::string_view prefix, Action action);
  [[noreturn]] void fail_at(size_t at, std::string_view message) const;

  std::string_view text_;
  std::string_view file_;
  const LiteralTable& literals_;
  size_t at_ = 0;
  uint32_t line_ = 1;
  Graph graph_;
  Body& body_ = graph_.body();
  std::unordered_map<int64_t, Value> values_;  // by the number in the text
  std::vector<size_t> starts_;                 // of each node, in the text
};

// "file:line:column: message", the line, and a caret. A long line is cut around the column.
void Reader::fail_at(size_t at, std::string_view message) const {
  at = std::min(at, text_.size());
  size_t begin = at ? text_.rfind('\n', at - 1) : std::string_view::npos;
  begin = begin == std::string_view::npos ? 0 : begin + 1;
  size_t end = std::min(text_.find('\n', at), text_.size());
  auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
  size_t from = at - begin > 80 ? at - 80 : begin;
  std::string shown(text_.substr(from, std::min(end, from + 120) - from));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
  throw Error(fmt::format("{}:{}:{}: {}\n{}\n{:>{}}", file_, line, at - begin + 1, message, shown, '^',
                          at - from + 1));
}

// Runs `action` and gives its Error the place `at`, in the stead of the line it names.
template <typename Action>
void Reader::place(size_t at, std::string_view prefix, Action action) {
  try {
    action();
  } catch (const Error& error) {
    std::string_view message = error.what();
    if (error.line().known()) message.remove_prefix(error.line().str().size() + 2);
    fail_at(at, message);
  } catch (const InternalError& error) {
    fail_at(at, fmt::format("{}: an attribute is missing, of the wrong kind or out of range ({})", prefix,
                            error.what()));
  }
}

// type{x, y, ...} or type@hash, after the element type, which began at `start`.
Literal Reader::literal(DType dtype, size_t start) {
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
    auto found = literals_.find(hash);
    if (found == literals_.end())
      fail_at(start, fmt::format("no constant with the hash {:016x} was given", hash));
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
    if (read == count.count)
      fail_at(at_, fmt::format("{} has {} elements, this is one more", type.str(), read));
    skip_blanks();
    size_t place = at_;
    switch (dtype) {
      case f64: put(floating<double, uint64_t>()); break;
      case f32: put(floating<float, uint32_t>()); break;
      case i64: put(number<int64_t>("an i64")); break;
      case i32: put(number<int32_t>("an i32")); break;
      case u8: put(number<uint8_t>("a u8")); break;
      case boolean: {
        auto value = number<uint8_t>("0 or 1");
        if (value > 1) fail_at(place, "a bool is 0 or 1");
        put(value);
      }
    }
    more = accept(',');
    if (!more) expect("}");
  }
  if (read != count.count)
    fail_at(start, fmt::format("{} has {} elements, here are {}", type.str(), count.count, read));
  return {std::move(type), std::move(bytes)};
}

Attribute Reader::attribute() {
  skip_blanks();
  size_t start = at_;
  if (peek() == '"') return string();
  if (peek() == '[') return shape();
  if (is_letter(peek())) {
    std::string_view word = identifier();
    if (word == "true" || word == "false") return word == "true";
    DType dtype;
    if (parse_dtype(word, dtype)) return peek() == '[' ? Attribute(literal(dtype, start)) : Attribute(dtype);
    at_ = start;
    if (word != "inf" && word != "nan") fail_at(start, "expected the value of an attribute");
    return floating<double, uint64_t>();
  }
  size_t end = at_;
  while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '-')) ++end;
  bool whole = end >= text_.size() || (text_[end] != '.' && text_[end] != 'e' && text_[end] != 'i');
  return whole ? Attribute(number<int64_t>("the value of an attribute"))
               : Attribute(floating<double, uint64_t>());
}

// %7 = contract(%2, %5) spec="ik,kj->ij" : f32[n,128]
void Reader::node() {
  size_t start = at_;
  expect("%");
  auto number = this->number<int64_t>("the number of a node");
  if (values_.contains(number)) fail_at(start, fmt::format("%{} is defined twice", number));
  expect("=");
  skip_blanks();
  size_t op_at = at_;
  const Op* op = find_op(word("an operation"));
  if (!op) fail_at(op_at, fmt::format("there is no operation '{}'", text_.substr(op_at, at_ - op_at)));
  std::vector<Value> operands;
  expect("(");
  if (!accept(')')) {
    do operands.push_back(value());
    while (accept(','));
    expect(")");
  }
  Attributes attributes;
  while (!accept(':')) {
    skip_blanks();
    size_t key_at = at_;
    std::string key(word("an attribute or ':' and the type"));
    if (attributes.find(key)) fail_at(key_at, fmt::format("the attribute '{}' is there twice", key));
    expect("=");
    attributes.entries.emplace_back(std::move(key), attribute());
  }
  skip_blanks();
  size_t type_at = at_;
  Type type{dtype(), {}};
  type.shape = shape();
  Value value;
  place(op_at, op->name,
        [&] { value = append(body_, *op, std::move(operands), std::move(attributes), Line(file_, line_)); });
  if (value.type() != type)
    fail_at(type_at, fmt::format("{} gives {}, not {}", op->name, value.type().str(), type.str()));
  values_.emplace(number, value);
  if (starts_.size() < body_.nodes.size()) starts_.push_back(op_at);
}

// entry "train", then lines of outputs and updates.
void Reader::entry() {
  skip_blanks();
  size_t start = at_;
  std::string name = string();
  end_statement();
  std::vector<std::pair<std::string, Value>> outputs;
  std::vector<Update> updates;
  while (next_statement()) {
    if (accept_word("output")) {
      std::string output = string();
      expect("=");
      outputs.emplace_back(std::move(output), value());
    } else if (accept_word("update")) {
      Value state = value();
      expect("=");
      updates.push_back({state, value()});
    } else {
      break;
    }
    end_statement();
  }
  place(start, "entry", [&] { graph_.entry(name, std::move(outputs), std::move(updates)); });
}

Graph Reader::read() {
  if (!next_statement() || !accept_word("tenon"))
    fail_at(at_, "expected 'tenon 1', the version of the format");
  skip_blanks();
  if (size_t at = at_; number<int64_t>("the version of the format") != 1)
    fail_at(at, "this text has another version; this library reads version 1");
  end_statement();
  while (next_statement()) {
    size_t start = at_;
    if (peek() == '%') {
      node();
    } else if (accept_word("size")) {
      std::string size(word("the name of a run-time size"));
      expect("<=");
      auto maximum = number<int64_t>("the maximum");
      if (body_.sizes.contains(size)) fail_at(start, fmt::format("size '{}' is there twice", size));
      place(start, "size", [&] { graph_.size(size, maximum); });
    } else if (accept_word("state")) {
      Value state = value();
      expect("=");
      Value initial = value();
      body_.states.push_back({state.id(), initial.id(), accept_word("trainable")});
    } else if (accept_word("entry")) {
      entry();
      continue;
    } else if (accept_word("require_fused")) {
      graph_.require_fused(value());
    } else if (accept_word("allow_unreached")) {
      graph_.allow_unreached(value());
    } else if (accept_word("support")) {
      const Value input = value();
      expect("=");
      skip_blanks();
      const size_t word = at_;
      Support support;
      if (!parse_support(identifier(), support)) fail_at(word, "expected unit_interval, positive or count");
      body_.supports.emplace_back(input.id(), support);
    } else {
      fail_at(start,
              "expected a node (%1 = ...), size, state, entry, require_fused, allow_unreached or support");
    }
    end_statement();
  }
  auto flaw = find_flaw(body_, true);
  if (!flaw) return std::move(graph_);
  if (flaw->node < 0) fail_at(text_.size(), flaw->text);
  fail_at(starts_[static_cast<size_t>(flaw->node)], fmt::format("%{} {}", flaw->node, flaw->text));
}

}  // namespace

Graph parse(std::string_view text, std::string_view file, const LiteralTable& literals) {
  return Reader(text, file, literals).read();
}

}  // namespace tenon
