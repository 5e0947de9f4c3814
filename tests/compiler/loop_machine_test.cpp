// Every code of the loop language at every type that it takes: what the interpreter gives and what the machine gives are
// the same bits (of a NaN: that it is one), scalar and vector, on every ISA of this machine.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "compiler/loop/verify.h"
#include "tests/compiler/loop_machine.h"

namespace tenon::loop {
namespace {

constexpr DType all_types[] = {f64, f32, i64, i32, u8, boolean, f16, bf16};
// Numbers at the edges of a type, and some between.
std::vector<uint64_t> edges(DType dtype) {
  std::vector<uint64_t> result;
  if (is_float(dtype)) {
    const bool wide = dtype == f64;
    const double inf = std::numeric_limits<double>::infinity();
    for (double x :
         {0.0, 0.5, 1.0, 1.5, 2.5, 3.7, 1e-3, 127.0, 255.5, 2147483647.0, 2147483648.0, 9.3e18, 16777217.0, wide ? 1e300 : 3e38,
          wide ? 1e-310 : 1e-40, wide ? 5e-324 : 1e-45, 0x1p-126, inf, std::numeric_limits<double>::quiet_NaN()})
      for (double sign : {1.0, -1.0}) result.push_back(from_double(std::copysign(x, sign), dtype));
  } else if (dtype == boolean) {
    result = {0, 1};
  } else {
    const uint64_t top = uint64_t{1} << (width(dtype) - 1);
    for (uint64_t x : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{3}, uint64_t{7}, uint64_t{31}, uint64_t{100},
                       uint64_t{0x7fff}, top - 1, top, top + 1, ~uint64_t{0}, ~uint64_t{0} - 2, uint64_t{0xdeadbeefcafe}})
      result.push_back(low_bits(x, dtype));
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 6 && dtype != boolean; ++i) {
    const double x = std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 80) - 90);
    result.push_back(is_float(dtype) ? from_double(x, dtype) : low_bits(random(), dtype));
  }
  return result;
}

// A code with the types of its operands and of its result.
struct Case {
  Node node;
  std::vector<DType> operands;
};

// The function y[i] = code(x0[i], x1[i], ...) over `count` elements, by vectors and then by elements.
Function elementwise(const Case& c, int64_t count) {
  Builder b("f.0");
  b.function().sizes = {intern("n")};
  std::vector<Value> bases;
  for (size_t i = 0; i <= c.operands.size(); ++i) {
    const DType dtype = i < c.operands.size() ? c.operands[i] : c.node.type.dtype;
    bases.push_back(b.base(b.buffer({Buffer::Place::argument, dtype == boolean ? u8 : dtype, count, static_cast<int64_t>(i)})));
  }
  for (bool vector : {true, false}) {
    const int64_t step = vector ? lanes : 1, half = count / 2;
    b.loop(b.integer(vector ? 0 : half), b.integer(vector ? half : count), step, {}, [&](Value i, const Values&) {
      Values x;
      for (size_t k = 0; k < c.operands.size(); ++k) x.push_back(b.cast(b.load(b.at(bases[k], i), vector), c.operands[k]));
      Value y = b.make(c.node.code, {c.node.type.dtype, vector}, x);
      b.store(b.cast(y, y.type.dtype == boolean ? u8 : y.type.dtype), b.at(bases.back(), i));
      return Values();
    });
  }
  return b.finish();
}

// Whether the language has such a node.
bool exists(const Case& c) {
  try {
    verify(elementwise(c, 2 * lanes));
    return true;
  } catch (const InternalError&) {
    return false;
  }
}

// All operands that have a meaning, as the columns of a table whose rows are a multiple of twice the lanes.
std::vector<Bytes> operands(const Case& c, int64_t& count) {
  std::vector<std::vector<uint64_t>> rows{{}};
  for (DType dtype : c.operands) {
    std::vector<std::vector<uint64_t>> longer;
    for (const auto& row : rows)
      for (uint64_t x : edges(dtype)) longer.push_back(row), longer.back().push_back(x);
    rows = std::move(longer);
  }
  if (rows.size() > 4000) {  // of three operands
    std::mt19937_64 random(2);
    std::ranges::shuffle(rows, random);
    rows.resize(4000);
  }
  std::erase_if(rows, [&](const auto& row) { return !compute(c.node, c.operands.back(), row); });
  if (rows.empty()) return {};
  while (rows.size() % (2 * lanes)) rows.push_back(rows.front());
  const std::vector half = rows;
  rows.insert(rows.end(), half.begin(), half.end());  // once as vectors, once as elements
  count = std::ssize(rows);
  std::vector<Bytes> columns;
  for (size_t k = 0; k < c.operands.size(); ++k) {
    columns.emplace_back(rows.size() * static_cast<size_t>(byte_size(c.operands[k])));
    for (size_t i = 0; i < rows.size(); ++i) put_bits(columns.back(), i, c.operands[k], rows[i][k]);
  }
  columns.emplace_back(rows.size() * static_cast<size_t>(byte_size(c.node.type.dtype)));
  return columns;
}

// Returns how many types the code takes.
int compare(Code code) {
  std::vector<Case> cases;
  for (DType x : all_types) {
    if (code == Code::select) cases.push_back({{.code = code, .type = {x}}, {boolean, x, x}});
    for (DType y : all_types) {
      if (code == Code::cast || code == Code::zero_extend || code == Code::bits)
        if (x != y) cases.push_back({{.code = code, .type = {y}}, {x}});
    }
    for (size_t arity : {1, 2, 3})
      for (DType result : {x, boolean})
        if (code != Code::select && code != Code::cast && code != Code::zero_extend && code != Code::bits &&
            (result == x || code == Code::eq || code == Code::ne || code == Code::lt || code == Code::le || code == Code::ult))
          cases.push_back({{.code = code, .type = {result}}, std::vector(arity, x)});
  }
  int compared = 0;
  for (const Case& c : cases) {
    if (!exists(c)) continue;
    int64_t count = 0;
    std::vector<Bytes> columns = operands(c, count);
    if (columns.empty()) continue;
    agree(elementwise(c, count), std::move(columns));
    ++compared;
  }
  return compared;
}

}  // namespace

TEST_CASE("every code that works element by element is the same for the interpreter and for the machine") {
  int compared = 0;
  for (Code code = Code::add; code <= Code::bits; code = static_cast<Code>(static_cast<int>(code) + 1)) {
    CAPTURE(tenon::loop::name(code));
    if (code == Code::scale) continue;  // of vectors alone, and of one ISA: the test of the functions has it
    const int types = compare(code);
    CHECK(types >= 2);
    compared += types;
  }
  CHECK(compared == 174);  // pairs of a code and a type
}

TEST_CASE("lanes and memory are the same for the interpreter and for the machine, at every type") {
  constexpr int64_t count = 4 * lanes;
  for (DType dtype : all_types) {
    if (dtype == boolean) continue;  // which memory holds as u8
    Builder b("f.0");
    b.function().sizes = {intern("n")};
    auto argument = [&](DType of, int64_t elements) {
      const int64_t slot = std::ssize(b.function().buffers);
      return b.base(b.buffer({Buffer::Place::argument, of, elements, slot}));
    };
    std::vector<Bytes> bytes;
    std::mt19937_64 random(3);
    auto filled = [&](DType of, const std::vector<uint64_t>& from) {
      bytes.emplace_back(static_cast<size_t>(count * byte_size(of)));
      for (size_t i = 0; i < size_t{count}; ++i) put_bits(bytes.back(), i, of, from[random() % from.size()]);
      return argument(of, count);
    };
    Value x = filled(dtype, edges(dtype)), y = filled(dtype, edges(dtype)), flags = filled(u8, {0, 1});
    bytes.emplace_back(static_cast<size_t>(count * byte_size(i64)));
    for (size_t i = 0; i < size_t{count}; ++i) put_bits(bytes.back(), i, i64, (i * 37 + 11) % count);
    Value at = argument(i64, count);
    const size_t results = 24;
    bytes.emplace_back(results * size_t{count} * static_cast<size_t>(byte_size(dtype)));
    Value out = argument(dtype, static_cast<int64_t>(results) * count);
    int64_t next = 0;
    auto place = [&](Value i) { return b.at(out, b.add(b.integer(next++ * count), i)); };

    b.loop(b.integer(0), b.mul(b.size(0), b.integer(lanes)), lanes, {}, [&](Value i, const Values&) {
      Value a = b.load(b.at(x, i), true), c = b.load(b.at(y, i), true);
      Value mask = b.cast(b.load(b.at(flags, i), true), boolean), offsets = b.load(b.at(at, i), true);
      std::vector<int> crossed, reversed;
      for (int lane = 0; lane < lanes; ++lane) crossed.push_back(lane * 7 % (2 * lanes)), reversed.push_back(lanes - 1 - lane);
      b.store(b.shuffle(a, c, crossed), place(i));
      b.store(b.shuffle(a, a, reversed), place(i));
      b.store(b.splat(b.extract(a, 11)), place(i));
      b.store(b.load_masked(b.at(x, i), mask, c), place(i));
      b.store(a, place(i), 0, mask);
      b.store(b.gather(x, offsets, {}, {}), place(i));
      b.store(b.gather(x, offsets, mask, c), place(i));
      b.store(b.gather(y, b.cast(offsets, i32), mask, a), place(i));
      b.scatter(a, place(b.integer(0)), offsets, {});
      b.scatter(a, place(b.integer(0)), offsets, mask);
      b.scatter(c, place(b.integer(0)), b.splat(b.integer(3)), mask);  // the last lane stays
      if (!is_storage(dtype)) {
        for (Code by : {Code::add, Code::mul, Code::max, Code::min}) b.store(b.splat(b.reduce(by, a)), place(i));
        b.store(b.cast(b.lane_numbers(i32), dtype), place(i));
      }
      Value any = b.any(mask), none = b.any(b.bit_and(mask, b.bit_not(mask)));
      b.store(b.select(any, a, c), place(i));
      b.store(b.select(none, a, c), place(i));
      b.prefetch(b.at(x, b.integer(count)));
      return Values();
    });
    // Carried values, branches and elements.
    Values sums = b.loop(b.integer(0), b.size(0), 1, {b.zero({dtype}), b.zero({dtype, true})}, [&](Value i, const Values& now) {
      Value element = b.load(b.at(x, i), false), vector = b.load(b.at(y, i), true);
      Value flag = b.cast(b.load(b.at(flags, i), false), boolean);
      if (is_storage(dtype))
        return b.branch(
            flag,
            [&] {
              return Values{element, now[1]};
            },
            [&] {
              return Values{now[0], vector};
            });
      return b.branch(
          flag,
          [&] {
            return Values{b.add(now[0], element), b.sub(now[1], vector)};
          },
          [&] {
            return Values{element, b.max(now[1], vector)};
          });
    });
    b.store(sums[0], place(b.integer(0)));
    b.store(sums[1], place(b.integer(0)));
    CHECK(next <= static_cast<int64_t>(results));
    const Function function = b.finish();
    verify(function);
    for (int64_t n : {0, 1, 3, 4}) agree(function, bytes, n);
  }
}

}  // namespace tenon::loop
