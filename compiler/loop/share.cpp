#include "compiler/loop/share.h"

#include "compiler/loop/rewrite.h"

namespace tenon::loop {
namespace {

bool depends_on_memory(Code code) {
  switch (code) {
    case Code::load:
    case Code::gather:
    case Code::store:
    case Code::scatter:
    case Code::prefetch: return true;
    default: return false;
  }
}

class Sharing : public Rewriter {
 public:
  using Rewriter::Rewriter;

 private:
  void enter() override { known_.emplace_back(); }
  void leave() override { known_.pop_back(); }

  Value replace(const Node& node, const Values& operands) override {
    if (depends_on_memory(node.code)) return {};
    Node same = node;
    size_t hash = static_cast<size_t>(node.code) + 64 * static_cast<size_t>(node.integer);
    for (size_t i = 0; i < operands.size(); ++i) {
      same.operands[i] = operands[i].id;
      hash = 31 * hash + static_cast<size_t>(operands[i].id);
    }
    for (const auto& block : known_) {
      const auto [begin, end] = block.equal_range(hash);
      for (auto it = begin; it != end; ++it)
        if (b.function().nodes[static_cast<size_t>(it->second.id)] == same) return it->second;
    }
    const Value made = copy(node, operands);
    known_.back().emplace(hash, made);
    return made;
  }

  std::vector<std::unordered_multimap<size_t, Value>> known_ = std::vector<std::unordered_multimap<size_t, Value>>(1);
};

}  // namespace

Function share(const Function& f) { return Sharing(f).run(); }

}  // namespace tenon::loop
