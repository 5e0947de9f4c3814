// Sharing of equal values in loops: what becomes one, what must not, and that nothing changes a bit.
#include "compiler/loop/share.h"

#include <doctest/doctest.h>

#include "compiler/loop/interpret.h"
#include "compiler/loop/verify.h"

using namespace tenon;

namespace {

std::string shared(const std::string& text) {
  const loop::Function f = loop::parse(text);
  verify(f);
  const loop::Function made = loop::share(f);
  verify(made);
  CHECK(str(loop::share(made)) == str(made));
  return "\n" + str(made);
}

}  // namespace

TEST_CASE("a value is made once in a block and inside of it, and again after it") {
  CHECK(shared(R"(
function "f" sizes n
buffer 0 f32[99] argument 0
  %6 = mul size.n, 3 : i64
  loop %8 = 0 to 9 by 1
    %9 = mul size.n, 3 : i64
    %10 = add %9, %8 : i64
    %11 = add %6, %8 : i64
    %12 = at @0, %10 : @f32
    %13 = at @0, %11 : @f32
    %14 = load %12 align 4 : f32
    store %14, %13 align 4
  end
  loop %17 = 0 to 9 by 1
    %18 = add %6, %17 : i64
    %19 = at @0, %18 : @f32
    store 1.5:f32, %19 align 4
  end
)") == R"(
function "f" sizes n
buffer 0 f32[99] argument 0
  %6 = mul size.n, 3 : i64
  loop %8 = 0 to 9 by 1
    %9 = add %6, %8 : i64
    %10 = at @0, %9 : @f32
    %11 = load %10 align 4 : f32
    store %11, %10 align 4
  end
  loop %14 = 0 to 9 by 1
    %15 = add %6, %14 : i64
    %16 = at @0, %15 : @f32
    store 1.5:f32, %16 align 4
  end
)");
}

TEST_CASE("loads are made again, and what differs in type, lanes, sign of zero or code is not the same") {
  const std::string text = R"(
function "f"
buffer 0 f32[99] argument 0
buffer 1 f32[99] argument 1
  %4 = load @0 align 4 : f32
  store %4, @1 align 4
  %6 = load @0 align 4 : f32
  %7 = add %6, 0.0:f32 : f32
  %8 = add %6, -0.0:f32 : f32
  %9 = sub %6, 0.0:f32 : f32
  %10 = splat %7 : f32x16
  %11 = splat %8 : f32x16
  %12 = shuffle %10, %11 [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15] : f32x16
  %13 = shuffle %10, %11 [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,31] : f32x16
  %14 = extract %12 lane 1 : f32
  %15 = extract %13 lane 1 : f32
  %16 = extract %13 lane 2 : f32
  %17 = fma %14, %15, %16 : f32
  %18 = fma %9, %17, %17 : f32
  store %18, @1 align 4
)";
  const loop::Function f = loop::parse(text);
  CHECK(str(loop::share(f)) == str(f));
}

TEST_CASE("the ways of a branch share with what is around it, not with each other") {
  CHECK(shared(R"(
function "f" sizes n
buffer 0 i64[9] argument 0
  %3 = lt size.n, 5 : bool
  if %3
    %5 = mul size.n, size.n : i64
    store %5, @0 align 8
  else
    %7 = mul size.n, size.n : i64
    %8 = lt size.n, 5 : bool
    %9 = select %8, %7, size.n : i64
    store %9, @0 align 8
  end
)") == R"(
function "f" sizes n
buffer 0 i64[9] argument 0
  %3 = lt size.n, 5 : bool
  if %3
    %5 = mul size.n, size.n : i64
    store %5, @0 align 8
  else
    %7 = mul size.n, size.n : i64
    %8 = select %3, %7, size.n : i64
    store %8, @0 align 8
  end
)");
}
