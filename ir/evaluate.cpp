// Whole graphs and entries: which nodes are needed, where leaves come from, and how compiled bytes compare.
#include "ir/evaluate.h"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>

#include "ir/ops.h"

namespace tenon {
namespace {

using Leaf = std::function<const ReferenceArray*(const std::string& name)>;

Type concrete(Type type, const Sizes& sizes) {
  for (Extent& extent : type.shape) extent = Extent(extent.at(sizes));
  return type;
}

Line line_of(const Node& node) { return node.origin.lines.empty() ? Line{} : node.origin.lines.back(); }

std::vector<ReferenceArray> run(const Body& body, std::span<const NodeId> wanted, const Leaf& leaf, const Sizes& sizes,
                                Arithmetic arithmetic);

ReferenceArray run_leaf(const Node& node, const Leaf& leaf, const Sizes& sizes) {
  for (const auto& [name, attribute] : node.attributes.entries)
    if (const auto* literal = std::get_if<Literal>(&attribute)) return ReferenceArray::of(*literal);
  const auto& name = node.attributes.get<std::string>("name");
  const ReferenceArray* array = leaf(name);
  if (!array) fail(line_of(node), "evaluate: {} '{}' is not bound", node.op->name, name);
  if (array->type != concrete(node.type, sizes))
    fail(line_of(node), "evaluate: {} '{}' is {}, bound to {}", node.op->name, name, concrete(node.type, sizes).str(),
         array->type.str());
  return *array;
}

ReferenceArray run_node(const Body& body, const Node& node, std::span<const ReferenceArray* const> operands, const Leaf& leaf,
                        const Sizes& sizes, Arithmetic arithmetic) {
  if (!node.op->compute && !node.op->expand) return run_leaf(node, leaf, sizes);
  Application application{.op = *node.op, .operands = {}, .attributes = node.attributes, .line = line_of(node)};
  for (NodeId operand : node.operands) application.operands.push_back(body.node(operand).type);
  application.result = node.type;
  auto definition = [&] { return interpret(node.op->compute(application), application, operands, sizes, arithmetic); };
  if (!node.op->expand) return definition();

  Graph scratch;
  scratch.body().sizes = body.sizes;
  Scope scope(scratch.body(), node.origin);
  std::vector<Value> x;
  for (size_t i = 0; i < operands.size(); ++i)
    x.push_back(input(scratch.body(), std::to_string(i), application.operands[i], {}));
  Value expanded = node.op->expand(x, node.attributes);
  if (!expanded) return definition();
  NodeId result = expanded.id();
  auto operand = [&](const std::string& name) { return operands[std::stoul(name)]; };
  return std::move(run(scratch.body(), {&result, 1}, operand, sizes, arithmetic)[0]);
}

std::vector<ReferenceArray> run(const Body& body, std::span<const NodeId> wanted, const Leaf& leaf, const Sizes& sizes,
                                Arithmetic arithmetic) {
  struct Needed {
    int readers = 0;
    std::optional<ReferenceArray> value = {};
  };
  std::map<NodeId, Needed> needed;  // in the order of the graph, of which it may be a small part
  std::vector<NodeId> open;
  auto need = [&](NodeId id) {
    if (needed[id].readers++ == 0) open.push_back(id);
  };
  for (NodeId id : wanted) need(id);
  while (!open.empty()) {
    const NodeId id = open.back();
    open.pop_back();
    for (NodeId operand : body.node(id).operands) need(operand);
  }
  for (auto& [id, result] : needed) {
    const Node& node = body.node(id);
    std::vector<const ReferenceArray*> operands;
    for (NodeId operand : node.operands) operands.push_back(&*needed[operand].value);
    result.value = run_node(body, node, operands, leaf, sizes, arithmetic);
    for (NodeId operand : node.operands)
      if (--needed[operand].readers == 0) needed[operand].value.reset();
  }
  std::vector<ReferenceArray> results;
  for (NodeId id : wanted) results.push_back(*needed[id].value);
  return results;
}

}  // namespace

ReferenceArray ReferenceArray::of(const Type& type, std::span<const std::byte> bytes) {
  check(static_cast<int64_t>(bytes.size()) == type.bytes(1), "an array has as many bytes as its type");
  ReferenceArray array{.type = type, .real = {}, .whole = {}, .bound = {}};
  for (int64_t i = 0; i < array.elements(); ++i) {
    if (is_float(type.dtype))
      array.real.push_back(real_at(type.dtype, bytes, i));
    else
      array.whole.push_back(whole_at(type.dtype, bytes, i));
  }
  return array;
}

ReferenceArray ReferenceArray::of(const Type& type, std::span<const double> values) {
  return of(Literal::of(type, values, Line{}));
}

Literal ReferenceArray::literal() const {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  bytes->reserve(static_cast<size_t>(type.bytes(1)));
  with_type(type.dtype, [&]<typename T>(T) {
    auto put = [&](T value) {
      auto begin = reinterpret_cast<const std::byte*>(&value);
      bytes->insert(bytes->end(), begin, begin + sizeof value);
    };
    for (double value : real) put(static_cast<T>(value));
    for (int64_t value : whole) put(static_cast<T>(value));
  });
  return {type, std::move(bytes)};
}

double ReferenceArray::at(int64_t i) const {
  return is_float(type.dtype) ? real[static_cast<size_t>(i)] : static_cast<double>(whole[static_cast<size_t>(i)]);
}

std::vector<ReferenceArray> evaluate(const Body& body, std::span<const NodeId> wanted, const Bindings& bindings,
                                     const Sizes& sizes, Arithmetic arithmetic) {
  for (const auto& [size, maximum] : body.sizes)
    if (const int64_t n = sizes.find(size).value_or(0); n < 1 || n > maximum)
      throw Error(fmt::format("evaluate: {} is {}, it must be 1 to {}", size, n, maximum));
  auto leaf = [&](const std::string& name) {
    auto found = bindings.find(name);
    return found == bindings.end() ? nullptr : &found->second;
  };
  return run(body, wanted, leaf, sizes, arithmetic);
}

ReferenceArray evaluate(Value value, const Bindings& bindings, const Sizes& sizes, Arithmetic arithmetic) {
  NodeId id = value.id();
  return std::move(evaluate(value.body(), {&id, 1}, bindings, sizes, arithmetic)[0]);
}

EntryResult evaluate_entry(const Body& body, std::string_view name, const Bindings& bindings, const Sizes& sizes,
                           Arithmetic arithmetic) {
  const Entry* entry = body.entry(name);
  if (!entry) throw Error(fmt::format("evaluate: there is no entry '{}'", name));
  std::vector<NodeId> wanted;
  for (const auto& [output, id] : entry->outputs) wanted.push_back(id);
  for (const auto& [state, id] : entry->updates) wanted.push_back(id);
  auto values = evaluate(body, wanted, bindings, sizes, arithmetic);
  EntryResult result;
  size_t next = 0;
  for (const auto& [output, id] : entry->outputs) result.outputs.emplace(output, std::move(values[next++]));
  for (const State& state : body.states) {
    const auto& key = body.node(state.node).attributes.get<std::string>("name");
    if (auto bound = bindings.find(key); bound != bindings.end()) result.states.insert(*bound);
  }
  for (const auto& [state, id] : entry->updates)
    result.states.insert_or_assign(body.node(state).attributes.get<std::string>("name"), std::move(values[next++]));
  return result;
}

Bindings evaluate_initial(const Body& body, int64_t seed, Arithmetic arithmetic) {
  Bindings result;
  result["seed"] = {.type = {i64, {}}, .real = {}, .whole = {seed}, .bound = {}};
  result["step"] = {.type = {i64, {}}, .real = {}, .whole = {0}, .bound = {}};
  std::vector<NodeId> wanted;
  for (const State& state : body.states) wanted.push_back(state.initial);
  auto values = evaluate(body, wanted, result, body.sizes, arithmetic);
  for (size_t i = 0; i < wanted.size(); ++i)
    result.insert_or_assign(body.node(body.states[i].node).attributes.get<std::string>("name"), std::move(values[i]));
  return result;
}

Comparison compare(const ReferenceArray& expected, std::span<const std::byte> actual, double slack) {
  check(static_cast<int64_t>(actual.size()) == expected.type.bytes(1), "both sides of a comparison have one type");
  Comparison result;
  DType dtype = expected.type.dtype;
  result.elements = expected.elements();
  for (int64_t i = 0; i < result.elements; ++i) {
    double bound = expected.bound_at(i);
    if (std::isinf(bound) || (bound != 0 && !is_float(dtype))) {
      ++result.undecided;
      continue;
    }
    double e = expected.at(i), a, ratio;
    if (is_float(dtype)) {
      a = real_at(dtype, actual, i);
      bool same = a == e || (std::isnan(a) && std::isnan(e));
      double difference = std::fabs(a - e);
      ratio = same ? 0 : std::isfinite(difference) && bound > 0 ? difference / bound : std::numeric_limits<double>::infinity();
    } else {
      a = static_cast<double>(whole_at(dtype, actual, i));
      const bool same = whole_at(dtype, actual, i) == expected.whole[static_cast<size_t>(i)];
      ratio = same ? 0 : std::numeric_limits<double>::infinity();
    }
    if (ratio > slack) ++result.mismatches;
    if (result.worst < 0 || ratio > result.ratio) {
      result.worst = i, result.ratio = ratio;
      result.expected = e, result.actual = a, result.bound = bound;
    }
  }
  return result;
}

std::string Comparison::str() const {
  std::string text = fmt::format("{} of {} elements differ ({} undecided)", mismatches, elements, undecided);
  if (worst < 0) return text;
  return text + fmt::format("; worst [{}]: {} is not {} +- {}", worst, actual, expected, bound);
}

}  // namespace tenon
