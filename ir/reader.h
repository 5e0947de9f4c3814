#pragma once
// What the parsers of all levels share: words, numbers, strings, types and constants of a text, and errors
// with the line, the column and a caret. Every byte is hostile: nothing is read beyond the text, and what is
// allocated is no longer than the text (the elements of a constant are counted as they are read).
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>

#include "ir/text.h"

namespace tenon {

class TextReader {
 protected:
  TextReader(std::string_view text, std::string_view file) : text_(text), file_(intern(file)) {}

  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

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
    while (!line_ended() && (is_letter(peek()) || (at_ > start && (is_digit(peek()) || peek() == '.')))) ++at_;
    return text_.substr(start, at_ - start);
  }
  std::string_view word(std::string_view what) {
    skip_blanks();
    size_t start = at_;
    std::string_view text = identifier();
    if (text.empty()) fail_at(start, fmt::format("expected {}", what));
    return text;
  }
  bool next_statement();  // skips blanks, comments and ends of lines; false at the end of the text
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
  // An element of that type, whose C++ type is T.
  template <typename T>
  T element(DType dtype) {
    if constexpr (std::is_integral_v<T>)
      return number<T>(dtype == boolean ? "0 or 1" : fmt::format("{} {}", dtype == u8 ? "a" : "an", name(dtype)));
    else
      return floating<T>();
  }
  template <typename T>
  T floating() {
    skip_blanks();
    size_t start = at_;
    if (text_.substr(at_, 4) == "nan(") {
      at_ += 4;
      expect("0x");
      uint64_t bits = hexadecimal("the bits of a NaN");
      expect(")");
      T value = std::bit_cast<T>(static_cast<BitsOf<T>>(bits));
      if (bits > std::numeric_limits<BitsOf<T>>::max() || !std::isnan(as_number(value)))
        fail_at(start, "these bits are no NaN");
      return value;
    }
    if (text_.substr(at_, 3) == "nan") return at_ += 3, static_cast<T>(std::numeric_limits<float>::quiet_NaN());
    const auto read = number<decltype(as_number(T()))>("a number");
    const T value(read);
    if (std::isinf(as_number(value)) && !std::isinf(read)) fail_at(start, "a number is out of range");
    return value;
  }
  std::string string();  // "a name", with \x0a and the like
  Extent extent();       // 784, n, 4n, 4n*t
  Shape shape();         // [n,784]
  DType dtype();
  // [shape]{x, y, ...} or [shape]@hash, after the element type, which began at `start`.
  Literal literal(DType dtype, size_t start, const LiteralTable& literals);

  // ---- errors ----
  // "file:line:column: message", the line, and a caret. A long line is cut around the column.
  [[noreturn]] void fail_at(size_t at, std::string_view message) const;

  // Runs `action` and gives its Error the place `at` instead of the line it names.
  template <typename Action>
  void place(size_t at, std::string_view prefix, Action action) {
    try {
      action();
    } catch (const Error& error) {
      std::string_view message = error.what();
      if (error.line().known()) message.remove_prefix(error.line().str().size() + 2);
      fail_at(at, message);
    } catch (const InternalError& error) {
      fail_at(at, fmt::format("{}: an attribute is missing, of the wrong kind or out of range ({})", prefix, error.what()));
    }
  }

  std::string_view text_;
  std::string_view file_;
  size_t at_ = 0;
  uint32_t line_ = 1;
  std::set<std::string, std::less<>> sizes_;  // the names of the run-time sizes
};

}  // namespace tenon
