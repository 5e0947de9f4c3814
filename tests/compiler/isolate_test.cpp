// A kernel by itself: what makes two kernels the same code, and what does not.
#include <doctest/doctest.h>

#include <algorithm>

#include "compiler/kernel/isolate.h"
#include "compiler/tenon.h"
#include "tests/compiler/native.h"

using namespace tenon;
using namespace tenon::native;

namespace {

// y[i] = x[i] + number over 100 elements, with everything that could differ.
struct Adds {
  Storage from = Storage::input, to = Storage::output;
  DType dtype = f32;
  double number = 1;
  int64_t extent = 100, variable = 0, threads = 1, before = 0;  // kernels and buffers before it
  std::string name = "a";

  IsolatedKernel isolated() const {
    Sketch s;
    for (int64_t i = 0; i < before; ++i) s.buffer(Storage::arena, f64, {7}), s.buffer(Storage::state, f32, {9});
    BufferId x = s.buffer(from, dtype, {extent}), y = s.buffer(to, dtype, {extent});
    s.list.buffers[static_cast<size_t>(x)].name = name;
    Scalar i = Scalar::index(variable);
    Kernel& kernel = s.kernel(
        {}, {{.axes = {{variable, extent}}, .value = s.at(x, {i}) + Scalar::number(dtype, number), .buffer = y, .index = {i}}},
        threads);
    kernel.lines = {{name.c_str(), 7}};
    kernel.name = name;
    return isolate(s.list, kernel);
  }
};

}  // namespace

TEST_CASE("kernels that do the same have one key, wherever their buffers lie and whatever they are called") {
  const IsolatedKernel first = Adds{}.isolated();
  CHECK(first.arguments == std::vector<BufferId>{0, 1});
  for (const Adds& other : {Adds{.from = Storage::arena}, Adds{.to = Storage::state}, Adds{.from = Storage::constant},
                            Adds{.variable = 5}, Adds{.before = 3}, Adds{.name = "b"}})
    CHECK(other.isolated().key == first.key);
  CHECK(Adds{.threads = 2}.isolated().key == Adds{.threads = 5}.isolated().key);
  CHECK(Adds{.before = 3}.isolated().arguments == std::vector<BufferId>{6, 7});
}

TEST_CASE("kernels that differ in a type, an extent, a number's bits, or by sharing their work have other keys") {
  std::vector<std::string> keys;
  for (const Adds& adds : {Adds{}, Adds{.dtype = f64}, Adds{.dtype = i32}, Adds{.dtype = i64}, Adds{.number = 2},
                           Adds{.number = 0.0}, Adds{.number = -0.0}, Adds{.extent = 101}, Adds{.threads = 2}})
    keys.push_back(adds.isolated().key);
  std::sort(keys.begin(), keys.end());
  CHECK(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
}

TEST_CASE("buffers that share bytes make another kernel than those that do not") {
  auto key = [](int64_t offset) {
    Sketch s;
    BufferId x = s.buffer(Storage::arena, f32, {100}), y = s.buffer(Storage::arena, f32, {100});
    s.list.buffers[static_cast<size_t>(y)].offset = offset;
    return isolate(s.list, s.kernel({}, {{.axes = {{0, 100}}, .value = s.at(x, {i()}), .buffer = y, .index = {i()}}})).key;
  };
  CHECK(key(448) == key(1024));
  CHECK(key(0) == key(384));
  CHECK(key(0) != key(448));
}

TEST_CASE("a program compiles equal kernels once, across entries, layers and streams of random numbers") {
  Graph graph;
  Value x = graph.input("x", f32, {4, 32});
  Value h = x;
  for (int layer = 0; layer < 5; ++layer) h = relu(dense(graph, h, 32));
  graph.entry("predict", {{"h", h}});
  graph.entry("again", {{"twice", h * 2}, {"h", h}});
  Program program = compile(graph);
  // The layer; the last one of `again`; initial weights and biases.
  CAPTURE(program.listing(Stage::kernels));
  CHECK(program.summary().find(" 4 of them different") != std::string::npos);

  Session session(std::move(program));
  session.init(3);
  CHECK(session.read("dense1/W").read<float>()[5] != session.read("dense2/W").read<float>()[5]);
}

TEST_CASE("checks of equal indices share code and say which of them failed") {
  Graph graph;
  Value x = graph.input("x", f32, {6}), to = graph.input("to", i32, {2}), second = graph.input("second", i32, {2});
#line 100 "model.cpp"
  Value a = gather(x, to + 1);
  Value b = gather(x, second + 1);
  graph.entry("f", {{"a", a}, {"b", b}});
  Session session(compile(graph));
  Tensor data(f32, {6}), good(i32, {2}), bad(i32, {2});
  bad.write<int32_t>()[1] = 9;
  auto message = [&](const Tensor& first, const Tensor& other) -> std::string {
    try {
      session.run("f", {{"x", data}, {"to", first}, {"second", other}});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(message(good, good) == "no error");
  CHECK(message(bad, good).starts_with("model.cpp:100: gather: "));
  CHECK(message(good, bad).starts_with("model.cpp:101: gather: "));
  CHECK(message(good, bad).find("[1] is 10, valid is") != std::string::npos);
}
