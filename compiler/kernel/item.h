#pragma once
// Between graph and kernels: the values that are stored, each with the whole expression that computes one element.
// `collect` makes items of an entry; `cluster` puts them into kernels; `schedule` orders kernels and finds out which
// updates can be made in place. Loads in an item name a leaf or an item by its node.
#include <map>
#include <set>

#include "compiler/kernel/kernel.h"

namespace tenon {

// Where the value of an item goes besides the kernels that read it.
struct Store {
  Storage storage;  // output or state
  int64_t slot;
};

struct Item {
  NodeId node;  // of a copy or a check: a number of its own, beyond the graph's nodes
  Type type;
  Shape reduced = {};  // variables: the axes of the type, then the reduced ones
  Reduction reduction = Reduction::none;
  Scalar value = {};
  Scalar scatter = {};
  bool contraction = false;              // value is a product, and the sum that of a contraction
  std::optional<IndexCheck> check = {};  // then nothing is computed; check->index is a node
  std::vector<Store> stores = {};
  std::vector<size_t> needs = {};  // items that it reads, and checks of the indices that it uses; ascending
  std::set<NodeId> made_of = {};   // nodes whose work it does

  // An elementwise value: the same loops as its axes, nothing summed or scattered.
  bool map() const { return reduction == Reduction::none && !scatter && !check; }
};

struct Items {
  std::vector<Item> list;            // an item needs earlier ones only
  std::map<NodeId, size_t> of_node;  // of stored nodes and copies
  std::vector<IndexCheck> door;      // check->index is a node
  NodeId next = 0;                   // the next free number

  const Item* of(NodeId node) const {
    auto it = of_node.find(node);
    return it == of_node.end() ? nullptr : &list[it->second];
  }
  size_t add(Item item);
};

// About how many instructions x is, an exponential being many; 0 for null.
int64_t size_of(const Scalar& x);
// Of the item's expressions, and the number of nodes whose work they do.
int64_t size(const Item& item);

// Every load of x, also inside indices.
void each_load(const Scalar& x, const std::function<void(const Scalar& load)>& visit);
// Whether the first `count` indices of the load are the variables 0, 1, ...; the number of its axes if count is -1.
bool reads_own_place(const Scalar& load, int64_t count = -1);

enum class Leaf : uint8_t { none, input, state, constant };
Leaf leaf(const Body& body, NodeId node);
const Literal* literal(const Node& node);  // null if the node is no constant

// Decides what is stored, and substitutes everything else into its readers.
Items collect(const Body& body, const Entry& entry);

// The kernel of each item: equal numbers share one. No two kernels need each other.
std::vector<size_t> cluster(const Items& items, const Sizes& sizes);
// How many leading axes are the row loops of a kernel with these items (none of them a contraction), if there is a
// number for which every value made in the kernel is read at its own row.
std::optional<int64_t> common_rows(const Items& items, const std::vector<size_t>& members, const Sizes& sizes);

struct Schedule {
  std::vector<std::vector<size_t>> kernels;  // in execution order; items in statement order
  std::map<int64_t, std::string> copied;     // by slot of the state: why its update is a copy
};
// Orders kernels so that every reader of a state comes before the kernel that updates it, and every check before
// any update. An update for which there is no such order is taken from its item and made by a copy of its own.
Schedule schedule(Items& items, const std::vector<size_t>& cluster, const Body& body);

// What became of the update of each parameter that a gradient trains, as "train.cpp:12: W: update fused with its
// gradient" or "...: update not fused: " and why.
std::vector<std::string> update_receipts(const Body& body, const Entry& entry, const Items& items, const Schedule& schedule);

// Which axes of a contraction's result are m and n, those of a list being neighbours; the others are rows. `value` of the item
// is a * b.
struct Roles {
  std::vector<int64_t> rows, m, n;
  Scalar a, b;
};
Roles roles(const Item& item, const Body& body);

}  // namespace tenon
