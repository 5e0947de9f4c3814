// Every node's value has one place, which is written each time the node runs.
#include "compiler/loop/interpret.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>

#include "compiler/loop/compute.h"

namespace tenon::loop {
namespace {

constexpr std::byte unwritten{0xff};
constexpr size_t all = lanes;

size_t index(int64_t i) { return static_cast<size_t>(i); }

// The bytes of an element are the lowest of its bits. Copies of a fixed size are single instructions.
void copy(void* to, const void* from, int64_t size) {
  switch (size) {
    case 8: std::memcpy(to, from, 8); break;
    case 4: std::memcpy(to, from, 4); break;
    case 2: std::memcpy(to, from, 2); break;
    default: std::memcpy(to, from, 1);
  }
}
uint64_t read(const std::byte* at, int64_t size) {
  uint64_t bits = 0;
  return copy(&bits, at, size), bits;
}
void write(std::byte* at, uint64_t bits, int64_t size) { copy(at, &bits, size); }

// A value: bits of an element or of 16, or an address.
struct Cell {
  std::array<uint64_t, all> bits{};
  int64_t buffer = 0, offset = 0;
};

struct Memory {
  std::byte* data = nullptr;
  int64_t count = 0;  // of elements
  int64_t size = 0;   // of an element, in bytes
  int64_t start = 0;  // of the first element, in bytes from an address of that alignment
  int64_t alignment = 0;
};

// The values of one function. A function never calls itself, so that each needs one frame.
struct Frame {
  explicit Frame(const Function& function) : function(function), cells(function.nodes.size()) {
    size_t carried = 0;
    for (const Block& block : function.blocks) carried = std::max(carried, block.yields.size());
    yields.resize(carried);
  }
  const Function& function;
  std::vector<Cell> cells;           // by node
  std::vector<Cell> yields;          // on their way round a loop
  std::vector<Id> parameters;        // the nodes that are one
  std::vector<Frame*> callees = {};  // by number
};

class Interpreter {
 public:
  Interpreter(const Function& function, const Call& call) : call_(call) {
    for (std::string_view size : function.sizes) check(call.sizes.at(size) >= 0, "no run-time size is negative");
    scratch_.assign(index(function.scratch_bytes()), unwritten);
    for (const Buffer& buffer : function.buffers) memory_.push_back(memory(function, buffer));
    entry_ = &frame(function);
  }

  void run() { run(*entry_, 0); }

 private:
  // ---- before the run ----

  Memory memory(const Function& function, const Buffer& buffer) {
    Memory result{.count = buffer.count.at(call_.sizes), .size = byte_size(buffer.dtype), .alignment = 64};
    const int64_t needed = checked_product(result.count, result.size);
    std::span<std::byte> given;
    switch (buffer.place) {
      case Buffer::Place::argument:
        result.alignment = result.size;
        if (index(buffer.slot) < call_.arguments.size()) given = call_.arguments[index(buffer.slot)];
        break;
      case Buffer::Place::scratch:
        result.start = buffer.slot;
        given = std::span(scratch_).subspan(std::min(index(buffer.slot), scratch_.size()));
        break;
      case Buffer::Place::stack: given = stack_.emplace_back(index(needed), unwritten); break;
      case Buffer::Place::fault:
        result.alignment = result.size;
        if (call_.fault) given = std::as_writable_bytes(std::span(call_.fault, 3));
        break;
    }
    if (static_cast<int64_t>(given.size()) < needed)
      throw Error(
          fmt::format("{}: buffer {} needs {} bytes and is given {}", function.name, memory_.size(), needed, given.size()));
    result.data = given.data();
    return result;
  }

  Frame& frame(const Function& function) {
    std::unique_ptr<Frame>& made = frames_[&function];
    if (made) return *made;
    made = std::make_unique<Frame>(function);
    Frame& frame = *made;
    for (size_t id = 0; id < function.nodes.size(); ++id) leaf(frame, id);
    for (const auto& callee : function.functions) frame.callees.push_back(&this->frame(*callee));
    return frame;
  }

  void leaf(Frame& frame, size_t id) {
    const Node& node = frame.function.nodes[id];
    Cell& cell = frame.cells[id];
    auto number = [&](int64_t value) { cell.bits[0] = static_cast<uint64_t>(value); };
    switch (node.code) {
      case Code::constant: cell.bits.fill(low_bits(static_cast<uint64_t>(node.integer), node.type.dtype)); break;
      case Code::lane_numbers:
        for (size_t lane = 0; lane < all; ++lane) cell.bits[lane] = lane;
        break;
      case Code::size: number(call_.sizes.at(frame.function.sizes[index(node.integer)])); break;
      case Code::thread: number(call_.thread); break;
      case Code::threads: number(call_.threads); break;
      case Code::number:
        if (index(node.integer) >= call_.numbers.size())
          throw Error(
              fmt::format("{}: number {} is read and {} are given", frame.function.name, node.integer, call_.numbers.size()));
        number(call_.numbers[index(node.integer)]);
        break;
      case Code::base: cell.buffer = node.integer; break;
      case Code::parameter: frame.parameters.push_back(static_cast<Id>(id)); break;
      default: break;
    }
  }

  // ---- control ----

  void run(Frame& f, int32_t block) {
    for (Id id : f.function.blocks[index(block)].nodes) {
      const Node& node = f.function.nodes[index(id)];
      if (is_elementwise(node.code))
        elements(f, id, node);
      else
        other(f, id, node);
    }
  }

  void other(Frame& f, Id id, const Node& node) {
    Cell& cell = f.cells[index(id)];
    const auto operand = [&](size_t i) -> const Cell& { return f.cells[index(node.operands[i])]; };
    switch (node.code) {
      case Code::result: cell = result(f, f.function.nodes[index(node.operands[0])], index(node.integer)); break;
      case Code::call: call(f, node, cell); break;
      case Code::splat: cell.bits.fill(operand(0).bits[0]); break;
      case Code::extract: cell.bits[0] = operand(0).bits[index(node.integer)]; break;
      case Code::shuffle:
        for (size_t lane = 0; lane < all; ++lane) {
          const size_t from = index(node.lanes[lane]);
          cell.bits[lane] = operand(from / all).bits[from % all];
        }
        break;
      case Code::reduce: reduce(f, id, node, cell); break;
      case Code::any: cell.bits[0] = std::ranges::any_of(operand(0).bits, [](uint64_t bit) { return bit != 0; }); break;
      case Code::at:
        cell.buffer = operand(0).buffer;
        cell.offset = sum(operand(0).offset, integer(f, node.operands[1], 0));
        break;
      case Code::load:
      case Code::gather: load(f, id, node); break;
      case Code::store:
      case Code::scatter: store(f, id, node); break;
      case Code::loop: loop(f, id, node); break;
      case Code::branch: branch(f, node, cell); break;
      default: break;  // prefetch
    }
  }

  void loop(Frame& f, Id id, const Node& node) {
    if (node.integer <= 0) wrong(f, id, fmt::format("its step is {}", node.integer));
    const Block& body = f.function.blocks[index(node.blocks[0])];
    for (size_t i = 1; i < body.arguments.size(); ++i) f.cells[index(body.arguments[i])] = f.cells[index(node.operands[i + 1])];
    Cell& counter = f.cells[index(body.arguments[0])];
    const int64_t end = integer(f, node.operands[1], 0);
    for (int64_t i = integer(f, node.operands[0], 0); i < end;) {
      counter.bits[0] = static_cast<uint64_t>(i);
      run(f, node.blocks[0]);
      // Yields may be arguments of the block, in another order.
      for (size_t k = 0; k < body.yields.size(); ++k) f.yields[k] = f.cells[index(body.yields[k])];
      for (size_t k = 0; k < body.yields.size(); ++k) f.cells[index(body.arguments[k + 1])] = f.yields[k];
      if (__builtin_add_overflow(i, node.integer, &i)) break;
    }
  }

  // Leaves in its cell which block ran.
  void branch(Frame& f, const Node& node, Cell& cell) {
    cell.bits[0] = f.cells[index(node.operands[0])].bits[0] ? 0 : 1;
    if (cell.bits[0] < node.blocks.size()) run(f, node.blocks[cell.bits[0]]);
  }

  const Cell& result(const Frame& f, const Node& of, size_t number) const {
    if (of.code == Code::loop) return f.cells[index(f.function.blocks[index(of.blocks[0])].arguments[number + 1])];
    const size_t ran = f.cells[static_cast<size_t>(&of - f.function.nodes.data())].bits[0];
    return f.cells[index(f.function.blocks[index(of.blocks[ran])].yields[number])];
  }

  void call(Frame& f, const Node& node, Cell& cell) {
    Frame& callee = *f.callees[index(node.integer)];
    for (Id id : callee.parameters)
      callee.cells[index(id)] = f.cells[index(node.operands[index(callee.function.nodes[index(id)].integer)])];
    run(callee, 0);
    cell = callee.cells[index(callee.function.blocks[0].yields[0])];
  }

  // ---- values ----

  static int64_t sum(int64_t a, int64_t b) {  // wraps
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
  static int64_t integer(const Frame& f, Id id, size_t lane) {
    return as_integer(f.cells[index(id)].bits[lane], f.function.nodes[index(id)].type.dtype);
  }

  void elements(Frame& f, Id id, const Node& node) {
    std::array<const uint64_t*, 3> from{};
    std::array<size_t, 3> step{};  // a scalar operand of a vector is the same in each lane
    const size_t count = node.operands.size();
    for (size_t i = 0; i < count; ++i) {
      from[i] = f.cells[index(node.operands[i])].bits.data();
      step[i] = f.function.nodes[index(node.operands[i])].type.vector;
    }
    const DType operand = f.function.nodes[index(node.operands.back())].type.dtype;
    Cell& cell = f.cells[index(id)];
    for (size_t lane = 0; lane < (node.type.vector ? all : 1); ++lane) {
      std::array<uint64_t, 3> bits{};
      for (size_t i = 0; i < count; ++i) bits[i] = from[i][lane * step[i]];
      const auto made = compute(node, operand, std::span(bits).first(count));
      if (!made) no_result(f, id, operand, std::span(bits).first(count), lane);
      cell.bits[lane] = *made;
    }
  }

  void reduce(const Frame& f, Id id, const Node& node, Cell& cell) {
    cell.bits = f.cells[index(node.operands[0])].bits;
    const Node by{.code = static_cast<Code>(node.integer), .type = node.type};
    for (size_t half = all / 2; half > 0; half /= 2)
      for (size_t lane = 0; lane < half; ++lane) {
        const std::array<uint64_t, 2> both{cell.bits[lane], cell.bits[lane + half]};
        const auto made = compute(by, node.type.dtype, both);
        if (!made) no_result(f, id, node.type.dtype, both, lane);
        cell.bits[lane] = *made;
      }
  }

  // ---- memory ----

  // The lanes of an access: the offset of each, and whether it is touched.
  struct Access {
    const Cell& address;
    const Cell* offsets;  // of a gather or scatter
    const Cell* mask;
    DType offset_type;
    bool vector_mask;

    bool touches(size_t lane) const { return !mask || mask->bits[vector_mask ? lane : 0]; }
    int64_t offset(size_t lane) const {
      return sum(address.offset, offsets ? as_integer(offsets->bits[lane], offset_type) : static_cast<int64_t>(lane));
    }
  };
  static Access access(const Frame& f, const Node& node, size_t address, bool indexed) {
    const size_t mask = address + (indexed ? 2 : 1);
    const auto cell = [&](size_t i) { return &f.cells[index(node.operands[i])]; };
    const auto type = [&](size_t i) { return f.function.nodes[index(node.operands[i])].type; };
    const bool masked = node.operands.size() > mask;
    return {*cell(address), indexed ? cell(address + 1) : nullptr, masked ? cell(mask) : nullptr,
            indexed ? type(address + 1).dtype : i64, masked && type(mask).vector};
  }

  void load(Frame& f, Id id, const Node& node) {
    const bool indexed = node.code == Code::gather;
    const Access from = access(f, node, 0, indexed);
    const Cell* rest = from.mask ? &f.cells[index(node.operands.back())] : nullptr;
    const Memory& memory = memory_[index(from.address.buffer)];
    Cell& cell = f.cells[index(id)];
    if (!indexed) aligned(f, id, from, memory);
    for (size_t lane = 0; lane < (node.type.vector ? all : 1); ++lane) {
      if (!from.touches(lane)) {
        cell.bits[lane] = rest->bits[lane];
        continue;
      }
      const uint64_t bits = read(inside(f, id, from, memory, lane), memory.size);
      cell.bits[lane] = node.type.dtype == boolean ? bits != 0 : bits;
    }
  }

  void store(Frame& f, Id id, const Node& node) {
    const bool indexed = node.code == Code::scatter;
    const Access to = access(f, node, 1, indexed);
    const Memory& memory = memory_[index(to.address.buffer)];
    const Cell& value = f.cells[index(node.operands[0])];
    if (!indexed) aligned(f, id, to, memory);
    for (size_t lane = 0; lane < (f.function.nodes[index(node.operands[0])].type.vector ? all : 1); ++lane)
      if (to.touches(lane)) write(inside(f, id, to, memory, lane), value.bits[lane], memory.size);
  }

  std::byte* inside(const Frame& f, Id id, const Access& access, const Memory& memory, size_t lane) const {
    const int64_t offset = access.offset(lane);
    if (offset < 0 || offset >= memory.count)
      wrong(f, id,
            fmt::format("offset {} of buffer {} is outside of its {} elements", offset, access.address.buffer, memory.count));
    return memory.data + offset * memory.size;
  }

  // What a node promises holds of an access of 16 elements even if its mask touches none.
  void aligned(const Frame& f, Id id, const Access& access, const Memory& memory) const {
    if (access.mask && !access.vector_mask && !access.touches(0)) return;
    const int64_t alignment = f.function.nodes[index(id)].integer;
    const int64_t at = sum(
        memory.start, static_cast<int64_t>(static_cast<uint64_t>(access.address.offset) * static_cast<uint64_t>(memory.size)));
    if (alignment < 1 || alignment > memory.alignment || at % alignment != 0)
      wrong(f, id,
            fmt::format("offset {} of buffer {}, of {} elements, is not aligned to {} bytes", access.address.offset,
                        access.address.buffer, memory.count, alignment));
  }

  // ---- what is wrong ----

  [[noreturn]] static void wrong(const Frame& f, Id id, const std::string& what) {
    throw Error(fmt::format("{}: %{} {}: {}", f.function.name, id, name(f.function.nodes[index(id)].code), what));
  }
  [[noreturn]] static void no_result(const Frame& f, Id id, DType dtype, std::span<const uint64_t> bits, size_t lane) {
    std::vector<std::string> operands;
    for (uint64_t x : bits)
      operands.push_back(is_float(dtype) ? fmt::format("{}", as_double(x, dtype)) : fmt::format("{}", as_integer(x, dtype)));
    const std::string where = f.function.nodes[index(id)].type.vector ? fmt::format(" in lane {}", lane) : "";
    wrong(f, id, fmt::format("of {}{} has no result", fmt::join(operands, " and "), where));
  }

  const Call& call_;
  std::vector<std::byte> scratch_;
  std::vector<std::vector<std::byte>> stack_;
  std::vector<Memory> memory_;  // by buffer
  std::map<const Function*, std::unique_ptr<Frame>> frames_;
  Frame* entry_ = nullptr;
};

}  // namespace

void interpret(const Function& function, const Call& call) { Interpreter(function, call).run(); }

}  // namespace tenon::loop
