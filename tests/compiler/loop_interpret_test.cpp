// Functions of the loop language, run: lanes, memory, control. What is wrong: loop_interpret_errors_test.cpp.
#include "compiler/loop/interpret.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <numeric>

#include "compiler/loop/build.h"
#include "tests/compiler/loops.h"

using namespace tenon;
using loop::Buffer, loop::Builder, loop::Call, loop::Code, loop::Function, loop::interpret, loop::Value, loop::Values;
using loop::ValueType;
using namespace tenon::test;

namespace {

// 0, 1, 2, ...
template <typename T>
std::vector<T> counted(size_t count) {
  std::vector<T> result(count);
  std::iota(result.begin(), result.end(), T{});
  return result;
}

// Runs a body on one buffer of the elements and returns what it holds then.
template <typename T>
std::vector<T> ran(DType dtype, std::vector<T> elements, const std::function<void(Builder& b)>& body, Call call = {}) {
  Builder b("f");
  b.function().sizes = {intern("n")};
  b.buffer(argument(0, dtype, elements.size()));
  body(b);
  call.arguments = {bytes(elements)};
  interpret(b.finish(), call);
  return elements;
}

constexpr ValueType f32x16{f32, true}, i64x16{i64, true}, i32x16{i32, true};

}  // namespace

// ---- lanes ----

TEST_CASE("a code of one element works in every lane, and a scalar operand is the same in each") {
  auto x = ran<float>(f32, counted<float>(48), [](Builder& b) {
    const Value low = b.load(at(b, 0, 0), true), high = b.load(at(b, 0, 16), true);
    b.store(b.fma(low, high, b.number(f32x16, 0.5)), at(b, 0, 0));
    b.store(b.select(b.lt(high, b.number(f32x16, 20)), low, high), at(b, 0, 16));
    b.store(b.select(b.lt(b.load(at(b, 0, 40), false), b.number({f32}, 0)), low, high), at(b, 0, 32));
  });
  for (int lane = 0; lane < 16; ++lane) {
    const auto l = static_cast<float>(lane);
    const auto i = static_cast<size_t>(lane);
    CHECK(x[i] == l * (l + 16) + 0.5f);
    CHECK(x[16 + i] == (l < 4 ? l : l + 16));
    CHECK(x[32 + i] == l + 16);
  }
}

TEST_CASE("a lane is a lane in each type") {
  auto doubled = [](DType dtype) {
    return [dtype](Builder& b) {
      const Value x = b.load(at(b, 0, 0), true);
      b.store(b.add(x, x), at(b, 0, 0));
      b.store(b.add(b.load(at(b, 0, 16), false), b.integer(1, dtype)), at(b, 0, 16));
    };
  };
  CHECK(ran<int64_t>(i64, std::vector<int64_t>(17, -3), doubled(i64))[15] == -6);
  CHECK(ran<int64_t>(i64, std::vector<int64_t>(17, -3), doubled(i64))[16] == -2);
  CHECK(ran<int32_t>(i32, std::vector<int32_t>(17, -3), doubled(i32))[15] == -6);
  CHECK(ran<int32_t>(i32, std::vector<int32_t>(17, -1), doubled(i32))[16] == 0);
  CHECK(ran<uint8_t>(u8, std::vector<uint8_t>(17, 200), doubled(u8))[15] == 144);
  CHECK(ran<uint8_t>(u8, std::vector<uint8_t>(17, 255), doubled(u8))[16] == 0);
  CHECK(ran<uint8_t>(boolean, std::vector<uint8_t>(17, 1), doubled(boolean))[15] == 0);
  auto f64_sum = ran<double>(f64, std::vector<double>(16, 0.1), [](Builder& b) {
    const Value x = b.load(at(b, 0, 0), true);
    b.store(b.add(x, b.add(x, x)), at(b, 0, 0));
  });
  CHECK(f64_sum[15] == 0.1 + (0.1 + 0.1));
}

TEST_CASE("lanes are numbered, filled, taken out, mixed and asked") {
  auto x = ran<int64_t>(i64, counted<int64_t>(48), [](Builder& b) {
    const Value low = b.load(at(b, 0, 0), true), high = b.load(at(b, 0, 16), true);
    std::vector<int> lanes(16);
    for (int i = 0; i < 16; ++i) lanes[static_cast<size_t>(i)] = i % 2 ? 16 + i : 15 - i;
    b.store(b.shuffle(low, high, lanes), at(b, 0, 0));
    b.store(b.splat(b.extract(high, 5)), at(b, 0, 16));
    b.store(b.lane_numbers(i64), at(b, 0, 32));
    auto any = [&](int64_t above) { return b.cast(b.any(b.lt(b.splat(b.integer(above)), low)), i64); };
    b.store(any(14), at(b, 0, 32));
    b.store(any(15), at(b, 0, 33));
  });
  CHECK(std::vector(x.begin(), x.begin() + 16) ==
        std::vector<int64_t>{15, 17, 13, 19, 11, 21, 9, 23, 7, 25, 5, 27, 3, 29, 1, 31});
  CHECK(std::vector(x.begin() + 16, x.begin() + 32) == std::vector<int64_t>(16, 21));
  CHECK(std::vector(x.begin() + 32, x.end()) == std::vector<int64_t>{1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
}

TEST_CASE("a NaN keeps its bits on its way through memory, lanes and select") {
  auto x = ran<uint32_t>(f32, std::vector<uint32_t>(32, 0xffa00001), [](Builder& b) {
    const Value x = b.load(at(b, 0, 0), true);
    b.store(b.select(b.eq(x, x), b.zero(f32x16), b.splat(b.extract(x, 3))), at(b, 0, 16));
    b.store(b.neg(x), at(b, 0, 0));
  });
  CHECK(x[0] == 0x7fa00001);
  CHECK(x[31] == 0xffa00001);
}

// ---- memory ----

TEST_CASE("a masked access touches the lanes of its mask alone, at both ends of a buffer") {
  auto x = ran<float>(f32, counted<float>(10), [](Builder& b) {
    auto less = [&](int64_t limit) { return b.lt(b.lane_numbers(i64), b.splat(b.integer(limit))); };
    // 0 to 9 shifted to lanes 6 to 15, the rest -1; then lanes 0 to 2 are the last three elements.
    const Value shifted = b.load_masked(at(b, 0, -6), b.bit_not(less(6)), b.number(f32x16, -1));
    b.store(shifted, at(b, 0, 7), 0, less(3));
    b.store(b.extract(shifted, 15), at(b, 0, 0));
    b.store(b.add(shifted, b.number(f32x16, 100)), at(b, 0, -14), 0, b.lt(b.splat(b.integer(14)), b.lane_numbers(i64)));
  });
  CHECK(x == std::vector<float>{9, 109, 2, 3, 4, 5, 6, -1, -1, -1});
}

TEST_CASE("a mask of no lane reads and writes nothing, wherever the address is") {
  auto x = ran<int32_t>(i32, {7, 8}, [](Builder& b) {
    const Value none = b.zero({boolean, true}), no = b.lt(b.load(at(b, 0, 1), false), b.integer(0, i32));
    const Value far = at(b, 0, 1000);
    const Value kept = b.load_masked(far, none, b.bit_pattern(i32x16, 5));
    b.store(kept, far, 0, none);
    b.scatter(kept, far, b.lane_numbers(i64), none);
    b.store(b.add(b.extract(kept, 15), b.extract(b.gather(far, b.lane_numbers(i64), none, kept), 0)), at(b, 0, 0));
    b.store(b.load_masked(far, no, b.integer(-4, i32)), at(b, 0, 1));
    b.store(b.integer(1, i32), far, 0, no);
    b.prefetch(far);
    b.prefetch(at(b, 0, -1000));
  });
  CHECK(x == std::vector<int32_t>{10, -4});
}

TEST_CASE("a scalar mask that is true lets a scalar be read and written") {
  auto x = ran<int32_t>(i32, {7, 8}, [](Builder& b) {
    const Value yes = b.lt(b.integer(0, i32), b.load(at(b, 0, 1), false));
    b.store(b.load_masked(at(b, 0, 0), yes, b.integer(-4, i32)), at(b, 0, 1), 0, yes);
  });
  CHECK(x == std::vector<int32_t>{7, 7});
}

TEST_CASE("offsets may be negative and of 32 bits, and of equal addresses the last lane's element stays") {
  auto x = ran<int64_t>(i64, counted<int64_t>(20), [](Builder& b) {
    const Value lanes = b.lane_numbers(i32), back = b.neg(lanes);
    const Value reversed = b.gather(at(b, 0, 19), back, {}, {});  // 19 down to 4
    // Each pair of lanes meets in one element: 18, 16, ..., 4 stay.
    b.scatter(reversed, b.base(0), b.shift_right(lanes, b.bit_pattern(i32x16, 1)), {});
    const Value few = b.lt(b.lane_numbers(i64), b.splat(b.integer(3)));
    const Value far = b.mul(b.lane_numbers(i64), b.splat(b.integer(5)));  // inside up to 15
    b.scatter(b.bit_pattern(i64x16, 100), at(b, 0, 9), far, few);
  });
  CHECK(x == std::vector<int64_t>{18, 16, 14, 12, 10, 8, 6, 4, 8, 100, 10, 11, 12, 13, 100, 15, 16, 17, 18, 100});
}

TEST_CASE("of a masked gather the lanes left out are the rest") {
  auto x = ran<int64_t>(i64, counted<int64_t>(16), [](Builder& b) {
    const Value lanes = b.lane_numbers(i64);
    const Value inside = b.lt(lanes, b.splat(b.integer(2)));
    b.store(b.gather(at(b, 0, 15), b.neg(b.mul(lanes, b.splat(b.integer(15)))), inside, b.neg(lanes)), b.base(0));
  });
  CHECK(x == std::vector<int64_t>{15, 0, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -14, -15});
}

TEST_CASE("stack and scratch begin with all bits set, and scratch buffers may share bytes") {
  auto x = ran<int64_t>(i64, {0, 0, 0, 0}, [](Builder& b) {
    const int64_t own = b.buffer(stack(i32, 4)), wide = b.buffer(scratch(64, i64, 2)), narrow = b.buffer(scratch(72, u8, 8));
    b.store(b.cast(b.load(at(b, own, 3), false), i64), at(b, 0, 0));
    b.store(b.load(at(b, wide, 1), false), at(b, 0, 1));
    b.store(b.integer(0, u8), at(b, narrow, 1));
    b.store(b.load(at(b, wide, 1), false, 8), at(b, 0, 2));
    b.store(b.cast(b.load(at(b, narrow, 2), false, 2), i64), at(b, 0, 3));
  });
  CHECK(x == std::vector<int64_t>{-1, -1, -0xff01, 255});
}

TEST_CASE("a bool in memory is a byte, 0 or 1; any other that is read is true") {
  auto x = ran<uint8_t>(boolean, {0, 1, 9, 7, 7}, [](Builder& b) {
    b.store(b.load(at(b, 0, 2), false), at(b, 0, 4));
    b.store(b.bit_not(b.load(at(b, 0, 0), false)), at(b, 0, 2));
    b.store(b.bit_not(b.load(at(b, 0, 1), false)), at(b, 0, 3));
  });
  CHECK(x == std::vector<uint8_t>{0, 1, 1, 0, 1});
}

TEST_CASE("the fault of a run is three integers") {
  Builder b("f");
  b.function().sizes = {intern("n")};
  const int64_t fault = b.buffer({.place = Buffer::Place::fault, .dtype = i64, .count = 3});
  for (int64_t i = 0; i < 3; ++i) b.store(b.add(b.given(i), b.integer(1)), at(b, fault, i));
  b.function().numbers = 3;
  int64_t result[3] = {};
  interpret(b.finish(), {.numbers = {10, 20, 30}, .fault = result});
  CHECK(std::vector(result, result + 3) == std::vector<int64_t>{11, 21, 31});
}

// ---- control ----

TEST_CASE("a loop carries values, all of them at once from one turn to the next") {
  auto x = ran<int64_t>(i64, {0, 0, 0},
                        [](Builder& b) {
                          const Values last = b.loop(b.integer(0), b.size(0), 1, {b.integer(0), b.integer(1), b.integer(0)},
                                                     [&](Value i, const Values& v) {
                                                       return Values{v[1], b.add(v[0], v[1]), i};
                                                     });
                          for (int64_t i = 0; i < 3; ++i) b.store(last[static_cast<size_t>(i)], at(b, 0, i));
                        },
                        {.sizes = 10});
  CHECK(x == std::vector<int64_t>{55, 89, 9});
}

TEST_CASE("a loop may carry its own values round in another order") {
  auto x =
      ran<int64_t>(i64, {1, 2, 3},
                   [](Builder& b) {
                     Values v;
                     for (int64_t i = 0; i < 3; ++i) v.push_back(b.load(at(b, 0, i), false));
                     v = b.loop(b.integer(0), b.size(0), 1, v, [](Value, const Values& v) { return Values{v[2], v[0], v[1]}; });
                     for (int64_t i = 0; i < 3; ++i) b.store(v[static_cast<size_t>(i)], at(b, 0, i));
                   },
                   {.sizes = 4});
  CHECK(x == std::vector<int64_t>{3, 1, 2});
}

TEST_CASE("a loop that does not run gives what it would carry") {
  for (int64_t size : {0, 5}) {
    auto x = ran<int64_t>(i64, {7},
                          [](Builder& b) {
                            const Values last =
                                b.loop(b.integer(5), b.size(0), 1, {b.integer(-3)}, [&](Value i, const Values&) {
                                  b.store(i, at(b, 0, 100));
                                  return Values{i};
                                });
                            b.store(last[0], at(b, 0, 0));
                          },
                          {.sizes = size});
    CHECK(x == std::vector<int64_t>{-3});
  }
}

TEST_CASE("a loop ends before its end or at the end of all integers") {
  auto turns = [](int64_t begin, int64_t step, int64_t end) {
    return ran<int64_t>(i64, {0},
                        [&](Builder& b) {
                          const Values last = b.loop(b.integer(begin), b.size(0), step, {b.integer(0)},
                                                     [&](Value, const Values& v) { return Values{b.add(v[0], b.integer(1))}; });
                          b.store(last[0], at(b, 0, 0));
                        },
                        {.sizes = end})[0];
  };
  CHECK(turns(0, 16, 33) == 3);
  CHECK(turns(0, 16, 32) == 2);
  CHECK(turns(-5, 3, 1) == 2);
  const int64_t greatest = std::numeric_limits<int64_t>::max();
  CHECK(turns(greatest - 5, 4, greatest) == 2);
}

TEST_CASE("nested loops multiply matrices, a vector of columns at a time") {
  constexpr int64_t m = 3, k = 5;
  Builder b("f");
  b.function().sizes = {intern("n")};
  b.buffer(argument(0, f32, m * k)), b.buffer(argument(1, f32, k * 16)), b.buffer(argument(2, f32, Extent(16, "n")));
  b.loop(b.integer(0), b.size(0), 1, {}, [&](Value i, const Values&) {
    const Values sum = b.loop(b.integer(0), b.integer(k), 1, {b.zero(f32x16)}, [&](Value l, const Values& v) {
      const Value a = b.load(b.at(b.base(0), b.add(b.mul(i, b.integer(k)), l)), false);
      const Value row = b.load(b.at(b.base(1), b.mul(l, b.integer(16))), true);
      return Values{b.fma(b.splat(a), row, v[0])};
    });
    b.store(sum[0], b.at(b.base(2), b.mul(i, b.integer(16))));
    return Values{};
  });
  auto x = counted<float>(m * k), y = counted<float>(k * 16);
  std::vector<float> z(m * 16, -1);
  interpret(b.finish(), {.arguments = {bytes(x), bytes(y), bytes(z)}, .sizes = m});
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < 16; ++j) {
      float sum = 0;
      for (size_t l = 0; l < k; ++l) sum += x[i * k + l] * y[l * 16 + j];
      CHECK(z[i * 16 + j] == sum);
    }
}

TEST_CASE("a branch runs one of its blocks and gives what that yields") {
  auto x = ran<int64_t>(i64, std::vector<int64_t>(8, -1),
                        [](Builder& b) {
                          b.loop(b.integer(0), b.size(0), 1, {}, [&](Value i, const Values&) {
                            const Values chosen = b.branch(
                                b.lt(i, b.integer(2)),
                                [&] {
                                  return Values{i, b.integer(7)};
                                },
                                [&] {
                                  const Values inner = b.branch(
                                      b.lt(i, b.integer(3)), [&] { return Values{b.integer(50)}; },
                                      [&] { return Values{b.mul(i, i)}; });
                                  return Values{b.neg(inner[0]), i};
                                });
                            b.branch(b.ne(i, b.integer(1)), [&] {
                              b.store(chosen[0], b.at(b.base(0), b.mul(i, b.integer(2))));
                              b.store(chosen[1], b.at(b.base(0), b.add(b.mul(i, b.integer(2)), b.integer(1))));
                              return Values{};
                            });
                            return Values{};
                          });
                        },
                        {.sizes = 4});
  CHECK(x == std::vector<int64_t>{0, 7, -1, -1, -50, 2, -9, 3});
}

TEST_CASE("a function is called with scalars and with vectors, and calls others") {
  auto x = ran<float>(f32, counted<float>(17), [](Builder& b) {
    auto square = [](Builder& f, const Values& v) { return f.mul(v[0], v[0]); };
    auto hypotenuse = [&](Builder& f, const Values& v) {
      const Value a = f.call("square", v[0].type, {v[0]}, square), c = f.call("square", v[1].type, {v[1]}, square);
      return f.unary(Code::sqrt, f.add(a, c));
    };
    const Value lanes = b.load(b.base(0), true), last = b.load(at(b, 0, 16), false);
    b.store(b.call("hypotenuse", f32x16, {lanes, b.splat(last)}, hypotenuse), b.base(0));
    const Value once = b.call("hypotenuse1", {f32}, {b.number({f32}, 3), b.number({f32}, 4)}, hypotenuse);
    b.store(b.call("hypotenuse1", {f32}, {once, b.number({f32}, 12)}, hypotenuse), at(b, 0, 16));
  });
  CHECK(x[0] == 16);
  CHECK(x[12] == 20);
  CHECK(x[16] == 13);
}

TEST_CASE("threads share the work, each with stack and scratch of its own") {
  Builder b("f");
  b.function().sizes = {intern("n")};
  b.function().threads = true;
  b.function().numbers = 1;
  b.buffer(argument(0, i64, Extent(1, "n")));
  b.buffer(scratch(0, i64, 1));
  const Value share = b.div(b.add(b.size(0), b.sub(b.threads(), b.integer(1))), b.threads());
  const Value begin = b.mul(b.thread(), share), end = b.min(b.add(begin, share), b.size(0));
  b.loop(begin, end, 1, {}, [&](Value i, const Values&) {
    const Value count = b.add(b.load(b.base(1), false), b.integer(1));
    b.store(count, b.base(1));
    b.store(b.add(b.mul(b.thread(), b.given(0)), count), b.at(b.base(0), i));
    return Values{};
  });
  const Function f = b.finish();
  std::vector<int64_t> x(8, -1);
  for (int64_t thread = 2; thread >= 0; --thread)
    interpret(f, {.arguments = {bytes(x)}, .numbers = {100}, .sizes = 8, .thread = thread, .threads = 3});
  CHECK(x == std::vector<int64_t>{0, 1, 2, 100, 101, 102, 200, 201});
}
