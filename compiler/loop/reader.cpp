#include "compiler/loop/reader.h"

#include <algorithm>

namespace tenon::loop {

ValueType ValueReader::type() {
  ValueType made;
  made.address = accept('@');
  skip_blanks();
  const size_t start = at_;
  std::string_view word = identifier();
  if (word.ends_with("x16")) made.vector = true, word.remove_suffix(3);
  if (!parse_dtype(word, made.dtype))
    fail_at(start, "expected a type such as f32, f32x16 or @f32, of one of " + list(&ElementType::name, ", "));
  return made;
}

ValueType ValueReader::type_of(Id id) const {
  return (id < 0 ? leaves_[static_cast<size_t>(~id)] : f_.nodes[static_cast<size_t>(id)]).type;
}

Id ValueReader::leaf(Code code, ValueType type, int64_t integer) {
  const auto key = std::tuple(code, type.dtype, type.vector, type.address, integer);
  const auto [it, is_new] = known_leaves_.emplace(key, ~static_cast<Id>(leaves_.size()));
  if (is_new) leaves_.push_back({.code = code, .type = type, .integer = integer});
  return it->second;
}

Id ValueReader::value() {
  skip_blanks();
  const size_t start = at_;
  if (accept('%')) {
    const int64_t id = first_ ? number<uint32_t>("the number of a node") - *first_ : -1;
    if (id < 0 || id >= std::ssize(f_.nodes) || !makes_value(f_.nodes[static_cast<size_t>(id)].code))
      fail_at(start, "no value of this number is made before");
    return static_cast<Id>(id);
  }
  if (accept('@')) {
    const auto which = number<uint32_t>("the number of a buffer");
    if (which >= f_.buffers.size()) fail_at(start, fmt::format("there is no buffer {}", which));
    return leaf(Code::base, {f_.buffers[which].dtype, false, true}, which);
  }
  const std::string_view word = identifier();
  for (Code code : {Code::thread, Code::threads})
    if (name(code) == word) return leaf(code, {i64});
  if (constexpr std::string_view prefix = "size."; word.starts_with(prefix)) {
    const auto which = std::ranges::find(f_.sizes, word.substr(prefix.size()));
    if (which == f_.sizes.end()) fail_at(start, fmt::format("there is no run-time size '{}'", word.substr(prefix.size())));
    return leaf(Code::size, {i64}, which - f_.sizes.begin());
  }
  if (word == "lanes") {
    expect(":");
    return leaf(Code::lane_numbers, {dtype(), true});
  }
  for (Code code : {Code::number, Code::parameter})
    if (word.starts_with(name(code))) return given(code, start);
  at_ = start;
  return constant();
}

// number0 or parameter0
Id ValueReader::given(Code code, size_t start) {
  at_ = start + name(code).size();
  const auto which = number<uint32_t>(fmt::format("the number of a {}", name(code)));
  if (code == Code::number) return leaf(code, {i64}, which);
  if (which >= f_.parameters.size()) fail_at(start, fmt::format("there is no parameter {}", which));
  return leaf(code, f_.parameters[which], which);
}

// 784, true or 0.5:f32x16: the type after it says how to read what is before it.
Id ValueReader::constant() {
  const size_t start = at_;
  auto goes_on = [&](char c) {
    return is_letter(c) || is_digit(c) || std::string_view("+-.()").find(c) != std::string_view::npos;
  };
  while (!line_ended() && goes_on(peek())) ++at_;
  const size_t stop = at_;
  const std::string_view word = text_.substr(start, stop - start);
  ValueType made{word == "true" || word == "false" ? boolean : i64};
  if (word.empty()) fail_at(start, "expected a value");
  size_t end = stop;
  if (!line_ended() && peek() == ':') {
    ++at_;
    made = type();
    end = at_;
  } else if (word != "true" && word != "false" && word.find_first_not_of("-0123456789") != std::string_view::npos) {
    fail_at(start, "expected a value; a constant that is not an i64 is followed by its type: 0.5:f32");
  }
  at_ = start;
  const auto bits = static_cast<int64_t>(element(made.dtype));
  if (at_ != stop) fail_at(at_, fmt::format("expected the end of a {}", tenon::name(made.dtype)));
  at_ = end;
  return leaf(Code::constant, made, bits);
}

uint64_t ValueReader::element(DType dtype) {
  if (dtype == boolean) {
    if (accept_word("true")) return 1;
    if (!accept_word("false")) fail_at(at_, "expected true or false");
    return 0;
  }
  return with_type(dtype, [&]<typename T>(T) { return uint64_t{std::bit_cast<BitsOf<T>>(TextReader::element<T>(dtype))}; });
}

}  // namespace tenon::loop
