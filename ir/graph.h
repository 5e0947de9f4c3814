#pragma once
// The graph: an append-only, hash-consed list. A node refers only to earlier nodes, and equal nodes (operation,
// operands, attributes by bits) are one node. There are no use-lists and no mutation: a pass is a loop that builds a
// new list, differentiation a loop backwards. The body has a stable address, so a Value stays valid while its
// graph lives, also when the Graph object is moved.
#include <cstddef>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <variant>

#include "ir/check.h"
#include "ir/type.h"

namespace tenon {

struct Op;
class Graph;
struct Body;
using NodeId = int32_t;

// Element i of an array of T that lies at any address.
template <typename T>
T element(std::span<const std::byte> bytes, int64_t i) {
  T value;
  std::memcpy(&value, bytes.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
  return value;
}
double real_at(DType dtype, std::span<const std::byte> bytes, int64_t i);    // any element as a double
int64_t whole_at(DType dtype, std::span<const std::byte> bytes, int64_t i);  // toward zero

// The elements of a constant, row-major, shared between copies.
struct Literal {
  Type type;  // no symbolic extent
  std::shared_ptr<const std::vector<std::byte>> bytes;

  // Converted; Error unless there is one value for each element and it fits.
  static Literal of(Type type, std::span<const double> values, Line line = std::source_location::current());
  static Literal of(int64_t value);  // an i64
  double at(int64_t element) const;  // i64 beyond 2^53: use integer_at
  int64_t integer_at(int64_t element) const;
  uint64_t hash() const;                        // of type and bytes
  bool operator==(const Literal& other) const;  // by bits
};

// Attributes are data that the printer and parser know by kind, so no operation prints or parses its own.
// Lists of integers are Shapes of constants.
using Attribute = std::variant<int64_t, double, bool, std::string, DType, Shape, Literal>;
struct Attributes {
  std::vector<std::pair<std::string, Attribute>> entries;  // in the order the builder gives

  const Attribute* find(std::string_view name) const;
  template <typename T>
  const T& get(std::string_view name) const {
    const Attribute* attribute = find(name);
    check(attribute && std::holds_alternative<T>(*attribute), "an operation reads an attribute that it has");
    return std::get<T>(*attribute);
  }
  Axes axes(std::string_view name) const;      // a list of integers
  Extent extent(std::string_view name) const;  // an integer, or a list of one extent
  uint64_t hash() const;
  bool operator==(const Attributes& other) const;  // by bits: 0.0 and -0.0 differ, equal NaNs do not
};

// Where a node comes from. Never part of a node's identity.
struct Origin {
  std::vector<Line> lines;  // the user's lines, most recent last; more than one when equal nodes were shared
  std::string scope;        // "dense1/relu"
  bool backward = false;    // made by differentiation, of these lines
};

struct Node {
  const Op* op;
  std::vector<NodeId> operands;
  Attributes attributes;
  Type type;
  Origin origin;
};

// A scope that is open while nodes are added.
struct OpenScope {
  Origin origin;
  bool absolute = false;  // the origin stands for itself, whatever is open around it
};

// A node of a graph, held by the user. Copying is free.
class Value {
 public:
  Value() = default;
  Value(Body* body, NodeId id) : body_(body), id_(id) {}

  explicit operator bool() const { return body_ != nullptr; }
  bool operator==(const Value&) const = default;  // the same node; for an elementwise comparison see equal()
  const Node& node() const;
  const Op& op() const { return *node().op; }
  const Type& type() const { return node().type; }
  const Shape& shape() const { return node().type.shape; }
  DType dtype() const { return node().type.dtype; }
  int64_t rank() const { return node().type.rank(); }
  const Attributes& attributes() const { return node().attributes; }
  Value operand(size_t i) const { return {body_, node().operands[i]}; }
  size_t operand_count() const { return node().operands.size(); }
  Line line() const;  // the most recent of its lines
  NodeId id() const { return id_; }
  Body& body() const { return *body_; }

 private:
  Body* body_ = nullptr;
  NodeId id_ = -1;
};

// An argument of a builder: a Value or a number, with the user's line. The number takes the type of the other operand.
// Error: the Value is empty (it would be read as the number 0).
struct Operand {
  Value value;
  double number = 0;
  std::optional<int64_t> whole = {};  // the number, exactly, if it was given as an integer
  Line line;

  Operand(Value value, std::source_location at = std::source_location::current()) : Operand(value, Line(at)) {}
  template <typename T>
  requires std::is_arithmetic_v<T> Operand(T number, std::source_location at = std::source_location::current())
      : number(static_cast<double>(number)), line(at) {
    if constexpr (std::is_integral_v<T>)
      if (std::is_signed_v<T> || static_cast<uint64_t>(number) <= uint64_t{INT64_MAX}) whole = static_cast<int64_t>(number);
  }
  Operand(Value value, Line line);
};

// A value that lives across steps. `initial` is its value in the entry `init`.
struct State {
  NodeId node;
  NodeId initial;
  bool trainable;  // a parameter, as against a running mean, a moment, the step
};

// state := value, applied when the entry ends; every read in the entry sees the value from its start.
struct Update {
  Value state;
  Value value;
};

struct Entry {
  std::string name;
  std::vector<std::pair<std::string, NodeId>> outputs;
  std::vector<std::pair<NodeId, NodeId>> updates;  // state, new value
};

// What a pass says to the user about a line of theirs: "train.cpp:12: softmax with cross-entropy: fused".
struct Receipt {
  std::string pass;  // "fuse_loss"
  Line line;
  NodeId node;  // of the graph the pass read; -1 if none
  bool done;    // fused, or not fused because of `text`
  std::string text;
  bool operator==(const Receipt&) const = default;
};

// The stable part of a graph. Passes read it; users go through Graph and Value.
struct Body {
  std::deque<Node> nodes;
  std::unordered_multimap<uint64_t, NodeId> table;     // hash -> node
  std::unordered_multimap<std::string, NodeId> named;  // leaves by their names
  Sizes sizes;                                         // the run-time sizes and their maxima
  std::vector<State> states;
  std::vector<Entry> entries;
  std::vector<NodeId> require_fused;
  std::vector<NodeId> allow_unreached;
  std::vector<std::pair<NodeId, Support>> supports;  // inputs whose elements are checked by every run
  std::vector<Receipt> receipts;
  std::vector<OpenScope> scopes;                          // innermost last
  std::unordered_map<std::string, int64_t> scope_counts;  // next random stream within a scope

  const Node& node(NodeId id) const { return nodes[static_cast<size_t>(id)]; }
  Value value(NodeId id) { return {this, id}; }
  NodeId size() const { return static_cast<NodeId>(nodes.size()); }
  const State* state(NodeId node) const;
  const State* state(std::string_view name) const;
  const Entry* entry(std::string_view name) const;
  std::string scope() const;  // path of the open scopes
  int64_t next_stream();      // for a random operation added in the open scope: hash of path and count
};

// How a parameter begins: a value of the given type, built in the parameter's own scope. One of f16 or bf16 is asked for
// in f32, and cast.
using Initializer = std::function<Value(Graph&, const Type&)>;

class Graph {
 public:
  Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;
  ~Graph();

  // The run-time size `name`, from 1 to `maximum`. Error if it exists with another maximum.
  Extent size(std::string_view name, int64_t maximum, std::source_location at = std::source_location::current());

  // Of f16 or bf16 too, here and below: cast(x, f32) computes with what they store.
  Value input(std::string_view name, DType dtype, Shape shape, std::source_location at = std::source_location::current());
  // A trained value. The same name twice is one tied parameter; Error naming both lines if the types differ. The name
  // is put after the path of the open scopes: "dense1/W".
  Value parameter(std::string_view name, DType dtype, Shape shape, const Initializer& initial,
                  std::source_location at = std::source_location::current());
  // A value that entries update and checkpoints save but nothing differentiates.
  Value state(std::string_view name, DType dtype, Shape shape, const Initializer& initial,
              std::source_location at = std::source_location::current());
  Value seed();  // the state "seed", i64[]: the key of all random numbers
  // The state "step", i64[]: the counter of all random numbers, and what schedules read. Each run of an entry that has
  // updates of minimize() adds 1, whatever it trains; an optimiser that needs a count of its own keeps one (adam()).
  Value step();

  // A named function of the program: what it returns and what it updates. Error if the name exists, a name is empty,
  // two outputs or two updates collide, an update's type differs from its state's. An entry "init" takes the place of the
  // one that compile() makes of the initial values (so the text of an optimised graph, which has it, compiles again).
  void entry(std::string_view name, std::vector<std::pair<std::string, Value>> outputs, std::vector<Update> updates = {},
             std::source_location at = std::source_location::current());

  // compile() fails unless the loss's softmax (or sigmoid) and logarithm were fused.
  void require_fused(Value loss, std::source_location at = std::source_location::current());
  // minimize() leaves the parameter alone instead of failing when no gradient reaches it.
  void allow_unreached(Value parameter, std::source_location at = std::source_location::current());

  Body& body() const { return *body_; }

 private:
  std::unique_ptr<Body> body_;
};

// The elements of x lie in the support, or else an Error names row and value: now for a constant, by every run of an
// entry that reads it for an input; what is computed from them is not looked at. Casts and reshapes of either count.
void require_support(Value x, Support support, std::string_view operation, Line line);

Value step_of(Body& body);  // Graph::step() for those who hold a Value only

// Error "full: f32[-3] is not a possible type: ..." unless the graph can hold a value of the type.
void check_type(const Body& body, std::string_view what, const Type& type, Line line);
// Error if a name that the user gives has a zero byte.
void check_name(std::string_view what, std::string_view name, Line line);

// The line that a node added now with `line` carries: that of the open scopes (see Scope), else `line`.
Line line_of(const Body& body, Line line);

// Appends a node, or finds its equal. Runs the op's type rule, which throws Error with `line`.
Value apply(const Op& op, std::vector<Value> operands, Attributes attributes = {}, Line line = {});

// The same for leaves, which have no operand to name their graph.
Value append(Body& body, const Op& op, std::vector<Value> operands, Attributes attributes = {}, Line line = {});

// While it lives, nodes added to the graph are named under `name`, and if `at` is given they carry that line (the
// outermost such line wins, so that a layer's nodes carry the line of the user who called the layer). Error if the name
// has a zero byte, at the line `at`, or else where the scope is opened.
class Scope {
 public:
  Scope(Body& body, std::string_view name, Line at = {}, Line opened = std::source_location::current());
  Scope(Graph& graph, std::string_view name, Line at = {}, Line opened = std::source_location::current())
      : Scope(graph.body(), name, at, opened) {}
  // Nodes carry `origin` as it is: for passes, which replace a node by others.
  Scope(Body& body, const Origin& origin);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Body& body_;
};

}  // namespace tenon
