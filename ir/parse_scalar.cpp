// Text -> scalars. What an expression is given is checked here: names, types, numbers of arguments.
#include "ir/infix.h"
#include "ir/scalar_text.h"

namespace tenon {
namespace {

constexpr int most_nested = 256;

std::optional<Scalar::Function> function_of(std::string_view name) {
  for (int f = 0; f < scalar_functions; ++f) {
    const auto made = static_cast<Scalar::Function>(f);
    if (function(made).name == name && function(made).kind != ScalarKind::leaf && made != Scalar::cast) return made;
  }
  return {};
}

}  // namespace

// A plain word of letters, digits and _ . /, or a string.
std::string ScalarReader::name(std::string_view what) {
  skip_blanks();
  if (peek() == '"') return string();
  const size_t start = at_;
  while (!line_ended() && (is_letter(peek()) || (at_ > start && (is_digit(peek()) || peek() == '.' || peek() == '/')))) ++at_;
  if (at_ == start) fail_at(start, fmt::format("expected {}", what));
  return std::string(text_.substr(start, at_ - start));
}

int64_t ScalarReader::variable() {
  skip_blanks();
  const size_t start = at_;
  const std::string_view word = identifier();
  if (!is_variable_name(word)) fail_at(start, "expected a loop variable: i j k l m o p q i8 ...");
  if (word.size() == 1) return static_cast<int64_t>(variable_letters.find(word[0]));
  at_ = start + 1;
  return TextReader::number<int64_t>("the number of a variable");
}

void ScalarReader::shared() {
  expect("$");
  const size_t start = at_;
  const auto number = TextReader::number<int64_t>("the number of a shared part");
  expect("=");
  Scalar value = expression();
  if (!shared_.emplace(number, std::move(value)).second) fail_at(start, fmt::format("${} is there twice", number));
}

Scalar ScalarReader::binary(int loosest) {
  Scalar left = unary();
  for (;;) {
    skip_blanks();
    const size_t start = at_;
    const Infix* found = nullptr;
    for (const Infix& row : infix)
      if (text_.substr(at_, row.symbol.size()) == row.symbol) {
        found = &row;
        break;
      }
    if (!found || found->precedence < loosest) return left;
    if (is_letter(found->symbol[0]) && !accept_word(found->symbol)) return left;
    at_ = start + found->symbol.size();
    Scalar right = binary(found->precedence + 1);
    left = make(found->function, {std::move(left), std::move(right)}, start);
  }
}

// Whether the sign here is that of a constant or of a factor of the size.
bool ScalarReader::negative_number() const {
  const std::string_view rest = text_.substr(at_ + 1);
  if (rest.empty() || is_digit(rest[0])) return !rest.empty();
  const char after = rest.size() > 3 ? rest[3] : '\n';
  return rest.starts_with("inf") && !is_letter(after) && !is_digit(after) && after != '.' && after != '/' && after != '[';
}

Scalar ScalarReader::unary() {
  if (++depth_ > most_nested) fail_at(at_, fmt::format("nested more than {} deep", most_nested));
  skip_blanks();
  const size_t start = at_;
  Scalar result;
  if (peek() == '-' && !negative_number()) {
    ++at_;
    result = make(Scalar::neg, {unary()}, start);
  } else if (accept_word("not")) {
    result = make(Scalar::logical_not, {unary()}, start);
  } else {
    result = primary();
  }
  --depth_;
  return result;
}

Scalar ScalarReader::primary() {
  const size_t start = at_;
  if (accept('$')) {
    const auto number = TextReader::number<int64_t>("the number of a shared part");
    auto known = shared_.find(number);
    if (known == shared_.end()) fail_at(start, fmt::format("${} is not defined before this", number));
    return known->second;
  }
  if (!accept('(')) return is_letter(peek()) || peek() == '"' ? word() : number();
  Scalar inside = expression();
  if (accept_word("if")) {
    if (inside->function != Scalar::load || inside->guarded) fail_at(start, "only a load can be guarded");
    Scalar guard = expression();
    if (!accept_word("else")) fail_at(at_, "expected 'else'");
    const size_t at = at_;
    Scalar otherwise = expression();
    if (guard->dtype != boolean) fail_at(start, fmt::format("a guard is bool, not {}", tenon::name(guard->dtype)));
    if (otherwise->dtype != inside->dtype)
      fail_at(at, fmt::format("the load is {}, and what stands for it {}", tenon::name(inside->dtype),
                              tenon::name(otherwise->dtype)));
    std::vector<Scalar> indices(inside->indices().begin(), inside->indices().end());
    inside = Scalar::read_if(guard, inside->integer, inside->dtype, std::move(indices), otherwise);
  }
  expect(")");
  return inside;
}

// 784, -4n, 0.5, 5:u8.
Scalar ScalarReader::number() {
  const size_t start = at_;
  size_t end = at_;
  if (end < text_.size() && text_[end] == '-') ++end;
  while (end < text_.size() && is_digit(text_[end])) ++end;
  const auto next = [&](size_t i) { return end + i < text_.size() ? text_[end + i] : '\n'; };
  const bool exponent = next(0) == 'e' && (is_digit(next(1)) || next(1) == '+' || next(1) == '-');
  const bool real = next(0) == '.' || exponent || text_.substr(start, 4) == "-inf" || is_letter(peek());
  const auto whole = real ? 0 : TextReader::number<int64_t>("a number");
  if (!real && is_letter(peek())) {
    const size_t at = at_;
    const std::string_view size = identifier();
    if (!sizes_.contains(size)) fail_at(at, fmt::format("there is no run-time size '{}'", size));
    return Scalar::extent(Extent(whole, size));
  }
  if (real && text_.substr(start, 4) == "nan(")
    at_ = std::min(text_.find(')', start), text_.size() - 1) + 1;
  else if (real)
    floating<double>();
  const size_t stop = at_;
  DType type = real ? f32 : i64;
  if (accept(':')) type = dtype();
  if (is_float(type) != real || type == boolean) fail_at(start, fmt::format("this is not a {}", tenon::name(type)));
  if (!real) {
    if (type == i64) return Scalar::integer(whole);
    if (!fits(whole, type)) fail_at(start, fmt::format("{} does not fit {}", whole, tenon::name(type)));
    return Scalar::number(type, static_cast<double>(whole));
  }
  // Again in its own type: by way of a double it would be rounded twice, and a NaN lose its bits.
  const size_t after = at_;
  at_ = start;
  return with_type(type, [&]<typename T>(T) {
    const auto value = static_cast<double>(element<T>(type));
    if (at_ != stop) fail_at(start, fmt::format("this is not an {}", tenon::name(type)));
    at_ = after;
    return Scalar::number(type, value);
  });
}

Scalar ScalarReader::word() {
  const size_t start = at_;
  const bool string = peek() == '"';
  const std::string text = name("an operand");
  if (peek() == '[') return load(text, start);
  if (!string && peek() == '(' && text != "nan") return call(text, start);
  if (!string && (text == "true" || text == "false")) return Scalar::boolean(text == "true");
  if (!string && (text == "inf" || text == "nan")) return at_ = start, number();
  if (!string && is_variable_name(text)) return at_ = start, Scalar::index(variable());
  if (!string && sizes_.contains(text)) return Scalar::extent(Extent(1, text));
  fail_at(start, fmt::format("'{}' is neither a variable nor a run-time size", text));
}

Scalar ScalarReader::load(std::string_view name, size_t at) {
  const auto from = source(name);
  if (!from) fail_at(at, fmt::format("there is no buffer '{}'", name));
  std::vector<Scalar> indices;
  expect("[");
  if (!accept(']')) {
    do {
      skip_blanks();
      const size_t start = at_;
      indices.push_back(expression());
      if (indices.back()->dtype != i64)
        fail_at(start, fmt::format("an index is i64, not {}", tenon::name(indices.back()->dtype)));
    } while (accept(','));
    expect("]");
  }
  if (indices.size() != from->rank)
    fail_at(at, fmt::format("'{}' has {} axes, here are {} indices", name, from->rank, indices.size()));
  return Scalar::read(from->number, from->dtype, std::move(indices));
}

Scalar ScalarReader::call(std::string_view name, size_t at) {
  expect("(");
  if (name == "size") {
    const auto factor = TextReader::number<int64_t>("the factor of a size");
    skip_blanks();
    const size_t start = at_;
    const std::string size = string();
    if (!sizes_.contains(size)) fail_at(start, fmt::format("there is no run-time size '{}'", size));
    expect(")");
    return Scalar::extent(Extent(factor, size));
  }
  std::vector<Scalar> arguments;
  do arguments.push_back(expression());
  while (accept(','));
  expect(")");
  DType type;
  if (parse_dtype(name, type)) {
    if (arguments.size() != 1) fail_at(at, fmt::format("a cast takes one argument, here are {}", arguments.size()));
    const DType from = arguments[0]->dtype;
    if (from == type) fail_at(at, fmt::format("this is {} already", name));
    if (by_way_of_f32(from, type)) fail_at(at, fmt::format("{} is cast to {} by way of f32", tenon::name(from), name));
    return Scalar::to(type, arguments[0]);
  }
  const auto function = function_of(name);
  if (!function) fail_at(at, fmt::format("there is no function '{}'", name));
  return make(*function, std::move(arguments), at);
}

Scalar ScalarReader::make(Scalar::Function f, std::vector<Scalar> arguments, size_t at) {
  const std::string_view name = function(f).name;
  const auto arity = static_cast<size_t>(function(f).arity);
  if (arguments.size() != arity) fail_at(at, fmt::format("{} takes {} arguments, here are {}", name, arity, arguments.size()));
  const size_t first = f == Scalar::select ? 1 : 0;
  if (f == Scalar::select && arguments[0]->dtype != boolean)
    fail_at(at, fmt::format("{} chooses by a bool, not {}", name, tenon::name(arguments[0]->dtype)));
  const DType type = arguments[first]->dtype;
  for (size_t i = first; i < arguments.size(); ++i)
    if (arguments[i]->dtype != type)
      fail_at(at, fmt::format("{}: its arguments are {} and {}", name, tenon::name(type), tenon::name(arguments[i]->dtype)));
  const bool logical = f == Scalar::logical_and || f == Scalar::logical_or || f == Scalar::logical_not;
  if ((function(f).kind == ScalarKind::real && !is_float(type)) || (logical && type != boolean) ||
      (f != Scalar::select && is_storage(type)) || (f == Scalar::philox && type != i64))
    fail_at(at, fmt::format("{} is not a function of {}", name, tenon::name(type)));
  return Scalar::call(f, std::move(arguments));
}

}  // namespace tenon
