// What became of each parameter's update. It is fused if the kernel that stores it also computes the gradient by a
// contraction: then the update is applied to the register tile, and the gradient is stored only if somebody else reads it.
#include <algorithm>

#include "compiler/kernel/item.h"
#include "ir/op.h"

namespace tenon {
namespace {

class Receipts {
 public:
  Receipts(const Body& body, const Items& items, const Schedule& schedule) : body_(body), items_(items), schedule_(schedule) {}

  std::string line(int64_t slot) const {
    const Node& parameter = body_.node(body_.states[static_cast<size_t>(slot)].node);
    std::string where = parameter.origin.lines.empty() ? "" : parameter.origin.lines.front().str() + ": ";
    std::string what = reason(slot);
    return where + parameter.attributes.get<std::string>("name") + ": update " +
           (what.empty() ? "fused with its gradient" : "not fused: " + what);
  }

 private:
  const Item& item(size_t i) const { return items_.list[i]; }

  std::string reason(int64_t slot) const {
    if (auto copy = schedule_.copied.find(slot); copy != schedule_.copied.end()) return copy->second;
    for (const std::vector<size_t>& kernel : schedule_.kernels)
      for (size_t i : kernel)
        for (const Store& store : item(i).stores) {
          if (store.storage != Storage::state || store.slot != slot) continue;
          auto contracts = [&](size_t member) { return item(member).contraction; };
          return std::any_of(kernel.begin(), kernel.end(), contracts) ? "" : why_apart(i);
        }
    check(false, "an update is stored");
    return {};
  }

  std::string why_apart(size_t writer) const {
    const std::vector<size_t> made = sums(writer);
    for (size_t sum : made)
      for (size_t gradient : made)
        if (sum != gradient && needed(sum, gradient)) {
          const Node& node = body_.node(item(sum).node);
          return fmt::format("{} ({}) needs all of its gradient first", node.op->name, node.origin.lines.back().str());
        }
    auto any = [&](auto what) { return std::any_of(made.begin(), made.end(), [&](size_t i) { return what(item(i)); }); };
    if (any([](const Item& i) { return bool(i.scatter); })) return "its gradient is scattered";
    if (!any([](const Item& i) { return i.contraction; })) return "no contraction computes its gradient";
    if (any([&](const Item& i) { return i.contraction && i.type.shape == item(writer).type.shape; }))
      return "another kernel reads its gradient first";
    return "the contraction that computes its gradient has other axes";
  }

  // What the item needs, by way of elementwise values only, that is none itself.
  std::vector<size_t> sums(size_t from) const {
    std::vector<size_t> found;
    walk(from, [&](size_t i) {
      if (i != from && !item(i).map() && !item(i).check) found.push_back(i);
      return i == from || item(i).map();
    });
    return found;
  }

  bool needed(size_t by, size_t what) const {
    bool found = false;
    walk(by, [&](size_t i) { return found = found || i == what, !found; });
    return found;
  }

  // The item and what it needs; beyond an item only if `visit` says so.
  void walk(size_t from, const std::function<bool(size_t)>& visit) const {
    std::set<size_t> seen;
    std::vector<size_t> open{from};
    while (!open.empty()) {
      size_t next = open.back();
      open.pop_back();
      if (!seen.insert(next).second || !visit(next)) continue;
      open.insert(open.end(), item(next).needs.begin(), item(next).needs.end());
    }
  }

  const Body& body_;
  const Items& items_;
  const Schedule& schedule_;
};

// Whether a gradient takes part in the value.
bool trained(const Body& body, NodeId value) {
  std::vector<bool> above(static_cast<size_t>(value) + 1);
  above.back() = true;
  for (NodeId id = value; id >= 0; --id) {
    if (!above[static_cast<size_t>(id)]) continue;
    if (body.node(id).origin.backward) return true;
    for (NodeId operand : body.node(id).operands) above[static_cast<size_t>(operand)] = true;
  }
  return false;
}

}  // namespace

std::vector<std::string> update_receipts(const Body& body, const Entry& entry, const Items& items, const Schedule& schedule) {
  const Receipts receipts(body, items, schedule);
  std::vector<std::string> lines;
  for (size_t slot = 0; slot < body.states.size(); ++slot)
    for (const auto& [state, value] : entry.updates)
      if (state == body.states[slot].node && state != value && body.states[slot].trainable && trained(body, value))
        lines.push_back(receipts.line(static_cast<int64_t>(slot)));
  return lines;
}

}  // namespace tenon
