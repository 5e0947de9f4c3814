// Scalars -> text.
#include <algorithm>

#include "ir/infix.h"
#include "ir/scalar_text.h"

namespace tenon {
namespace {

constexpr int largest_repeated = 8;  // nodes of a part that is printed again rather than named
constexpr int deepest = 64;          // nodes one inside another, before a part has a name

bool plain_word(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '/'; };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), inner);
}

std::string constant(const ScalarNode& x) {
  if (x.dtype == boolean) return x.integer ? "true" : "false";
  const std::string text = with_type(x.dtype, [&]<typename T>(T) {
    if constexpr (std::is_integral_v<T>)
      return std::to_string(x.integer);
    else
      return exact(static_cast<T>(x.number));
  });
  return x.dtype == f32 || x.dtype == i64 ? text : fmt::format("{}:{}", text, name(x.dtype));
}

std::string size(const ScalarNode& x) {
  const std::string_view name = x.size;
  const bool plain = plain_word(name) && !is_variable_name(name) && !is_reserved(name) && name[0] != 'e' && name[0] != 'E' &&
                     name.find_first_of("./") == name.npos;
  if (!plain) return fmt::format("size({} {})", x.integer, quoted(name));
  return x.integer == 1 ? std::string(name) : fmt::format("{}{}", x.integer, name);
}

}  // namespace

std::string plain_or_quoted(std::string_view name) {
  return plain_word(name) && !is_reserved(name) ? std::string(name) : quoted(name);
}

std::string variable_name(int64_t variable) {
  if (variable < static_cast<int64_t>(variable_letters.size()))
    return std::string(1, variable_letters[static_cast<size_t>(variable)]);
  return fmt::format("i{}", variable);
}

std::vector<std::string> ScalarPrinter::share(std::span<const Scalar> expressions) {
  names_.clear();
  struct Seen {
    Scalar node;
    int uses = 0, nodes = 1, depth = 0;
  };
  std::vector<Seen> order;
  std::unordered_map<const ScalarNode*, size_t> known;
  for (const Scalar& x : expressions) {
    visit(x, [&](const Scalar& node) {
      if (!known.emplace(&*node, order.size()).second) return;
      order.push_back({node});
      for (const Scalar& argument : node->arguments) ++order[known.at(&*argument)].uses;
    });
    ++order[known.at(&*x)].uses;
  }
  std::vector<std::string> definitions;
  for (Seen& seen : order) {
    for (const Scalar& argument : seen.node->arguments) {
      const Seen& part = order[known.at(&*argument)];
      if (names_.contains(&*argument)) continue;
      seen.nodes += part.nodes;
      seen.depth = std::max(seen.depth, part.depth + 1);
    }
    const bool repeated = seen.uses > 1 && seen.nodes > largest_repeated;
    if (seen.node->arguments.empty() || (!repeated && seen.depth < deepest)) continue;
    definitions.push_back(fmt::format("${} = {}", definitions.size() + 1, node(seen.node, 0)));
    names_.emplace(&*seen.node, definitions.size());
  }
  return definitions;
}

std::string ScalarPrinter::print(const Scalar& x, int outer) const {
  if (auto it = names_.find(&*x); it != names_.end()) return fmt::format("${}", it->second);
  return node(x, outer);
}

std::string ScalarPrinter::list(std::span<const Scalar> arguments) const {
  std::string text;
  for (const Scalar& argument : arguments) text += (text.empty() ? "" : ",") + print(argument, 0);
  return text;
}

std::string ScalarPrinter::node(const Scalar& x, int outer) const {
  switch (x->function) {
    case Scalar::constant: return constant(*x);
    case Scalar::variable: return variable_name(x->integer);
    case Scalar::size: return size(*x);
    case Scalar::load: {
      std::string read = source_(x->integer) + "[" + list(x->indices()) + "]";
      if (!x->guarded) return read;
      return fmt::format("({} if {} else {})", read, print(x->guard(), 0), print(x->otherwise(), 0));
    }
    case Scalar::cast: return fmt::format("{}({})", name(x->dtype), list(x->arguments));
    case Scalar::neg: {
      // "-1" is a constant, and "-4n" the size times -4.
      const Scalar::Function inner = x->arguments[0]->function;
      if (inner != Scalar::constant && inner != Scalar::size) return "-" + print(x->arguments[0], tightest);
      break;
    }
    case Scalar::logical_not: return "not " + print(x->arguments[0], tightest);
    default: break;
  }
  for (const Infix& row : infix)
    if (row.function == x->function) {
      std::string text = fmt::format("{} {} {}", print(x->arguments[0], row.precedence), row.symbol,
                                     print(x->arguments[1], row.precedence + 1));
      return outer > row.precedence ? "(" + text + ")" : text;
    }
  return fmt::format("{}({})", function(x->function).name, list(x->arguments));
}

}  // namespace tenon
