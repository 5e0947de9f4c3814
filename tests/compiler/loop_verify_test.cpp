// What every function of the loop language must hold, and what is said of one that does not: each promise is
// broken once.
#include "compiler/loop/verify.h"

#include <doctest/doctest.h>

#include "ir/compute.h"
#include "tests/message.h"

using namespace tenon;
using namespace tenon::loop;

namespace {

using Place = Buffer::Place;

// The first line of what is said of a text: place and flaw.
std::string flaw(const std::string& text) {
  const std::string message = test::message([&] { parse(text, "a"); });
  return message.substr(0, message.find('\n'));
}
const std::string head =
    "function \"f\" threads numbers 1 sizes n\nbuffer 0 f32[4n] argument 0\nbuffer 1 f32[64] scratch 0\nbuffer 2 "
    "u8[n] argument 1\n";
// Of nodes behind that head, which is lines 1 to 4.
std::string flaw_of(const std::string& lines) { return flaw(head + lines); }
// The same without the place, which is that of the function.
std::string broken_by(const std::string& lines) {
  const std::string message = flaw_of(lines);
  return message.starts_with("a:1:1: ") ? message.substr(7) : message;
}

// What verify() says of a function after a change by hand.
std::string fault(Function f, const std::function<void(Function&)>& change) {
  change(f);
  CHECK(!loop::str(f).empty());  // a broken function is printed all the same
  return test::message<InternalError>([&] { verify(f); });
}
Function small() {
  return parse(head +
               "  %4 = load @0 align 4 : f32\n"
               "  loop %6 = 0 to size.n by 1 carry %7 = %4\n"
               "    %8 = add %7, 1:f32 : f32\n"
               "    yield %8\n"
               "  end gives %9\n"
               "  store %9, @0 align 4\n");
}
std::shared_ptr<const Function> callee(const std::string& text) { return std::make_shared<const Function>(parse(text)); }

}  // namespace

TEST_CASE("the types of each code are checked, and both sides named") {
  CHECK(broken_by("%2 = add size.n, 1:i32 : i64") == "f: %2 add: it is (i64, i32) -> i64, and must be (i64, i64) -> i64");
  CHECK(broken_by("%2 = add size.n, 1:i64x16 : i64") == "f: %2 add: it is (i64, i64x16) -> i64, and must be (i64, i64) -> i64");
  CHECK(broken_by("%1 = add size.n : i64") == "f: %1 add: it is (i64) -> i64, and must be (i64, i64) -> i64");
  CHECK(broken_by("%1 = add true, true : bool") == "f: %1 add: it is (bool, bool) -> bool, and must be of numbers");
  CHECK(broken_by("%1 = fma size.n, size.n : i64") == "f: %1 fma: it is (i64, i64) -> i64, and must be (i64, i64, i64) -> i64");
  CHECK(broken_by("%1 = sub @0, @0 : @f32") == "f: %1 sub: it is (@f32, @f32) -> @f32, and must be (f32, f32) -> f32");
  CHECK(broken_by("%1 = shift_left 1:f32, 1:f32 : f32") ==
        "f: %1 shift_left: it is (f32, f32) -> f32, and must be of integers");
  CHECK(broken_by("%1 = bit_or 1:f32, 1:f32 : f32") ==
        "f: %1 bit_or: it is (f32, f32) -> f32, and must be of integers or bools");
  CHECK(broken_by("%1 = ult 1:f32, 1:f32 : bool") == "f: %1 ult: it is (f32, f32) -> bool, and must be of integers");
  CHECK(broken_by("%2 = add 1:f16, 2:f16 : f16") == "f: %2 add: it is (f16, f16) -> f16, and f16 only stores numbers");
  CHECK(broken_by("%2 = lt 1:bf16x16, 2:bf16x16 : boolx16") ==
        "f: %2 lt: it is (bf16x16, bf16x16) -> boolx16, and bf16 only stores numbers");
  CHECK(broken_by("%1 = reduce max 1:f16x16 : f16") == "f: %1 reduce: it is (f16x16) -> f16, and f16 only stores numbers");
  CHECK(broken_by("%1 = cast 1:f16 : f64") ==
        "f: %1 cast: it is (f16) -> f64; of f16 and bf16, only f16 is cast, to and from f32");
  CHECK(broken_by("%1 = cast 1:f32 : bf16") ==
        "f: %1 cast: it is (f32) -> bf16; of f16 and bf16, only f16 is cast, to and from f32");
  CHECK(broken_by("%1 = bits 1:f16 : u8") == "f: %1 bits: it is (f16) -> u8, and must be (f32) -> u8");
  CHECK(broken_by("%1 = bits 1:f16 : i32\n%2 = bits %1 : bf16") == "no error");
  CHECK(broken_by("%1 = sqrt size.n : i64") == "f: %1 sqrt: it is (i64) -> i64, and must be of floats");
  CHECK(broken_by("%1 = fma size.n, size.n, size.n : i64") == "f: %1 fma: it is (i64, i64, i64) -> i64, and must be of floats");
  CHECK(broken_by("%1 = scale 1:f32, 1:f32 : f32") == "f: %1 scale: it is (f32, f32) -> f32, and must be of f32x16");
  CHECK(broken_by("%2 = scale 1:f32, 1:i32 : f32") == "f: %2 scale: it is (f32, i32) -> f32, and must be (f32, f32) -> f32");
  CHECK(broken_by("%1 = copysign size.n, size.n : i64") == "f: %1 copysign: it is (i64, i64) -> i64, and must be of floats");
  CHECK(broken_by("%2 = lt 1:f32x16, 1:f32 : boolx16") ==
        "f: %2 lt: it is (f32x16, f32) -> boolx16, and must be (f32x16, f32x16) -> boolx16");
  CHECK(broken_by("%1 = lt size.n, size.n : i64") == "f: %1 lt: it is (i64, i64) -> i64, and must be (i64, i64) -> bool");
  CHECK(broken_by("%1 = select size.n, size.n, size.n : i64") ==
        "f: %1 select: it is (i64, i64, i64) -> i64, and must be (bool, i64, i64) -> i64");
  CHECK(broken_by("%2 = select true:boolx16, size.n, size.n : i64") ==
        "f: %2 select: it is (boolx16, i64, i64) -> i64, and must be (bool, i64, i64) -> i64");
  CHECK(broken_by("%1 = cast 1:f32x16 : i32") == "f: %1 cast: it is (f32x16) -> i32, and must be (f32) -> i32");
  CHECK(broken_by("%1 = zero_extend size.n : i32") ==
        "f: %1 zero_extend: it is (i64) -> i32, and must be of an integer to a wider one");
  CHECK(broken_by("%1 = zero_extend 1:f32 : i64") ==
        "f: %1 zero_extend: it is (f32) -> i64, and must be of an integer to a wider one");
  CHECK(broken_by("%1 = bits 1:f32 : i64") == "f: %1 bits: it is (f32) -> i64, and must be (f64) -> i64");
  CHECK(broken_by("%1 = bits 1:f32 : u8") == "f: %1 bits: it is (f32) -> u8, and must be of types of one size");
  CHECK(broken_by("%1 = reference pow 1:f32 : f32") == "f: %1 reference: it is (f32) -> f32, and must be (f32, f32) -> f32");
  CHECK(broken_by("%1 = reference exp size.n : i64") == "f: %1 reference: it is (i64) -> i64, and must be of floats");
  CHECK(broken_by("%1 = splat 1:f32x16 : f32x16") == "f: %1 splat: it is (f32x16) -> f32x16, and must be (f32) -> f32x16");
  CHECK(broken_by("%1 = extract 1:f32 lane 0 : f32") == "f: %1 extract: it is (f32) -> f32, and must be (f32x16) -> f32");
  CHECK(broken_by("%1 = extract 1:f32x16 lane 16 : f32") == "f: %1 extract: it takes lane 16 of 16");
  CHECK(broken_by("%1 = shuffle 1:f32x16, 1:f32x16 [0] : f32x16") == "f: %1 shuffle: it has 1 lanes, and not 16");
  CHECK(broken_by("%1 = shuffle 1:f32x16, 1:f32x16 [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,32] : f32x16") ==
        "f: %1 shuffle: it takes lane 32 of 32");
  CHECK(broken_by("%1 = any true : bool") == "f: %1 any: it is (bool) -> bool, and must be (boolx16) -> bool");
  CHECK(broken_by("%2 = at @0, 1:i32 : @f32") == "f: %2 at: it is (@f32, i32) -> @f32, and must be (@f32, i64) -> @f32");
  CHECK(broken_by("%1 = neg 1:@f32 : f32") == "f: %0 constant: it is @f32, and must be f32");
  CHECK(broken_by("%1 = lt lanes:f32, lanes:f32 : boolx16") == "f: %0 lane_numbers: it is f32x16, and must be i64x16");
  CHECK(broken_by("%1 = load @0 align 4 : @f32x16") == "f: %1 load: there is no type @f32x16");
}

TEST_CASE("the types, alignment and constant place of each access are checked") {
  CHECK(broken_by("%1 = load @0 align 8 : f64") == "f: %1 load: it is (@f32) -> f64, and must be (@f64) -> f64");
  CHECK(broken_by("%3 = load @1 align 4 mask true rest 1:f32x16 : f32x16") ==
        "f: %3 load: it is (@f32, bool, f32x16) -> f32x16, and must be (@f32, boolx16, f32x16) -> f32x16");
  CHECK(broken_by("%2 = load @1 align 4 mask true rest true : f32") ==
        "f: %2 load: it is (@f32, bool, bool) -> f32, and must be (@f32, bool, f32) -> f32");
  CHECK(broken_by("%2 = gather @1, size.n : f32x16") ==
        "f: %2 gather: it is (@f32, i64) -> f32x16, and must be (@f32, i64x16) -> f32x16");
  CHECK(broken_by("%2 = gather @1, 1:i32 : f32x16") ==
        "f: %2 gather: it is (@f32, i32) -> f32x16, and must be (@f32, i32x16) -> f32x16");
  CHECK(broken_by("store 1:f64, @1 align 8") == "f: %2 store: it is (f64, @f32), and must be (f64, @f64)");
  CHECK(broken_by("store 1:f32x16, @1 align 4 mask true") ==
        "f: %3 store: it is (f32x16, @f32, bool), and must be (f32x16, @f32, boolx16)");
  CHECK(broken_by("scatter 1:f32, @1, 1:i64x16") ==
        "f: %3 scatter: it is (f32, @f32, i64x16), and must be (f32x16, @f32, i64x16)");
  CHECK(broken_by("prefetch size.n") == "f: %1 prefetch: it is (i64), and must be (@i64)");
  const std::string alignment = "and must be a power of two, and at least the 4 of an element";
  CHECK(broken_by("%1 = load @0 align 2 : f32") == "f: %1 load: its alignment is 2, " + alignment);
  CHECK(broken_by("store 1:f32, @0 align 12") == "f: %2 store: its alignment is 12, " + alignment);
  CHECK(broken_by("store 1:f32, @0 align -4") == "f: %2 store: its alignment is -4, " + alignment);

  CHECK(broken_by("%2 = at @1, 48 : @f32\n%3 = load %2 align 4 : f32x16") == "no error");
  CHECK(broken_by("%2 = at @1, 49 : @f32\n%3 = load %2 align 4 : f32x16") ==
        "f: %3 load: it touches elements 49 to 64 of buffer 1, which has 64");
  CHECK(broken_by("%3 = at @1, 49 : @f32\n%4 = at %3, -1 : @f32\n%5 = load %4 align 4 : f32x16") == "no error");
  CHECK(broken_by("%3 = at @1, -1 : @f32\nstore 1:f32, %3 align 4") ==
        "f: %4 store: it touches elements -1 to -1 of buffer 1, which has 64");
  CHECK(broken_by("%2 = at @1, 9223372036854775807 : @f32\n%3 = load %2 align 4 : f32x16") ==
        "f: %3 load: it touches elements 9223372036854775807 to 9223372036854775822 of buffer 1, which has 64");
  CHECK(broken_by("%2 = at @0, 3 : @f32\n%3 = load %2 align 4 : f32") == "no error");
  CHECK(broken_by("%2 = at @0, 4 : @f32\n%3 = load %2 align 4 : f32") ==
        "f: %3 load: it touches elements 4 to 4 of buffer 0, which has 4n");
  CHECK(broken_by("%3 = at @0, 4 : @f32\nif true\n%5 = load %3 align 4 : f32\nend") == "no error");
  CHECK(broken_by("%3 = at @1, 64 : @f32\nif true\n%5 = load %3 align 4 : f32\nend") ==
        "f: %5 load: it touches elements 64 to 64 of buffer 1, which has 64");
  CHECK(broken_by("%4 = at @1, 64 : @f32\n%5 = load %4 align 4 mask false rest 1:f32 : f32") == "no error");
}

TEST_CASE("what loops and branches are given and give is checked") {
  CHECK(broken_by("loop %3 = 0 to 4:i32 by 1\nend") == "f: %2 loop: it is (i64, i32), and must be (i64, i64)");
  CHECK(broken_by("loop %3 = 0 to 4 by 0\nend") == "f: %2 loop: its step is 0, and must be at least 1");
  CHECK(broken_by("loop %3 = 0 to 4 by 1\nyield 0\nend gives %4") == "f: %2 loop: it carries (), and its block yields (i64)");
  CHECK(broken_by("loop %4 = 0 to 4 by 1 carry %5 = 0\nyield 0:f32\nend gives %6") ==
        "f: %3 loop: it carries (i64), and its block yields (f32)");
  CHECK(broken_by("if size.n\nend") == "f: %1 branch: it is (i64), and must be (bool)");
  CHECK(broken_by("if true\nyield 0\nend gives %3") == "f: %2 branch: its ways yield (i64) and ()");
  CHECK(broken_by("if true\nyield 0\nelse\nyield 0:f32\nend gives %4") == "f: %3 branch: its ways yield (i64) and (f32)");
  CHECK(broken_by("if true\n%3 = neg size.n : i64\nelse\n%4 = neg %3 : i64\nend") ==
        "f: %4 neg: it uses %3, which is no value made before in a block around it");
  CHECK(broken_by("loop %3 = 0 to 4 by 1\nend\n%4 = neg %3 : i64") ==
        "f: %4 neg: it uses %3, which is no value made before in a block around it");
  CHECK(broken_by("if true\n%3 = neg size.n : i64\nelse\nyield %3\nend") ==
        "f: block 2 yields %3, which is no value made before in a block around it");
}

TEST_CASE("buffers lie apart and have extents that can be") {
  auto buffers = [](const std::string& lines) { return flaw("function \"f\" sizes n\n" + lines).substr(7); };
  CHECK(buffers("buffer 0 bool[4] stack") == "f: buffer 0 is of bools, which are u8 in memory");
  CHECK(buffers("buffer 0 f32[-4] stack") == "f: buffer 0 has -4 elements");
  CHECK(buffers("buffer 0 f32[-4n] argument 0") == "f: buffer 0 has -4n elements");
  CHECK(buffers("buffer 0 f32[288230376151711745] stack") == "f: buffer 0 of 288230376151711745 f32 has too many bytes");
  CHECK(flaw("function \"f\" sizes n\nbuffer 0 f32[2n*m] argument 1") == "a:2:17: there is no run-time size 'm'");
  CHECK(flaw("function \"f\" sizes n, t\nbuffer 0 f32[2t*n*t] argument 1") == "no error");
  CHECK(flaw("function \"f\" sizes n, n") ==
        "a:1:1: f: run-time size 1 is called 'n', which is no name or that of another one");
  CHECK(flaw("function \"f\" sizes 4") == "a:1:20: expected the name of a run-time size");
  CHECK(buffers("buffer 0 f32[n] stack") == "f: buffer 0 is stack, whose extent is fixed, of n elements");
  CHECK(buffers("buffer 0 f32[n] scratch 0") == "f: buffer 0 is scratch, whose extent is fixed, of n elements");
  CHECK(buffers("buffer 0 i64[2] fault") == "f: buffer 0 is the fault, i64[3], of i64[2]");
  CHECK(buffers("buffer 0 f32[2] argument -1") == "f: buffer 0 is argument -1");
  CHECK(buffers("buffer 0 f32[2] scratch 32") == "f: buffer 0 begins at byte 32 of the scratch, and must at a multiple of 64");
  CHECK(buffers("buffer 0 f32[17] scratch 64\nbuffer 1 f32[1] scratch 0\nbuffer 2 f32[1] scratch 128") ==
        "f: buffer 0 ends at byte 132 of the scratch, and buffer 2 begins at 128");
  CHECK(buffers("buffer 0 f32[1] argument 1\nbuffer 1 f32[1] argument 1") == "f: buffers 0 and 1 are the same memory");
  CHECK(buffers("buffer 0 i64[3] fault\nbuffer 1 i64[3] fault") == "f: buffers 0 and 1 are the same memory");
  CHECK(flaw("function \"f\" numbers -1") == "a:1:1: f: it is given -1 numbers");
  CHECK(flaw("function \"f\"\n  %1 = neg number0 : i64") == "a:1:1: f: %0 number: it is number 0 of 0");
  CHECK(flaw("function \"f\"\n  %1 = neg thread : i64") == "a:1:1: f: %0 thread: no threads are given");
  Function f = small();
  CHECK(fault(f, [](Function& g) { g.buffers[0].count = Extent(4, "4"); }) ==
        "f: buffer 0 has 44 elements, and there is no run-time size 4");
  CHECK(fault(f, [](Function& g) { g.sizes[0] = "4"; }) ==
        "f: run-time size 0 is called '4', which is no name or that of another one");
  CHECK(fault(f, [](Function& g) { g.buffers[1].place = Place::stack, g.buffers[1].slot = 64; }) == "f: buffer 1 is stack 64");
}

TEST_CASE("what no text can say is checked too: leaves") {
  const Function f = small();  // leaves: @0, 0, size, 1:f32
  CHECK(fault(f, [](Function&) {}) == "no error");
  CHECK(fault(f, [](Function& g) { std::swap(g.nodes[1], g.nodes[2]); }) == "no error");  // size to 0
  CHECK(fault(f, [](Function& g) { g.blocks.clear(); }) == "f: it has no body");
  CHECK(fault(f, [](Function& g) { g.nodes[1].integer = 1 << 20, g.nodes[1].type = {u8}; }) ==
        "f: %1 constant: its bits are 0x100000, and a u8 has 8");
  CHECK(fault(f, [](Function& g) { g.nodes[2].integer = 1; }) == "f: %2 size: it is size 1 of 1");
  CHECK(fault(f, [](Function& g) { g.nodes[2].type = {f32}; }) == "f: %2 size: it is f32, and must be i64");
  CHECK(fault(f, [](Function& g) { g.nodes[2].operands = {0}; }) == "f: %2 size: a leaf has operands, lanes or blocks");
  CHECK(fault(f, [](Function& g) { g.nodes[0].integer = 3; }) == "f: %0 base: it is base 3 of 3");
  CHECK(fault(f, [](Function& g) { g.nodes[0].integer = 2; }) == "f: %0 base: it is @f32, and must be @u8");
  CHECK(fault(f, [](Function& g) { g.nodes[2] = g.nodes[1]; }) == "f: %2 constant: the same leaf is there before");
  CHECK(fault(f, [](Function& g) { g.nodes[4].operands = {1}; }) ==
        "f: %4 load: it uses %1, and leaf %0 is used by nothing before");
  CHECK(fault(f, [](Function& g) { g.nodes[8].operands[1] = 7; }) == "f: %3 constant: this leaf is used by nothing");
  CHECK(fault(f, [](Function& g) { g.nodes[9] = g.nodes[3]; }) == "f: %9 constant: a leaf follows a node that is none");
}

TEST_CASE("what no text can say is checked too: where nodes and blocks stand") {
  const Function f = small();  // %4 load, %5 loop, %6 and %7 its arguments, %8 add, %9 its result, %10 store
  for (Id id : {-1, 11, INT32_MAX, INT32_MIN}) {
    const std::string is = std::to_string(id);
    CHECK(fault(f, [&](Function& g) { g.nodes[8].operands[0] = id; }) ==
          "f: %8 add: it uses %" + is + ", which is no value made before in a block around it");
    CHECK(fault(f, [&](Function& g) { g.blocks[0].nodes[0] = id; }) == "f: block 0 has node %" + is + " where %4 is the next");
    CHECK(fault(f, [&](Function& g) { g.blocks[1].arguments[0] = id; }) ==
          "f: block 1 has node %" + is + " where %6 is the next");
    CHECK(fault(f, [&](Function& g) { g.blocks[1].yields[0] = id; }) ==
          "f: block 1 yields %" + is + ", which is no value made before in a block around it");
    CHECK(fault(f, [&](Function& g) { g.nodes[5].blocks[0] = id; }) ==
          "f: %5 loop: it has block " + is + " where 1 is the next");
    CHECK(fault(f, [&](Function& g) { g.nodes[9].operands[0] = id; }) ==
          "f: %5 loop: it gives (f32), and %9 result follows it as result 0");
  }
  CHECK(fault(f, [](Function& g) { g.blocks[0].nodes.pop_back(); }) == "f: %10 store: it stands in no block");
  CHECK(fault(f, [](Function& g) { g.blocks[0].nodes.push_back(10); }) == "f: block 0 has node %10 where %11 is the next");
  CHECK(fault(f, [](Function& g) { g.blocks[0].nodes.push_back(11); }) == "f: block 0 has node %11 where %11 is the next");
  CHECK(fault(f, [](Function& g) { std::swap(g.blocks[0].nodes[0], g.blocks[0].nodes[1]); }) ==
        "f: block 0 has node %5 where %4 is the next");
  CHECK(fault(f, [](Function& g) { g.blocks.emplace_back(); }) == "f: block 2 belongs to no loop or branch");
  CHECK(fault(f, [](Function& g) { g.nodes[5].blocks.clear(); }) == "f: %5 loop: it has 0 blocks, and not one");
  CHECK(fault(f, [](Function& g) { g.nodes[5].blocks.push_back(1); }) == "f: %5 loop: it has 2 blocks, and not one");
  CHECK(fault(f, [](Function& g) { g.nodes[5].blocks = {0}; }) == "f: %5 loop: it has block 0 where 1 is the next");
  CHECK(fault(f, [](Function& g) { g.nodes[5].operands.resize(1); }) == "f: %5 loop: it is (i64), and must be (i64, i64)");
  CHECK(fault(f, [](Function& g) { g.nodes[5].operands.pop_back(); }) ==
        "f: block 1 has the arguments (i64, f32), and is given (i64)");
  CHECK(fault(f, [](Function& g) { g.nodes[5].type = {f32}; }) == "f: %5 loop: it makes no value, and is f32");
  CHECK(fault(f, [](Function& g) { g.nodes[5].lanes = {1}; }) == "f: %5 loop: it has lanes, which it does not use");
  CHECK(fault(f, [](Function& g) { g.nodes[6].integer = 1; }) == "f: %6 argument: it is argument 0 and says 1");
  CHECK(fault(f, [](Function& g) { g.nodes[6].operands = {99}; }) == "f: %6 argument: it has operands");
  CHECK(fault(f, [](Function& g) { g.nodes[6].code = Code::neg; }) == "f: %6 neg: it stands among the arguments of block 1");
  CHECK(fault(f, [](Function& g) { g.nodes[8].code = Code::argument; }) ==
        "f: %8 argument: it stands among the nodes of block 1");
  CHECK(fault(f, [](Function& g) { g.nodes[8].code = Code::result; }) ==
        "f: %8 result: it does not follow the loop or branch that gives it");
  CHECK(fault(f, [](Function& g) { g.nodes[8].integer = 5; }) == "f: %8 add: it has the integer 5, which it does not use");
  CHECK(fault(f, [](Function& g) { g.nodes[8].blocks = {1}; }) == "f: %8 add: it has blocks, which it does not use");
  CHECK(fault(f, [](Function& g) { g.nodes[9].type = {f64}; }) == "f: %9 result: it is f64, and %5 gives f32");
  CHECK(fault(f, [](Function& g) { g.nodes[9].integer = 1; }) ==
        "f: %5 loop: it gives (f32), and %9 result follows it as result 0");
  CHECK(fault(f, [](Function& g) { g.blocks[0].nodes.resize(2); }) == "f: %5 loop: it gives (f32), and 0 results follow it");
  CHECK(fault(f, [](Function& g) { g.nodes[8].operands[0] = 5; }) ==
        "f: %8 add: it uses %5, which is no value made before in a block around it");
  CHECK(fault(parse("function \"f\"\n  if true\n  end\n"), [](Function& g) { g.nodes[1].blocks.clear(); }) ==
        "f: %1 branch: it has 0 blocks, and not one or two");
}

TEST_CASE("what no text can say is checked too: calls and references") {
  const Function f = parse(
      "function \"g\"\n  yield 1\nfunction \"f\"\n  %1 = call \"g\" : i64\n  %2 = reference exp 1:f32 : "
      "f32\n");
  CHECK(fault(f, [](Function& g) { g.nodes[1].integer = 1; }) == "f: %1 call: it calls function 1 of 1");
  CHECK(fault(f, [](Function& g) { g.nodes[1].integer = -1; }) == "f: %1 call: it calls function -1 of 1");
  for (int64_t number : {-1, int{Scalar::select}, Scalar::philox + 1})
    CHECK(fault(f, [&](Function& g) { g.nodes[2].integer = number; }) ==
          "f: %2 reference: there is no reference " + std::to_string(number));
  CHECK(fault(f, [](Function& g) { g.functions[0] = nullptr; }) == "f: one of the functions that it calls is none");
  CHECK(fault(f, [](Function& g) { g.functions.push_back(g.functions[0]); }) == "f: it calls two functions \"g\"");
  CHECK(fault(f, [&](Function& g) { g.functions[0] = std::make_shared<const Function>(f); }) ==
        "f: \"f\", which it calls, calls functions itself");
  CHECK(fault(f, [](Function& g) { g.functions[0] = callee("function \"h\"\n"); }) ==
        "f: \"h\", which it calls, yields no value");
  CHECK(fault(f, [](Function& g) {
          Function bad = *g.functions[0];
          bad.nodes[0].type = {f32, false, true};
          g.functions[0] = std::make_shared<const Function>(bad);
        }) == "g: %0 constant: it is @f32, and must be f32");
}

TEST_CASE("what no text can say is checked too: loops and branches deeper than 100") {
  std::string text = "function \"f\"\n", ends;
  for (int i = 0; i < 100; ++i) text += "if true\n", ends += "end\n";
  Function f = parse(text + ends);
  f.nodes.push_back({.code = Code::branch, .operands = {0}, .blocks = {101}});
  f.blocks[100].nodes = {101};
  f.blocks.emplace_back();
  CHECK(fault(f, [](Function&) {}) == "f: loops and branches are nested more than 100 deep");
}
