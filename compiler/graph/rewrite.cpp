#include "compiler/graph/rewrite.h"

#include "ir/op.h"

namespace tenon {

Copy::Copy(const Body& from, Body& to, Replace replace)
    : from_(from), to_(to), replace_(std::move(replace)), values_(from.nodes.size()) {}

void Copy::bind(NodeId id, Value value) { values_[static_cast<size_t>(id)] = value; }

Value Copy::operator[](NodeId id) const {
  Value value = values_[static_cast<size_t>(id)];
  check(static_cast<bool>(value), "a value that is wanted was copied");
  return value;
}

void Copy::copy(std::span<const NodeId> wanted) {
  enum : uint8_t { unseen, entered, left };
  std::vector<uint8_t> states(values_.size(), unseen);
  std::vector<NodeId> stack(wanted.rbegin(), wanted.rend());
  while (!stack.empty()) {
    NodeId id = stack.back();
    uint8_t& state = states[static_cast<size_t>(id)];
    if (state == unseen && !values_[static_cast<size_t>(id)]) {
      state = entered;
      const auto& operands = from_.node(id).operands;
      stack.insert(stack.end(), operands.rbegin(), operands.rend());
      continue;
    }
    stack.pop_back();
    if (state == entered) copy_node(id);
    state = left;
  }
}

void Copy::copy_node(NodeId id) {
  const Node& node = from_.node(id);
  std::vector<Value> operands;
  for (NodeId operand : node.operands) operands.push_back((*this)[operand]);
  Scope scope(to_, Origin(node.origin));
  const int64_t size = to_.size();
  Value value = append(to_, *node.op, std::move(operands), node.attributes);
  if (replace_ && !node.op->leaf) {
    Value replacement = replace_(value);
    check(replacement.type() == value.type(), "a rewritten value keeps its type");
    replaced_ += replacement != value;
    value = replacement;
  }
  exact_ = exact_ && value.id() == size && to_.size() == size + 1;
  values_[static_cast<size_t>(id)] = value;
}

std::vector<NodeId> roots(const Body& body) {
  std::vector<NodeId> ids;
  for (const State& state : body.states) ids.insert(ids.end(), {state.node, state.initial});
  for (const Entry& entry : body.entries) {
    for (const auto& [name, id] : entry.outputs) ids.push_back(id);
    for (const auto& [state, id] : entry.updates) ids.insert(ids.end(), {state, id});
  }
  ids.insert(ids.end(), body.require_fused.begin(), body.require_fused.end());
  ids.insert(ids.end(), body.allow_unreached.begin(), body.allow_unreached.end());
  for (const auto& [input, support] : body.supports) ids.push_back(input);
  return ids;
}

std::vector<bool> ancestors(const Body& body, std::span<const NodeId> from) {
  std::vector<bool> found(body.nodes.size());
  for (NodeId id : from) found[static_cast<size_t>(id)] = true;
  for (size_t i = found.size(); i-- > 0;)
    if (found[i])
      for (NodeId operand : body.nodes[i].operands) found[static_cast<size_t>(operand)] = true;
  return found;
}

void give_receipt(Body& body, Receipt receipt) {
  auto subject = [](const Receipt& r) { return std::string_view(r.text).substr(0, r.text.find(':')); };
  for (Receipt& known : body.receipts)
    if (known.pass == receipt.pass && known.line == receipt.line && known.done == receipt.done &&
        subject(known) == subject(receipt)) {
      known = std::move(receipt);
      return;
    }
  body.receipts.push_back(std::move(receipt));
}

namespace {

struct Round {
  Graph graph;
  int64_t replaced;  // values
  bool swept;        // no node is dead, and all are in the order in which `roots` needs them
};

Round rewrite_once(const Graph& graph, const Replace& replace) {
  const Body& from = graph.body();
  Graph result;
  Body& to = result.body();
  to.sizes = from.sizes;
  to.scope_counts = from.scope_counts;
  to.receipts = from.receipts;
  Copy copy(from, to, replace);
  copy.copy(roots(from));
  auto at = [&](NodeId id) { return copy[id].id(); };
  for (const State& state : from.states) to.states.push_back({at(state.node), at(state.initial), state.trainable});
  for (const Entry& entry : from.entries) {
    Entry& copied = to.entries.emplace_back(Entry{entry.name, {}, {}});
    for (const auto& [name, id] : entry.outputs) copied.outputs.emplace_back(name, at(id));
    for (const auto& [state, id] : entry.updates) copied.updates.emplace_back(at(state), at(id));
  }
  for (NodeId id : from.require_fused) to.require_fused.push_back(at(id));
  for (NodeId id : from.allow_unreached) to.allow_unreached.push_back(at(id));
  for (const auto& [input, support] : from.supports) to.supports.emplace_back(at(input), support);
  return {std::move(result), copy.replaced(), copy.exact()};
}

}  // namespace

Graph sweep(const Graph& graph) { return rewrite_once(graph, {}).graph; }

Graph rewrite(const Graph& graph, const Replace& replace) {
  Round round = rewrite_once(graph, replace);
  for (int rounds = 0; round.replaced > 0; ++rounds) {
    // A view moves past at most one other view in a round.
    check(rounds < 100 + graph.body().size(), "the rules of a pass come to an end");
    round = rewrite_once(round.graph, replace);
  }
  return round.swept ? std::move(round.graph) : sweep(round.graph);
}

}  // namespace tenon
