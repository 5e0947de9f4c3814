// Deep and wide programs: no pass recurses in the depth of a graph or of an expression, and none is cut short by it.
#include <doctest/doctest.h>
#include <pthread.h>
#include <tenon/tenon.h>

#include "tests/message.h"

using namespace tenon;

namespace {

// Runs the action on a thread with a stack of 256 KB.
void on_small_stack(const std::function<void()>& action) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
  std::pair<const std::function<void()>*, std::exception_ptr> call{&action, nullptr};
  auto start = [](void* argument) -> void* {
    auto& [run, thrown] = *static_cast<decltype(call)*>(argument);
    try {
      (*run)();
    } catch (...) {
      thrown = std::current_exception();
    }
    return nullptr;
  };
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, start, &call) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  if (call.second) std::rethrow_exception(call.second);
}

std::vector<float> run(const Graph& g, const std::vector<Input>& inputs) {
  Session session(compile(g, {.listings = false}));
  session.init(1);
  const Tensor y = session.run("f", inputs)["y"].clone();
  return {y.read<float>().begin(), y.read<float>().end()};
}

// The message without the user's line, which must be one of this file.
std::string after_line(const std::string& message) {
  CHECK_MESSAGE(message.starts_with("limits_test.cpp:"), message);
  return message.substr(std::min(message.size(), message.find(": ") + 2));
}

const Tensor four = Tensor::of<float>({4}, {0.5f, 1.0f, 2.0f, -3.0f});

}  // namespace

TEST_CASE("a chain of 5,000 additions compiles on a small stack") {
  on_small_stack([] {
    Graph g;
    Value y = g.input("x", f32, {4});
    for (int i = 0; i < 5000; ++i) y = y + 1;
    g.entry("f", {{"y", y}});
    CHECK(run(g, {{"x", four}}) == std::vector<float>{5000.5f, 5001.0f, 5002.0f, 4997.0f});
  });
}

TEST_CASE("a chain of 1,000 links of three operations, and its gradient, compile on a small stack") {
  on_small_stack([] {
    Graph g;
    Value x = g.input("x", f32, {4}), w = g.parameter("w", f32, {4}, constant(0.5)), y = x * w;
    for (int i = 0; i < 1000; ++i) y = max(y * 0.999, -2) + 0.001;
    g.entry("f", {{"y", y}});
    g.entry("train", {}, minimize(sum(y), sgd(0.1)));
    double expected = 0.25;
    for (int i = 0; i < 1000; ++i) expected = std::max(expected * 0.999, -2.0) + 0.001;
    CHECK(run(g, {{"x", four}})[0] == doctest::Approx(expected).epsilon(1e-5));
  });
}

TEST_CASE("a chain of 2,000 sums, a kernel each, compiles on a small stack") {
  on_small_stack([] {
    Graph g;
    Value y = g.input("x", f32, {4});
    for (int i = 0; i < 2000; ++i) y = y * 0.5 + sum(y) * 0.125;
    g.entry("f", {{"y", y}});
    CHECK(run(g, {{"x", four}}) == std::vector<float>(4, 0.125f));
  });
}

TEST_CASE("a concat of 20,000 operands compiles on a small stack") {
  on_small_stack([] {
    Graph g;
    Value x = g.input("x", f32, {4});
    std::vector<Value> parts(20000, x);
    parts[19999] = x * 2;
    g.entry("f", {{"y", concat(parts, 0)}});
    const std::vector<float> y = run(g, {{"x", four}});
    REQUIRE(y.size() == 80000);
    CHECK(y[0] == 0.5f);
    CHECK(y[4 * 777 + 3] == -3.0f);
    CHECK(y[79998] == 4.0f);
  });
}

TEST_CASE("a name with a zero byte is an Error that shows it") {
  const std::string name("a\0b", 3);
  auto flaw = [&](auto action) {
    Graph g;
    return after_line(test::message([&] { action(g); }));
  };
  const std::string rest = " the name \"a\\x00b\" has a zero byte, at which others would take it to end";
  CHECK(flaw([&](Graph& g) { g.entry(name, {{"y", g.input("x", f32, {})}}); }) == "entry:" + rest);
  CHECK(flaw([&](Graph& g) { g.entry("f", {{name, g.input("x", f32, {})}}); }) == "entry 'f':" + rest);
  CHECK(flaw([&](Graph& g) { g.input(name, f32, {}); }) == "input:" + rest);
  CHECK(flaw([&](Graph& g) { Scope scope(g, name); }) == "scope:" + rest);
}

TEST_CASE("an extent that cannot be is an Error of whatever operation makes it") {
  Graph g;
  Value x = g.input("x", f32, {3}), index = g.input("index", i64, {3});
  auto flaw = [](const std::function<void()>& action) { return after_line(test::message(action)); };
  const std::string negative = " is not a possible type: extent -2 is negative; it must be 0 or more";
  CHECK(flaw([&] { iota(g.body(), {-2}, 0); }) == "iota: i64[-2]" + negative);
  CHECK(flaw([&] { full(g.body(), {f32, {-2}}, 1); }) == "full: f32[-2]" + negative);
  CHECK(flaw([&] { size_of(g.body(), -2); }) == "size: i64[-2]" + negative);
  CHECK(flaw([&] { constant(g.body(), u8, 300); }) == "constant: 300 is not a value of u8");
  CHECK(flaw([&] { full(g.body(), {u8, {2}}, 300); }) == "constant: 300 is not a value of u8");
  CHECK(flaw([&] { full_like(index, 0.5); }) == "constant: 0.5 is not a value of i64");
  CHECK(flaw([&] { broadcast(x, {-2, 3}, {1}); }) == "broadcast: f32[-2,3]" + negative);
  CHECK(flaw([&] { uniform(g, f32, {-2}); }) == "uniform: f32[-2]" + negative);
  CHECK(flaw([&] { normal(g, f32, {-2}); }) == "normal: f32[-2]" + negative);
  CHECK(flaw([&] { bernoulli(g, 0.5, {-2}); }) == "bernoulli: bool[-2]" + negative);
  CHECK(flaw([&] { scatter_add(index, x, -2); }) == "scatter_add: f32[-2]" + negative);
  CHECK(flaw([&] { one_hot(index, int64_t{1} << 62); }).find("its bytes must fit 63 bits") != std::string::npos);
}

TEST_CASE("a text of many attributes or of a high rank is read or refused at once") {
  std::string text = "tenon 1\n%0 = input() name=\"x\" dtype=f32 shape=[2]";
  for (int i = 0; i < 100000; ++i) text += " a" + std::to_string(i) + "=1";
  CHECK(test::message([&] { parse(text + " : f32[2]\n"); }) != "");
  std::string axes;
  for (int i = 0; i < 40; ++i) axes += i ? ",2" : "2";
  CHECK(test::message([&] {
          parse("tenon 1\n%0 = input() name=\"x\" dtype=f32 shape=[" + axes + "] : f32[" + axes + "]\n");
        }).find("40 axes; at most ") != std::string::npos);
}
