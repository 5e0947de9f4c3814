// Whole training runs: the same bits at any thread count and in a second run, no NaN for huge logits, a short last batch
// without a second compilation, states untouched by a step that fails.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <algorithm>
#include <cmath>

#include "tests/runtime/folder.h"

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
    double loss =
        session.run("train", {{"x", batch.x.rows(0, n)}, {"label", batch.label.rows(0, n)}, {"rate", rate}})["loss"].number();
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

TEST_CASE(
    "a run that was saved and loaded goes on with the same bits: Adam's moments and counts, step, seed, place in the data") {
  const test::Folder folder;
  Graph g;
  Extent n = g.size("n", 16);
  Value x = g.input("x", u8, {n, 20}), label = g.input("label", u8, {n});
  Value h = dropout(g, relu(dense(g, cast(x, f32) / 255, 12)), 0.25, Mode::train);
  Value loss = nll(dense(g, h, 10), label);
  g.entry("train", {{"loss", loss}}, minimize(loss, adam(0.01)));
  const Program program = compile(g);
  Tensor images(u8, {50, 20}), labels(u8, {50});
  for (size_t i = 0; i < 1000; ++i) images.write<uint8_t>()[i] = static_cast<uint8_t>(i * 7919 >> 3);
  for (size_t i = 0; i < 50; ++i) labels.write<uint8_t>()[i] = static_cast<uint8_t>(i % 10);
  auto run = [](Session& session, Batches& batches, int steps) {
    while (steps > 0)
      if (batches.next()) session.run("train", {{"x", batches[0]}, {"label", batches[1]}}), --steps;
  };
  Session whole(program);
  whole.init(11);
  Batches all(images, labels, 16, 5);  // four batches an epoch, the last one of two rows
  run(whole, all, 19);
  for (int first : {1, 4, 10}) {
    Session begun(program);
    begun.init(11);
    Batches data(images, labels, 16, 5);
    run(begun, data, first);
    save(begun, folder / "run.safetensors", data.position());

    Session resumed(compile(g));  // another process would compile again
    Batches again(images, labels, 16, 5);
    const Resumed at = load(resumed, folder / "run.safetensors");
    CHECK(at.same_graph);
    CHECK(resumed.read("step").number() == first);
    CHECK(resumed.read("dense2/b/adam.t").number() == first);
    CHECK(resumed.read("seed").number() == 11);
    again.seek(at.position);
    run(resumed, again, 19 - first);
    CHECK(program.states.size() == 4 + 12 + 2);
    for (const StateBinding& state : program.states)
      CHECK_MESSAGE(whole.read(state.name).same_bits(resumed.read(state.name)), state.name);
  }
}

TEST_CASE("a checkpoint of another model is refused and changes nothing") {
  const test::Folder folder;
  const Program adam_program = compile(Model(1, true).graph), sgd_program = compile(Model(1, false).graph);
  Session from(sgd_program), to(adam_program);
  from.init(1), to.init(2);
  save(from, folder / "c");
  const Tensor before = to.read("dense1/W");
  const std::string text = test::message(folder, [&] { load(to, folder / "c"); });
  CHECK(text.starts_with("c: a checkpoint of another model: "));
  CHECK(text.find("dense1/W/adam.m: f32[100,37] is missing in the file") != std::string::npos);
  CHECK(before.same_bits(to.read("dense1/W")));
}

TEST_CASE("rate and decay are run-time inputs of a compiled step") {
  Graph g;
  Value c = g.input("c", f32, {3}), rate = g.input("rate", f32, {}), decay = g.input("decay", f32, {});
  Value w = g.parameter("w", f32, {3}, constant(2));
  g.entry("train", {}, minimize(sum(c * w), sgd(rate, decay)));
  Session session(compile(g));
  session.init(1);
  const Tensor slope = Tensor::of<float>({3}, {1, 2, 4});
  session.run("train", {{"c", slope}, {"rate", 0.5}, {"decay", 0.25}});
  CHECK(session.read("w").same_bits(Tensor::of<float>({3}, {1.25f, 0.75f, -0.25f})));
  session.run("train", {{"c", slope}, {"rate", 0}, {"decay", 1}});
  CHECK(session.read("w").same_bits(Tensor::of<float>({3}, {1.25f, 0.75f, -0.25f})));
  session.run("train", {{"c", slope}, {"rate", 1}, {"decay", 0}});
  CHECK(session.read("w").same_bits(Tensor::of<float>({3}, {0.25f, -1.25f, -4.25f})));
}

TEST_CASE("dropout: the key is seed and step, both of the session; in prediction there is none") {
  Graph g;
  Value x = g.input("x", f32, {400});
  g.entry("draw", {{"y", dropout(g, x, 0.25, Mode::train)}}, {{g.step(), g.step() + 1}});
  g.entry("predict", {{"y", dropout(g, x, 0.25, Mode::predict)}});
  Session session(compile(g));
  session.init(1);
  Tensor ones(f32, {400});
  for (float& value : ones.write<float>()) value = 1;
  auto draw = [&](int64_t seed, int64_t step) {
    session.write("seed", Tensor::scalar(seed));
    session.write("step", Tensor::scalar(step));
    return session.run("draw", {{"x", ones}})["y"].clone();
  };
  const Tensor first = draw(1, 0);
  CHECK(first.same_bits(draw(1, 0)));
  CHECK_FALSE(first.same_bits(draw(2, 0)));
  CHECK_FALSE(first.same_bits(draw(1, 1)));
  CHECK(std::abs(std::ranges::count(first.read<float>(), 0.0f) - 100) < 40);
  CHECK(session.run("predict", {{"x", ones}})["y"].same_bits(ones));
}

TEST_CASE("a tied parameter is one, and its gradient is the sum over its uses") {
  Graph g;
  Value x = g.input("x", f32, {3, 4});
  Value a = g.parameter("w", f32, {4, 4}, constant(0.5)), b = g.parameter("w", f32, {4, 4}, constant(0.5));
  CHECK(a == b);
  Value y = matmul(matmul(x, a), b);
  g.entry("train", {{"loss", sum(y)}}, minimize(sum(y), sgd(1)));
  Program program = compile(g);
  CHECK(program.states.size() == 2);
  Session session(program);
  session.init(1);
  Tensor ones(f32, {3, 4});
  for (float& value : ones.write<float>()) value = 1;
  session.run("train", {{"x", ones}});
  // d sum(x w w) / d w = xᵀ·1·wᵀ + (x w)ᵀ·1 = 3·2 + 3·2 in every element
  const Tensor w = session.read("w");
  for (float value : w.read<float>()) CHECK(value == 0.5f - 12);
}

TEST_CASE("a gradient of a gradient compiles") {
  Graph g;
  Value x = g.input("x", f64, {5});
  Value slope = gradients(sum(x * x * x * x), {x})[0];
  g.entry("twice", {{"slope", slope}, {"curvature", gradients(sum(slope), {x})[0]}});
  Session session(compile(g));
  session.init(1);
  Outputs out = session.run("twice", {{"x", Tensor::of<double>({5}, {-2, -1, 0, 1, 3})}});
  CHECK(out["slope"].same_bits(Tensor::of<double>({5}, {-32, -4, 0, 4, 108})));
  CHECK(out["curvature"].same_bits(Tensor::of<double>({5}, {48, 12, 0, 12, 108})));
}

TEST_CASE("training in f64 works like training in f32") {
  Graph g;
  Extent n = g.size("n", 64);
  Value x = g.input("x", f64, {n, 2}), target = g.input("target", f64, {n, 1});
  Value y = dense(g, tanh(dense(g, x, 8)), 1);
  Value loss = mse(y, target);
  g.entry("train", {{"loss", loss}}, minimize(loss, adam(0.02)));
  Session session(compile(g));
  session.init(5);
  const Tensor four = Tensor::of<double>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1});
  const Tensor exclusive = Tensor::of<double>({4, 1}, {0, 1, 1, 0});
  double last = 1;
  for (int step = 0; step < 500; ++step) last = session.run("train", {{"x", four}, {"target", exclusive}})["loss"].number();
  CHECK(session.read("dense1/W").dtype() == f64);
  CHECK(last < 1e-3);
}
