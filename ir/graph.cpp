#include "ir/graph.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "ir/op.h"
#include "ir/ops.h"
#include "ir/text.h"

namespace tenon {
namespace {

uint64_t mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
  return hash * 0xff51afd7ed558ccdu;
}

uint64_t hash_bytes(uint64_t hash, std::span<const std::byte> bytes) {
  for (std::byte byte : bytes) hash = (hash ^ static_cast<uint64_t>(byte)) * 0x100000001b3u;
  return hash;
}

uint64_t hash_text(uint64_t hash, std::string_view text) {
  return hash_bytes(hash, std::as_bytes(std::span(text.data(), text.size())));
}

uint64_t hash_of(const Shape& shape) {
  uint64_t hash = shape.size();
  for (Extent extent : shape)
    hash = mix(mix(hash, static_cast<uint64_t>(extent.count)), extent.symbolic() ? extent.sizes->text.size() : 0);
  return hash;
}

uint64_t hash_of(const Attribute& attribute) {
  struct {
    uint64_t operator()(int64_t x) const { return static_cast<uint64_t>(x); }
    uint64_t operator()(double x) const { return std::bit_cast<uint64_t>(x); }
    uint64_t operator()(bool x) const { return x; }
    uint64_t operator()(const std::string& x) const { return hash_text(0xcbf29ce484222325u, x); }
    uint64_t operator()(DType x) const { return static_cast<uint64_t>(x); }
    uint64_t operator()(const Shape& x) const { return hash_of(x); }
    uint64_t operator()(const Literal& x) const { return x.hash(); }
  } hasher;
  return mix(attribute.index(), std::visit(hasher, attribute));
}

uint64_t hash_of(const Op& op, std::span<const NodeId> operands, const Attributes& attributes) {
  uint64_t hash = hash_text(0xcbf29ce484222325u, op.name);
  for (NodeId operand : operands) hash = mix(hash, static_cast<uint64_t>(operand));
  return mix(hash, attributes.hash());
}

// Adds what `from` knows and `to` does not; the most recent line stays last.
void merge(Origin& to, const Origin& from) {
  for (const Line& line : from.lines)
    if (std::find(to.lines.begin(), to.lines.end(), line) == to.lines.end()) to.lines.push_back(line);
  if (to.scope.empty()) to.scope = from.scope;
  to.backward = to.backward && from.backward;
}

// The open scope whose lines nodes take: the innermost that stands for itself, else the outermost that has a line.
const Origin* outer_origin(const Body& body) {
  const Origin* outer = nullptr;
  for (auto scope = body.scopes.rbegin(); scope != body.scopes.rend(); ++scope) {
    if (!scope->origin.lines.empty() || scope->absolute) outer = &scope->origin;
    if (scope->absolute) break;
  }
  return outer;
}

Origin current_origin(const Body& body, Line line) {
  Origin origin;
  if (const Origin* outer = outer_origin(body)) {
    origin.lines = outer->lines;
    origin.backward = outer->backward;
  } else if (line.known()) {
    origin.lines = {line};
  }
  origin.scope = body.scope();
  return origin;
}

}  // namespace

Line line_of(const Body& body, Line line) {
  const Origin* outer = outer_origin(body);
  return outer && !outer->lines.empty() ? outer->lines.back() : line;
}

uint64_t Literal::hash() const { return hash_bytes(mix(static_cast<uint64_t>(type.dtype), hash_of(type.shape)), *bytes); }

bool Literal::operator==(const Literal& other) const {
  return type == other.type && (bytes == other.bytes || *bytes == *other.bytes);
}

const Attribute* Attributes::find(std::string_view name) const {
  for (const auto& [key, attribute] : entries)
    if (key == name) return &attribute;
  return nullptr;
}

Axes Attributes::axes(std::string_view name) const {
  Axes axes;
  for (Extent extent : get<Shape>(name)) axes.push_back(extent.count);
  return axes;
}

Extent Attributes::extent(std::string_view name) const {
  const Attribute* found = find(name);
  if (const Shape* extents = found ? std::get_if<Shape>(found) : nullptr) return extents->at(0);
  return get<int64_t>(name);
}

uint64_t Attributes::hash() const {
  uint64_t hash = 0;
  for (const auto& [name, attribute] : entries) hash = mix(hash_text(hash, name), hash_of(attribute));
  return hash;
}

bool Attributes::operator==(const Attributes& other) const {
  return std::equal(entries.begin(), entries.end(), other.entries.begin(), other.entries.end(),
                    [](const auto& a, const auto& b) {
                      const double *x = std::get_if<double>(&a.second), *y = std::get_if<double>(&b.second);
                      bool same = x && y ? std::bit_cast<uint64_t>(*x) == std::bit_cast<uint64_t>(*y) : a.second == b.second;
                      return same && a.first == b.first;
                    });
}

const Node& Value::node() const {
  check(body_ != nullptr, "a Value that is read belongs to a graph");
  return body_->node(id_);
}

Operand::Operand(Value value, Line line) : value(value), line(line) {
  if (!value) fail(line, "an operand is an empty Value; it must be a node of a graph, or a number");
}

Line Value::line() const {
  const auto& lines = node().origin.lines;
  return lines.empty() ? Line{} : lines.back();
}

const State* Body::state(NodeId id) const {
  for (const State& state : states)
    if (state.node == id) return &state;
  return nullptr;
}

const State* Body::state(std::string_view name) const {
  for (auto [it, end] = named.equal_range(std::string(name)); it != end; ++it)
    if (const State* found = state(it->second)) return found;
  return nullptr;
}

const Entry* Body::entry(std::string_view name) const {
  for (const Entry& entry : entries)
    if (entry.name == name) return &entry;
  return nullptr;
}

std::string Body::scope() const {
  std::string path;
  for (const auto& [origin, absolute] : scopes) {
    if (absolute) path.clear();
    if (!origin.scope.empty()) path += (path.empty() ? "" : "/") + origin.scope;
  }
  return path;
}

int64_t Body::next_stream() {
  std::string path = scope();
  int64_t count = scope_counts[path]++;
  return static_cast<int64_t>(mix(hash_text(0xcbf29ce484222325u, path), static_cast<uint64_t>(count)));
}

Value apply(const Op& op, std::vector<Value> operands, Attributes attributes, Line line) {
  check(!operands.empty(), "apply() has an operand; a leaf is added by append()");
  for (const Value& operand : operands)
    if (!operand) fail(line, "{}: an operand is an empty Value", op.name);
  Body& body = operands[0].body();
  for (const Value& operand : operands)
    if (&operand.body() != &body) fail(line, "{}: operands belong to different graphs", op.name);
  return append(body, op, std::move(operands), std::move(attributes), line);
}

Value append(Body& body, const Op& op, std::vector<Value> operands, Attributes attributes, Line line) {
  Origin origin = current_origin(body, line);
  Application application{
      .op = op, .operands = {}, .attributes = attributes, .line = origin.lines.empty() ? line : origin.lines.back()};
  std::vector<NodeId> ids;
  for (const Value& operand : operands) {
    application.operands.push_back(operand.type());
    ids.push_back(operand.id());
  }
  if (op.operands >= 0 ? static_cast<size_t>(op.operands) != ids.size() : ids.empty())
    application.fail("takes {} operands, got {}", op.operands >= 0 ? std::to_string(op.operands) : "one or more", ids.size());
  Type type = type_of(application);
  check_type(body, op.name, type, application.line);
  uint64_t hash = hash_of(op, ids, attributes);
  for (auto [it, end] = body.table.equal_range(hash); it != end; ++it) {
    Node& node = body.nodes[static_cast<size_t>(it->second)];
    if (node.op == &op && node.operands == ids && node.attributes == attributes) {
      merge(node.origin, origin);
      return {&body, it->second};
    }
  }
  NodeId id = body.size();
  if (const Attribute* name = op.leaf ? attributes.find("name") : nullptr)
    if (const auto* text = std::get_if<std::string>(name)) body.named.emplace(*text, id);
  body.nodes.push_back({&op, std::move(ids), std::move(attributes), std::move(type), std::move(origin)});
  body.table.emplace(hash, id);
  return {&body, id};
}

Scope::Scope(Body& body, std::string_view name, Line at, Line opened) : body_(body) {
  check_name("scope", name, line_of(body, at.known() ? at : opened));
  Origin origin{at.known() ? std::vector<Line>{at} : std::vector<Line>{}, std::string(name), false};
  body.scopes.push_back({std::move(origin), false});
}
Scope::Scope(Body& body, const Origin& origin) : body_(body) { body.scopes.push_back({origin, true}); }
Scope::~Scope() { body_.scopes.pop_back(); }

Graph::Graph() : body_(std::make_unique<Body>()) {}
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;
Graph::~Graph() = default;

Extent Graph::size(std::string_view name, int64_t maximum, std::source_location at) {
  if (name.empty()) fail(at, "size: the run-time size needs a name");
  check_name("size", name, at);
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  if (!letter(name[0]) || !std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); }))
    fail(at, "size: '{}' is not an identifier", name);
  if (maximum < 1) fail(at, "size: the maximum of '{}' is {}; it must be at least 1", name, maximum);
  Sizes& sizes = body_->sizes;
  if (sizes.contains(name) && sizes.at(name) != maximum)
    fail(at, "size: '{}' has the maximum {} already, not {}", name, sizes.at(name), maximum);
  if (!sizes.contains(name) && sizes.size() == Sizes::largest)
    fail(at, "size: '{}' would be one more than {}, the most run-time sizes of a graph", name, Sizes::largest);
  sizes.set(name, maximum);
  return Extent(1, name);
}

void check_type(const Body& body, std::string_view what, const Type& type, Line line) {
  for (Extent extent : type.shape)
    for (std::string_view size : extent.names())
      if (!body.sizes.contains(size))
        fail(line, "{}: {} has the run-time size '{}', which the graph does not declare", what, type.str(), size);
  if (std::string why = flaw(type, body.sizes); !why.empty())
    fail(line, "{}: {} is not a possible type: {}", what, type.str(), why);
}

void check_name(std::string_view what, std::string_view name, Line line) {
  if (name.find('\0') != name.npos)
    fail(line, "{}: the name {} has a zero byte, at which others would take it to end", what, quoted(name));
}

namespace {

Value add_state(Graph& graph, std::string_view kind, std::string_view local, Type type, const Initializer& initial, Line line) {
  Body& body = graph.body();
  std::string path = body.scope();
  std::string name = path.empty() ? std::string(local) : path + "/" + std::string(local);
  if (local.empty()) fail(line, "{}: needs a name", kind);
  check_type(body, fmt::format("{} '{}'", kind, local), type, line);
  if (name == "seed" || name == "step")
    fail(line, "{} '{}': this name is taken by the {} of all random numbers; see Graph::{}", kind, name,
         name == "seed" ? "key" : "counter", name);
  if (const State* known = body.state(name)) {
    const Node& node = body.node(known->node);
    if (node.type != type || node.op->name != kind)
      fail(line, "{} '{}': is {} here and {} {} at {}; a tied parameter has one type", kind, name, type.str(), node.op->name,
           node.type.str(), node.origin.lines.empty() ? "?" : node.origin.lines.front().str());
    return {&body, known->node};
  }
  if (type.elements().symbolic()) fail(line, "{} '{}': {} depends on a run-time size", kind, name, type.str());
  Value node = kind == "parameter" ? parameter(body, name, type, line) : state(body, name, type, line);
  Scope scope(body, local, line);
  const Type computed = gradient_type(type);
  Value value = initial(graph, computed);
  if (value.type() == computed) value = cast(value, type.dtype);
  if (value.type() != type)
    fail(line, "{} '{}': the initial value is {}, the {} is {}", kind, name, value.type().str(), kind, type.str());
  body.states.push_back({node.id(), value.id(), kind == "parameter"});
  return node;
}

}  // namespace

Value Graph::input(std::string_view name, DType dtype, Shape shape, std::source_location at) {
  Type type{dtype, std::move(shape)};
  check_type(*body_, fmt::format("input '{}'", name), type, at);
  for (auto [it, end] = body_->named.equal_range(std::string(name)); it != end; ++it) {
    const Node& node = body_->node(it->second);
    if (node.op == &input_op && node.type != type)
      fail(at, "input '{}': is {} here and {} at {}", name, type.str(), node.type.str(), node.origin.lines.front().str());
  }
  return tenon::input(*body_, name, type, at);
}

Value Graph::parameter(std::string_view name, DType dtype, Shape shape, const Initializer& initial, std::source_location at) {
  return add_state(*this, "parameter", name, {dtype, std::move(shape)}, initial, at);
}

Value Graph::state(std::string_view name, DType dtype, Shape shape, const Initializer& initial, std::source_location at) {
  return add_state(*this, "state", name, {dtype, std::move(shape)}, initial, at);
}

namespace {
// A state of the whole program: outside all scopes, and its own initial value, so that `init` leaves it alone.
Value program_state(Body& body, std::string_view name) {
  if (const State* known = body.state(name)) return {&body, known->node};
  Scope outside(body, Origin{});
  Value node = state(body, name, Type{i64, {}}, {});
  body.states.push_back({node.id(), node.id(), false});
  return node;
}
}  // namespace

Value Graph::seed() { return program_state(*body_, "seed"); }
Value Graph::step() { return step_of(*body_); }
Value step_of(Body& body) { return program_state(body, "step"); }

void Graph::entry(std::string_view name, std::vector<std::pair<std::string, Value>> outputs, std::vector<Update> updates,
                  std::source_location at) {
  if (name.empty()) fail(at, "entry: needs a name");
  check_name("entry", name, at);
  if (body_->entry(name)) fail(at, "entry '{}': there is one with this name already", name);
  if (outputs.empty() && updates.empty()) fail(at, "entry '{}': has no output and no update", name);
  Entry entry{std::string(name), {}, {}};
  std::unordered_set<std::string_view> names;
  for (const auto& [output, value] : outputs) {
    if (output.empty()) fail(at, "entry '{}': an output needs a name", name);
    check_name(fmt::format("entry '{}'", name), output, at);
    if (!value || &value.body() != body_.get()) fail(at, "entry '{}': output '{}' is not of this graph", name, output);
    if (!names.insert(output).second) fail(at, "entry '{}': two outputs are called '{}'", name, output);
    entry.outputs.emplace_back(output, value.id());
  }
  std::unordered_set<NodeId> states, updated;
  for (const State& state : body_->states) states.insert(state.node);
  for (const Update& update : updates) {
    if (!update.state || !update.value || &update.state.body() != body_.get() || &update.value.body() != body_.get())
      fail(at, "entry '{}': an update is not of this graph", name);
    if (!states.contains(update.state.id()))
      fail(at, "entry '{}': {} is no parameter or state, so it cannot be updated", name, update.state.op().name);
    const std::string& target = update.state.attributes().get<std::string>("name");
    if (update.value.type() != update.state.type())
      fail(at, "entry '{}': '{}' is {}, its new value is {}", name, target, update.state.type().str(),
           update.value.type().str());
    if (!updated.insert(update.state.id()).second) fail(at, "entry '{}': '{}' is updated twice", name, target);
    entry.updates.emplace_back(update.state.id(), update.value.id());
  }
  body_->entries.push_back(std::move(entry));
}

void require_support(Value x, Support support, std::string_view operation, Line line) {
  const auto same_elements = [](const Value& v) { return v.op().name == "cast" || v.op().name == "reshape"; };
  while (same_elements(x)) x = x.operand(0);
  if (&x.op() == &input_op) {
    auto& supports = x.body().supports;
    const std::pair mark(x.id(), support);
    if (std::find(supports.begin(), supports.end(), mark) == supports.end()) supports.push_back(mark);
  } else if (&x.op() == &constant_op) {
    const Literal& literal = x.attributes().get<Literal>("value");
    std::vector<int64_t> extents;
    for (const Extent& extent : x.shape()) extents.push_back(extent.count);
    for (int64_t i = 0; i < x.type().elements().count; ++i)
      if (!contains(support, literal.at(i)))
        fail(line, "{}{} is {}, valid is {}", operation, position(i, extents), literal.at(i), valid(support, "y"));
  }
}

void Graph::require_fused(Value loss, std::source_location at) {
  if (!loss || &loss.body() != body_.get()) fail(at, "require_fused: the loss is not of this graph");
  body_->require_fused.push_back(loss.id());
}

void Graph::allow_unreached(Value parameter, std::source_location at) {
  if (!parameter || &parameter.body() != body_.get()) fail(at, "allow_unreached: the parameter is not of this graph");
  if (!body_->state(parameter.id())) fail(at, "allow_unreached: {} is no parameter or state", parameter.op().name);
  body_->allow_unreached.push_back(parameter.id());
}

}  // namespace tenon
