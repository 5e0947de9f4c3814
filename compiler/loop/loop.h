#pragma once
// The loop language: how a kernel is computed. A Function is buffers and a tree of blocks; a node makes at most one value,
// which is a scalar, a vector or the address of an element of a buffer, and stands before its uses (static single
// assignment). It knows no operation's name, no graph and no LLVM: a back end prints it node by node.
//
//   function "train.0" threads sizes n
//   buffer 0 f32[784n] argument 0
//   buffer 1 f32[n] argument 1
//     %5 = mul n, 784 : i64
//     loop %7 = 0 to %5 by 16 carry %8 = 0:f32x16
//       %9 = at @0, %7 : @f32
//       %10 = load %9 align 4 : f32x16
//       %11 = fma %10, %10, %8 : f32x16
//       yield %11
//     end gives %12
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/type.h"

namespace tenon::loop {

inline constexpr int lanes = 16;  // of a vector, on every ISA

// Of a value: an element, 16 of them, or the address of one in memory. A bool is in memory a u8, 0 or 1. f16 and bf16 are
// moved, chosen by select and converted; no code computes with them.
struct ValueType {
  DType dtype = DType::i64;
  bool vector = false;
  bool address = false;

  bool operator==(const ValueType&) const = default;
  ValueType with(DType other) const { return {other, vector, address}; }
  std::string str() const;  // f32, f32x16, @f32
};

inline bool is_signed(DType dtype) { return is_integer(dtype) && traits(dtype).is_signed; }

using Id = int32_t;  // of a node, and of the value that it makes; -1: none

// clang-format off
enum class Code : uint8_t {
  // Leaves: no block lists them, each stands for the same everywhere, and the text writes them where they are used.
  constant,      // its bits `integer`, the same in every lane
  lane_numbers,  // <0, 1, ..., 15>
  size,          // the run-time size `integer` of those that the function has
  thread,        // 0 <= thread < threads: the share of the work this call does
  threads,
  number,        // the given number `integer`
  base,          // the address of the first element of buffer `integer`
  parameter,     // of a function that is called: argument `integer`

  argument,  // of a block: a loop's counter or a value that it carries
  result,    // of a loop or a branch: its result `integer`

  // Element by element, of a scalar or of each lane. Integers wrap; u8 and bool are unsigned, i32 and i64 signed.
  add, sub, mul,
  fma,                 // of floats: one rounding
  div, rem,            // of integers toward zero; neither by 0 nor of the least integer by -1
  udiv, urem,          // the same of the bits as unsigned integers
  neg, abs,
  bit_and, bit_or, bit_xor,
  shift_left, shift_right, shift_right_unsigned,  // by less than the width
  eq, ne, lt, le,      // a NaN is unequal to everything and neither less nor greater
  ult,                 // of the bits as unsigned integers
  select,              // condition, then, else; a scalar condition chooses whole vectors
  max, min,            // floats: a NaN wins, and -0 is less than +0
  floor, ceil, round,  // round goes to even
  sqrt, copysign,
  scale,               // of f32x16: x * 2^floor(n), rounded once; for machines with AVX-512 alone
  cast,                // to the type: floats round to nearest, float to integer saturates and NaN is 0, to bool is != 0;
                       // f32 to f16 and back is for machines with F16C
  zero_extend,         // an integer's bits to a wider integer
  bits,                // reinterprets f32 as i32, f64 as i64, f16 and bf16 as the lower half of an i32 (the upper is 0); and back
  reference,           // the function of ir/compute.h with the number `integer`, in double

  call,  // of function `integer`, which touches no memory

  // Between lanes.
  splat,    // a scalar to 16 lanes
  extract,  // lane `integer` of a vector
  shuffle,  // lane i is lane lanes[i] of the first operand, or from 16 on of the second
  any,      // whether a lane of a bool vector is true
  reduce,   // combines lanes 0 to 7 with 8 to 15, of these 0 to 3 with 4 to 7, and so on, by the Code `integer`: add, mul, max
            // or min

  // Memory. A masked access touches the lanes of the mask alone; what a load leaves out is `rest`.
  at,        // address, offset in elements
  load,      // address [, mask, rest]
  gather,    // address, offsets of the lanes in elements [, mask, rest]
  store,     // value, address [, mask]
  scatter,   // value, address, offsets [, mask]; of equal addresses the last lane's stays
  prefetch,  // address: of a line that is read soon, which may lie outside of its buffer

  // Control. `loop` runs block 0 with (i, carried...) for i = begin, begin + integer, ... while i < end; the operands are
  // begin, end, carried... `branch` runs block 0 or, if it has one, block 1. The results are what the blocks yield; of a
  // loop that does not run, what it would carry.
  loop,
  branch,
};
// clang-format on
std::string_view name(Code code);  // "shift_left"
inline constexpr int codes = static_cast<int>(Code::branch) + 1;

struct Node {
  Code code = Code::constant;
  ValueType type = {};  // of the value, if it makes one
  std::vector<Id> operands = {};
  int64_t integer = 0;               // see Code; of a constant: its bits; of a load or store: the alignment in bytes
  std::vector<int> lanes = {};       // of a shuffle
  std::vector<int32_t> blocks = {};  // of a loop or a branch

  bool operator==(const Node&) const = default;
};
// Whether `reference` may have that number: the functions of ir/compute.h from sqrt to trigamma.
bool is_reference(int64_t function);
inline bool is_leaf(Code code) { return code <= Code::parameter; }
inline bool is_elementwise(Code code) { return code >= Code::add && code <= Code::reference; }
bool makes_value(Code code);  // all but store, scatter, prefetch, loop and branch

// A straight piece of code with loops and branches inside.
struct Block {
  std::vector<Id> arguments = {};  // nodes of their own, which stand in no list
  std::vector<Id> nodes = {};      // in order, no leaves; the results of a loop or a branch follow it
  std::vector<Id> yields = {};

  bool operator==(const Block&) const = default;
};

struct Buffer {
  enum class Place : uint8_t {
    argument,  // its address is argument `slot` of the call
    scratch,   // of the thread, aligned to 64, `slot` bytes from its start
    stack,     // of the call, aligned to 64
    fault,     // the Fault of the run: check, element, value
  };
  Place place = Place::argument;
  DType dtype = DType::f32;
  Extent count = 0;  // of elements
  int64_t slot = 0;

  bool operator==(const Buffer&) const = default;
};
std::string_view name(Buffer::Place place);

// A kernel's function, or one that such functions call; the body of the latter yields its value. Block 0 is the body. Nodes
// and blocks are numbered in the order in which the text shows them: first the leaves, in the order of their first use (of a
// node's operands, the first first), then the others: a loop or branch, the arguments and nodes of its blocks, its results.
struct Function {
  std::string name;
  bool threads = false;                      // several threads share the work: thread and threads are given
  int64_t numbers = 0;                       // how many it is given besides
  std::vector<std::string_view> sizes = {};  // the names of the run-time sizes that it is given, distinct and interned
  std::vector<Buffer> buffers = {};
  std::vector<ValueType> parameters = {};  // of a function that is called
  std::vector<Node> nodes = {};
  std::vector<Block> blocks = {};
  std::vector<std::shared_ptr<const Function>> functions = {};  // that it calls, of distinct names

  int64_t scratch_bytes() const;  // per thread
};
bool operator==(const Function& a, const Function& b);

// The text form: parse(str(f)) == f. The functions that it calls stand before it.
std::string str(const Function& function);
// Error "file:line:column: message" with the line and a caret, for any text that str() could not have written from a function
// that verify() accepts.
Function parse(std::string_view text, std::string_view file = "<text>");

}  // namespace tenon::loop
