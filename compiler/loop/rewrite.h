#pragma once
// Rebuilds a function node by node: how a pass over loops is written. Before: a function that verify() accepts. After: one that
// means the same if what replaces a node does; constant arithmetic is folded on the way, as the builder does.
#include <unordered_map>

#include "compiler/loop/build.h"

namespace tenon::loop {

class Rewriter {
 public:
  explicit Rewriter(const Function& f);
  virtual ~Rewriter() = default;
  Function run();

 protected:
  // What stands for the node, whose operands are those of the new function already; null: the node as it is. Not asked about
  // leaves, loops and branches.
  virtual Value replace(const Node& node, const Values& operands) = 0;
  // Around the code of a loop or of one way of a branch.
  virtual void enter() {}
  virtual void leave() {}

  Value copy(const Node& node, const Values& operands);
  Builder b;

 private:
  Value leaf(const Node& node);
  Value value(Id id);
  Values values(std::span<const Id> ids);
  void make(Id id);
  Values inside(int32_t block);

  const Function& f_;
  std::vector<Value> values_;               // by node of the old function
  std::unordered_map<Id, Values> results_;  // of loops and branches
};

}  // namespace tenon::loop
