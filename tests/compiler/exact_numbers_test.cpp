// Integers beyond 2^53, which a double does not tell apart, are exact wherever a number may stand: in the graph, in its text,
// evaluated, folded and compiled.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include "ir/evaluate.h"
#include "tests/message.h"

using namespace tenon;

namespace {

constexpr int64_t odd = 9007199254740993;  // 2^53 + 1

std::vector<int64_t> compiled(const Graph& g, const Tensor& x) {
  Session session(compile(g));
  const Tensor y = session.run("f", {{"x", x}})["y"].clone();
  return {y.read<int64_t>().begin(), y.read<int64_t>().end()};
}

}  // namespace

TEST_CASE("an i64 literal is exact next to a value, in constants, choices and bounds") {
  const Tensor x = Tensor::of<int64_t>({3}, {0, 1, -odd});
  auto of = [&](const std::function<Value(Graph&, Value)>& make) {
    Graph g;
    const Value y = make(g, g.input("x", i64, {3}));
    g.entry("f", {{"y", y}});
    const std::vector<int64_t> result = compiled(g, x);
    CHECK(compiled(parse(print(g)), x) == result);
    return result;
  };
  using Numbers = std::vector<int64_t>;
  CHECK(of([](Graph&, Value x) { return x + odd; }) == Numbers{odd, odd + 1, 0});
  CHECK(of([](Graph&, Value x) { return odd - x; }) == Numbers{odd, odd - 1, 2 * odd});
  CHECK(of([](Graph&, Value x) { return x * 3 + (odd - 1); }) == Numbers{odd - 1, odd + 2, -2 * odd - 1});
  CHECK(of([](Graph&, Value x) { return select(equal(x, -odd), odd + 2, x); }) == Numbers{0, 1, odd + 2});
  CHECK(of([](Graph&, Value x) { return clip(x, -(odd - 2), odd); }) == Numbers{0, 1, -(odd - 2)});
  CHECK(of([](Graph&, Value x) { return slice(pad(x, {1}, {1}, odd), 0, 0, 5, 2); }) == Numbers{odd, 1, odd});
  CHECK(of([](Graph&, Value x) { return max(x, odd); }) == Numbers{odd, odd, odd});
  CHECK(of([](Graph& g, Value x) { return x + full(g.body(), {i64, {3}}, odd); }) == Numbers{odd, odd + 1, 0});
  CHECK(of([](Graph& g, Value x) { return x + constant(g.body(), i64, odd) - (odd - 1); }) == Numbers{1, 2, -odd + 1});
  CHECK(of([](Graph&, Value x) { return x + INT64_MAX; }) == Numbers{INT64_MAX, INT64_MIN, INT64_MAX - odd});
  CHECK(of([](Graph&, Value x) { return x + odd + (1 - odd); }) == Numbers{1, 2, 1 - odd});  // folded
}

TEST_CASE("comparisons with an i64 literal tell neighbours apart") {
  Graph g;
  const Value x = g.input("x", i64, {3});
  g.entry("f", {{"less", x < odd}, {"equal", equal(x, odd)}});
  Session session(compile(g));
  const auto results = session.run("f", {{"x", Tensor::of<int64_t>({3}, {odd - 1, odd, odd + 1})}});
  const auto less = results["less"].read<bool>(), same = results["equal"].read<bool>();
  CHECK(std::vector<bool>(less.begin(), less.end()) == std::vector<bool>{true, false, false});
  CHECK(std::vector<bool>(same.begin(), same.end()) == std::vector<bool>{false, true, false});
}

TEST_CASE("a number that a pad cannot hold is an Error, from the builder and from a text") {
  Graph g;
  Value x = g.input("x", i64, {3});
  auto flaw = [](const std::function<void()>& action) {
    const std::string text = test::message(action);
    return text.substr(std::min(text.size(), text.find("pad: ")));
  };
  CHECK(flaw([&] { pad(x, {1}, {0}, 0.5); }) == "pad: 0.5 is not a value of i64; the other side is i64[3]");
  CHECK(flaw([&] { pad(x, {1}, {0}, x); }) == "pad: the value around i64[3] is a number, not i64[3]");
  g.entry("f", {{"y", pad(x, {1}, {0}, 7)}});
  std::string text = print(g, {.origins = false});
  text.replace(text.find("value=7"), 7, "value=1e+300");
  CHECK(flaw([&] { parse(text); }) ==
        "pad: 1e+300 is not a value of i64\n%1 = pad(%0) low=[1] high=[0] value=1e+300 : i64[4]\n     ^");
}
