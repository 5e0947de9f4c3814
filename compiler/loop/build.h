#pragma once
// Builds a function of the loop language node by node. Arithmetic on constants is done at once, a loop that surely does not
// run is left out, and one that surely runs once is its body. Code can be put before any block that is open, which is how
// invariant work leaves a loop: the position is a depth, 0 being the prologue, 1 the body, d + 1 the d-th open block.
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "compiler/loop/loop.h"

namespace tenon::loop {

// A value under construction; it names a node of one builder. A null Value stands for "none".
struct Value {
  Id id = -1;
  ValueType type = {};
  explicit operator bool() const { return id >= 0; }
  bool operator==(const Value& other) const { return id == other.id; }
};
using Values = std::vector<Value>;

class Builder {
 public:
  explicit Builder(std::string name);
  Function finish();                          // the function, its nodes in order; the builder is spent
  Function& function() { return function_; }  // to declare what it has besides nodes

  // Any node that makes a value and has neither lanes nor blocks.
  Value make(Code code, ValueType type, std::span<const Value> operands, int64_t integer = 0);

  // ---- leaves ----
  Value integer(int64_t value, DType dtype = i64);
  Value boolean(bool value) { return integer(value, tenon::boolean); }
  Value number(ValueType type, double value);  // of any element type, rounded to it
  Value bit_pattern(ValueType type, uint64_t bits);
  Value zero(ValueType type) { return bit_pattern(type, 0); }
  Value lane_numbers(DType dtype);
  Value size(int64_t which);
  Value thread();
  Value threads();
  Value given(int64_t which);
  Value parameter(int64_t which);
  int64_t buffer(Buffer buffer);  // declares it
  Value base(int64_t buffer);
  Value extent(Extent extent);  // made in the prologue

  // The bits of a scalar integer or bool constant, sign extended; none of any other value.
  std::optional<int64_t> known(Value x) const;

  // ---- element by element: the type is that of the operands; see Code ----
  Value add(Value x, Value y) { return elementwise(Code::add, x, y); }
  Value sub(Value x, Value y) { return elementwise(Code::sub, x, y); }
  Value mul(Value x, Value y) { return elementwise(Code::mul, x, y); }
  Value div(Value x, Value y) { return elementwise(Code::div, x, y); }
  Value rem(Value x, Value y) { return elementwise(Code::rem, x, y); }
  Value udiv(Value x, Value y) { return elementwise(Code::udiv, x, y); }
  Value urem(Value x, Value y) { return elementwise(Code::urem, x, y); }
  Value fma(Value x, Value y, Value z) { return make(Code::fma, x.type, {x, y, z}); }
  Value neg(Value x) { return make(Code::neg, x.type, {x}); }
  Value abs(Value x) { return make(Code::abs, x.type, {x}); }
  Value bit_and(Value x, Value y) { return elementwise(Code::bit_and, x, y); }
  Value bit_or(Value x, Value y) { return elementwise(Code::bit_or, x, y); }
  Value bit_xor(Value x, Value y) { return elementwise(Code::bit_xor, x, y); }
  Value bit_not(Value x) { return bit_xor(x, bit_pattern(x.type, ~uint64_t{0})); }
  Value shift_left(Value x, Value y) { return elementwise(Code::shift_left, x, y); }
  Value shift_right(Value x, Value y) { return elementwise(Code::shift_right, x, y); }
  Value shift_right_unsigned(Value x, Value y) { return elementwise(Code::shift_right_unsigned, x, y); }
  Value eq(Value x, Value y) { return compare(Code::eq, x, y); }
  Value ne(Value x, Value y) { return compare(Code::ne, x, y); }
  Value lt(Value x, Value y) { return compare(Code::lt, x, y); }
  Value le(Value x, Value y) { return compare(Code::le, x, y); }
  Value gt(Value x, Value y) { return compare(Code::lt, y, x); }
  Value ge(Value x, Value y) { return compare(Code::le, y, x); }
  Value ult(Value x, Value y) { return compare(Code::ult, x, y); }
  Value select(Value condition, Value x, Value y);
  Value max(Value x, Value y) { return elementwise(Code::max, x, y); }
  Value min(Value x, Value y) { return elementwise(Code::min, x, y); }
  Value unary(Code code, Value x) { return make(code, x.type, {x}); }                    // floor, ceil, round, sqrt
  Value elementwise(Code code, Value x, Value y) { return make(code, x.type, {x, y}); }  // any of two operands
  Value copysign(Value x, Value sign) { return elementwise(Code::copysign, x, sign); }
  Value scale(Value x, Value exponent) { return elementwise(Code::scale, x, exponent); }
  Value cast(Value x, DType to);  // x itself if it has that type
  Value zero_extend(Value x, DType to) { return make(Code::zero_extend, x.type.with(to), {x}); }
  Value bits(Value x, DType to) { return make(Code::bits, x.type.with(to), {x}); }
  Value reference(int64_t function, const Values& arguments) {
    return make(Code::reference, arguments[0].type, arguments, function);
  }
  // Calls the function of that name, which is built on first use: `body` returns its result from its parameters.
  using Body = std::function<Value(Builder& b, const Values& parameters)>;
  Value call(const std::string& name, ValueType result, const Values& arguments, const Body& body);

  // ---- between lanes ----
  Value splat(Value x);  // x itself if it is a vector
  Value extract(Value x, int lane) { return make(Code::extract, {x.type.dtype}, {x}, lane); }
  Value shuffle(Value x, Value y, std::vector<int> lanes);
  Value reduce(Code by, Value x) { return make(Code::reduce, {x.type.dtype}, {x}, static_cast<int64_t>(by)); }
  Value any(Value x) { return make(Code::any, {tenon::boolean}, {x}); }

  // ---- memory; the mask may be null: all lanes; alignment 0: that of an element ----
  Value at(Value address, Value offset);
  Value load(Value address, bool vector, int64_t alignment = 0);
  Value load_masked(Value address, Value mask, Value rest);
  Value gather(Value address, Value offsets, Value mask, Value rest);
  void store(Value value, Value address, int64_t alignment = 0, Value mask = {});
  void scatter(Value value, Value address, Value offsets, Value mask);
  void prefetch(Value address);

  // ---- control: `open` and `close` stand around a block's code ----
  // The depth of the innermost open block; code goes to the position, which is that unless a guard says otherwise.
  size_t depth() const { return open_.size() - 1; }
  class Position {  // puts code at the end of what stands at that depth so far
   public:
    Position(Builder& b, size_t depth) : b_(b), before_(std::exchange(b.position_, depth)) {}
    ~Position() { b_.position_ = before_; }
    Position(const Position&) = delete;
    Position& operator=(const Position&) = delete;

   private:
    Builder& b_;
    std::optional<size_t> before_;
  };
  void open();   // a level without a loop
  void close();  // its code is the end of the block around it
  // for (i = begin; i < end; i += step) carried = body(i, carried), one depth further in; the carried values after it.
  Values loop(Value begin, Value end, int64_t step, Values carried,
              const std::function<Values(Value i, const Values& carried)>& body);
  // if (condition) then() else otherwise(); both return as many values, which it returns.
  Values branch(Value condition, const std::function<Values()>& then, const std::function<Values()>& otherwise = {});

 private:
  Value make(Code code, ValueType type, std::initializer_list<Value> operands, int64_t integer = 0) {
    return make(code, type, std::span<const Value>(operands.begin(), operands.size()), integer);
  }
  Value compare(Code code, Value x, Value y) { return make(code, x.type.with(tenon::boolean), {x, y}); }
  Value leaf(Code code, ValueType type, int64_t integer);
  Value append(Node node);
  Id free_node(Node node);  // stands in no list
  Values results(Id node, const Values& yields);
  int32_t take_block(const Values& arguments, const Values& yields);

  Function function_;
  std::vector<std::vector<Id>> open_;  // the code so far: the prologue, the body, and so on inwards
  std::optional<size_t> position_;
  std::map<std::tuple<Code, DType, bool, int64_t>, Value> leaves_;   // made once
  std::map<std::pair<int64_t, const SizeProduct*>, Value> extents_;  // made once
};

}  // namespace tenon::loop
