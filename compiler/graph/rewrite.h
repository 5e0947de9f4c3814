#pragma once
// The engine of all graph passes. A pass never changes a graph: it reads one list and builds the next, so
// that equal nodes are shared again and dead ones are dropped. Entries, states, sizes and marks are
// carried over.
#include <functional>
#include <span>

#include "ir/graph.h"

namespace tenon {

// Looks at a node of the new graph whose operands are rewritten already, and returns the value that takes its
// place, or the same value.
using Replace = std::function<Value(Value candidate)>;

// Copies values of one body into another (or within one), operands first, in the order in which they are
// asked for; so equal programs have equal lists, whatever the order in which they were written. What is bound
// is taken as it is: the copy does not look through it.
class Copy {
 public:
  Copy(const Body& from, Body& to, Replace replace = {});
  void bind(NodeId id, Value value);
  void copy(std::span<const NodeId> roots);       // and all their ancestors that are not copied yet
  Value operator[](NodeId id) const;              // of a copied or bound node
  int64_t replaced() const { return replaced_; }  // how many times `replace` returned another value
  bool exact() const { return exact_; }           // every copy was a new node, and nothing else was added

 private:
  void copy_node(NodeId id);

  const Body& from_;
  Body& to_;
  Replace replace_;
  std::vector<Value> values_;
  int64_t replaced_ = 0;
  bool exact_ = true;
};

// What a program is made of: outputs, updates, states with their initial values, marked nodes.
std::vector<NodeId> roots(const Body& body);

// Which nodes are among `from` or their ancestors.
std::vector<bool> ancestors(const Body& body, std::span<const NodeId> from);

// Adds a receipt, or puts it in the place of one of the same pass about the same line and subject, which is
// its text up to the colon.
void give_receipt(Body& body, Receipt receipt);

// The graph without dead nodes.
Graph sweep(const Graph& graph);

// The graph with every node replaced, over and over until nothing changes any more.
Graph rewrite(const Graph& graph, const Replace& replace);

}  // namespace tenon
