// Everything a caller can do wrong with a compiled step: an Error word for word, with the line of the user's
// program where there is one, and not a bit of any state changed.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include "tests/runtime/program.h"

using namespace tenon;
using tenon::test::message;

namespace {

constexpr int model_line = __LINE__;
Graph model() {
  Graph g;
  const Extent n = g.size("n", 8);
  const Value x = g.input("x", f32, {n, 3});
  const Value label = g.input("label", i32, {n});
  const Value shift = g.input("shift", i32, {});
  const Value z = dense(g, x, 4);
  const Value loss = mean(-log(pick(softmax(z), label)));
  // The index is computed, so the step itself must find that it is out of range.
  const Value far = mean(-log(pick(softmax(z), label + shift)));
  g.entry("train", {{"loss", loss}}, minimize(loss, adam(0.1)));
  g.entry("computed", {{"loss", far}}, minimize(far, adam(0.1)));
  return g;
}

std::string at(int offset) { return fmt::format("bad_input_test.cpp:{}: ", model_line + offset); }

struct Run {
  Program program = compile(model());
  Session session{program, {.guarded = true}};
  Tensor rows = Tensor(f32, {2, 3}), labels = Tensor::of<int32_t>({2}, {0, 3});

  // The message of a run, after which every state is what it was.
  std::string fails(std::string_view entry, std::initializer_list<Input> inputs) {
    std::vector<Tensor> before;
    for (const StateBinding& state : program.states) before.push_back(session.read(state.name));
    const std::string text = message([&] { session.run(entry, inputs); });
    for (size_t i = 0; i < before.size(); ++i) CHECK(before[i].same_bits(session.read(program.states[i].name)));
    return text;
  }
};

}  // namespace

TEST_CASE("a compiled step refuses what it cannot run, and changes nothing") {
  Run r;
  r.session.init(1);
  r.session.run("train", {{"x", r.rows}, {"label", r.labels}});
  CHECK(r.fails("train", {{"x", r.rows}}) == at(5) + "train: input label: i32[n] is missing");
  CHECK(r.fails("train", {{"x", r.rows}, {"label", r.labels}, {"x", r.rows}}) == at(4) + "train: input x is given twice");
  CHECK(r.fails("train", {{"x", r.rows}, {"y", r.labels}}) ==
        "train: no input is called y; inputs: x: f32[n,3], label: i32[n]");
  CHECK(r.fails("train", {{"x", Tensor(f64, {2, 3})}, {"label", r.labels}}) ==
        at(4) + "train: input x: element types differ: declared f32[n,3], given f64[2,3]");
  CHECK(r.fails("train", {{"x", Tensor(f32, {2, 4})}, {"label", r.labels}}) ==
        at(4) + "train: input x: extents differ at axis 1: declared f32[n,3], given f32[2,4]");
  CHECK(r.fails("train", {{"x", Tensor(f32, {6})}, {"label", r.labels}}) ==
        at(4) + "train: input x: ranks differ: declared f32[n,3], given f32[6]");
  CHECK(r.fails("train", {{"x", r.rows}, {"label", Tensor(i32, {3})}}) ==
        at(5) + "train: input label: n is 3, but 2 by input x");
  CHECK(r.fails("train", {{"x", Tensor(f32, {0, 3})}, {"label", Tensor(i32, {0})}}) ==
        at(4) + "train: input x: n is 0: declared f32[n,3], given f32[0,3]");
  CHECK(r.fails("train", {{"x", Tensor(f32, {9, 3})}, {"label", Tensor(i32, {9})}}) ==
        at(4) + "train: input x: n is 9, valid is 1 <= n <= 8: declared f32[n,3], given f32[9,3]");
}

TEST_CASE("a label out of range names row and value, at the door and when it is computed") {
  Run r;
  r.session.init(1);
  for (int32_t value : {4, -1, 1 << 30}) {
    const Tensor bad = Tensor::of<int32_t>({2}, {3, value});
    CHECK(r.fails("train", {{"x", r.rows}, {"label", bad}}) ==
          at(8) + fmt::format("pick: label[1] is {}, valid is 0 <= label < 4", value));
  }
  CHECK(r.fails("computed", {{"x", r.rows}, {"label", r.labels}, {"shift", 1}}) ==
        at(10) + "pick: index[1] is 4, valid is 0 <= index < 4");
  CHECK(r.fails("computed", {{"x", r.rows}, {"label", r.labels}, {"shift", -1}}) ==
        at(10) + "pick: index[0] is -1, valid is 0 <= index < 4");
  CHECK(message([&] { r.session.run("computed", {{"x", r.rows}, {"label", r.labels}, {"shift", 0}}); }) == "no error");
}

TEST_CASE("only the part of an index input that is read must be in range") {
  Graph g;
  const Value index = g.input("index", i32, {6}), x = g.input("x", f32, {2, 3, 4});
  // Twice the first three: as many elements as the input has, but not all of them.
  const Value half = broadcast(slice(index, 0, 0, 3), {2, 3}, {1});
  g.entry("half", {{"y", pick(x, half)}});
  g.entry("turned", {{"y", pick(x, reshape(reverse(index, {0}), {2, 3}))}});
  Session session(compile(g));
  Tensor numbers(i32, {6});
  for (int i = 0; i < 6; ++i) numbers.write<int32_t>()[static_cast<size_t>(i)] = i < 3 ? i : 99;
  const Tensor values(f32, {2, 3, 4});
  CHECK_NOTHROW(session.run("half", {{"index", numbers}, {"x", values}}));
  CHECK_THROWS_AS(session.run("turned", {{"index", numbers}, {"x", values}}), Error);
  numbers.write<int32_t>()[1] = 4;
  CHECK_THROWS_AS(session.run("half", {{"index", numbers}, {"x", values}}), Error);
}

TEST_CASE("a label out of range is an error also where the loss itself is no output") {
  Graph g;
  const Extent n = g.size("n", 8);
  const Value x = g.input("x", f32, {n, 3}), label = g.input("label", i32, {n});
  g.entry("train", {}, minimize(mean(softmax_cross_entropy(dense(g, x, 4), label)), sgd(0.1)));
  const Program program = compile(g);
  Session session(program);
  session.init(1);
  const std::string text = message([&] {
    session.run("train", {{"x", Tensor(f32, {2, 3})}, {"label", Tensor::of<int32_t>({2}, {0, 4})}});
  });
  CHECK(text.find("label[1] is 4, valid is 0 <= label < 4") != std::string::npos);
}
