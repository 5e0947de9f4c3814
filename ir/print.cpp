// Graph -> text, and when two graphs are the same program. Knows attributes by kind and no operation by name.
// After: every float, string and constant stands in the text (or the literal table) so that it reads back
// exactly.
#include <algorithm>
#include <bit>
#include <cmath>

#include "ir/op.h"
#include "ir/text.h"

namespace tenon {
namespace {

constexpr int64_t largest_inline = 64;

template <typename T>
std::string shortest(T x) {
  if (std::isnan(as_number(x))) {
    const auto bits = std::bit_cast<BitsOf<T>>(x);
    if (bits == std::bit_cast<BitsOf<T>>(static_cast<T>(std::numeric_limits<float>::quiet_NaN()))) return "nan";
    return fmt::format("nan(0x{:x})", bits);
  }
  std::string text = fmt::format("{}", as_number(x));
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string text_of(const Attribute& attribute, const Printing& printing) {
  struct {
    const Printing& printing;
    std::string operator()(int64_t x) const { return std::to_string(x); }
    std::string operator()(double x) const { return exact(x); }
    std::string operator()(bool x) const { return x ? "true" : "false"; }
    std::string operator()(const std::string& x) const { return quoted(x); }
    std::string operator()(DType x) const { return std::string(name(x)); }
    std::string operator()(const Shape& x) const { return str(x); }
    std::string operator()(const Literal& x) const { return text_of(x, printing.literals); }
  } writer{printing};
  return std::visit(writer, attribute);
}

// "   # backward of dense1/relu mnist.cpp:12", on one line whatever the names hold.
std::string comment(const Origin& origin) {
  std::string text = origin.backward ? " backward of" : "";
  if (!origin.scope.empty()) text += " " + origin.scope;
  for (const Line& line : origin.lines) text += " " + line.str();
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  return text.empty() ? text : "   #" + text;
}

std::string text_of(const Node& node, NodeId id, const Printing& printing) {
  std::string text = fmt::format("%{} = {}(", id, node.op->name);
  for (size_t i = 0; i < node.operands.size(); ++i) text += fmt::format("{}%{}", i ? ", " : "", node.operands[i]);
  text += ')';
  for (const auto& [name, attribute] : node.attributes.entries)
    text += fmt::format(" {}={}", name, text_of(attribute, printing));
  text += " : " + node.type.str();
  return printing.origins ? text + comment(node.origin) : text;
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      result += c;
  }
  return result + '"';
}

std::string exact(double x) { return shortest(x); }
std::string exact(float x) { return shortest(x); }
std::string exact(half x) { return shortest(x); }
std::string exact(bfloat x) { return shortest(x); }

std::string text_of(const Literal& literal, LiteralTable* beside) {
  std::string text = literal.type.str();
  int64_t count = literal.type.elements().count;
  if (count > largest_inline && beside) {
    beside->emplace(literal.hash(), literal);
    return text + fmt::format("@{:016x}", literal.hash());
  }
  text += '{';
  for (int64_t i = 0; i < count; ++i) {
    if (i) text += ", ";
    text += with_type(literal.type.dtype, [&]<typename T>(T) {
      if constexpr (std::is_integral_v<T>)
        return std::to_string(element<T>(*literal.bytes, i));
      else
        return exact(element<T>(*literal.bytes, i));
    });
  }
  return text + '}';
}

std::string print(const Body& body, Printing printing) {
  std::string text = "tenon 1\n";
  for (const auto& [name, maximum] : body.sizes) text += fmt::format("size {} <= {}\n", name, maximum);
  for (NodeId id = 0; id < body.size(); ++id) text += text_of(body.node(id), id, printing) + '\n';
  for (const State& state : body.states)
    text += fmt::format("state %{} = %{}{}\n", state.node, state.initial, state.trainable ? " trainable" : "");
  for (const Entry& entry : body.entries) {
    text += fmt::format("entry {}\n", quoted(entry.name));
    for (const auto& [name, node] : entry.outputs) text += fmt::format("  output {} = %{}\n", quoted(name), node);
    for (const auto& [state, value] : entry.updates) text += fmt::format("  update %{} = %{}\n", state, value);
  }
  for (NodeId id : body.require_fused) text += fmt::format("require_fused %{}\n", id);
  for (NodeId id : body.allow_unreached) text += fmt::format("allow_unreached %{}\n", id);
  for (const auto& [id, support] : body.supports) text += fmt::format("support %{} = {}\n", id, name(support));
  return text;
}

std::string print(const Graph& graph, Printing printing) { return print(graph.body(), printing); }

bool equal(const Body& a, const Body& b) {
  auto same_node = [](const Node& x, const Node& y) {
    return x.op == y.op && x.operands == y.operands && x.type == y.type && x.attributes == y.attributes;
  };
  auto same_state = [](const State& x, const State& y) {
    return x.node == y.node && x.initial == y.initial && x.trainable == y.trainable;
  };
  auto same_entry = [](const Entry& x, const Entry& y) {
    return x.name == y.name && x.outputs == y.outputs && x.updates == y.updates;
  };
  return a.sizes == b.sizes && a.require_fused == b.require_fused && a.allow_unreached == b.allow_unreached &&
         a.supports == b.supports && std::equal(a.nodes.begin(), a.nodes.end(), b.nodes.begin(), b.nodes.end(), same_node) &&
         std::equal(a.states.begin(), a.states.end(), b.states.begin(), b.states.end(), same_state) &&
         std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(), same_entry);
}

bool operator==(const Graph& a, const Graph& b) { return equal(a.body(), b.body()); }

}  // namespace tenon
