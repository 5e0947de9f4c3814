// Loops as text: what is printed reads back as the same function; what is said of a text that is none, and of
// a function that breaks a promise of the language.
#include <doctest/doctest.h>

#include <set>

#include "compiler/loop/build.h"
#include "compiler/loop/verify.h"
#include "ir/compute.h"
#include "tests/message.h"

using namespace tenon;
using namespace tenon::loop;

namespace {

using Place = Buffer::Place;
constexpr ValueType f32x16{f32, true}, f64x16{f64, true}, i64x16{i64, true}, i32x16{i32, true}, boolx16{boolean, true};

Extent n(int64_t count) { return Extent(count, "n"); }

// The sum of the squares of a buffer, as in loop.h.
Function squares() {
  Builder b("train.0");
  b.function().sizes = {intern("n")};
  b.function().threads = true;
  const Value x = b.base(b.buffer({Place::argument, f32, n(784), 0}));
  const Value y = b.base(b.buffer({Place::argument, f32, n(1), 1}));
  const Values sum = b.loop(b.integer(0), b.extent(n(784)), 16, {b.zero(f32x16)}, [&](Value i, const Values& carried) {
    const Value loaded = b.load(b.at(x, i), true);
    return Values{b.fma(loaded, loaded, carried[0])};
  });
  b.branch(b.eq(b.thread(), b.integer(0)), [&] {
    b.store(b.extract(sum[0], 3), y);
    return Values{};
  });
  return b.finish();
}

// Every element-wise code, of values that no constant makes known.
void elementwise(Builder& b, Value i, Value x, Value v) {
  for (Value y : {i, x, v}) b.add(y, y), b.sub(y, y), b.mul(y, y), b.div(y, y), b.max(y, y), b.min(y, y);
  b.rem(i, i), b.udiv(i, i), b.urem(i, i), b.neg(i), b.abs(x), b.neg(v);
  b.bit_and(i, i), b.bit_or(i, i), b.bit_xor(i, i), b.bit_not(b.eq(v, v));
  b.shift_left(i, i), b.shift_right(i, i), b.shift_right_unsigned(i, i);
  b.eq(i, i), b.ne(x, x), b.lt(v, v), b.le(i, i), b.ult(i, i);
  b.select(b.lt(x, x), v, v), b.select(b.lt(v, v), v, v);
  for (Code code : {Code::floor, Code::ceil, Code::round, Code::sqrt}) b.unary(code, v);
  b.copysign(v, v), b.scale(v, v), b.fma(v, v, v), b.fma(x, x, x);
  b.cast(v, i32), b.cast(i, boolean), b.zero_extend(b.cast(i, i32), i64), b.zero_extend(b.eq(i, i), u8);
  b.bits(b.bits(v, i32), f32), b.bits(b.bits(b.cast(x, f64), i64), f64);
  b.reference(Scalar::pow, {v, v}), b.reference(Scalar::lgamma, {x});
}

void constants(Builder& b, Value i, Value x, Value v) {
  for (int64_t c : {int64_t{-1}, int64_t{784}, INT64_MIN, INT64_MAX}) b.add(i, b.integer(c));
  for (int64_t c : {-1, INT32_MIN, INT32_MAX}) b.add(b.cast(i, i32), b.integer(c, i32));
  b.add(b.cast(i, u8), b.integer(255, u8)), b.bit_or(b.eq(i, i), b.boolean(true));
  b.bit_or(b.eq(v, v), b.bit_pattern(boolx16, 0)), b.add(b.splat(i), b.bit_pattern(i64x16, 7));
  for (double c : {0.5, -0.0, 0.0, 1e30, 0x1p-149, 0.1, 784.0, HUGE_VAL, -HUGE_VAL})
    b.add(x, b.number({f32}, c)), b.add(b.cast(x, f64), b.number({f64}, c)), b.add(v, b.number(f32x16, c));
  for (uint64_t bits : {0x7fc00000u, 0xffc00000u, 0x7fa00001u}) b.add(x, b.bit_pattern({f32}, bits));
  for (uint64_t bits : {0x7ff8000000000000u, 0xfff0000000000001u}) b.add(b.cast(x, f64), b.bit_pattern({f64}, bits));
}

// Everything that the language has; the names are as bad as names can be.
Function everything() {
  Builder b("a \"name\"\\\n\x01\xff");
  b.function().sizes = {intern("n")};
  b.function().threads = true;
  b.function().numbers = 2;
  const Value a = b.base(b.buffer({Place::argument, f32, n(784), 0}));
  const Value c = b.base(b.buffer({Place::argument, u8, n(1), 7}));
  const Value s = b.base(b.buffer({Place::scratch, f64, 64, 128}));
  const Value t = b.base(b.buffer({Place::stack, f32, 32, 0}));
  const Value fault = b.base(b.buffer({Place::fault, i64, 3, 0}));
  b.buffer({Place::scratch, f32, 0, 128});
  b.buffer({Place::scratch, f32, 3, 640});
  const Value i = b.add(b.thread(), b.mul(b.threads(), b.size(0)));
  const Value x = b.load(b.at(a, i), false), v = b.load(t, true, 64), mask = b.lt(v, b.splat(x));
  elementwise(b, i, x, v);
  constants(b, i, x, v);
  const Value numbers = b.lane_numbers(i32), far = b.add(b.splat(b.given(0)), b.lane_numbers(i64));
  b.call("exp", f32x16, {v, numbers}, [](Builder& inside, const Values& p) {
    const Values chosen = inside.branch(
        inside.any(inside.eq(p[1], p[1])), [&] { return Values{p[0]}; }, [&] { return Values{inside.number(f32x16, 0.5)}; });
    return inside.add(chosen[0], p[0]);
  });
  b.call("none", {f64}, {}, [](Builder& inside, const Values&) { return inside.number({f64}, 1); });
  b.any(mask), b.extract(v, 15);
  for (Code by : {Code::add, Code::mul, Code::max, Code::min}) b.reduce(by, v);
  b.shuffle(v, v, {0, 16, 1, 17, 2, 18, 3, 19, 31, 30, 29, 28, 27, 26, 25, 24});
  b.load_masked(b.at(a, i), mask, v), b.load_masked(a, b.eq(i, i), x);
  b.gather(a, numbers, {}, {}), b.gather(a, far, mask, v);
  b.store(v, t), b.store(x, a, 4, b.eq(i, i)), b.store(v, b.at(a, i), 4, mask), b.store(b.given(1), fault, 8);
  b.scatter(v, a, far, {}), b.scatter(v, t, numbers, mask), b.prefetch(b.at(c, b.integer(-64)));
  const Values results = b.loop(i, b.size(0), 3, {s, x, v}, [&](Value j, const Values& carried) {
    b.loop(j, i, 1, {}, [&](Value, const Values&) { return Values{}; });
    const Values both = b.branch(
        b.lt(i, j),
        [&] {
          return Values{carried[2], x};
        },
        [&] {
          return Values{v, carried[1]};
        });
    b.branch(b.le(i, j), [] { return Values{}; });
    b.branch(
        b.le(i, j), [] { return Values{}; }, [] { return Values{}; });
    return Values{b.select(b.eq(i, j), carried[0], s), both[1], both[0]};
  });
  b.store(b.cast(results[1], f64), results[0]);
  return b.finish();
}

void reads_back(const Function& f) {
  const std::string text = loop::str(f);
  CAPTURE(text);
  CHECK(test::message<InternalError>([&] { verify(f); }) == "no error");
  const Function read = parse(text);
  CHECK(read == f);
  CHECK(loop::str(read) == text);
}

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

}  // namespace

TEST_CASE("a function prints its buffers and nodes by number, and reads back") {
  const Function f = squares();
  CHECK("\n" + loop::str(f) == R"(
function "train.0" threads sizes n
buffer 0 f32[784n] argument 0
buffer 1 f32[n] argument 1
  %7 = mul size.n, 784 : i64
  loop %9 = 0 to %7 by 16 carry %10 = 0:f32x16
    %11 = at @0, %9 : @f32
    %12 = load %11 align 4 : f32x16
    %13 = fma %12, %12, %10 : f32x16
    yield %13
  end gives %14
  %15 = eq thread, 0 : bool
  if %15
    %17 = extract %14 lane 3 : f32
    store %17, @1 align 4
  end
)");
  reads_back(f);
}

TEST_CASE("every code reads back") {
  const Function f = everything();
  std::set<Code> used;
  auto note = [&](const Function& function) {
    for (const Node& node : function.nodes) used.insert(node.code);
  };
  note(f);
  for (const auto& function : f.functions) note(*function);
  for (int code = 0; code < codes; ++code) CHECK_MESSAGE(used.contains(static_cast<Code>(code)), name(static_cast<Code>(code)));
  reads_back(f);
  for (const auto& function : f.functions) reads_back(*function);
  CHECK(f.scratch_bytes() == 704);
  CHECK(squares().scratch_bytes() == 0);
}

TEST_CASE("two functions are equal if all that they hold is") {
  const Function f = everything();
  auto differs = [&](const std::function<void(Function&)>& change) {
    Function other = f;
    change(other);
    return !(other == f) && !(f == other);
  };
  CHECK(f == everything());
  CHECK(differs([](Function& g) { g.name = "g"; }));
  CHECK(differs([](Function& g) { g.threads = false; }));
  CHECK(differs([](Function& g) { g.numbers = 3; }));
  CHECK(differs([](Function& g) { g.buffers[0].slot = 1; }));
  CHECK(differs([](Function& g) { g.parameters.push_back({f32}); }));
  CHECK(differs([](Function& g) { g.nodes[0].integer = 9; }));
  CHECK(differs([](Function& g) { g.blocks[0].nodes.pop_back(); }));
  CHECK(differs([](Function& g) { g.functions.pop_back(); }));
  CHECK(differs([&](Function& g) { g.functions[0] = g.functions[1]; }));
}

TEST_CASE("constants are the shortest text that reads back to their bits") {
  auto written = [](ValueType type, uint64_t bits) {
    Builder b("f");
    b.function().sizes = {intern("n")};
    b.store(b.bit_pattern(type, bits), b.base(b.buffer({Place::argument, type.dtype == boolean ? u8 : type.dtype, 16, 0})));
    const std::string text = loop::str(b.finish()), store = "store ";
    const size_t begin = text.find(store) + store.size();
    return text.substr(begin, text.find(", @") - begin);
  };
  CHECK(written({i64}, ~uint64_t{0}) == "-1");
  CHECK(written({i64, true}, 7) == "7:i64x16");
  CHECK(written({i32}, 0xffffffff) == "-1:i32");
  CHECK(written({u8}, 200) == "200:u8");
  CHECK(written({boolean}, 1) == "true");
  CHECK(written(boolx16, 0) == "false:boolx16");
  CHECK(written({f32}, 0x3f000000) == "0.5:f32");
  CHECK(written(f32x16, 0x80000000) == "-0:f32x16");
  CHECK(written({f32}, 0x3dcccccd) == "0.1:f32");
  CHECK(written({f32}, 0xff800000) == "-inf:f32");
  CHECK(written({f32}, 0x7fc00000) == "nan:f32");
  CHECK(written({f32}, 0xffc00001) == "nan(0xffc00001):f32");
  CHECK(written(f64x16, 0x3ff0000000000000) == "1:f64x16");
  CHECK(written({f64}, 0x7ff0000000000000) == "inf:f64");
  CHECK(ValueType{f32, false, true}.str() == "@f32");
  CHECK(boolx16.str() == "boolx16");
}

TEST_CASE("a text that is no function is an Error with the place") {
  CHECK(test::message([] { parse("function \"f\"\n  %0 = ad 1\n"); }) ==
        "<text>:2:8: expected what the value is: add, load, ...\n  %0 = ad 1\n       ^");
  CHECK(flaw("") == "a:1:1: expected 'function'");
  CHECK(flaw("kernels 1") == "a:1:1: expected 'function'");
  CHECK(flaw("function f") == "a:1:10: expected '\"'");
  CHECK(flaw("function \"f") == "a:1:12: expected '\"' at the end of a string");
  CHECK(flaw("function \"f\" thread") == "a:1:14: expected the end of the line");
  CHECK(flaw("function \"f\" numbers x") == "a:1:22: expected how many numbers there are");
  CHECK(flaw("function \"f\"\nparameters f8") ==
        "a:2:12: expected a type such as f32, f32x16 or @f32, of one of f64, f32, i64, i32, u8, bool, f16, bf16");
  CHECK(flaw("function \"f\"\nbuffer 1 f32[1] stack") == "a:2:8: this is buffer 0");
  CHECK(flaw("function \"f\"\nbuffer 0 f32x16[1] stack") ==
        "a:2:10: expected an element type: one of f64, f32, i64, i32, u8, bool, f16, bf16");
  CHECK(flaw("function \"f\"\nbuffer 0 f32 stack") == "a:2:14: expected '['");
  CHECK(flaw("function \"f\"\nbuffer 0 f32[] stack") == "a:2:14: expected an extent");
  CHECK(flaw("function \"f\"\nbuffer 0 f32[99999999999999999999] stack") == "a:2:14: an extent is out of range");
  CHECK(flaw("function \"f\"\nbuffer 0 f32[1] heap") ==
        "a:2:17: expected where the buffer lies: argument, scratch, stack or fault");
  CHECK(flaw("function \"f\"\nbuffer 0 f32[1] argument") == "a:2:25: expected the number of an argument");
  CHECK(flaw("function \"f\"\nbuffer 0 f32[1] scratch") == "a:2:24: expected an offset in bytes");
  CHECK(flaw_of("x") == "a:5:1: expected a node, 'loop', 'if' or 'function'");
  CHECK(flaw_of("end") == "a:5:1: expected a node, 'loop', 'if' or 'function'");
  CHECK(flaw_of("%3 = add size.n, 1 : i64 : i64") == "a:5:26: expected the end of the line");
  CHECK(flaw_of("%3 = add size.n 1 : i64") == "a:5:17: expected ':'");
  CHECK(flaw_of("%3 = store size.n, @0 align 4 : i64") == "a:5:6: expected what the value is: add, load, ...");
  CHECK(flaw_of("add size.n, 1 : i64") == "a:5:1: expected a node, 'loop', 'if' or 'function'");
  CHECK(flaw_of("%3 = add ^, 1 : i64") == "a:5:10: expected a value");
  CHECK(flaw_of("%3 = add sizes, 1 : i64") ==
        "a:5:10: expected a value; a constant that is not an i64 is followed by its type: 0.5:f32");
  CHECK(flaw_of("%3 = add 0.5, 1 : i64") ==
        "a:5:10: expected a value; a constant that is not an i64 is followed by its type: 0.5:f32");
  CHECK(flaw_of("%3 = add 300:u8, 1 : i64") == "a:5:10: a u8 is out of range");
  CHECK(flaw_of("%3 = add 5-:i32, 1 : i64") == "a:5:11: expected the end of a i32");
  CHECK(flaw_of("%3 = add 1e99:f32, 1 : i64") == "a:5:10: a number is out of range");
  CHECK(flaw_of("%3 = add nan(0x7f800000):f32, 1 : i64") == "a:5:10: these bits are no NaN");
  CHECK(flaw_of("%3 = add 1:bool, 1 : i64") == "a:5:10: expected true or false");
  CHECK(flaw_of("%3 = add 9223372036854775808, 1 : i64") == "a:5:10: an i64 is out of range");
  CHECK(flaw_of("%3 = load @3 align 4 : f32") == "a:5:11: there is no buffer 3");
  CHECK(flaw_of("%3 = neg parameter0 : f32") == "a:5:10: there is no parameter 0");
  CHECK(flaw_of("%3 = neg number : f32") == "a:5:17: expected the number of a number");
  CHECK(flaw_of("%3 = extract 1:i32x16 : f32") == "a:5:23: expected 'lane'");
  CHECK(flaw_of("%3 = load @0 : f32") == "a:5:14: expected 'align'");
  CHECK(flaw_of("%3 = load @0, @0 align 4 : f32") == "a:5:11: load has 1 operands besides its mask, here are 2");
  CHECK(flaw_of("scatter 1, @0") == "a:5:9: scatter has 3 operands besides its mask, here are 2");
  CHECK(flaw_of("%3 = load @0 align 4 mask true : f32") == "a:5:32: expected 'rest'");
  CHECK(flaw_of("%3 = shuffle 1:i32x16, 2:i32x16 [1,x] : i32x16") == "a:5:36: expected a lane");
  CHECK(flaw_of("%3 = reference select 1:f32 : f32") == "a:5:16: expected the name of a function that has a reference");
  CHECK(flaw_of("%3 = call \"g\" 1:f32 : f32") == "a:5:11: there is no function \"g\" before this one");
  CHECK(flaw_of("loop %3 = 0 by 16") == "a:5:13: expected 'to'");
  CHECK(flaw_of("loop %3 = 0 to 16") == "a:5:18: expected 'by'");
  CHECK(flaw_of("loop %2 = 0 to 16 by 4") == "a:5:23: expected a node or 'end'");
  CHECK(flaw_of("if true\nelse\nelse\nend") == "a:7:1: expected a node or 'end'");
  CHECK(flaw_of("if true\nyield 1\n%3 = add 1, 1 : i64\nend") == "a:7:1: expected a node or 'end'");
  CHECK(flaw_of("if true\nyield 1\nelse\nyield 1\nend") == "a:9:4: expected 'gives'");
  CHECK(flaw_of("if true\nyield 1, 1\nelse\nyield 1, 1\nend gives %3") == "a:9:13: expected ','");
}

TEST_CASE("the numbers of nodes must be what the order gives") {
  CHECK(flaw_of("%3 = add size.n, 1 : i64") ==
        "a:5:1: the first node that is no leaf is %2, as there are 2 leaves; by the number here it is %3");
  CHECK(flaw_of("%2 = add size.n, 1 : i64\n%4 = add %2, 1 : i64") == "a:6:1: this node is %3");
  CHECK(flaw_of("%2 = add %2, 1 : i64") == "a:5:10: no value of this number is made before");
  CHECK(flaw_of("prefetch @0\nprefetch @0\n%1 = add 1, 1 : i64") == "a:7:1: this node is %2 at least");
  CHECK(flaw_of("%2 = add 1, 2 : i64\nprefetch @0\n%4 = add %3, 1 : i64") == "a:7:10: no value of this number is made before");
  CHECK(flaw_of("prefetch %0") == "a:5:10: no value of this number is made before");
  CHECK(flaw_of("%1 = neg 4294967296 : i64\n%4294967296 = neg 1 : i64") == "a:6:2: the number of a node is out of range");
  CHECK(flaw_of("loop %1 = 0 to 4 by 1\nend") ==
        "a:5:6: the first node that is no leaf is %2, as there are 2 leaves; by the number here it is %0");
  CHECK(flaw_of("loop %3 = 0 to 4 by 1 carry %5 = 0\nyield 0\nend gives %5") == "a:5:29: this node is %4");
}

TEST_CASE("functions that are called stand before the one that calls them") {
  const std::string f = "function \"f\"\n", g = "function \"g\"\nparameters f32\n  %1 = neg parameter0 : f32\n  yield %1\n";
  CHECK(flaw(g) == "no error");
  CHECK(flaw(g + f) == "no error");
  CHECK(flaw(g + f + "  %1 = call \"g\" 1:f32 : f32\n") == "no error");
  CHECK(flaw(g + f + "  %1 = call \"g\" 1:f64 : f32\n") == "a:5:1: f: %1 call: it is (f64) -> f32, and must be (f32) -> f32");
  CHECK(flaw(g + f + "  %0 = call \"g\" : f64\n") == "a:5:1: f: %0 call: it is () -> f64, and must be (f32) -> f32");
  CHECK(flaw(g + g + f) == "a:5:1: there are two functions \"g\"");
  CHECK(flaw(f + g) == "a:1:1: a function before the last one is called: it yields a value");
  CHECK(flaw(g + "function \"h\"\n  %1 = call \"g\" 1:f32 : f32\n  yield %1\n" + f) ==
        "a:6:8: a function that is called calls none");
  CHECK(flaw(g + "function \"h\"\n  %1 = call \"g\" 1:f32 : f32\n  yield %1\n") ==
        "a:5:1: h: it yields a value and has threads, numbers, sizes, buffers or functions; it is given its "
        "parameters alone");
  CHECK(flaw("function \"f\"\nparameters f32\n") == "a:1:1: f: it has parameters and yields no value");
  CHECK(flaw("function \"f\"\nparameters @f32\n") ==
        "a:1:1: f: a parameter is @f32; a function that is called touches no memory");
  CHECK(flaw("function \"f\"\n  yield 1, 1\n") == "a:1:1: f: it yields 2 values, and not one");
  CHECK(flaw("function \"f\"\n  yield size.n\n") == "a:2:9: there is no run-time size 'n'");
  const std::string alone =
      "a:1:1: f: it yields a value and has threads, numbers, sizes, buffers or functions; it is given its "
      "parameters alone";
  CHECK(flaw("function \"f\" threads\n  yield 1\n") == alone);
  CHECK(flaw("function \"f\" numbers 1\n  yield 1\n") == alone);
  CHECK(flaw("function \"f\"\nbuffer 0 f32[1] stack\n  yield 1\n") == alone);
  CHECK(flaw("function \"f\" sizes n\n  yield 1\n") == alone);
}

TEST_CASE("loops and branches are nested at most 100 deep") {
  auto nested = [](int depth, const std::string& inner = "") {
    std::string text = "function \"f\"\n", ends;
    for (int i = 0; i < depth; ++i) text += "if true\n", ends += "end\n";
    return text + inner + ends;
  };
  CHECK(flaw(nested(100)) == "no error");
  reads_back(parse(nested(100)));
  CHECK(flaw(nested(101)) == "a:102:1: loops and branches are nested more than 100 deep");
  CHECK(flaw(nested(100, "loop %3 = 0 to 1 by 1\n")) == "a:102:1: loops and branches are nested more than 100 deep");
}

TEST_CASE("no text, cut or changed anywhere, does anything but an Error, or it is another function") {
  const std::string whole =
      "function \"g\"\nparameters f32x16, i32\n  %1 = neg parameter0 : f32x16\n  yield %1\n"
      "function \"f\" threads numbers 2 sizes n\nbuffer 0 f32[4n] argument 0\nbuffer 1 f32[64] scratch 64\n"
      "  %11 = add thread, number1 : i64\n  %12 = load @1 align 64 mask true:boolx16 rest "
      "nan(0x7fa00000):f32x16 : f32x16\n"
      "  %13 = call \"g\" %12, -5:i32 : f32x16\n  loop %15 = 0 to %11 by 16 carry %16 = %13, %17 = @0\n"
      "    %18 = at %17, %15 : @f32  # next\n    if true\n      %20 = reference exp 1e-30:f32 : f32\n      "
      "yield %18\n"
      "    else\n      yield @0\n    end gives %21\n    yield %16, %21\n  end gives %22, %23\n"
      "  %24 = shuffle %22, %13 [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,31] : f32x16\n  scatter %24, %23, "
      "lanes:i32\n";
  REQUIRE(flaw(whole) == "no error");
  auto holds = [](const std::string& text) {
    try {
      const Function f = parse(text);
      verify(f);
      return parse(loop::str(f)) == f;
    } catch (const Error&) {
      return true;
    }
  };
  for (size_t at = 0; at < whole.size(); ++at) {
    CAPTURE(at);
    CHECK(holds(whole.substr(0, at)));
    for (char c : {'(', '[', '"', '-', '9', '\n', '\0', 'e', '%', '@', ':', ',', ' ', '\x80'}) {
      std::string changed = whole;
      changed[at] = c;
      if (!holds(changed)) CHECK_MESSAGE(false, c);
    }
    std::string shorter = whole;
    CHECK(holds(shorter.erase(at, 1)));
  }
}
