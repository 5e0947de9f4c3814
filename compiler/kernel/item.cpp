#include "compiler/kernel/item.h"

#include "compiler/kernel/cost.h"
#include "ir/op.h"

namespace tenon {

int64_t size_of(const Scalar& x) {
  int64_t sum = 0;
  if (x) visit(x, [&](const Scalar& node) { sum += is_expensive(node->function) ? function(node->function).cost : 1; });
  return sum;
}

int64_t size(const Item& item) { return size_of(item.value) + size_of(item.scatter) + std::ssize(item.made_of); }

size_t Items::add(Item item) {
  size_t position = list.size();
  for (size_t need : item.needs) check(need < position, "an item needs earlier ones only");
  if (!item.check) of_node[item.node] = position;
  list.push_back(std::move(item));
  return position;
}

void each_load(const Scalar& x, const std::function<void(const Scalar&)>& found) {
  visit(x, [&](const Scalar& node) {
    if (node->function == Scalar::load) found(node);
  });
}

bool reads_own_place(const Scalar& load, int64_t count) {
  std::span<const Scalar> indices = load->indices();
  if (count < 0) count = static_cast<int64_t>(indices.size());
  if (static_cast<int64_t>(indices.size()) < count) return false;
  for (int64_t i = 0; i < count; ++i) {
    const Scalar& index = indices[static_cast<size_t>(i)];
    if (index->function != Scalar::variable || index->integer != i) return false;
  }
  return true;
}

const Literal* literal(const Node& node) {
  if (!node.op->leaf) return nullptr;
  for (const auto& [name, attribute] : node.attributes.entries)
    if (const Literal* found = std::get_if<Literal>(&attribute)) return found;
  return nullptr;
}

Leaf leaf(const Body& body, NodeId id) {
  const Node& node = body.node(id);
  if (!node.op->leaf) return Leaf::none;
  if (body.state(id)) return Leaf::state;
  return literal(node) ? Leaf::constant : Leaf::input;
}

}  // namespace tenon
