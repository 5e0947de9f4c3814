// The order of the kernels, and the price of updates in place. Every read in an entry sees the states from its start: the
// kernel that updates a state must come after all kernels that read it, and within one kernel an element may be read
// only before, and where, it is written.
#include <algorithm>
#include <unordered_map>

#include "compiler/kernel/item.h"

namespace tenon {
namespace {

class Scheduler {
 public:
  Scheduler(Items& items, const std::vector<size_t>& cluster, const Body& body)
      : items_(items), body_(body), cluster_(cluster), kernels_(cluster.size()), after_(cluster.size()) {
    for (size_t i = 0; i < cluster_.size(); ++i) kernels_[cluster_[i]].push_back(i);
    for (size_t i = 0; i < cluster_.size(); ++i)
      for (size_t need : items_.list[i].needs) order(cluster_[need], cluster_[i]);
    for (size_t i = 0; i < items_.list.size(); ++i) note_reads(i);
  }

  Schedule run() {
    size_t count = cluster_.size();
    for (size_t i = 0; i < count; ++i) {
      std::vector<Store> kept;
      const std::vector<Store> wanted = items_.list[i].stores;
      for (const Store& store : wanted) {
        std::string reason = store.storage == Storage::state ? try_in_place(i, store.slot) : "";
        if (reason.empty())
          kept.push_back(store);
        else
          copy_last(i, store, reason);
      }
      items_.list[i].stores = std::move(kept);
    }
    return {ordered_kernels(), std::move(copied_)};
  }

 private:
  void order(size_t before, size_t kernel) {
    if (before != kernel) after_[kernel].insert(before);
  }

  bool reaches(size_t from, size_t to) const {  // does `to` come after `from`
    std::vector<char> seen(after_.size());
    std::vector<size_t> open{to};
    while (!open.empty()) {
      size_t next = open.back();
      open.pop_back();
      if (next == from) return true;
      for (size_t before : after_[next])
        if (!seen[before]) seen[before] = 1, open.push_back(before);
    }
    return false;
  }

  // The items that read the state, by its node.
  const std::vector<size_t>& readers(NodeId state) const {
    static const std::vector<size_t> none;
    auto found = readers_.find(state);
    return found == readers_.end() ? none : found->second;
  }
  void note_reads(size_t i) {
    const Item& item = items_.list[i];
    auto note = [&](NodeId node) {
      std::vector<size_t>& known = readers_[node];
      if (known.empty() || known.back() != i) known.push_back(i);
    };
    auto look = [&](const Scalar& load) { note(load->integer); };
    if (item.check) note(item.check->index);
    if (item.value) each_load(item.value, look);
    if (item.scatter) each_load(item.scatter, look);
  }

  // Whether `item` comes after `other` (or is it), by what it reads or by an order fixed before.
  bool follows(size_t item, size_t other) const {
    std::set<size_t> seen;
    std::vector<size_t> open{item};
    while (!open.empty()) {
      size_t next = open.back();
      open.pop_back();
      if (next == other) return true;
      if (!seen.insert(next).second) continue;
      for (size_t need : items_.list[next].needs) open.push_back(need);
      for (const auto& [before, after] : earlier_)
        if (after == next) open.push_back(before);
    }
    return false;
  }

  // Whether the statement of the reader may see its element of the state before the writer's statement changes it.
  bool safe_within(size_t reader, size_t writer, NodeId state) const {
    const Item& item = items_.list[reader];
    if (reader != writer && follows(reader, writer)) return false;
    bool own = !item.contraction && item.map() && item.type.shape == items_.list[writer].type.shape;
    each_load(item.value, [&](const Scalar& load) {
      if (load->integer == state) own = own && reads_own_place(load);
    });
    return own;
  }

  // Fixes the order of kernels so that the item may write the state; else says why there is no such order.
  std::string try_in_place(size_t writer, int64_t slot) {
    NodeId state = body_.states[static_cast<size_t>(slot)].node;
    if (items_.list[writer].scatter) return "its new value is scattered";
    size_t kernel = cluster_[writer];
    std::vector<size_t> before;
    for (size_t reader : readers(state)) {
      if (cluster_[reader] != kernel) {
        before.push_back(cluster_[reader]);
      } else if (!safe_within(reader, writer, state)) {
        return "the kernel that computes it reads other elements of the old value";
      }
    }
    for (size_t i = 0; i < items_.list.size(); ++i)
      if (items_.list[i].check) before.push_back(cluster_[i]);
    for (size_t other : before)
      if (reaches(kernel, other)) return "its old value is read after its new value";
    for (size_t other : before) order(other, kernel);
    for (size_t reader : readers(state))
      if (reader != writer && cluster_[reader] == kernel) earlier_.insert({reader, writer});
    return {};
  }

  void copy_last(size_t writer, Store store, const std::string& reason) {
    const State& state = body_.states[static_cast<size_t>(store.slot)];
    const Item source = items_.list[writer];
    std::vector<Scalar> indices;
    for (int64_t i = 0; i < source.type.rank(); ++i) indices.push_back(Scalar::index(i));
    size_t copy = items_.add({.node = items_.next++,
                              .type = source.type,
                              .value = Scalar::read(source.node, source.type.dtype, std::move(indices)),
                              .stores = {store},
                              .needs = {writer},
                              .made_of = source.made_of});
    note_reads(copy);
    size_t kernel = kernels_.size();
    cluster_.push_back(kernel);
    kernels_.push_back({copy});
    after_.push_back({cluster_[writer]});
    for (size_t reader : readers(state.node)) order(cluster_[reader], kernel);
    for (size_t i = 0; i < items_.list.size(); ++i)
      if (items_.list[i].check) order(cluster_[i], kernel);
    copied_[store.slot] = reason;
  }

  bool scalars(size_t kernel) const {
    return std::all_of(kernels_[kernel].begin(), kernels_[kernel].end(),
                       [&](size_t i) { return items_.list[i].map() && items_.list[i].type.scalar(); });
  }

  // Of the kernels whose predecessors have run, first those of scalars, so that all of them share one barrier with the
  // next large kernel; else always the one that computes the earliest value.
  std::vector<std::vector<size_t>> ordered_kernels() {
    std::vector<std::vector<size_t>> result, followers(kernels_.size());
    std::vector<size_t> waits(kernels_.size());  // for so many kernels
    std::set<std::tuple<bool, size_t, size_t>> ready;
    size_t left = 0;
    auto set_ready = [&](size_t k) { ready.emplace(!scalars(k), kernels_[k][0], k); };
    for (size_t k = 0; k < kernels_.size(); ++k) {
      if (kernels_[k].empty()) continue;
      ++left;
      for (size_t before : after_[k]) followers[before].push_back(k);
      waits[k] = after_[k].size();
      if (waits[k] == 0) set_ready(k);
    }
    for (; left > 0; --left) {
      check(!ready.empty(), "kernels have an order");
      const size_t next = std::get<2>(*ready.begin());
      ready.erase(ready.begin());
      result.push_back(ordered_items(kernels_[next]));
      for (size_t k : followers[next])
        if (--waits[k] == 0) set_ready(k);
    }
    return result;
  }

  std::vector<size_t> ordered_items(const std::vector<size_t>& members) const {
    std::vector<size_t> result;
    auto is_done = [&](size_t i) { return std::find(result.begin(), result.end(), i) != result.end(); };
    auto is_ready = [&](size_t i) {
      return std::all_of(members.begin(), members.end(), [&](size_t other) {
        const std::vector<size_t>& needs = items_.list[i].needs;
        bool waits = std::find(needs.begin(), needs.end(), other) != needs.end() || earlier_.contains({other, i});
        return !waits || is_done(other);
      });
    };
    while (result.size() < members.size()) {
      auto next = std::find_if(members.begin(), members.end(), [&](size_t i) { return !is_done(i) && is_ready(i); });
      check(next != members.end(), "statements of a kernel have an order");
      result.push_back(*next);
    }
    return result;
  }

  Items& items_;
  const Body& body_;
  std::vector<size_t> cluster_;
  std::vector<std::vector<size_t>> kernels_;
  std::unordered_map<NodeId, std::vector<size_t>> readers_;  // items by what they read, ascending
  std::vector<std::set<size_t>> after_;                      // by kernel: the kernels that come before
  std::set<std::pair<size_t, size_t>> earlier_;              // statements of one kernel: the first before the second
  std::map<int64_t, std::string> copied_;
};

}  // namespace

Schedule schedule(Items& items, const std::vector<size_t>& cluster, const Body& body) {
  return Scheduler(items, cluster, body).run();
}

}  // namespace tenon
