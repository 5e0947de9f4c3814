// The door of grouping: items are collected, put into kernels, ordered, and written down as kernels.
#include "compiler/kernel/group.h"

#include <algorithm>

#include "compiler/kernel/item.h"
#include "ir/op.h"

namespace tenon {
namespace {

constexpr int64_t longest_row = 32 << 10;  // bytes of a value that a thread keeps for itself

class Writer {
 public:
  Writer(const Body& body, const Entry& entry) : body_(body), items_(collect(body, entry)) {
    list_.entry = entry.name;
    for (const auto& [name, id] : entry.outputs) list_.outputs.push_back({name, body.node(id).type, line_of(id)});
    for (const State& state : body.states) list_.states.push_back(binding(state.node));
    list_.sizes = body.sizes;
  }

  KernelList run(const Entry& entry) {
    std::vector<size_t> clusters = cluster(items_, list_.sizes);
    Schedule order = schedule(items_, clusters, body_);
    for (const auto& [slot, reason] : order.copied)
      list_.notes.push_back(fmt::format("{}: updated by a copy: {}", list_.states[static_cast<size_t>(slot)].name, reason));
    list_.receipts = update_receipts(body_, entry, items_, order);
    find_read_elsewhere(order);
    find_inputs();
    for (size_t k = 0; k < order.kernels.size(); ++k) {
      members_ = order.kernels[k];
      Kernel kernel;
      kernel.name = fmt::format("k{}", k + 1);
      describe(kernel);
      if (items_.list[members_[0]].check)
        write_check(kernel);
      else if (const Item* root = contraction_root())
        write_contraction(kernel, *root);
      else
        write_rows(kernel);
      list_.kernels.push_back(std::move(kernel));
    }
    for (IndexCheck check : items_.door) {
      check.index = leaf_buffer(static_cast<NodeId>(check.index));
      list_.door.push_back(check);
    }
    return std::move(list_);
  }

 private:
  using Place = std::function<Scalar(const Scalar& load)>;  // what a load of an item of this kernel becomes; may be null

  void find_inputs() {
    std::set<NodeId> inputs, states;
    auto note = [&](const Scalar& load) { inputs.insert(static_cast<NodeId>(load->integer)); };
    for (const Item& item : items_.list) {
      if (item.value) each_load(item.value, note);
      if (item.scatter) each_load(item.scatter, note);
      for (const Store& store : item.stores)
        if (store.storage == Storage::state) list_.updated.push_back(store.slot);
    }
    for (const IndexCheck& check : items_.door) inputs.insert(static_cast<NodeId>(check.index));
    for (NodeId id : inputs)
      if (id < body_.size() && leaf(body_, id) == Leaf::input) inputs_.push_back(id);
    for (NodeId id : inputs_) list_.inputs.push_back(binding(id));
    std::sort(list_.updated.begin(), list_.updated.end());
  }

  void describe(Kernel& kernel) const {
    std::set<NodeId> nodes;
    for (size_t i : members_) nodes.insert(items_.list[i].made_of.begin(), items_.list[i].made_of.end());
    for (NodeId id : nodes) {
      const Origin& origin = body_.node(id).origin;
      for (const Line& line : origin.lines)
        if (std::find(kernel.lines.begin(), kernel.lines.end(), line) == kernel.lines.end()) kernel.lines.push_back(line);
    }
  }

  Line line_of(NodeId id) const {
    const Origin& origin = body_.node(id).origin;
    return origin.lines.empty() ? Line{} : origin.lines.front();
  }
  Named binding(NodeId id) const {
    const Node& node = body_.node(id);
    return {node.attributes.get<std::string>("name"), node.type, line_of(id)};
  }

  const Item* contraction_root() const {
    for (size_t i : members_)
      if (items_.list[i].contraction) return &items_.list[i];
    return nullptr;
  }

  // ---- buffers ----

  BufferId add_buffer(NodeId node, const Type& type, Storage storage, int64_t slot = -1) {
    std::string name = "copy";
    if (node >= 0 && node < body_.size()) {
      const Node& source = body_.node(node);
      const Attribute* given = source.op->leaf ? source.attributes.find("name") : nullptr;
      std::string_view scope = source.origin.scope;
      if (given)
        name = std::get<std::string>(*given);
      else if (scope.empty() || scope == source.op->name)
        name = source.op->name;
      else
        name = scope.ends_with("/" + std::string(source.op->name)) ? std::string(scope)
                                                                   : fmt::format("{}/{}", scope, source.op->name);
    }
    if (storage == Storage::output) name = list_.outputs[static_cast<size_t>(slot)].name;
    if (storage == Storage::tile) name = "acc";
    list_.buffers.push_back({.name = unique(name), .type = type, .storage = storage, .slot = slot});
    return static_cast<BufferId>(list_.buffers.size()) - 1;
  }
  std::string unique(const std::string& name) {
    const auto [taken, first] = names_.try_emplace(name, 1);
    std::string result = name;
    for (bool fresh = first; !fresh; fresh = names_.try_emplace(result, 1).second)
      result = fmt::format("{}.{}", name, ++taken->second);
    return result;
  }

  BufferId state_buffer(int64_t slot) { return leaf_buffer(body_.states[static_cast<size_t>(slot)].node); }

  BufferId leaf_buffer(NodeId id) {
    auto [it, fresh] = buffers_.try_emplace(id, 0);
    if (!fresh) return it->second;
    const Type& type = body_.node(id).type;
    Storage storage = Storage::constant;
    int64_t slot = 0;
    switch (leaf(body_, id)) {
      case Leaf::input:
        storage = Storage::input;
        slot = std::find(inputs_.begin(), inputs_.end(), id) - inputs_.begin();
        break;
      case Leaf::state:
        storage = Storage::state;
        slot = std::find_if(body_.states.begin(), body_.states.end(), [&](const State& state) { return state.node == id; }) -
               body_.states.begin();
        break;
      default: slot = static_cast<int64_t>(list_.constants.size()); list_.constants.push_back(*literal(body_.node(id)));
    }
    return it->second = add_buffer(id, type, storage, slot);
  }

  // Where an item is stored first of all: an output, else a state, else the arena.
  BufferId primary(const Item& item) {
    if (auto it = buffers_.find(item.node); it != buffers_.end()) return it->second;
    const Store* store = nullptr;
    for (const Store& s : item.stores)
      if (!store || (s.storage == Storage::output && store->storage != Storage::output)) store = &s;
    BufferId buffer;
    if (store && store->storage == Storage::state)
      buffer = state_buffer(store->slot);
    else
      buffer = add_buffer(item.node, item.type, store ? Storage::output : Storage::arena, store ? store->slot : -1);
    return buffers_[item.node] = buffer;
  }

  void find_read_elsewhere(const Schedule& order) {
    std::vector<size_t> kernel_of(items_.list.size());
    for (size_t k = 0; k < order.kernels.size(); ++k)
      for (size_t i : order.kernels[k]) kernel_of[i] = k;
    read_elsewhere_.resize(items_.list.size());
    for (size_t i = 0; i < items_.list.size(); ++i)
      for (size_t need : items_.list[i].needs)
        if (kernel_of[i] != kernel_of[need]) read_elsewhere_[need] = true;
  }

  bool private_to_kernel(size_t item) const { return items_.list[item].stores.empty() && !read_elsewhere_[item]; }

  // x with loads that name buffers, and with the item's variables renamed.
  Scalar located(const Scalar& x, const std::vector<int64_t>& variables, const Place& place) {
    return substitute(x, [&](const Scalar& leaf) -> Scalar {
      if (leaf->function == Scalar::variable) return Scalar::index(variables[static_cast<size_t>(leaf->integer)]);
      if (Scalar here = place(leaf)) return here;
      NodeId node = static_cast<NodeId>(leaf->integer);
      const Item* item = items_.of(node);
      BufferId buffer = item ? primary(*item) : leaf_buffer(node);
      std::vector<Scalar> indices(leaf->indices().begin(), leaf->indices().end());
      return with_source(leaf, buffer, std::move(indices));
    });
  }

  static Scalar with_source(const Scalar& load, BufferId buffer, std::vector<Scalar> indices) {
    if (!load->guarded) return Scalar::read(buffer, load->dtype, std::move(indices));
    return Scalar::read_if(load->guard(), buffer, load->dtype, std::move(indices), load->otherwise());
  }

  // The statements that store an item: the first computes it, the others copy it to its other places.
  void write_stores(Kernel& kernel, const Item& item, Statement statement) {
    statement.buffer = primary(item);
    BufferId first = statement.buffer;
    if (item.scatter) statement.scatter = true;
    kernel.body.push_back(statement);
    std::vector<Scalar> index = statement.index;
    std::vector<Axis> axes = statement.axes;
    for (const Store& store : item.stores) {
      BufferId other;
      if (store.storage == Storage::state) {
        other = state_buffer(store.slot);
      } else if (list_.buffers[static_cast<size_t>(first)].slot == store.slot &&
                 list_.buffers[static_cast<size_t>(first)].storage == Storage::output) {
        continue;
      } else {
        other = add_buffer(item.node, item.type, Storage::output, store.slot);
      }
      if (other == first) continue;
      kernel.body.push_back({.axes = axes,
                             .reduced = {},
                             .reduction = Reduction::none,
                             .value = Scalar::read(first, item.type.dtype, index),
                             .buffer = other,
                             .index = index});
    }
  }

  // ---- kernels ----

  void write_check(Kernel& kernel) {
    const Item& item = items_.list[members_[0]];
    kernel.check = item.check;
    NodeId node = static_cast<NodeId>(item.check->index);
    const Item* source = items_.of(node);
    kernel.check->index = source ? primary(*source) : leaf_buffer(node);
  }

  // Numbers inner loops so that equal extents at equal places share one variable.
  std::vector<Axis> inner_axes(const Shape& extents, std::vector<Axis>& known, int64_t first) {
    std::vector<Axis> result;
    for (const Extent& extent : extents) {
      auto it = std::find_if(known.begin(), known.end(), [&](const Axis& axis) {
        return axis.extent == extent && std::find(result.begin(), result.end(), axis) == result.end();
      });
      if (it != known.end()) {
        result.push_back(*it);
      } else {
        result.push_back({first + static_cast<int64_t>(known.size()), extent});
        known.push_back(result.back());
      }
    }
    return result;
  }

  void write_rows(Kernel& kernel) {
    const Item& front = items_.list[members_[0]];
    std::vector<size_t> sorted = members_;
    std::sort(sorted.begin(), sorted.end());
    int64_t rows = front.scatter ? 0 : *common_rows(items_, sorted, list_.sizes);
    for (int64_t r = 0; r < rows; ++r) kernel.rows.push_back({r, front.type.shape[static_cast<size_t>(r)]});
    std::vector<Axis> known;
    for (size_t i : members_) {
      const Item& item = items_.list[i];
      // A scatter's first axis is no loop: the data chooses the element.
      const int64_t skipped = item.scatter ? 1 : rows;
      Shape inner(item.type.shape.begin() + skipped, item.type.shape.end());
      size_t own = inner.size();
      inner.insert(inner.end(), item.reduced.begin(), item.reduced.end());
      std::vector<Axis> axes = inner_axes(inner, known, rows);
      Statement statement;
      statement.axes.assign(axes.begin(), axes.begin() + static_cast<int64_t>(own));
      statement.reduced.assign(axes.begin() + static_cast<int64_t>(own), axes.end());
      // Over no loop a reduction is its one term.
      statement.reduction = statement.reduced.empty() ? Reduction::none : item.reduction;
      std::vector<int64_t> variables;
      for (int64_t r = 0; r < skipped; ++r) variables.push_back(r);
      for (const Axis& axis : axes) variables.push_back(axis.variable);
      auto place = [&](const Scalar& load) { return row_load(load, rows); };
      statement.value = located(item.value, variables, place);
      for (int64_t axis = 0; axis < item.type.rank(); ++axis)
        statement.index.push_back(Scalar::index(variables[static_cast<size_t>(axis)]));
      if (item.scatter) statement.index[0] = located(item.scatter, variables, place);
      if (Type row{item.type.dtype, Shape(item.type.shape.begin() + rows, item.type.shape.end())};
          private_to_kernel(i) && rows_fit(row)) {
        statement.index.erase(statement.index.begin(), statement.index.begin() + rows);
        statement.buffer = buffers_[item.node] = add_buffer(item.node, row, Storage::row);
        kernel.body.push_back(std::move(statement));
      } else {
        write_stores(kernel, item, std::move(statement));
      }
    }
  }

  bool rows_fit(const Type& row) const { return row.bytes(list_.sizes) <= longest_row; }

  Scalar row_load(const Scalar& load, int64_t rows) const {
    auto it = buffers_.find(static_cast<NodeId>(load->integer));
    if (it == buffers_.end() || list_.buffers[static_cast<size_t>(it->second)].storage != Storage::row) return {};
    return with_source(load, it->second, {load->indices().begin() + rows, load->indices().end()});
  }

  void write_contraction(Kernel& kernel, const Item& root) {
    Roles r = roles(root, body_);
    auto axis = [&](int64_t a) { return Axis{a, root.type.shape[static_cast<size_t>(a)]}; };
    int64_t rank = root.type.rank();
    for (int64_t a : r.rows) kernel.rows.push_back(axis(a));
    Contraction contraction;
    for (int64_t a : r.m) contraction.m.push_back(axis(a));
    for (int64_t a : r.n) contraction.n.push_back(axis(a));
    for (size_t k = 0; k < root.reduced.size(); ++k) contraction.k.push_back({rank + static_cast<int64_t>(k), root.reduced[k]});
    std::vector<int64_t> variables;
    for (int64_t v = 0; v < rank + static_cast<int64_t>(root.reduced.size()); ++v) variables.push_back(v);
    auto outside = [](const Scalar&) { return Scalar(); };
    contraction.a = located(r.a, variables, outside);
    contraction.b = located(r.b, variables, outside);
    Type sums{root.type.dtype, {}};
    std::vector<Scalar> place;
    for (const Axis& axis : contraction.axes()) {
      sums.shape.push_back(axis.extent);
      place.push_back(Scalar::index(axis.variable));
    }
    contraction.accumulator = add_buffer(root.node, sums, Storage::tile);

    // Values that only this kernel reads are never stored: each reader computes them from the accumulator.
    Scalar accumulator = Scalar::read(contraction.accumulator, root.type.dtype, place);
    std::map<NodeId, Scalar> values{{root.node, accumulator}};
    auto inside = [&](const Scalar& load) -> Scalar {
      auto it = values.find(static_cast<NodeId>(load->integer));
      return it == values.end() ? Scalar() : it->second;
    };
    for (size_t i : members_) {
      const Item& item = items_.list[i];
      Scalar value = &item == &root ? accumulator : located(item.value, variables, inside);
      if (private_to_kernel(i) && !reads_updated(item)) {
        values[item.node] = value;
        continue;
      }
      Statement statement;
      statement.axes = contraction.axes();
      statement.value = value;
      for (int64_t v = 0; v < rank; ++v) statement.index.push_back(Scalar::index(v));
      write_stores(kernel, item, std::move(statement));
    }
    kernel.contraction = std::move(contraction);
  }

  // Whether the item reads a state that this kernel updates: then it may not be computed later, by its reader.
  bool reads_updated(const Item& item) const {
    bool found = false;
    each_load(item.value, [&](const Scalar& load) {
      for (size_t i : members_)
        for (const Store& store : items_.list[i].stores)
          found =
              found || (store.storage == Storage::state && body_.states[static_cast<size_t>(store.slot)].node == load->integer);
    });
    return found;
  }

  const Body& body_;
  Items items_;
  KernelList list_;
  std::vector<bool> read_elsewhere_;  // by item: whether another kernel needs it
  std::vector<size_t> members_;       // of the kernel being written, in statement order
  std::map<NodeId, BufferId> buffers_;
  std::vector<NodeId> inputs_;        // by slot
  std::map<std::string, int> names_;  // of buffers; the last number that was tried to tell it from others
};

}  // namespace

KernelList group(const Graph& graph, const Entry& entry) { return Writer(graph.body(), entry).run(entry); }

}  // namespace tenon
