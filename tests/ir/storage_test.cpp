// f16 and bf16 in the graph: they are stored, moved and cast; whoever would compute with them is told what to
// write.
#include <doctest/doctest.h>

#include <cstdlib>
#include <source_location>

#include "ir/evaluate.h"
#include "ir/model/initializers.h"
#include "ir/model/layers.h"
#include "ir/ops.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "tests/message.h"
#include "tests/ops_samples.h"

using namespace tenon;
using namespace tenon::testing;
using test::message;

namespace {

bool takes_float(const Sample& sample) {
  return std::any_of(sample.inputs.begin(), sample.inputs.end(), [](const SampleInput& x) { return x.type.dtype == f64; });
}

// The message without its place, which is a line of the statement.
std::string said(const std::function<void()>& action, std::source_location at = std::source_location::current()) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.line().file == at.file_name());
    CHECK(std::abs(static_cast<int>(error.line().line) - static_cast<int>(at.line())) <= 2);
    return std::string(error.what()).substr(error.line().str().size() + 2);
  }
  return "no error";
}

}  // namespace

TEST_CASE("every operation moves f16 and bf16 unchanged, or refuses them and says what to write") {
  for (const Sample& sample : ops_samples())
    for (DType stored : {f16, bf16}) {
      if (!takes_float(sample) || sample.op->leaf) continue;
      if (sample.op == &cast_op || sample.op == &stop_gradient_op) continue;  // whose samples compute as well
      CAPTURE(sample.title);
      Graph graph;
      std::vector<Value> leaves;
      if (!sample.op->moves) {
        const std::string said = message([&] { sample.apply(graph, stored, leaves); });
        const std::string reason = fmt::format("; {} only stores numbers: compute with cast(x, f32)", name(stored));
        CHECK_MESSAGE(said.find(reason) != std::string::npos, said);
        continue;
      }
      const ReferenceArray moved = evaluate(sample.apply(graph, stored, leaves), sample.bind(stored), Sample::n);
      Bindings narrow = sample.bind(f32);
      for (auto& [name, array] : narrow)
        for (double& x : array.real) x = rounded(stored, x);
      Graph wide;
      const ReferenceArray expected = evaluate(sample.apply(wide, f32, leaves), narrow, Sample::n);
      CHECK(moved.type.dtype == stored);
      CHECK(moved.bound.empty());
      for (int64_t i = 0; i < expected.elements(); ++i) CHECK(moved.at(i) == rounded(stored, expected.at(i)));
      CHECK(parse(print(graph)) == graph);
    }
}

TEST_CASE("messages name both sides and the cast") {
  Graph graph;
  const Value h = graph.input("h", f16, {3}), b = graph.input("b", bf16, {3}), x = graph.input("x", f32, {3});
  CHECK(said([&] { h + h; }) == "add: of f16[3] and f16[3]; f16 only stores numbers: compute with cast(x, f32)");
  CHECK(said([&] { b * 2; }) == "mul: of bf16[3] and bf16[3]; bf16 only stores numbers: compute with cast(x, f32)");
  CHECK(said([&] { h - x; }) == "sub: element types differ: a is f16[3], b is f32[3]; cast a");
  CHECK(said([&] { x - b; }) == "sub: element types differ: a is f32[3], b is bf16[3]; cast b");
  CHECK(said([&] { h < 1; }) == "less: of f16[3] and f16[3]; f16 only stores numbers: compute with cast(x, f32)");
  CHECK(said([&] { sum(h); }) == "sum: of f16[3]; f16 only stores numbers: compute with cast(x, f32)");
  CHECK(said([&] { uniform(graph, bf16, {3}); }) == "uniform: gives bf16[3]; bf16 only stores numbers: make f32 and cast it");
  CHECK(said([&] { one_hot(graph.input("i", i32, {3}), 4, f16); }) ==
        "one_hot: gives f16[3,4]; f16 only stores numbers: make f32 and cast it");
  CHECK(said([&] { Dense(graph, bf16, 3, 4); }) == "dense: the element type is bf16; it must be f32 or f64");
  CHECK(said([&] { dense(graph, h, 4); }) == "dense: the element type is f16; it must be f32 or f64");
  CHECK(said([&] { constant(graph.body(), f16, 1e6); }) == "constant: 1000000 is not a value of f16");
  CHECK(said([&] { pad(h, {1}, {1}, 70000); }) == "pad: 70000 is not a value of f16; the other side is f16[3]");
  CHECK(message([] {
          parse("tenon 1\n%0 = input() name=\"x\" dtype=f64 shape=[3] : f64[3]\n%1 = cast(%0) to=f16 : f16[3]\n", "a.ir");
        }) == "a.ir:3:6: cast: f64[3] is cast to f16 by way of f32\n%1 = cast(%0) to=f16 : f16[3]\n     ^");
  CHECK(message([] { parse("tenon 1\n%0 = constant() value=f16[]{65520.0} : f16[]\n", "a.ir"); }) ==
        "a.ir:2:29: a number is out of range\n%0 = constant() value=f16[]{65520.0} : f16[]\n                 "
        "           ^");
  CHECK(message([] { parse("tenon 1\n%0 = constant() value=bf16[]{nan(0x3f80)} : bf16[]\n", "a.ir"); }) ==
        "a.ir:2:30: these bits are no NaN\n%0 = constant() value=bf16[]{nan(0x3f80)} : bf16[]\n              "
        "               ^");
}

TEST_CASE("texts give back every bit of f16 and bf16") {
  for (DType stored : {f16, bf16}) {
    auto bytes = std::make_shared<std::vector<std::byte>>();
    for (uint32_t bits = 0; bits < 1 << 16; ++bits)
      bytes->push_back(std::byte(bits & 0xff)), bytes->push_back(std::byte(bits >> 8));
    const auto count = static_cast<int64_t>(bytes->size() / 2);
    Graph graph;
    Value c = constant(graph.body(), Literal{{stored, {count}}, bytes}, {});
    graph.input("x", stored, {2, 3});
    graph.parameter("W", stored, {2}, zeros());
    graph.entry("y", {{"y", cast(c, f32)}});
    CHECK(parse(print(graph)) == graph);
    verify(graph.body());
    LiteralTable beside;
    CHECK(parse(print(graph, {.literals = &beside}), "a", beside) == graph);
  }
}

TEST_CASE("a cast rounds once to nearest even, and by way of f32") {
  Graph graph;
  const std::vector<double> x = {
      1 + 0x1p-11, 1 + 0x1p-11 + 0x1p-20, 1 + 3 * 0x1p-11, 65519.9, 65520, -1e9, 0x1p-25, 0x1.8p-25, 0x1p-24, -0.0};
  const std::vector<double> expected = {1, 1 + 0x1p-10, 1 + 0x1p-9, 65504, INFINITY, -INFINITY, 0, 0x1p-24, 0x1p-24, -0.0};
  const Value narrow = graph.input("x", f32, {10}), back = cast(cast(narrow, f16), f32);
  const Bindings bindings{{"x", ReferenceArray::of({f32, {10}}, std::span(x))}};
  for (Arithmetic arithmetic : {Arithmetic::bounded, Arithmetic::typed}) {
    const ReferenceArray y = evaluate(back, bindings, 1, arithmetic);
    CHECK(y.real == expected);
    CHECK(std::signbit(y.real[9]));
    CHECK(y.bound.empty());
  }
  // From f64, twice: 1 + 2^-11 + 2^-30 is 1 + 2^-11 as an f32, and then 1.
  const Value wide = graph.input("wide", f64, {});
  CHECK(cast(wide, f16).operand(0).dtype() == f32);
  CHECK(cast(cast(narrow, bf16), f16).operand(0).dtype() == f32);
  CHECK(cast(cast(narrow, bf16), i32).operand(0).dtype() == f32);
  const std::vector<double> twice = {1 + 0x1p-11 + 0x1p-30};
  CHECK(evaluate(cast(cast(wide, f16), f64), {{"wide", ReferenceArray::of({f64, {}}, std::span(twice))}}).real[0] == 1);
}

TEST_CASE("what f32 rounding could do to a cast is in its bound") {
  Graph graph;
  const std::vector<double> x = {1, 0.1};
  const Value h = cast(graph.input("x", f32, {2}) * 0.3, f16);
  const ReferenceArray y = evaluate(h, {{"x", ReferenceArray::of({f32, {2}}, std::span(x))}});
  for (int64_t i = 0; i < 2; ++i) CHECK(y.at(i) == rounded(f16, 0.3f * static_cast<float>(x[static_cast<size_t>(i)])));
  // A sum that f32 could round to a midpoint or to what is above.
  const std::vector<double> middle = {1 + 0x1p-11, 0x1p-24};
  const Value m = cast(sum(graph.input("m", f32, {2})), f16);
  const ReferenceArray z = evaluate(m, {{"m", ReferenceArray::of({f32, {2}}, std::span(middle))}});
  CHECK(z.bound_at(0) == 0x1p-10);
}

TEST_CASE("a parameter of f16 or bf16 begins with the rounded values of its initializer") {
  Graph graph;
  const Value w = graph.parameter("W", bf16, {4, 4}, normal(1)), f = graph.parameter("V", f32, {4, 4}, normal(1));
  CHECK(w.dtype() == bf16);
  const Bindings initial = evaluate_initial(graph.body(), 1, Arithmetic::typed);
  for (double x : initial.at("W").real) CHECK(x == rounded(bf16, x));
  CHECK(f.dtype() == f32);
}
