#include "runtime/session.h"

#include <doctest/doctest.h>

#include <thread>

#include "tests/runtime/program.h"

using namespace tenon;
using tenon::test::linear_program;
using tenon::test::message;

namespace {
const Tensor x = Tensor::of<uint8_t>({2, 3}, {1, 2, 3, 4, 5, 6});
const Tensor label = Tensor::of<uint8_t>({2}, {0, 9});
}  // namespace

TEST_CASE("a session initialises by seed, runs entries and keeps its states") {
  const Program program = linear_program();
  Session session(program);
  session.init(7);
  CHECK(session.read("W").same_bits(Tensor::of<float>({3}, {7, 8, 9})));
  CHECK(session.read("seed").number() == 7);
  CHECK(session.read("step").number() == 0);
  Outputs out = session.run("train", {{"x", x}, {"label", label}, {"rate", 0.5}});
  CHECK(out["y"].same_bits(Tensor::of<float>({2}, {7 + 16 + 27, 28 + 40 + 54})));
  CHECK(out["loss"].number() == 50 + 122 - 9);
  CHECK(session.read("W").same_bits(Tensor::of<float>({3}, {4.5f, 4.5f, 4.5f})));
  CHECK(session.read("step").number() == 1);
}

TEST_CASE("a prepared step keeps its inputs bound, and its results keep their address") {
  const Program program = linear_program();
  Session session(program);
  session.init(1);
  std::vector<uint8_t> pixels = {1, 1, 1}, labels = {0};
  Step step = session.prepare("train");
  step.bind("x", Tensor::view(pixels.data(), {1, 3})).bind("label", Tensor::view(labels.data(), {1})).bind("rate", 0);
  step.run();
  const float* loss = step.output("loss").read<float>().data();
  CHECK(*loss == 6);
  pixels = {2, 0, 0};
  step.run();
  CHECK(*loss == 2);
  CHECK(step.sizes() == Sizes{{"n", 1}});
  step.bind("x", x);
  CHECK(message([&] { step.run(); }) == "train.cpp:10: train: input label: n is 1, but 2 by input x");
  step.bind("label", label);
  step.run();
  CHECK(step.output("y").extents() == Extents{2});
  Step outlives = [&] {
    Session inner(program);
    inner.init(1);
    return inner.prepare("train");
  }();
  outlives.bind("x", x).bind("label", label).bind("rate", 1.0f);
  outlives.run();
  CHECK(outlives.output("loss").number() == 14 + 32 - 9);
}

TEST_CASE("a wrong input is an error that names both sides and the user's line") {
  const Program program = linear_program(4);
  Session session(program);
  session.init(1);
  auto run = [&](std::initializer_list<Input> inputs) { return message([&] { session.run("train", inputs); }); };
  auto bytes = [](int64_t rows) { return Tensor(u8, {rows, 3}); };
  auto labels = [](int64_t rows) { return Tensor(u8, {rows}); };
  CHECK(run({{"x", x}, {"rate", 1}}) == "train.cpp:10: train: input label: u8[n] is missing");
  CHECK(run({{"x", x}, {"label", label}, {"x", x}, {"rate", 1}}) == "train.cpp:9: train: input x is given twice");
  CHECK(run({{"x", x}, {"lable", label}}) == "train: no input is called lable; inputs: x: u8[n,3], label: u8[n], rate: f32[]");
  CHECK(run({{"x", Tensor(f32, {2, 3})}}) ==
        "train.cpp:9: train: input x: element types differ: declared u8[n,3], given f32[2,3]");
  CHECK(run({{"x", Tensor(u8, {2})}}) == "train.cpp:9: train: input x: ranks differ: declared u8[n,3], given u8[2]");
  CHECK(run({{"x", Tensor(u8, {2, 4})}}) ==
        "train.cpp:9: train: input x: extents differ at axis 1: declared u8[n,3], given u8[2,4]");
  CHECK(run({{"x", bytes(0)}}) == "train.cpp:9: train: input x: n is 0: declared u8[n,3], given u8[0,3]");
  CHECK(run({{"x", bytes(5)}, {"label", labels(5)}, {"rate", 1}}) ==
        "train.cpp:9: train: input x: n is 5, valid is 1 <= n <= 4: declared u8[n,3], given u8[5,3]");
  CHECK(run({{"x", bytes(3)}, {"label", labels(2)}, {"rate", 1}}) ==
        "train.cpp:10: train: input label: n is 2, but 3 by input x");
  CHECK(run({{"x", 3}}) == "train.cpp:9: train: input x: declared u8[n,3], given a number");
  CHECK(run({{"x", Tensor()}}) == "train.cpp:9: train: input x: element types differ: declared u8[n,3], given f32[0]");
  CHECK(message([&] { session.run("trian"); }) == "program: no entry is called trian; entries: init, train, gather");
  CHECK(message([&] {
          session.run("train", {{"x", x}, {"label", label}, {"rate", 1}})["los"];
        }) == "train: no output is called los; outputs: loss: f32[], y: f32[n]");
}

TEST_CASE("an index out of range names row and value, at the door and inside, and changes nothing") {
  const Program program = linear_program();
  Session session(program);
  session.init(1);
  const Tensor before = session.read("W");
  const Tensor bad = Tensor::of<uint8_t>({2}, {3, 17});
  CHECK(message([&] {
          session.run("train", {{"x", x}, {"label", bad}, {"rate", 1}});
        }) == "train.cpp:12: pick: label[1] is 17, valid is 0 <= label < 10");
  CHECK(message([&] {
          session.run("gather", {{"index", Tensor::of<int32_t>({3}, {0, 2, -1})}});
        }) == "train.cpp:21: gather: row[2] is -1, valid is 0 <= row < 3");
  CHECK(session.read("W").same_bits(before));
  CHECK(session.read("step").number() == 0);
  session.run("gather", {{"index", Tensor::of<int32_t>({3}, {0, 2, 1})}});
  CHECK(session.read("W").at(0) == before.at(0) + 1);
}

TEST_CASE("the door finds bad indices of every integer type") {
  Program program = linear_program();
  ProgramEntry& entry = program.entries[2];
  entry.function = [](const Frame*) {};
  for (DType dtype : {i32, i64, u8}) {
    entry.inputs[0].type = {dtype, {Extent(2, "n"), 2}};
    entry.checks = {{.what = "gather: row", .input = 0, .type = entry.inputs[0].type, .extent = 100, .line = {}}};
    Session session(program);
    session.init(0);
    for (int64_t value : {int64_t{0}, int64_t{99}, int64_t{100}, int64_t{255}, int64_t{-1}, int64_t{1} << 40}) {
      if ((dtype == u8 && (value < 0 || value > 255)) || (dtype == i32 && value > 255)) continue;
      Tensor index(dtype, {4, 2});
      if (dtype == i32) index.write<int32_t>()[5] = static_cast<int32_t>(value);
      if (dtype == i64) index.write<int64_t>()[5] = value;
      if (dtype == u8) index.write<uint8_t>()[5] = static_cast<uint8_t>(value);
      const std::string expected =
          value >= 0 && value < 100 ? "no error" : fmt::format("gather: index[2,1] is {}, valid is 0 <= index < 100", value);
      CHECK(message([&] { session.run("gather", {{"index", index}}); }) == expected);
    }
  }
}

TEST_CASE("numbers are converted to the type of their input, exactly or by rounding") {
  Program program = linear_program();
  ProgramEntry& entry = program.entries[2];
  entry.function = [](const Frame* f) { f->outputs[0][0] = f->inputs[0][0]; };
  entry.inputs = {{"k", {u8, {}}, {"train.cpp", 3}}};
  entry.outputs = {{"k", {u8, {}}, {}}};
  entry.checks.clear();
  Session session(program);
  session.init(0);
  auto run = [&](const Input& k) { return message([&] { session.run("gather", {k}); }); };
  CHECK(session.run("gather", {{"k", 200}})["k"].number() == 200);
  CHECK(run({"k", 256}) == "train.cpp:3: gather: input k: 256 does not fit u8");
  CHECK(run({"k", -1}) == "train.cpp:3: gather: input k: -1 does not fit u8");
  CHECK(run({"k", 0.5}) == "train.cpp:3: gather: input k: declared u8[], given the floating-point number 0.5");
}

TEST_CASE("states are read and written by name, and must have values before a run") {
  const Program program = linear_program();
  Session session(program);
  CHECK(message([&] {
          session.run("train", {{"x", x}, {"label", label}, {"rate", 1}});
        }) == "train: 3 of 3 states have no value yet: call init(seed) or load a checkpoint first");
  session.write("W", Tensor::of<float>({3}, {1, 0, 0}));
  session.write("seed", Tensor::scalar<int64_t>(5));
  session.write("step", Tensor::scalar<int64_t>(0));
  CHECK(session.run("train", {{"x", x}, {"label", label}, {"rate", 1}})["loss"].number() == 1 + 4 - 9);
  CHECK(message([&] { session.read("V"); }) == "session: no state is called V; states: W: f32[3], seed: i64[], step: i64[]");
  CHECK(message([&] { session.write("W", Tensor(f32, {4})); }) == "train.cpp:5: session: state W is f32[3], given f32[4]");
  CHECK(message([&] { session.write("W", Tensor(f64, {3})); }) == "train.cpp:5: session: state W is f32[3], given f64[3]");
}

TEST_CASE("an entry whose inputs do not tell the size takes its maximum, or the number bound to its name") {
  Program program = linear_program(8);
  ProgramEntry& entry = program.entries[2];
  entry.inputs.clear();
  entry.checks.clear();
  entry.function = [](const Frame* f) {
    for (int64_t i = 0; i < f->sizes[0]; ++i) test::f32s(f->outputs[0])[i] = static_cast<float>(i);
  };
  Session session(program, {.guarded = true});
  session.init(0);
  CHECK(session.run("gather")["rows"].extents() == Extents{8});
  CHECK(session.run("gather", {{"n", 3}})["rows"].extents() == Extents{3});
  CHECK(message([&] { session.run("gather", {{"n", 9}}); }) == "gather: n is 9, valid is 1 <= n <= 8");
}

TEST_CASE("a team gives the same bits as one thread") {
  const Program program = linear_program(64, 8);
  Session one(program), three(program, {.threads = 3});
  CHECK(one.threads() == 1);
  CHECK(three.threads() == 3);
  one.init(3);
  three.init(3);
  Tensor pixels(u8, {64, 3});
  for (int i = 0; i < 192; ++i) pixels.write<uint8_t>()[static_cast<size_t>(i)] = static_cast<uint8_t>(i * 37);
  Tensor labels(u8, {64});
  for (int i = 0; i < 300; ++i) {
    const Outputs a = one.run("train", {{"x", pixels}, {"label", labels}, {"rate", 1e-4}});
    const Outputs b = three.run("train", {{"x", pixels}, {"label", labels}, {"rate", 1e-4}});
    REQUIRE(a["y"].same_bits(b["y"]));
  }
  CHECK(one.read("W").same_bits(three.read("W")));
}

TEST_CASE("many sessions run one program at the same time") {
  const Program program = linear_program();
  std::vector<std::thread> users;
  std::vector<double> steps(4);
  for (size_t t = 0; t < steps.size(); ++t)
    users.emplace_back([&, t] {
      Session session(program);
      session.init(static_cast<int64_t>(t));
      for (size_t i = 0; i < 100 * (t + 1); ++i) session.run("train", {{"x", x}, {"label", label}, {"rate", 0.1}});
      steps[t] = session.read("step").number();
    });
  for (std::thread& user : users) user.join();
  CHECK(steps == std::vector<double>{100, 200, 300, 400});
}

TEST_CASE("an output is bound to its own entry only as a copy") {
  const Program program = linear_program();
  Session session(program);
  session.init(1);
  Outputs out = session.run("train", {{"x", x}, {"label", label}, {"rate", 0.5}});
  CHECK(message([&] {
          session.run("train", {{"x", x}, {"label", label}, {"rate", out["loss"]}});
        }) == "train.cpp:11: train: input rate: lies in output loss, which the run overwrites; bind its clone()");
  session.run("train", {{"x", x}, {"label", label}, {"rate", out["loss"].clone()}});
}
