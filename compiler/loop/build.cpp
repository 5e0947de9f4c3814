#include "compiler/loop/build.h"

#include <algorithm>
#include <array>

#include "compiler/loop/compute.h"

namespace tenon::loop {

Builder::Builder(std::string name) : open_(2) {
  function_.name = std::move(name);
  function_.blocks.emplace_back();  // the body, filled in by finish()
}

// ---- leaves ----

Value Builder::leaf(Code code, ValueType type, int64_t integer) {
  Value& made = leaves_[{code, type.dtype, type.vector, integer}];  // an address is that of a base alone
  if (!made) made = {free_node({.code = code, .type = type, .integer = integer}), type};
  return made;
}

Value Builder::integer(int64_t value, DType dtype) { return bit_pattern({dtype}, static_cast<uint64_t>(value)); }
Value Builder::number(ValueType type, double value) {
  if (is_float(type.dtype)) return bit_pattern(type, from_double(value, type.dtype));
  return bit_pattern(type, static_cast<uint64_t>(static_cast<int64_t>(value)));
}
Value Builder::bit_pattern(ValueType type, uint64_t bits) {
  return leaf(Code::constant, type, static_cast<int64_t>(low_bits(bits, type.dtype)));
}
Value Builder::lane_numbers(DType dtype) { return leaf(Code::lane_numbers, {dtype, true}, 0); }
Value Builder::size(int64_t which) { return leaf(Code::size, {i64}, which); }
Value Builder::thread() { return function_.threads ? leaf(Code::thread, {i64}, 0) : integer(0); }
Value Builder::threads() { return function_.threads ? leaf(Code::threads, {i64}, 0) : integer(1); }
Value Builder::given(int64_t which) { return leaf(Code::number, {i64}, which); }
Value Builder::parameter(int64_t which) {
  return leaf(Code::parameter, function_.parameters[static_cast<size_t>(which)], which);
}
int64_t Builder::buffer(Buffer buffer) {
  function_.buffers.push_back(buffer);
  return static_cast<int64_t>(function_.buffers.size()) - 1;
}
Value Builder::base(int64_t buffer) {
  return leaf(Code::base, {function_.buffers[static_cast<size_t>(buffer)].dtype, false, true}, buffer);
}
Value Builder::extent(Extent extent) {
  if (!extent.symbolic()) return integer(extent.count);
  Value& made = extents_[{extent.count, extent.sizes}];
  if (made) return made;
  Position prologue(*this, 0);
  for (std::string_view name : extent.names()) {
    const auto which = std::ranges::find(function_.sizes, name);
    check(which != function_.sizes.end(), "an extent is of sizes that the function has");
    const Value next = size(which - function_.sizes.begin());
    made = made ? mul(made, next) : next;
  }
  return extent.count == 1 ? made : made = mul(made, integer(extent.count));
}

std::optional<int64_t> Builder::known(Value x) const {
  if (!x || x.type.vector || x.type.address || is_float(x.type.dtype)) return {};
  const Node& node = function_.nodes[static_cast<size_t>(x.id)];
  if (node.code != Code::constant) return {};
  return as_integer(static_cast<uint64_t>(node.integer), x.type.dtype);
}

// ---- nodes ----

Id Builder::free_node(Node node) {
  function_.nodes.push_back(std::move(node));
  return static_cast<Id>(function_.nodes.size()) - 1;
}
Value Builder::append(Node node) {
  const ValueType type = node.type;
  const Id id = free_node(std::move(node));
  open_[position_.value_or(depth())].push_back(id);
  return {id, type};
}

Value Builder::make(Code code, ValueType type, std::span<const Value> operands, int64_t integer) {
  Node node{.code = code, .type = type, .integer = integer};
  if (is_elementwise(code) && !type.vector && !is_float(type.dtype)) {
    std::array<uint64_t, 3> bits{};
    size_t constants = 0;
    for (Value x : operands) {
      const Node& operand = function_.nodes[static_cast<size_t>(x.id)];
      if (operand.code == Code::constant && !is_float(operand.type.dtype))
        bits[constants++] = static_cast<uint64_t>(operand.integer);
    }
    if (constants == operands.size())
      if (auto folded = compute(node, operands.back().type.dtype, std::span(bits).first(constants)))
        return bit_pattern(type, *folded);
  }
  node.operands.reserve(operands.size());
  for (Value x : operands) {
    check(x.id >= 0, "an operand of a loop's node has been made");
    node.operands.push_back(x.id);
  }
  return append(std::move(node));
}

Value Builder::select(Value condition, Value x, Value y) {
  if (auto chosen = known(condition)) return *chosen ? x : y;
  return make(Code::select, x.type, {condition, x, y});
}
Value Builder::cast(Value x, DType to) {
  if (x.type.dtype == to) return x;
  return make(Code::cast, x.type.with(to), {x});
}
Value Builder::splat(Value x) {
  if (x.type.vector) return x;
  const Node& node = function_.nodes[static_cast<size_t>(x.id)];
  const ValueType type{x.type.dtype, true};
  if (node.code == Code::constant) return bit_pattern(type, static_cast<uint64_t>(node.integer));
  return make(Code::splat, type, {x});
}
Value Builder::shuffle(Value x, Value y, std::vector<int> lanes) {
  return append({.code = Code::shuffle, .type = x.type, .operands = {x.id, y.id}, .lanes = std::move(lanes)});
}

Value Builder::call(const std::string& name, ValueType result, const Values& arguments, const Body& body) {
  auto& functions = function_.functions;
  auto it = std::ranges::find(functions, name, [](const auto& function) -> const std::string& { return function->name; });
  if (it == functions.end()) {
    Builder inside(name);
    for (Value x : arguments) inside.function_.parameters.push_back(x.type);
    Values parameters;
    for (size_t i = 0; i < arguments.size(); ++i) parameters.push_back(inside.parameter(static_cast<int64_t>(i)));
    const Value value = body(inside, parameters);
    inside.function_.blocks[0].yields.push_back(value.id);
    functions.push_back(std::make_shared<const Function>(inside.finish()));
    it = std::prev(functions.end());
  }
  return make(Code::call, result, arguments, it - functions.begin());
}

// ---- memory ----

Value Builder::at(Value address, Value offset) {
  if (known(offset) == 0) return address;
  return make(Code::at, address.type, {address, offset});
}
Value Builder::load(Value address, bool vector, int64_t alignment) {
  return make(Code::load, {address.type.dtype, vector}, {address}, alignment ? alignment : byte_size(address.type.dtype));
}
Value Builder::load_masked(Value address, Value mask, Value rest) {
  return make(Code::load, rest.type, {address, mask, rest}, byte_size(address.type.dtype));
}
Value Builder::gather(Value address, Value offsets, Value mask, Value rest) {
  const ValueType type{address.type.dtype, true};
  if (!mask) return make(Code::gather, type, {address, offsets});
  return make(Code::gather, type, {address, offsets, mask, rest});
}
void Builder::store(Value value, Value address, int64_t alignment, Value mask) {
  if (!alignment) alignment = byte_size(address.type.dtype);
  if (!mask)
    make(Code::store, {}, {value, address}, alignment);
  else
    make(Code::store, {}, {value, address, mask}, alignment);
}
void Builder::scatter(Value value, Value address, Value offsets, Value mask) {
  if (!mask)
    make(Code::scatter, {}, {value, address, offsets});
  else
    make(Code::scatter, {}, {value, address, offsets, mask});
}
void Builder::prefetch(Value address) { make(Code::prefetch, {}, {address}); }

// ---- control ----

void Builder::open() { open_.emplace_back(); }
void Builder::close() {
  std::vector<Id> code = std::move(open_.back());
  open_.pop_back();
  open_.back().insert(open_.back().end(), code.begin(), code.end());
}

int32_t Builder::take_block(const Values& arguments, const Values& yields) {
  Block block{.nodes = std::move(open_.back())};
  open_.pop_back();
  for (Value x : arguments) block.arguments.push_back(x.id);
  for (Value x : yields) block.yields.push_back(x.id);
  function_.blocks.push_back(std::move(block));
  return static_cast<int32_t>(function_.blocks.size()) - 1;
}

Values Builder::results(Id node, const Values& yields) {
  Values values;
  for (size_t i = 0; i < yields.size(); ++i)
    values.push_back(
        append({.code = Code::result, .type = yields[i].type, .operands = {node}, .integer = static_cast<int64_t>(i)}));
  return values;
}

Values Builder::loop(Value begin, Value end, int64_t step, Values carried,
                     const std::function<Values(Value i, const Values& carried)>& body) {
  auto first = known(begin), last = known(end);
  if (first && last && *first >= *last) return carried;
  if (first && last && *first + step >= *last) {
    open();
    carried = body(begin, carried);
    close();
    return carried;
  }
  Values arguments{{free_node({.code = Code::argument, .type = {i64}}), {i64}}};
  for (Value x : carried) arguments.push_back({free_node({.code = Code::argument, .type = x.type}), x.type});
  for (size_t i = 1; i < arguments.size(); ++i)
    function_.nodes[static_cast<size_t>(arguments[i].id)].integer = static_cast<int64_t>(i);
  open();
  const Values next = body(arguments[0], Values(arguments.begin() + 1, arguments.end()));
  check(next.size() == carried.size(), "a loop's body returns as many values as it is given");
  Node node{.code = Code::loop, .operands = {begin.id, end.id}, .integer = step, .blocks = {take_block(arguments, next)}};
  for (Value x : carried) node.operands.push_back(x.id);
  const Value made = append(std::move(node));
  return results(made.id, next);
}

Values Builder::branch(Value condition, const std::function<Values()>& then, const std::function<Values()>& otherwise) {
  Node node{.code = Code::branch, .operands = {condition.id}};
  open();
  const Values values = then();
  node.blocks.push_back(take_block({}, values));
  if (otherwise) {
    open();
    const Values others = otherwise();
    check(others.size() == values.size(), "both ways of a branch give as many values");
    node.blocks.push_back(take_block({}, others));
  }
  check(otherwise || values.empty(), "a branch that gives values has both ways");
  const Value made = append(std::move(node));
  return results(made.id, values);
}

// ---- the end ----

namespace {

// Numbers nodes and blocks in the order of the text.
class Numbering {
 public:
  explicit Numbering(const Function& f) : f_(f), node_(f.nodes.size(), -1), block_(f.blocks.size(), -1) {}

  void run(Function& out) {
    walk(0);
    const size_t leaves = leaves_.size();
    for (size_t i = 0; i < leaves; ++i) node_[static_cast<size_t>(leaves_[i])] = static_cast<Id>(i);
    for (size_t i = 0; i < order_.size(); ++i) node_[static_cast<size_t>(order_[i])] = static_cast<Id>(leaves + i);
    leaves_.insert(leaves_.end(), order_.begin(), order_.end());
    out.nodes.clear(), out.blocks.clear();
    for (Id id : leaves_) {
      Node node = f_.nodes[static_cast<size_t>(id)];
      renumber(node.operands);
      for (int32_t& block : node.blocks) block = block_[static_cast<size_t>(block)];
      out.nodes.push_back(std::move(node));
    }
    for (int32_t id : blocks_) {
      Block block = f_.blocks[static_cast<size_t>(id)];
      renumber(block.arguments), renumber(block.nodes), renumber(block.yields);
      out.blocks.push_back(std::move(block));
    }
  }

 private:
  void use(Id id) {
    Id& known = node_[static_cast<size_t>(id)];
    if (known >= 0 || !is_leaf(f_.nodes[static_cast<size_t>(id)].code)) return;
    known = 0;
    leaves_.push_back(id);
  }
  void walk(int32_t id) {
    block_[static_cast<size_t>(id)] = static_cast<int32_t>(blocks_.size());
    blocks_.push_back(id);
    const Block& block = f_.blocks[static_cast<size_t>(id)];
    order_.insert(order_.end(), block.arguments.begin(), block.arguments.end());
    for (Id node : block.nodes) {
      order_.push_back(node);
      const Node& made = f_.nodes[static_cast<size_t>(node)];
      for (Id operand : made.operands) use(operand);
      for (int32_t inside : made.blocks) walk(inside);
    }
    for (Id value : block.yields) use(value);
  }
  void renumber(std::vector<Id>& ids) const {
    for (Id& id : ids) id = node_[static_cast<size_t>(id)];
  }

  const Function& f_;
  std::vector<Id> node_, leaves_, order_;
  std::vector<int32_t> block_, blocks_;
};

}  // namespace

Function Builder::finish() {
  check(open_.size() == 2, "every block that was opened is closed");
  Block& body = function_.blocks[0];
  body.nodes = std::move(open_[0]);
  body.nodes.insert(body.nodes.end(), open_[1].begin(), open_[1].end());
  const Function draft = std::move(function_);
  Function result{draft.name, draft.threads,  draft.numbers, draft.sizes, draft.buffers, draft.parameters, {},
                  {},         draft.functions};
  Numbering(draft).run(result);
  return result;
}

}  // namespace tenon::loop
