// Which items share a kernel. Starts with a kernel for each item, then lets every item join the kernels of the values it
// reads, where the loops agree and no cycle between kernels arises. An epilogue of a contraction, a row of a softmax and
// an optimiser's chain of updates all come from this one rule.
#include <algorithm>

#include "compiler/kernel/item.h"

namespace tenon {
namespace {

// What LLVM compiles in a time that still grows with the length of the code. The largest of any model so far is 564.
constexpr int64_t largest_kernel = 1024;
constexpr int64_t short_sum = 16;  // reductions below this length leave the vector lanes to an axis of the result

// The number of row loops an item likes: all axes but the one that fills the vector lanes.
int64_t natural_rows(const Item& item, const Sizes& maxima) {
  int64_t rank = item.type.rank();
  if (rank == 0) return 0;
  if (item.reduction == Reduction::none) return rank - 1;
  bool unit_stride = false;  // of the reduced loops, in some operand
  each_load(item.value, [&](const Scalar& load) {
    if (load->indices().empty()) return;
    visit(load->indices().back(),
          [&](const Scalar& x) { unit_stride = unit_stride || (x->function == Scalar::variable && x->integer >= rank); });
  });
  return unit_stride && (rank == 1 || elements(item.reduced).at(maxima) >= short_sum) ? rank : rank - 1;
}

bool reads_members_at(const Items& items, const std::vector<size_t>& members, int64_t axes) {
  for (size_t member : members) {
    const Item& item = items.list[member];
    bool own = true;
    each_load(item.value, [&](const Scalar& load) {
      auto it = items.of_node.find(static_cast<NodeId>(load->integer));
      if (it == items.of_node.end()) return;
      if (!std::binary_search(members.begin(), members.end(), it->second)) return;
      own = own && reads_own_place(load, axes);
    });
    if (!own) return false;
  }
  return true;
}

class Clusters {
 public:
  Clusters(const Items& items, const Sizes& maxima) : items_(items), maxima_(maxima) {
    for (size_t i = 0; i < items.list.size(); ++i) {
      cluster_.push_back(i);
      members_.push_back({i});
      sizes_.push_back(size(items.list[i]));
    }
  }

  std::vector<size_t> run() {
    merge_scalars();
    for (size_t i = 0; i < items_.list.size(); ++i) {
      std::vector<size_t> sources = items_.list[i].needs;
      // Contractions first: what rides on one is not stored at all; then the values made last.
      std::stable_sort(sources.begin(), sources.end(), [&](size_t a, size_t b) {
        bool left = has_contraction(cluster_[a]), right = has_contraction(cluster_[b]);
        return left != right ? left : a > b;
      });
      for (size_t source : sources) try_merge(cluster_[source], cluster_[i]);
    }
    merge_siblings();
    return cluster_;
  }

 private:
  // Scalars of leaves alone (bias corrections, rates) are computed together, before everything else.
  void merge_scalars() {
    std::optional<size_t> first;
    for (size_t i = 0; i < items_.list.size(); ++i) {
      const Item& item = items_.list[i];
      if (!item.map() || !item.type.scalar() || !item.stores.empty()) continue;
      if (!std::all_of(item.needs.begin(), item.needs.end(), [&](size_t need) { return first && cluster_[need] == *first; }))
        continue;
      if (first && size_of_all(members_[*first]) + sizes_[i] <= largest_kernel)
        merge(*first, i);
      else
        first = i;
    }
  }

  // Row kernels with the same rows that read one value read it together: softmax and argmax of the same logits.
  void merge_siblings() {
    std::vector<std::vector<size_t>> readers(items_.list.size());
    for (size_t i = 0; i < items_.list.size(); ++i)
      for (size_t need : items_.list[i].needs)
        if (!items_.list[need].check) readers[need].push_back(i);
    std::vector<std::optional<int64_t>> rows;
    for (size_t a = 0; a < members_.size(); ++a) rows.push_back(sibling_rows(a));
    for (size_t a = 0; a < members_.size(); ++a) {
      if (!rows[a]) continue;
      std::set<size_t> siblings = siblings_after(a, readers);
      while (!siblings.empty()) {
        const size_t b = siblings.extract(siblings.begin()).value();
        if (rows[a] != rows[b] || size_of_all(members_[a]) + size_of_all(members_[b]) > largest_kernel) continue;
        std::vector<size_t> both;
        std::merge(members_[a].begin(), members_[a].end(), members_[b].begin(), members_[b].end(), std::back_inserter(both));
        if (common_rows(items_, both, maxima_) != rows[a] || !try_merge(a, b)) continue;
        siblings = siblings_after(a, readers);
        siblings.erase(siblings.begin(), siblings.upper_bound(b));
      }
    }
  }

  // The clusters after `cluster` that read a value which it reads.
  std::set<size_t> siblings_after(size_t cluster, const std::vector<std::vector<size_t>>& readers) const {
    std::set<size_t> siblings;
    for (size_t i : members_[cluster])
      for (size_t need : items_.list[i].needs)
        for (size_t reader : readers[need])
          if (cluster_[reader] > cluster) siblings.insert(cluster_[reader]);
    return siblings;
  }

  std::optional<int64_t> sibling_rows(size_t cluster) const {
    if (members_[cluster].empty()) return {};
    for (size_t i : members_[cluster]) {
      const Item& item = items_.list[i];
      if (item.contraction || item.scatter || item.check) return {};
      for (const Store& store : item.stores)
        if (store.storage == Storage::state) return {};
    }
    std::optional<int64_t> rows = common_rows(items_, members_[cluster], maxima_);
    return rows > 0 ? rows : std::nullopt;
  }

  bool has_contraction(size_t cluster) const {
    return std::any_of(members_[cluster].begin(), members_[cluster].end(),
                       [&](size_t i) { return items_.list[i].contraction; });
  }

  bool try_merge(size_t into, size_t from) {
    if (into == from) return false;
    std::vector<size_t> both;
    std::merge(members_[into].begin(), members_[into].end(), members_[from].begin(), members_[from].end(),
               std::back_inserter(both));
    if (!fits(both) || path_through_others(into, from)) return false;
    merge(into, from);
    return true;
  }

  void merge(size_t into, size_t from) {
    for (size_t i : members_[from]) cluster_[i] = into;
    members_[into].insert(members_[into].end(), members_[from].begin(), members_[from].end());
    std::sort(members_[into].begin(), members_[into].end());
    members_[from].clear();
  }

  int64_t size_of_all(const std::vector<size_t>& members) const {
    int64_t sum = 0;
    for (size_t i : members) sum += sizes_[i];
    return sum;
  }

  bool fits(const std::vector<size_t>& members) const {
    if (size_of_all(members) > largest_kernel) return false;
    const Item* root = nullptr;
    for (size_t i : members) {
      const Item& item = items_.list[i];
      if (item.scatter || item.check) return false;
      if (item.contraction && root) return false;
      if (item.contraction) root = &item;
    }
    if (!root) return common_rows(items_, members, maxima_).has_value();
    for (size_t i : members) {
      const Item& item = items_.list[i];
      if (&item != root && (!item.map() || item.type.shape != root->type.shape)) return false;
      // The epilogue begins when the sum is done: what the sum reads is made elsewhere.
      if (std::binary_search(root->needs.begin(), root->needs.end(), i)) return false;
    }
    return reads_members_at(items_, members, -1);
  }

  // Whether `to` needs `from` by way of a third kernel: then joining the two would close a cycle.
  bool path_through_others(size_t from, size_t to) const {
    std::vector<char> seen(members_.size());
    std::vector<size_t> open;
    auto push_needs = [&](size_t cluster, bool direct) {
      for (size_t i : members_[cluster])
        for (size_t need : items_.list[i].needs) {
          size_t next = cluster_[need];
          if ((direct && next == from) || seen[next] || next == cluster) continue;
          seen[next] = 1;
          open.push_back(next);
        }
    };
    push_needs(to, true);
    // Either may need the other: joining is symmetric.
    push_needs(from, false);
    while (!open.empty()) {
      size_t next = open.back();
      open.pop_back();
      if (next == from || next == to) return true;
      push_needs(next, false);
    }
    return false;
  }

  const Items& items_;
  const Sizes& maxima_;
  std::vector<size_t> cluster_;
  std::vector<std::vector<size_t>> members_;
  std::vector<int64_t> sizes_;  // of the items
};

}  // namespace

std::optional<int64_t> common_rows(const Items& items, const std::vector<size_t>& members, const Sizes& maxima) {
  int64_t least_natural = INT64_MAX, greatest_natural = 0, most = INT64_MAX;
  bool alike = true, maps = true;
  size_t scalars = 0;
  const Shape& shape = items.list[members[0]].type.shape;
  for (size_t i : members) {
    const Item& item = items.list[i];
    int64_t natural = natural_rows(item, maxima), rank = item.type.rank();
    least_natural = std::min(least_natural, natural);
    greatest_natural = std::max(greatest_natural, natural);
    most = std::min(most, item.map() ? rank : natural);
    alike = alike && item.type.shape == shape;
    maps = maps && item.map();
    scalars += rank == 0;
  }
  if (members.size() == 1) return least_natural;
  if (scalars) return scalars == members.size() ? std::optional<int64_t>(0) : std::nullopt;
  if (maps && alike) most = least_natural;
  for (int64_t rows = most; rows >= (greatest_natural == 0 ? 0 : 1); --rows) {
    bool same = std::all_of(members.begin(), members.end(), [&](size_t i) {
      const Shape& other = items.list[i].type.shape;
      return std::equal(shape.begin(), shape.begin() + rows, other.begin());
    });
    if (same && reads_members_at(items, members, rows)) return rows;
  }
  return {};
}

std::vector<size_t> cluster(const Items& items, const Sizes& maxima) { return Clusters(items, maxima).run(); }

}  // namespace tenon
