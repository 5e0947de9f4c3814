// Kernels as text: what a dump shows, read back as the same kernels; and what is said of a text that is not
// one.
#include <doctest/doctest.h>

#include "compiler/kernel/place.h"
#include "compiler/kernel/tile.h"
#include "tests/compiler/kernels.h"
#include "tests/message.h"

using namespace tenon;

namespace {

void check_reads_back(const KernelList& list) {
  const std::string text = str(list);
  CAPTURE(text);
  const std::vector<KernelList> read = parse_kernels(text);
  REQUIRE(read.size() == 1);
  CHECK(read[0] == list);
  CHECK(str(parse_kernels(str(read[0]))[0]) == str(read[0]));  // without the user's lines
}

KernelList placed(const Graph& graph, std::string_view entry) {
  Target target = Target::of(Isa::avx512, Isa::avx512);
  target.threads = 2;
  KernelList list = group(graph, *graph.body().entry(entry));
  tile(list, target);
  place(list);
  return list;
}

// A text of which the lines of the kernels are given; y[n,4] is an output, x[n,4] and label[n] are inputs.
std::string with_kernels(const std::string& kernels) {
  return "kernels 1\nsize n <= 8\nentry \"f\"\narena 0 bytes, at least 0\ninput \"x\" f32[n,4]\ninput "
         "\"label\" u8[n]\n"
         "output \"y\" f32[n,4]\nbuffer x input f32[n,4] slot 0\nbuffer label input u8[n] slot 1\n"
         "buffer y output f32[n,4] slot 0\nbuffer acc tile f32[n,4]\n" +
         kernels;
}

// The first line of the message: place and flaw.
std::string flaw(const std::string& text) {
  const std::string message = test::message([&] { parse_kernels(text, "a.kernels"); });
  return message.substr(0, message.find('\n'));
}
std::string flaw_of(const std::string& line) { return flaw(with_kernels("k1 for i<n\n  " + line + "\n")); }

}  // namespace

TEST_CASE("names, sizes and numbers of every kind read back") {
  Graph g;
  Extent k = g.size("k", 9);  // the name of a loop variable
  Value x = g.input("my input", f32, {k, 4}), z = g.input("not", f64, {k}), w = g.input("w", i32, {k}),
        b = g.input("b", boolean, {k});
  Value u = g.input("u", u8, {k});
  g.entry("all kinds", {{"y", select(x < -0.25, x * 1e30, -x) + INFINITY},
                        {"z", z * 0.1 + cast(size_of(g.body(), k), f64)},
                        {"w", -w * 7 + w / 3},
                        {"b", logical_or(logical_not(b), equal(u, 250))},
                        {"u", u + 5}});
  g.entry("init2", {{"draw", cast(random_bits(g.seed(), g.step(), {3}, 7), f32)}});
  check_reads_back(placed(g, "all kinds"));
  check_reads_back(placed(g, "init2"));
}

TEST_CASE("what an expression shares is printed once, so that its text is about as long as the expression") {
  KernelList list = parse_kernels(with_kernels("k1 for i<n\n  y[i,j] for j<4 = x[i,j]\n"))[0];
  Scalar x = list.kernels[0].body[0].value;
  for (int i = 0; i < 100; ++i) x = Scalar::call(Scalar::mul, {x, x});
  for (int i = 0; i < 200; ++i) x = Scalar::call(Scalar::tanh, {x});
  list.kernels[0].body[0].value = x;
  CHECK(str(list).size() < 8000);
  const KernelList read = parse_kernels(str(list))[0];
  CHECK(str(read) == str(list));
  size_t nodes = 0;
  visit(read.kernels[0].body[0].value, [&](const Scalar&) { ++nodes; });
  CHECK(nodes < 700);  // but for small parts, that are printed again
}

TEST_CASE("several entries stand one after the other in a text") {
  const std::string one = with_kernels("k1 for i<n\n  y[i,j] for j<4 = x[i,j]\n");
  CHECK(parse_kernels(one + one).size() == 2);
}

TEST_CASE("a text that is no kernel list is an Error with the place") {
  CHECK(flaw("") == "a.kernels:1:1: expected 'kernels 1', the version of the format");
  CHECK(flaw("kernels 2") == "a.kernels:1:9: this text has another version; this library reads version 1");
  CHECK(flaw(with_kernels("  y[i,j] = 0.0")) == "a.kernels:12:3: expected a kernel before its statements");
  CHECK(flaw_of("y[i,j] for j<4 = z[i,j]") == "a.kernels:13:20: there is no buffer 'z'");
  CHECK(flaw_of("y[i,j] for j<4 = x[i]") == "a.kernels:13:20: 'x' has 2 axes, here are 1 indices");
  CHECK(flaw_of("y[i,j] for j<4 = x[i,0.5]") == "a.kernels:13:24: an index is i64, not f32");
  CHECK(flaw_of("y[i,j] for j<4 = x[i,j] + 1") == "a.kernels:13:27: add: its arguments are f32 and i64");
  CHECK(flaw_of("y[i,j] for j<4 = 1") == "a.kernels:13:20: 'y' is f32[n,4], and its value i64");
  CHECK(flaw_of("y[i,j] for j<4 = exp(1)") == "a.kernels:13:20: exp is not a function of i64");
  CHECK(flaw_of("y[i,j] for j<4 = exp(1.0,2.0)") == "a.kernels:13:20: exp takes 1 arguments, here are 2");
  CHECK(flaw_of("y[i,j] for j<4 = expp(1.0)") == "a.kernels:13:20: there is no function 'expp'");
  CHECK(flaw_of("y[i,j] for j<4 = $1 * 2.0") == "a.kernels:13:20: $1 is not defined before this");
  CHECK(flaw_of("y[i,j] for j<4 = t") == "a.kernels:13:20: 't' is neither a variable nor a run-time size");
  CHECK(flaw_of("y[i,j] for j<4 = 300:u8") == "a.kernels:13:20: 300 does not fit u8");
  CHECK(flaw_of("y[i,j] for j<4m = 1.0") == "a.kernels:13:17: there is no run-time size 'm'");
  CHECK(flaw_of("y[i,j] for j<4 = " + std::string(300, '(')) == "a.kernels:13:276: nested more than 256 deep");
  CHECK(flaw_of("y[i,j] for j<4 = x[i,j] x") == "a.kernels:13:27: expected the end of the line");
  CHECK(flaw(with_kernels("k1: acc[i<n; j<4] = sum over k<4 of x[i,k] * 2\n")) ==
        "a.kernels:12:37: the factors are f32 and i64, the sum f32[n,4]: they must be of one float type");
  CHECK(flaw(with_kernels("k1: x[i<n; j<4] = sum over k<4 of x[i,k] * 2.0\n")) ==
        "a.kernels:12:5: 'x' is input f32[n,4]; the accumulator is a tile of [n,4]");
  CHECK(flaw(with_kernels("k1 for i<n | tile 6x20 k 4 group 1")) == "a.kernels:12:21: the width of a tile is a multiple of 16");
  CHECK(flaw(with_kernels("k1 for i<n | pack a")) == "a.kernels:12:20: expected 'by'");
  CHECK(flaw(with_kernels("k1 for i<n | pack a by m")) == "a.kernels:12:24: expected k or row");
  CHECK(flaw(with_kernels("k1 for i<n | pack b by row")) == "a.kernels:12:24: expected k");
  CHECK(flaw(with_kernels("buffer x row f32[]")) == "a.kernels:12:8: the buffer 'x' is there twice");
  CHECK(flaw(with_kernels("buffer q input f32[n] slot 7")) == "a.kernels:12:8: there is no input of slot 7");
  CHECK(flaw(with_kernels("buffer q input f32[n] slot 1")) == "a.kernels:12:8: 'q' is f32[n], and what it stands for u8[n]");
  CHECK(flaw(with_kernels("buffer q disk f32[n]")) ==
        "a.kernels:12:10: expected where the buffer lies: input, state, output, constant, arena, row, tile or argument");
  CHECK(flaw(with_kernels("buffer q argument f32[n] slot 1 at 0")) == "a.kernels:12:8: this is argument 0, not 1");
  const std::string three =
      "buffer a argument f32[n] slot 0 at 0\nbuffer b argument f32[n] slot 1 at 0\nbuffer c argument f32[n] slot 2 at ";
  CHECK(flaw(with_kernels(three + "1")) ==
        "a.kernels:14:8: argument 2 shares bytes with itself or the first of some, not with 1");
  CHECK(flaw(with_kernels(three + "3")) ==
        "a.kernels:14:8: argument 2 shares bytes with itself or the first of some, not with 3");
  CHECK(flaw(with_kernels("numbers 65537")) == "a.kernels:12:9: 65537 numbers are given, valid is up to 65536");
  CHECK(flaw(with_kernels("on entry check 0 <= x < 4 \"x\"")) == "a.kernels:12:21: an index is of integers, not f32");
}

TEST_CASE("a text whose kernels break a promise is an Error too") {
  CHECK(flaw(with_kernels("k1 for i<n\n  y[i,j] for j<4 = y[i,j]\n")) ==
        "a.kernels:1:1: k1: statement 1 reads 'y' before k1 writes it");
  CHECK(flaw(with_kernels("k1 for i<n\n  y[i,j] for j<3 = x[i,j]\n")) ==
        "a.kernels:1:1: k1: statement 1 stores 'y' elsewhere than at its loops");
  CHECK(flaw_of("y[i,j] for j<4 = x[i,k]") == "a.kernels:1:1: k1: statement 1 uses k, which no loop around it runs over");
  const std::string chains = "a.kernels:1:1: k1: statement 1 is in ";
  CHECK(flaw_of("y[i,j] for j<4 = sum over k<4 in 8 chains by 64 of x[i,k]") ==
        chains + "8 chains by 64; there are 16 chains, and a block is a multiple of them");
  CHECK(flaw_of("y[i,j] for j<4 = sum over k<4 in 16 chains by 40 of x[i,k]") ==
        chains + "16 chains by 40; there are 16 chains, and a block is a multiple of them");
  CHECK(flaw_of("y[i,j] for j<4 = max over k<4 in 16 chains by 64 of x[i,k]") ==
        "a.kernels:1:1: k1: statement 1 is no sum or product of floats, and has an order");
  CHECK(flaw_of("y[i,j] for j<4 = sum over k<4 in 16 of x[i,k]") ==
        "a.kernels:13:39: expected 'chains by' and the points of a block");
  CHECK(flaw_of("y[i,j] for j<4, j<4 = x[i,j]") == "a.kernels:1:1: k1: statement 1 runs over j twice");
  CHECK(flaw_of("y[i,j] for j<4 = argmax over k<2, l<2 of x[i,k]") == "a.kernels:13:20: 'y' is f32[n,4], and its value i64");
  CHECK(flaw(with_kernels("k1: acc[i<n; j<4] = sum over k<4 of x[i,k] * 2.0\n  y[i,j] for i<n, j<4 = max "
                          "over l<2 of acc[i,j]\n")) ==
        "a.kernels:1:1: k1: statement 1 is no epilogue: it reduces, scatters or has other loops than the sum");
  CHECK(flaw(with_kernels("k1: acc[i<n; j<4] = sum over k<4 of x[i,k] * x[0,j]\n  y[i,j] for i<n, j<4 = acc[i,j]\n")) ==
        "no error");
  CHECK(flaw(with_kernels("k1: acc[i<n; j<4] = sum over k<4 of x[0,j] * x[i,k]\n  y[i,j] for i<n, j<4 = acc[i,j]\n")) ==
        "a.kernels:1:1: k1: the first factor of its sum depends on j, which the other has");
}

TEST_CASE("f16 and bf16 are moved and cast, and their constants keep every bit; nothing computes with them") {
  const auto value = [](const std::string& of) { return flaw(with_kernels("k1 for i<n\n  y[i,j] for j<4 = " + of + "\n")); };
  const auto message = [&](const std::string& of) { return value(of).substr(value(of).find(": ") + 2); };
  CHECK(value("f32(select(i < 2,f16(x[i,j]),0.1:f16))") == "no error");
  CHECK(value("f32(nan(0x7e01):f16) + f32(nan(0xffc1):bf16) + nan(0x7fc00001)") == "no error");
  CHECK(message("f32(f16(x[i,j]) + 1.0:f16)") == "add is not a function of f16");
  CHECK(message("sum over k<4 of bf16(x[i,k])") == "bf16 only stores numbers; reduce an f32");
  CHECK(message("f32(bf16(f16(x[i,j])))") == "f16 is cast to bf16 by way of f32");
  CHECK(message("f32(70000.0:f16)") == "a number is out of range");
}

TEST_CASE("no text, cut or changed anywhere, does anything but an Error") {
  const std::string whole = with_kernels(
      "note \"n\"\nk1: acc[i<n; j<4] = sum over k<4 of x[i,k] * 2.0  | tile 6x16 k 4 group 64, pack b by k, 2 "
      "threads\n"
      "  $1 = exp(acc[i,j]) // 2.0\n  y[i,j] for i<n, j<4 = select(i < 2,$1,-$1)\n");
  REQUIRE(flaw(whole) == "no error");
  for (size_t at = 0; at < whole.size(); ++at) {
    CHECK_NOTHROW(flaw(whole.substr(0, at)));
    for (char c : {'(', '[', '"', '-', '9', '\n', '\0', 'e', '<', '$', '\x80'}) {
      std::string changed = whole;
      changed[at] = c;
      CHECK_NOTHROW(flaw(changed));
    }
  }
}

// The last one: ctest does not see what stands after a #line.
TEST_CASE("a kernel list prints its bindings, buffers and kernels with their cuts and lines, and reads back") {
  Graph g;
  Extent n = g.size("n", 512);
#line 100 "model.cpp"
  Value x = g.input("x", f32, {n, 784}), y = g.input("y", u8, {n});
  Value w = g.parameter("W", f32, {784, 512}, zeros());
  Value h = relu(matmul(x, w));
  Value score = pick(h, y);
  g.entry("score", {{"score", score - reduce_max(h, {1})}});
  KernelList list = placed(g, "score");
  list.kernels[0].tile = {.rows = 14, .vectors = 2, .k_block = 512};  // whatever is best of today's
  CHECK("\n" + str(list) == R"(
kernels 1
size n <= 512
entry "score"
arena 1048576 bytes, at least 1048576
input "x" f32[n,784]
input "y" u8[n]
output "score" f32[n]
state "W" f32[784,512]
buffer x input f32[n,784] slot 0
buffer W state f32[784,512] slot 0
buffer acc tile f32[n,512]
buffer relu arena f32[n,512] at 0 alive 1 to 2
buffer reduce_max row f32[]
buffer y input u8[n] slot 1
buffer score output f32[n] slot 0
on entry check 0 <= y < 512 "pick: index"
k1: acc[i<n; j<512] = sum over k<784 by 512 by 64 of x[i,k] * W[k,j]  | tile 14x32 k 512 group 64, 2 threads  # model.cpp:102
  relu[i,j] for i<n, j<512 = max(acc[i,j],0.0)
k2 for i<n  | 2 threads, barrier  # model.cpp:103, model.cpp:104
  reduce_max[] = max over j<512 of relu[i,j]
  score[i] = relu[i,i64(y[i])] - reduce_max[]
)");
  check_reads_back(list);
}
