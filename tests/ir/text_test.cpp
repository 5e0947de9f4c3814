// parse(print(g)) == g for whole programs, and what the text looks like.
#include "ir/text.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

#include "ir/ops.h"
#include "ir/verify.h"

namespace {
using namespace tenon;

// Two layers, a random mask, a running mean, a hand-written update: every kind of statement.
Graph program() {
  Graph g;
  Extent n = g.size("n", 256);
  Value x = g.input("x", u8, {n, 12});
  Value label = g.input("label", i64, {n});
  auto small = [](Graph& graph, const Type& type) { return uniform(graph, type.dtype, type.shape) * 0.1 - 0.05; };
  auto zero = [](Graph& graph, const Type& type) { return full(graph.body(), type, 0); };
  Value w1, b1;
  {
    Scope scope(g, "dense1");
    w1 = g.parameter("W", f32, {12, 8}, small);
    b1 = g.parameter("b", f32, {8}, zero);
  }
  Value w2 = g.parameter("W2", f32, {8, 3}, small);
  Value mean_of_h = g.state("mean", f32, {8}, zero);
  Value h = relu(matmul(cast(x, f32) * (1.0 / 255), w1) + b1);
  Value dropped = dropout(g, h, 0.5);
  Value z = matmul(dropped, w2);
  Value loss = mean(-log(pick(softmax(z), label)));
  g.require_fused(loss);
  g.allow_unreached(b1);
  require_support(x, Support::unit_interval, "x", {});
  g.entry("predict", {{"class", argmax(z)}, {"p", softmax(z)}});
  g.entry("train", {{"loss", loss}}, {{mean_of_h, mean_of_h * 0.9 + mean(h, {0}) * 0.1}, {g.step(), g.step() + 1}});
  return g;
}

void round_trip(const Graph& g) {
  std::string text = print(g);
  Graph back = parse(text, "text.ir");
  CHECK(back == g);
  CHECK(print(back, {.origins = false}) == print(g, {.origins = false}));
  LiteralTable table;
  std::string small = print(g, {.literals = &table});
  CHECK(parse(small, "text.ir", table) == g);
}

Value constant_of(Graph& g, const Type& type, std::vector<double> values) {
  return constant(g.body(), Literal::of(type, values));
}

TEST_CASE("a whole program reads back as itself") {
  Graph g = program();
  verify(g.body());
  round_trip(g);
}

TEST_CASE("the text of a small program") {
  Graph g;
  Extent n = g.size("n", 4);
  Value x = g.input("x", f32, {n, 3});
  Value w = g.parameter("W", f32, {3, 2}, [](Graph& graph, const Type& type) { return full(graph.body(), type, 0.1); });
  Value y = contract(x, w, "ik,kj->ij");
  g.entry("predict", {{"y", y}}, {{w, w + w}});
  CHECK(print(g, {.origins = false}) == R"(tenon 1
size n <= 4
%0 = input() name="x" dtype=f32 shape=[n,3] : f32[n,3]
%1 = parameter() name="W" dtype=f32 shape=[3,2] : f32[3,2]
%2 = constant() value=f32[]{0.1} : f32[]
%3 = broadcast(%2) shape=[3,2] axes=[] : f32[3,2]
%4 = contract(%0, %1) spec="ik,kj->ij" : f32[n,2]
%5 = add(%1, %1) : f32[3,2]
state %1 = %3 trainable
entry "predict"
  output "y" = %4
  update %1 = %5
)");
}

TEST_CASE("a comment carries the scope and the line, and says what is backward") {
  Graph g;
  {
    Scope scope(g, "dense1", Line("dir/mnist.cpp", 12));
    g.input("x", f32, {2});
  }
  Origin backward{{Line("mnist.cpp", 12)}, "dense1", true};
  {
    Scope scope(g.body(), backward);
    g.input("dy", f32, {2});
  }
  std::string text = print(g);
  CHECK(text.find("f32[2]   # dense1 mnist.cpp:12\n") != std::string::npos);
  CHECK(text.find("f32[2]   # backward of dense1 mnist.cpp:12\n") != std::string::npos);
}

TEST_CASE("a parsed node carries its line in the text") {
  Graph g = parse("tenon 1\n\n%5 = input() name=\"x\" dtype=f32 shape=[2] : f32[2]\n", "dir/a.ir");
  CHECK(g.body().value(0).line().str() == "a.ir:3");
}

TEST_CASE("every float reads back exactly") {
  double inf = std::numeric_limits<double>::infinity();
  Graph g;
  constant_of(g, {f64, {6}}, {0.1, -0.0, inf, -inf, 5e-324, 1.7976931348623157e308});
  constant_of(g, {f32, {6}}, {0.1, -0.0, inf, -inf, 1e-45, 16777217});
  constant_of(g, {f64, {2}}, {std::bit_cast<double>(0x7ff8000000000123u), -std::nan("")});
  auto bytes = std::make_shared<std::vector<std::byte>>(8);
  uint32_t bits[] = {0x7f800001, 0xffc00000};  // a signalling NaN, and a negative one
  std::memcpy(bytes->data(), bits, 8);
  constant(g.body(), Literal{{f32, {2}}, bytes});
  Value x = g.input("x", f32, {2});
  for (double value : {0.1, 1.0, -0.0, 1e300, inf, -inf, std::nan(""), -std::nan("")}) leaky_relu(x, value);
  round_trip(g);
}

TEST_CASE("integers, bools, empty constants and names that need escapes read back") {
  Graph g;
  auto bytes = std::make_shared<std::vector<std::byte>>(16);
  int64_t extremes[] = {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
  std::memcpy(bytes->data(), extremes, 16);
  constant(g.body(), Literal{{i64, {2}}, bytes});
  constant_of(g, {i32, {2}}, {-2147483648.0, 2147483647.0});
  constant_of(g, {u8, {2}}, {0, 255});
  constant_of(g, {boolean, {2}}, {0, 1});
  constant_of(g, {f32, {0}}, {});
  constant_of(g, {f32, {2, 0, 3}}, {});
  Value x = g.input("a \"name\"\\\n\x01\xc3\xa9 # no comment", f32, {2});
  g.entry("two\nlines", {{"\"", x}});
  round_trip(g);
}

TEST_CASE("large constants lie beside the text, by hash") {
  Graph g;
  constant_of(g, {f32, {100}}, std::vector<double>(100, 0.25));
  constant_of(g, {f32, {64}}, std::vector<double>(64, 0.25));
  LiteralTable table;
  std::string text = print(g, {.origins = false, .literals = &table});
  CHECK(table.size() == 1);
  CHECK(text.size() < 700);
  CHECK(parse(text, "a.ir", table) == g);
  CHECK_THROWS_WITH_AS(parse(text, "a.ir"), doctest::Contains("a.ir:2:23: no constant with the hash"), Error);
  LiteralTable wrong{{table.begin()->first, Literal::of({f32, {1}}, std::vector<double>{1})}};
  CHECK_THROWS_WITH_AS(parse(text, "a.ir", wrong), doctest::Contains("is another one"), Error);
}

TEST_CASE("what makes two programs differ") {
  auto make = [](int64_t maximum, double slope, const char* name, bool mark) {
    Graph g;
    Extent n = g.size("n", maximum);
    Value y = leaky_relu(g.input(name, f32, {n}), slope);
    if (mark) g.require_fused(y);
    g.entry("e", {{"y", y}});
    return g;
  };
  Graph g = make(4, 0.0, "x", false);
  CHECK(g == make(4, 0.0, "x", false));
  CHECK_FALSE(g == make(5, 0.0, "x", false));
  CHECK_FALSE(g == make(4, -0.0, "x", false));
  CHECK_FALSE(g == make(4, 0.0, "y", false));
  CHECK_FALSE(g == make(4, 0.0, "x", true));
}

TEST_CASE("blank lines, comments, carriage returns and any numbering are read") {
  Graph g = parse(
      "# a comment\r\n\r\ntenon 1 # version\r\n  size n<=4\r\n"
      "%70=input()name=\"x\"dtype=f32 shape=[ n , 2 ]:f32[n,2]\r\n%3 = neg( %70 ):f32[n,2]# end");
  CHECK(print(g, {.origins = false}) ==
        "tenon 1\nsize n <= 4\n%0 = input() name=\"x\" dtype=f32 shape=[n,2] : f32[n,2]\n%1 = neg(%0) : "
        "f32[n,2]\n");
}

TEST_CASE("the text on the room's page is one") {
  std::ifstream file(TENON_SOURCE "/ir/README.md");
  std::string page{std::istreambuf_iterator<char>(file), {}};
  size_t begin = page.find("tenon 1 ");
  REQUIRE(begin != std::string::npos);
  Graph g = parse(page.substr(begin, page.find("```", begin) - begin), "README.md");
  CHECK(g.body().size() == 5);
  round_trip(g);
}

TEST_CASE("a picture names every node, scope and update") {
  Graph g = program();
  std::string picture = dot(g);
  CHECK(picture.starts_with("digraph tenon {"));
  CHECK(picture.find("{\n  label=\"dense1/W\"") != std::string::npos);
  CHECK(picture.find("style=dashed") != std::string::npos);
  for (NodeId id = 0; id < g.body().size(); ++id)
    CHECK(picture.find(fmt::format("  n{} [label=\"%{} ", id, id)) != std::string::npos);
  CHECK(std::count(picture.begin(), picture.end(), '{') == std::count(picture.begin(), picture.end(), '}'));
}

}  // namespace
