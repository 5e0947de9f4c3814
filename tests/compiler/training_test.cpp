// Whole training runs: the same bits at any thread count and in a second run, no NaN for huge logits, a short last batch
// without a second compilation, states untouched by a step that fails.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <cmath>
#include <cstring>

using namespace tenon;

namespace {

struct Model {
  Graph graph;
  explicit Model(double scale = 1, bool with_adam = true) {
    Extent n = graph.size("n", 64);
    Value x = graph.input("x", u8, {n, 100}), label = graph.input("label", i32, {n}), rate = graph.input("rate", f32, {});
    Value h = relu(dense(graph, cast(x, f32) / 255, 37));
    Value z = dense(graph, h, 10) * scale;
    Value loss = mean(-log(pick(softmax(z), label)));
    graph.entry("train", {{"loss", loss}}, minimize(loss, with_adam ? adam(rate) : sgd(rate)));
    graph.entry("predict", {{"p", softmax(z)}});
  }
};

struct Batch {
  Tensor x{u8, {64, 100}}, label{i32, {64}};
  explicit Batch(uint32_t seed) {
    auto next = [&] { return seed = seed * 1664525 + 1013904223, seed >> 16; };
    for (uint8_t& value : x.write<uint8_t>()) value = static_cast<uint8_t>(next());
    for (int32_t& value : label.write<int32_t>()) value = static_cast<int32_t>(next() % 10);
  }
};

std::vector<Tensor> train(const Program& program, int threads, int steps, double rate, double* last_loss = nullptr) {
  Session session(program, {.threads = threads});
  session.init(7);
  for (int step = 0; step < steps; ++step) {
    Batch batch(static_cast<uint32_t>(step));
    int64_t n = step % 5 == 4 ? 13 : 64;
    double loss = session.run("train", {{"x", batch.x.rows(0, n)}, {"label", batch.label.rows(0, n)}, {"rate", rate}})["loss"].number();
    REQUIRE(std::isfinite(loss));
    if (last_loss) *last_loss = loss;
  }
  std::vector<Tensor> states;
  for (const StateBinding& state : program.states) states.push_back(session.read(state.name));
  return states;
}

bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!a[i].same_bits(b[i])) return false;
  return a.size() == b.size();
}

}  // namespace

TEST_CASE("200 steps give the same bits at 1, 2 and 3 threads and again") {
  Program program = compile(Model().graph);
  auto once = train(program, 1, 200, 0.001);
  CHECK(same(once, train(program, 1, 200, 0.001)));
  CHECK(same(once, train(program, 2, 200, 0.001)));
  CHECK(same(once, train(program, 3, 200, 0.001)));
  CHECK(same(once, train(compile(Model().graph), 2, 200, 0.001)));
  CHECK_FALSE(same(once, train(program, 1, 200, 0.002)));
}

TEST_CASE("the naive loss trains with logits scaled by 1e4") {
  Model model(1e4, false);
  Program program = compile(model.graph);
  double loss = 0;
  for (const Tensor& state : train(program, 1, 100, 1e-8, &loss))
    if (state.dtype() == f32)
      for (float value : state.read<float>()) REQUIRE(std::isfinite(value));
  CHECK(loss > 0);
}

TEST_CASE("a row of predict does not depend on its batch-mates") {
  Program program = compile(Model().graph);
  Session session(program);
  session.init(3);
  Batch batch(5);
  Tensor all = session.run("predict", {{"x", batch.x}})["p"].clone();
  for (int64_t rows : {1, 2, 3, 4, 5, 15, 16, 17, 63}) {
    Tensor part = session.run("predict", {{"x", batch.x.rows(0, rows)}})["p"];
    CHECK(part.same_bits(all.rows(0, rows)));
  }
  for (int64_t row : {0, 1, 17, 63})
    CHECK(session.run("predict", {{"x", batch.x.rows(row, row + 1)}})["p"].same_bits(all.rows(row, row + 1)));
}

TEST_CASE("a step that fails changes no state") {
  Program program = compile(Model().graph);
  Session session(program);
  session.init(3);
  std::vector<Tensor> before;
  for (const StateBinding& state : program.states) before.push_back(session.read(state.name));
  Batch batch(5);
  batch.label.write<int32_t>()[17] = 10;
  CHECK_THROWS_AS(session.run("train", {{"x", batch.x}, {"label", batch.label}, {"rate", 0.1}}), Error);
  for (size_t i = 0; i < before.size(); ++i) CHECK(before[i].same_bits(session.read(program.states[i].name)));
}

TEST_CASE("lesser ISAs compute the same up to rounding") {
  Program best = compile(Model().graph);
  double loss = 0, other = 0;
  train(best, 1, 20, 0.001, &loss);
  for (Isa isa : {Isa::avx2, Isa::sse2}) {
    train(compile(Model().graph, {.isa = isa}), 1, 20, 0.001, &other);
    CHECK(other == doctest::Approx(loss).epsilon(1e-4));
  }
}

TEST_CASE("a checkpoint resumes exactly") {
  Program program = compile(Model().graph);
  auto run = [](Session& session, int from, int to) {
    for (int step = from; step < to; ++step) {
      Batch batch(static_cast<uint32_t>(step));
      session.run("train", {{"x", batch.x}, {"label", batch.label}, {"rate", 0.01}});
    }
  };
  Session whole(program), first(program), second(program);
  whole.init(11), first.init(11), second.init(99);
  run(whole, 0, 20);
  run(first, 0, 8);
  for (const StateBinding& state : program.states) second.write(state.name, first.read(state.name));
  run(second, 8, 20);
  for (const StateBinding& state : program.states)
    CHECK_MESSAGE(whole.read(state.name).same_bits(second.read(state.name)), state.name);
}
