// Graph -> a Graphviz picture.
#include "ir/op.h"
#include "ir/text.h"

namespace tenon {
namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result;
}

std::string label(const Node& node, NodeId id) {
  std::string text = fmt::format("%{} {}", id, node.op->name);
  for (std::string_view key : {"name", "spec"})
    if (const Attribute* attribute = node.attributes.find(key))
      if (const auto* value = std::get_if<std::string>(attribute)) text += " " + *value;
  std::string lines;
  for (const Line& line : node.origin.lines) lines += " " + line.str();
  return escaped(text) + "\\n" + escaped(node.type.str()) + (lines.empty() ? "" : "\\n" + escaped(lines.substr(1)));
}

}  // namespace

std::string dot(const Body& body) {
  std::map<std::string, std::vector<NodeId>> scopes;
  for (NodeId id = 0; id < body.size(); ++id) scopes[body.node(id).origin.scope].push_back(id);

  std::string text = "digraph tenon {\n  rankdir=BT;\n  node [shape=box, style=filled, fillcolor=\"#e8eef7\"];\n";
  int cluster = 0;
  for (const auto& [scope, nodes] : scopes) {
    if (!scope.empty()) text += fmt::format("  subgraph cluster_{} {{\n  label=\"{}\";\n", cluster++, escaped(scope));
    for (NodeId id : nodes) {
      const Node& node = body.node(id);
      const char* colour = node.origin.backward ? ", fillcolor=\"#f7ddd0\"" : node.op->leaf ? ", fillcolor=\"#e3f2df\"" : "";
      text += fmt::format("  n{} [label=\"{}\"{}];\n", id, label(node, id), colour);
    }
    if (!scope.empty()) text += "  }\n";
  }
  for (NodeId id = 0; id < body.size(); ++id)
    for (NodeId operand : body.node(id).operands) text += fmt::format("  n{} -> n{};\n", operand, id);
  int output = 0;
  for (const Entry& entry : body.entries) {
    for (const auto& [name, id] : entry.outputs) {
      text += fmt::format("  o{} [label=\"{}: {}\", shape=ellipse];\n", output, escaped(entry.name), escaped(name));
      text += fmt::format("  n{} -> o{};\n", id, output++);
    }
    for (const auto& [state, value] : entry.updates)
      text += fmt::format("  n{} -> n{} [style=dashed, constraint=false, label=\"{}\"];\n", value, state, escaped(entry.name));
  }
  return text + "}\n";
}

std::string dot(const Graph& graph) { return dot(graph.body()); }

}  // namespace tenon
