// The checks of verify(). An operation's own rules are asked on a scratch graph that holds just its
// operands.
#include "ir/verify.h"

#include <set>
#include <unordered_set>

#include "ir/op.h"
#include "ir/ops.h"

namespace tenon {
namespace {

// Asks the questions of one application; throws Error or InternalError where an answer does not fit.
void ask(const Body& body, const Node& node, bool gradients) {
  const Op& op = *node.op;
  Application application{.op = op, .operands = {}, .attributes = node.attributes, .line = {}};
  for (NodeId operand : node.operands) application.operands.push_back(body.node(operand).type);
  Type type = type_of(application);
  if (type != node.type) application.fail("its type is {}, not {}", type.str(), node.type.str());
  check_type(body, op.name, type, {});
  application.result = type;
  if (op.compute && !op.expand) op.compute(application);
  bool pull = gradients && op.gradient && is_float(type.dtype) && !op.leaf;
  if (!op.expand && !pull) return;
  Graph scratch;
  scratch.body().sizes = body.sizes;
  std::vector<Value> x;
  for (size_t i = 0; i < application.operands.size(); ++i)
    x.push_back(input(scratch.body(), std::to_string(i), application.operands[i], {}));
  if (op.expand) {
    const Value expanded = op.expand(x, node.attributes);
    if (expanded ? expanded.type() != type : !op.compute) application.fail("its expansion is not {}", type.str());
    if (!expanded) op.compute(application);
  }
  if (pull) {
    Value y = append(scratch.body(), op, x, node.attributes, {});
    Value dy = input(scratch.body(), "dy", gradient_type(type), {});
    try {
      op.gradient({.y = y, .dy = dy, .x = x, .attributes = node.attributes});
    } catch (const Error&) {  // a rule may refuse; that is said where a gradient is asked for
    }
  }
}

// What ask() asks about: nodes alike in this have one answer.
struct Question {
  const Body* body;
  const Node* node;

  const Type& operand(size_t i) const { return body->node(node->operands[i]).type; }
  bool operator==(const Question& other) const {
    if (node->op != other.node->op || node->operands.size() != other.node->operands.size()) return false;
    for (size_t i = 0; i < node->operands.size(); ++i)
      if (operand(i) != other.operand(i)) return false;
    return node->type == other.node->type && node->attributes == other.node->attributes;
  }
};
struct QuestionHash {
  size_t operator()(const Question& q) const {
    size_t hash = std::hash<const Op*>()(q.node->op);
    auto mix = [&](uint64_t x) { hash = (hash ^ x) * 0x100000001b3u; };
    for (size_t i = 0; i < q.node->operands.size(); ++i) {
      mix(static_cast<uint64_t>(q.operand(i).dtype));
      for (Extent extent : q.operand(i).shape) mix(static_cast<uint64_t>(extent.count));
    }
    for (Extent extent : q.node->type.shape) mix(static_cast<uint64_t>(extent.count));
    mix(q.node->attributes.hash());
    return hash;
  }
};
using Questions = std::unordered_set<Question, QuestionHash>;

std::optional<std::string> node_flaw(const Body& body, NodeId id, bool gradients, Questions& asked) {
  const Node& node = body.node(id);
  for (NodeId operand : node.operands)
    if (operand < 0 || operand >= id) return fmt::format("operand %{} is not an earlier node", operand);
  if (node.op->operands >= 0 ? static_cast<size_t>(node.op->operands) != node.operands.size() : node.operands.empty())
    return fmt::format("takes {} operands, has {}", node.op->operands >= 0 ? std::to_string(node.op->operands) : "one or more",
                       node.operands.size());
  if (!node.op->leaf && !asked.insert({&body, &node}).second) return std::nullopt;
  try {
    ask(body, node, gradients);
  } catch (const Error& error) {
    return error.what();
  } catch (const InternalError& error) {
    return fmt::format("an attribute is missing, of the wrong kind or out of range ({})", error.what());
  }
  return std::nullopt;
}

std::optional<Flaw> state_flaw(const Body& body) {
  std::set<std::string> inputs, states;
  std::set<NodeId> known;
  for (const State& state : body.states) {
    if (state.node < 0 || state.node >= body.size() || state.initial < 0 || state.initial >= body.size())
      return Flaw{-1, fmt::format("state %{} = %{} refers to no node", state.node, state.initial)};
    const Node& node = body.node(state.node);
    if (node.op != &parameter_op && node.op != &state_op) return Flaw{state.node, "is no parameter or state"};
    if (!known.insert(state.node).second) return Flaw{state.node, "is declared as a state twice"};
    if (node.type != body.node(state.initial).type)
      return Flaw{state.node,
                  fmt::format("is {}, its initial value is {}", node.type.str(), body.node(state.initial).type.str())};
  }
  for (NodeId id = 0; id < body.size(); ++id) {
    const Node& node = body.node(id);
    bool is_state = node.op == &parameter_op || node.op == &state_op;
    if (!is_state && node.op != &input_op) continue;
    const std::string& name = node.attributes.get<std::string>("name");
    if (name.empty()) return Flaw{id, "has no name"};
    if (!(is_state ? states : inputs).insert(name).second)
      return Flaw{id, fmt::format("another {} is called '{}'", is_state ? "state" : "input", name)};
    if (is_state && !known.contains(id)) return Flaw{id, fmt::format("'{}' has no initial value", name)};
  }
  return std::nullopt;
}

std::optional<Flaw> entry_flaw(const Body& body) {
  auto node = [&](NodeId id) { return id >= 0 && id < body.size(); };
  std::unordered_set<NodeId> states;
  for (const State& state : body.states) states.insert(state.node);
  std::set<std::string> names;
  for (const Entry& entry : body.entries) {
    auto flaw = [&](const std::string& text) { return Flaw{-1, fmt::format("entry '{}': {}", entry.name, text)}; };
    if (entry.name.empty() || !names.insert(entry.name).second) return flaw("the name is empty or used twice");
    std::set<std::string> outputs;
    for (const auto& [name, id] : entry.outputs) {
      if (!node(id)) return flaw(fmt::format("output '{}' is no node", name));
      if (name.empty() || !outputs.insert(name).second) return flaw(fmt::format("output '{}' is there twice", name));
    }
    std::set<NodeId> updated;
    for (const auto& [state, value] : entry.updates) {
      if (!node(state) || !states.contains(state)) return flaw(fmt::format("%{} is no parameter or state", state));
      if (!node(value)) return flaw(fmt::format("the new value of %{} is no node", state));
      if (body.node(state).type != body.node(value).type)
        return flaw(
            fmt::format("%{} is {}, its new value is {}", state, body.node(state).type.str(), body.node(value).type.str()));
      if (!updated.insert(state).second) return flaw(fmt::format("%{} is updated twice", state));
    }
  }
  for (NodeId id : body.require_fused)
    if (!node(id)) return Flaw{-1, fmt::format("require_fused %{}: no such node", id)};
  for (NodeId id : body.allow_unreached)
    if (!node(id) || !states.contains(id)) return Flaw{-1, fmt::format("allow_unreached %{}: no parameter or state", id)};
  for (const auto& [id, support] : body.supports)
    if (!node(id) || body.node(id).op != &input_op) return Flaw{-1, fmt::format("support %{}: no input", id)};
  return std::nullopt;
}

}  // namespace

std::optional<Flaw> find_flaw(const Body& body, bool gradients) {
  Questions asked;
  for (NodeId id = 0; id < body.size(); ++id)
    if (auto text = node_flaw(body, id, gradients, asked)) return Flaw{id, *text};
  if (auto flaw = state_flaw(body)) return flaw;
  return entry_flaw(body);
}

void verify(const Body& body) {
  auto flaw = find_flaw(body);
  if (!flaw) return;
  std::string where = flaw->node < 0 ? "" : fmt::format(" %{} {}:", flaw->node, body.node(flaw->node).op->name);
  throw InternalError(fmt::format("verify:{} {}", where, flaw->text));
}

}  // namespace tenon
