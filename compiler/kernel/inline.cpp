// Which values are stored. Before: a graph of compute definitions. After: items, whose expressions read leaves and other
// items only. A view or a cheap value is substituted into its readers; an expensive one (an exponential) only into a single
// reader that uses each element once. Both sides of that choice round alike, so it changes no bits.
#include "compiler/kernel/cost.h"
#include "compiler/kernel/index.h"
#include "compiler/kernel/item.h"
#include "ir/op.h"

namespace tenon {

namespace {

constexpr int cheap = 4;  // operations an element may cost to be computed again for each reader
// Beyond it a value is stored: substituting longer and longer expressions into each other takes a time that grows with the
// square of a graph's depth. The longest of any model so far is 107.
constexpr int64_t largest_expression = 256;

Scalar zero(DType dtype) { return dtype == boolean ? Scalar::boolean(false) : Scalar::number(dtype, 0); }

class Collector {
 public:
  Collector(const Body& body, const Entry& entry) : body_(body), entry_(entry), nodes_(static_cast<size_t>(body.size())) {
    items_.next = body.size();
  }

  Items run() {
    find_live();
    find_readers();
    for (NodeId id = 0; id < body_.size(); ++id)
      if (at(id).live) define(id);
    add_stores();
    return std::move(items_);
  }

 private:
  struct Info {
    bool live = false;
    bool wanted = false;  // an output or the value of an update
    Definition definition;
    Scalar whole;                // one element in terms of leaves and items, if the node is not stored
    std::set<NodeId> made_of;    // what `whole` computes
    std::set<NodeId> readers;    // nodes that compute something of it, seen through views
    std::vector<size_t> checks;  // items that check its values as indices
  };

  Info& at(NodeId id) { return nodes_[static_cast<size_t>(id)]; }
  const Type& type(NodeId id) const { return body_.node(id).type; }
  int64_t elements(const Shape& shape) const { return tenon::elements(shape).at(body_.sizes); }

  void find_live() {
    for (const auto& [name, id] : entry_.outputs) at(id).live = at(id).wanted = true;
    for (const auto& [state, value] : entry_.updates) at(value).live = at(value).wanted = true;
    for (NodeId id = body_.size(); id-- > 0;) {
      const Node& node = body_.node(id);
      if (!at(id).live || node.op->leaf) continue;
      check(node.op->compute, "every node of an expanded graph has a compute definition");
      Application application{*node.op, {}, node.attributes, line(id), node.type};
      for (NodeId operand : node.operands) application.operands.push_back(type(operand));
      at(id).definition = node.op->compute(application);
      Definition& definition = at(id).definition;
      auto rename = [&](const Scalar& x) -> Scalar {
        if (x->function != Scalar::load) return {};
        NodeId operand = node.operands[static_cast<size_t>(x->integer)];
        at(operand).live = true;
        std::vector<Scalar> indices(x->indices().begin(), x->indices().end());
        if (!x->guarded) return Scalar::read(operand, x->dtype, std::move(indices));
        return Scalar::read_if(x->guard(), operand, x->dtype, std::move(indices), x->otherwise());
      };
      definition.body = substitute(definition.body, rename);
      if (definition.scatter) definition.scatter = substitute(definition.scatter, rename);
    }
  }

  Line line(NodeId id) const {
    const Origin& origin = body_.node(id).origin;
    return origin.lines.empty() ? Line() : origin.lines.back();
  }

  // A rearrangement of the elements of one operand.
  bool view(NodeId id) {
    const Definition& d = at(id).definition;
    return !body_.node(id).op->leaf && d.reduction == Reduction::none && !d.scatter && d.body->function == Scalar::load &&
           !d.body->guarded;
  }

  void find_readers() {
    for (NodeId id = body_.size(); id-- > 0;) {
      if (!at(id).live || body_.node(id).op->leaf) continue;
      auto read = [&](const Scalar& load) {
        std::set<NodeId>& readers = at(static_cast<NodeId>(load->integer)).readers;
        if (!view(id) || at(id).wanted) readers.insert(id);
        if (view(id)) readers.insert(at(id).readers.begin(), at(id).readers.end());
      };
      each_load(at(id).definition.body, read);
      if (at(id).definition.scatter) each_load(at(id).definition.scatter, read);
    }
  }

  bool contraction(NodeId id) { return product(id) || column_sum(id); }

  bool product(NodeId id) {
    const Definition& d = at(id).definition;
    return d.reduction == Reduction::sum && d.body->function == Scalar::mul && is_float(d.body->dtype) &&
           d.body->arguments[0]->function == Scalar::load && d.body->arguments[1]->function == Scalar::load;
  }

  // A sum over the leading axes alone, such as a bias's gradient over the batch, is the contraction with ones: the
  // chain of its elements is then as vectorised, as divided and as long as that of the weight's gradient.
  bool column_sum(NodeId id) {
    const Definition& d = at(id).definition;
    if (d.reduction != Reduction::sum || d.scatter || !is_float(d.body->dtype) || d.axes.empty()) return false;
    if (d.body->function != Scalar::load || d.body->guarded) return false;
    const auto reduced = static_cast<int64_t>(d.reduced.size()), rank = static_cast<int64_t>(d.axes.size());
    std::span<const Scalar> indices = d.body->indices();
    for (int64_t i = 0; i < static_cast<int64_t>(indices.size()); ++i)
      if (indices[static_cast<size_t>(i)] != Scalar::index(i < reduced ? rank + i : i - reduced)) return false;
    return true;
  }

  // x with every load of a value that is not stored replaced by the value's expression; equal loads by the same one, so
  // that y * y is not twice as long as y.
  Scalar inlined(const Scalar& x, const VariableExtents& extents, std::set<NodeId>& made_of) {
    std::vector<std::pair<Scalar, Scalar>> known;
    Scalar result = substitute(x, [&](const Scalar& load) -> Scalar {
      if (load->function != Scalar::load) return {};
      Info& source = at(static_cast<NodeId>(load->integer));
      if (!source.whole) return {};
      for (const auto& [same, expression] : known)
        if (bool(same == load)) return expression;
      made_of.insert(source.made_of.begin(), source.made_of.end());
      Scalar moved = substitute(source.whole, [&](const Scalar& leaf) -> Scalar {
        if (leaf->function == Scalar::variable) return load->indices()[static_cast<size_t>(leaf->integer)];
        if (!load->guarded || leaf->function != Scalar::load) return {};
        std::vector<Scalar> indices(leaf->indices().begin(), leaf->indices().end());
        Scalar guard = leaf->guarded ? load->guard() && leaf->guard() : load->guard();
        Scalar otherwise = leaf->guarded ? leaf->otherwise() : zero(leaf->dtype);
        return Scalar::read_if(guard, leaf->integer, leaf->dtype, std::move(indices), otherwise);
      });
      if (load->guarded) moved = select(load->guard(), moved, load->otherwise());
      known.emplace_back(load, moved);
      return moved;
    });
    return simplify_loads(result, extents);
  }

  void define(NodeId id) {
    Info& info = at(id);
    const Node& node = body_.node(id);
    if (node.op->leaf) {
      if (const Literal* value = literal(node); value && node.type.scalar()) {
        const DType dtype = node.type.dtype;
        info.whole = dtype == i64       ? Scalar::integer(value->integer_at(0))
                     : dtype == boolean ? Scalar::boolean(value->integer_at(0) != 0)
                                        : Scalar::number(dtype, value->at(0));
      }
      return;
    }
    check_indices(id);
    const Definition& d = info.definition;
    Item item{.node = id, .type = node.type, .reduced = d.reduced, .reduction = d.reduction};
    item.contraction = contraction(id);
    const bool ones = column_sum(id);
    if (ones)
      prepare_factor(d.body, extents(d));
    else if (item.contraction)
      for (const Scalar& factor : d.body->arguments) prepare_factor(factor, extents(d));
    do {
      item.made_of = {id};
      item.value = inlined(d.body, extents(d), item.made_of);
      if (d.scatter) item.scatter = inlined(d.scatter, extents(d), item.made_of);
    } while (size(item) > largest_expression && store_largest(d));
    if (ones) item.value = Scalar::call(Scalar::mul, {Scalar::number(item.type.dtype, 1), item.value});
    if (item.map() && !must_store(id, item.value)) {
      info.whole = item.value;
      info.made_of = std::move(item.made_of);
      return;
    }
    add(std::move(item));
  }

  // Stores the operand whose expression is the largest; false if none is left that could be.
  bool store_largest(const Definition& d) {
    NodeId largest = -1;
    int64_t most = 0;
    auto look = [&](const Scalar& load) {
      const NodeId source = static_cast<NodeId>(load->integer);
      if (!at(source).whole || body_.node(source).op->leaf) return;
      const int64_t size = size_of(at(source).whole) + std::ssize(at(source).made_of);
      if (size > most) largest = source, most = size;
    };
    each_load(d.body, look);
    if (d.scatter) each_load(d.scatter, look);
    if (largest >= 0) store(largest);
    return largest >= 0;
  }

  static VariableExtents extents(const Definition& d) {
    VariableExtents all = d.axes;
    all.insert(all.end(), d.reduced.begin(), d.reduced.end());
    return all;
  }

  size_t add(Item item) {
    std::set<size_t> needs;
    auto need_checks = [&](const Scalar& index) {
      each_load(index, [&](const Scalar& load) {
        if (load->integer < body_.size())
          for (size_t check : at(static_cast<NodeId>(load->integer)).checks) needs.insert(check);
      });
    };
    auto need = [&](const Scalar& load) {
      if (auto it = items_.of_node.find(static_cast<NodeId>(load->integer)); it != items_.of_node.end())
        needs.insert(it->second);
      for (const Scalar& index : load->indices()) need_checks(index);
    };
    if (item.value) each_load(item.value, need);
    if (item.scatter) each_load(item.scatter, need), need_checks(item.scatter);
    item.needs.assign(needs.begin(), needs.end());
    return items_.add(std::move(item));
  }

  // Stores a node that was to be substituted into its readers.
  void store(NodeId id) {
    Info& info = at(id);
    if (!info.whole || items_.of_node.contains(id)) return;
    add({.node = id, .type = type(id), .value = std::move(info.whole), .made_of = info.made_of});
    info.whole = {};
  }

  // A contraction reads its factors many times: as plain loads, or as one narrow leaf with at most a cast and a scale.
  void prepare_factor(const Scalar& factor, const VariableExtents& extents) {
    std::set<NodeId> made_of;
    Scalar x = inlined(factor, extents, made_of);
    if (!cheap_factor(x)) store(static_cast<NodeId>(factor->integer));
  }

  bool cheap_factor(const Scalar& x) {
    int loads = 0;
    bool plain = true, narrow = true;
    each_load(x, [&](const Scalar& load) {
      if (load->indices().empty() || load->dtype == x->dtype) narrow = narrow && &*load == &*x;
      loads += !load->indices().empty();
      const Shape& shape = type(static_cast<NodeId>(load->integer)).shape;
      plain = plain && !load->guarded && IndexForms().is_affine(shape, load->indices());
    });
    return loads == 1 && plain && (cost(x) == 0 || (cost(x) <= 2 && narrow));
  }

  bool must_store(NodeId id, const Scalar& value) {
    const Info& info = at(id);
    if (info.wanted) return true;
    int operations = cost(value);
    if (operations == 0 || (type(id).scalar() && of_sizes(value))) return false;
    int64_t size = elements(type(id).shape);
    bool again = false;  // a reader uses an element more than once
    for (NodeId reader : info.readers) {
      const Definition& d = at(reader).definition;
      if (contraction(reader)) {
        if (!cheap_factor(value)) return true;
        again = true;
      } else {
        again = again || elements(extents(d)) > size;
      }
    }
    if (operations > (type(id).scalar() ? 1 : cheap) && again) return true;
    if (info.readers.size() == 1 && summed_over_rows(id) && joins_several(value)) return true;
    if (operations > cheap) return info.readers.size() > 1;
    if (type(id).scalar()) return false;
    if (info.readers.size() <= 1) return false;
    // Reading what is stored anyway costs no more than reading this value; storing another value for it is.
    bool expensive = false;
    int arrays = 0;
    each_load(value, [&](const Scalar& load) {
      NodeId source = static_cast<NodeId>(load->integer);
      if (elements(type(source).shape) < size) return;
      ++arrays;
      const Info& read = at(source);
      expensive = expensive || (items_.of_node.contains(source) && !read.wanted && read.readers.size() <= 1);
    });
    return expensive || arrays > 2;
  }

  // Whether the value is known before the first kernel: each kernel computes it once rather than waits for a store.
  static bool of_sizes(const Scalar& value) {
    bool result = true;
    visit(value, [&](const Scalar& x) { result = result && x->function != Scalar::load; });
    return result;
  }

  // Whether the only reader reduces the first axis: it cannot share the row loops in which this value is made.
  bool summed_over_rows(NodeId id) {
    if (type(id).scalar() || at(id).readers.empty()) return false;
    const NodeId reader = *at(id).readers.begin();
    const Definition& d = at(reader).definition;
    bool summed = false;
    each_load(d.body, [&](const Scalar& load) {
      if (load->integer != id || d.reduction == Reduction::none || contraction(reader)) return;
      visit(load->indices()[0], [&](const Scalar& x) {
        summed = summed || (x->function == Scalar::variable && x->integer >= type(reader).rank());
      });
    });
    return summed;
  }

  // Whether the value is made of more than one stored value: then storing it alone is less.
  bool joins_several(const Scalar& value) const {
    std::set<int64_t> sources;
    each_load(value, [&](const Scalar& load) {
      if (items_.of_node.contains(static_cast<NodeId>(load->integer))) sources.insert(load->integer);
    });
    return sources.size() > 1;
  }

  // Finds loads whose index is data, and has that data checked: at the door if it is an input, else by an item.
  void check_indices(NodeId id) {
    const Definition& d = at(id).definition;
    each_load(d.body, [&](const Scalar& load) {
      std::span<const Scalar> indices = load->indices();
      for (size_t axis = 0; axis < indices.size(); ++axis)
        require(id, indices[axis], type(static_cast<NodeId>(load->integer)).shape[axis]);
    });
    if (d.scatter) require(id, d.scatter, type(id).shape[0]);
  }

  void require(NodeId id, const Scalar& index, Extent extent) {
    Scalar load = index;
    while (load->function == Scalar::cast) load = load->arguments[0];
    bool data = false;
    each_load(index, [&](const Scalar&) { data = true; });
    if (!data) return;
    check(load->function == Scalar::load && is_integer(load->dtype), "an index that is data is one load of integers");
    NodeId source = static_cast<NodeId>(load->integer);
    IndexCheck wanted{source, extent, line(id), fmt::format("{}: index", body_.node(id).op->name)};
    auto same = [&](const IndexCheck& c) { return c.index == wanted.index && c.extent == extent; };
    if (NodeId input = whole_input(source); input >= 0) {
      wanted.index = input;
      for (const IndexCheck& known : items_.door)
        if (same(known)) return;
      items_.door.push_back(wanted);
      return;
    }
    store(source);
    for (size_t known : at(source).checks)
      if (same(*items_.list[known].check)) return;
    Item item{.node = items_.next++, .type = type(source), .check = wanted, .made_of = {id}};
    if (auto it = items_.of_node.find(source); it != items_.of_node.end()) item.needs.push_back(it->second);
    at(source).checks.push_back(items_.add(std::move(item)));
  }

  // The input whose elements, all of them and no others, are the elements of the node; -1 if there is none.
  NodeId whole_input(NodeId id) {
    if (leaf(body_, id) == Leaf::input) return id;
    Scalar x = at(id).whole;
    if (!x) return -1;
    bool widening = true;  // a cast to fewer bits may bring an element back into range
    for (; x->function == Scalar::cast && is_integer(x->dtype); x = x->arguments[0])
      widening = widening && byte_size(x->arguments[0]->dtype) <= byte_size(x->dtype);
    if (x->function != Scalar::load || x->guarded) return -1;
    NodeId source = static_cast<NodeId>(x->integer);
    bool all = type(source).elements() == type(id).elements();
    bool input = leaf(body_, source) == Leaf::input && is_integer(x->dtype);
    return input && widening && all && meets_each_once(x, type(source).shape, type(id).shape, body_.sizes) ? source : -1;
  }

  void add_stores() {
    int64_t slot = 0;
    for (const auto& [name, id] : entry_.outputs) store_to(id, {Storage::output, slot++});
    for (const auto& [state, value] : entry_.updates)
      for (size_t i = 0; i < body_.states.size(); ++i)
        if (body_.states[i].node == state && state != value) store_to(value, {Storage::state, static_cast<int64_t>(i)});
  }

  void store_to(NodeId id, Store where) {
    auto it = items_.of_node.find(id);
    bool leaf = it == items_.of_node.end();
    // A scattered value has no loop over its elements that could store each of them twice.
    bool again = !leaf && items_.list[it->second].scatter && !items_.list[it->second].stores.empty();
    if (!leaf && !again) {
      items_.list[it->second].stores.push_back(where);
      return;
    }
    std::vector<Scalar> indices;
    for (int64_t i = 0; i < type(id).rank(); ++i) indices.push_back(Scalar::index(i));
    Scalar value = at(id).whole ? at(id).whole : Scalar::read(id, type(id).dtype, std::move(indices));
    add({.node = items_.next++, .type = type(id), .value = value, .stores = {where}, .made_of = {id}});
  }

  const Body& body_;
  const Entry& entry_;
  std::vector<Info> nodes_;
  Items items_;
};

}  // namespace

Items collect(const Body& body, const Entry& entry) { return Collector(body, entry).run(); }

}  // namespace tenon
