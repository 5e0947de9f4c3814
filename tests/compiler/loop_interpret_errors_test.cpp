// What the loop language's interpreter says of a function that does what it must not.
#include <doctest/doctest.h>

#include <functional>

#include "compiler/loop/build.h"
#include "compiler/loop/interpret.h"
#include "tests/compiler/loops.h"
#include "tests/message.h"

using namespace tenon;
using loop::Buffer, loop::Builder, loop::Call, loop::Function, loop::interpret, loop::Value, loop::Values;
using loop::ValueType;
using namespace tenon::test;

namespace {

constexpr ValueType f32x16{f32, true};

// What running the body says, with 20 elements of the type in buffer 0.
std::string said(DType dtype, const std::function<void(Builder& b)>& body, Call call = {}) {
  std::vector<int64_t> memory(20, 1);
  Builder b("f");
  b.function().sizes = {intern("n")};
  b.buffer(argument(0, dtype, 20));
  body(b);
  call.arguments = {bytes(memory).first(static_cast<size_t>(20 * byte_size(dtype)))};
  const Function function = b.finish();
  return message([&] { interpret(function, call); });
}

}  // namespace

TEST_CASE("an access outside of its buffer is an Error at the first such lane") {
  auto store = [](Builder& b, int64_t offset, bool vector) { b.store(b.zero({f32, vector}), at(b, 0, offset)); };
  CHECK(said(f32, [&](Builder& b) { store(b, 4, true); }) == "no error");
  CHECK(said(f32, [&](Builder& b) { store(b, 19, false); }) == "no error");
  CHECK(said(f32, [&](Builder& b) { store(b, 5, true); }) ==
        "f: %4 store: offset 20 of buffer 0 is outside of its 20 elements");
  CHECK(said(f32, [&](Builder& b) { store(b, 20, false); }) ==
        "f: %4 store: offset 20 of buffer 0 is outside of its 20 elements");
  CHECK(said(f32, [&](Builder& b) { b.load(at(b, 0, -1), true); }) ==
        "f: %3 load: offset -1 of buffer 0 is outside of its 20 elements");
  CHECK(said(f32, [&](Builder& b) { b.load(at(b, 0, int64_t{1} << 62), false); }) ==
        "f: %3 load: offset 4611686018427387904 of buffer 0 is outside of its 20 elements");
  const auto three = [](Builder& b) { return b.mul(b.lane_numbers(i64), b.splat(b.integer(3))); };
  CHECK(said(u8, [&](Builder& b) { b.gather(b.base(0), three(b), {}, {}); }) ==
        "f: %4 gather: offset 21 of buffer 0 is outside of its 20 elements");
  CHECK(said(u8, [&](Builder& b) {
          const Value eight = b.lt(b.lane_numbers(i64), b.splat(b.integer(8)));
          b.scatter(b.zero({u8, true}), b.base(0), b.neg(three(b)), eight);
        }) == "f: %8 scatter: offset -3 of buffer 0 is outside of its 20 elements");
  CHECK(said(f32,
             [&](Builder& b) {
               const int64_t own = b.buffer(scratch(0, f64, Extent(4, "n")));
               b.load(b.at(b.base(own), b.extent(Extent(4, "n"))), false);
             },
             {.sizes = 2}) == "f: %5 load: offset 8 of buffer 1 is outside of its 8 elements");
  CHECK(said(f32, [&](Builder& b) {
          const Value odd = b.eq(b.bit_and(b.lane_numbers(i64), b.splat(b.integer(1))), b.splat(b.integer(1)));
          b.load_masked(at(b, 0, 8), odd, b.zero(f32x16));
        }) == "f: %8 load: offset 21 of buffer 0 is outside of its 20 elements");
}

TEST_CASE("an access that is not aligned as its node says is an Error") {
  CHECK(said(f32, [](Builder& b) { b.load(b.base(0), true, 64); }) ==
        "f: %1 load: offset 0 of buffer 0, of 20 elements, is not aligned to 64 bytes");
  CHECK(said(f32, [](Builder& b) { b.load(b.base(0), true, 2); }) == "no error");
  auto aligned = [](int64_t start, int64_t offset, int64_t alignment) {
    return said(f32, [=](Builder& b) { b.store(b.zero(f32x16), at(b, b.buffer(scratch(start, f32, 64)), offset), alignment); });
  };
  CHECK(aligned(64, 16, 64) == "no error");
  CHECK(aligned(32, 8, 64) == "no error");
  CHECK(aligned(0, 8, 32) == "no error");
  CHECK(aligned(0, 8, 64) == "f: %4 store: offset 8 of buffer 1, of 64 elements, is not aligned to 64 bytes");
  CHECK(aligned(32, 16, 64) == "f: %4 store: offset 16 of buffer 1, of 64 elements, is not aligned to 64 bytes");
  CHECK(aligned(0, 32, 128) == "f: %4 store: offset 32 of buffer 1, of 64 elements, is not aligned to 128 bytes");
  CHECK(said(f32, [](Builder& b) {
          const Value none = b.zero({boolean, true});
          b.store(b.zero(f32x16), at(b, b.buffer(stack(f32, 64)), 1), 8, none);
        }) == "f: %5 store: offset 1 of buffer 1, of 64 elements, is not aligned to 8 bytes");
}

TEST_CASE("arithmetic without a result is an Error that names the operands") {
  CHECK(said(i64, [](Builder& b) { b.div(b.integer(-7), b.sub(b.size(0), b.integer(1))); }) ==
        "f: %4 div: of -7 and 0 has no result");
  CHECK(said(i32, [](Builder& b) { b.shift_left(b.load(b.base(0), false), b.integer(32, i32)); }) ==
        "f: %3 shift_left: of 1 and 32 has no result");
  CHECK(said(i64, [](Builder& b) { b.rem(b.load(b.base(0), true), b.sub(b.splat(b.integer(3)), b.lane_numbers(i64))); }) ==
        "f: %5 rem: of 1 and 0 in lane 3 has no result");
  CHECK(said(f64, [](Builder& b) { b.bit_and(b.load(b.base(0), false), b.number({f64}, 2.5)); }) ==
        "f: %3 bit_and: of 5e-324 and 2.5 has no result");
  CHECK(said(i64, [](Builder& b) {
          b.call("inverse", {i64}, {b.sub(b.size(0), b.integer(1))},
                 [](Builder& f, const Values& v) { return f.div(f.integer(1), v[0]); });
        }) == "inverse: %2 div: of 1 and 0 has no result");
}

TEST_CASE("a loop that does not advance is an Error") {
  for (int64_t step : {0, -2})
    CHECK(said(i64, [&](Builder& b) {
            b.loop(b.integer(0), b.size(0), step, {}, [](Value, const Values&) { return Values{}; });
          }) == "f: %2 loop: its step is " + std::to_string(step));
}

TEST_CASE("an argument that is shorter than its buffer is an Error, and so is one that is missing") {
  Builder b("f");
  b.function().sizes = {intern("n")};
  b.buffer(argument(1, i64, 3)), b.buffer(argument(0, f32, Extent(4, "n")));
  const Function f = b.finish();
  std::vector<std::byte> memory(100);
  auto given = [&](size_t zero, size_t one, int64_t size) {
    return message([&] {
      interpret(f, {.arguments = {std::span(memory).first(zero), std::span(memory).first(one)}, .sizes = size});
    });
  };
  CHECK(given(32, 24, 2) == "no error");
  CHECK(given(0, 24, 0) == "no error");
  CHECK(given(31, 24, 2) == "f: buffer 1 needs 32 bytes and is given 31");
  CHECK(given(32, 23, 2) == "f: buffer 0 needs 24 bytes and is given 23");
  CHECK(message([&] { interpret(f, {.arguments = {memory}}); }) == "f: buffer 0 needs 24 bytes and is given 0");

  Builder with_fault("g");
  with_fault.buffer({.place = Buffer::Place::fault, .dtype = i64, .count = 3});
  with_fault.store(with_fault.given(0), with_fault.base(0));
  const Function g = with_fault.finish();
  CHECK(message([&] { interpret(g, {}); }) == "g: buffer 0 needs 24 bytes and is given 0");
  int64_t fault[3];
  CHECK(message([&] { interpret(g, {.fault = fault}); }) == "g: number 0 is read and 0 are given");
}
