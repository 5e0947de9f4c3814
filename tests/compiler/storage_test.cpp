// Programs that store in f16 and bf16: gradients and updates are computed in f32, the same bits come out at
// every level and thread count, states are saved and read back.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <cmath>

#include "tests/message.h"
#include "tests/runtime/folder.h"

using namespace tenon;

namespace {

// A network with parameters of bf16 and inputs of f16.
struct Network {
  Graph graph;
  Value w, b, loss;

  explicit Network(const std::function<Optimizer(Operand)>& optimizer) {
    const Extent n = graph.size("n", 40);
    const Value x = graph.input("x", f16, {n, 20}), label = graph.input("label", u8, {n});
    const Value rate = graph.input("rate", f32, {});
    w = graph.parameter("W", bf16, {20, 24}, normal(0.3));
    b = graph.parameter("b", f16, {24}, zeros());
    const Value v = graph.parameter("V", bf16, {24, 4}, normal(0.3));
    const Value h = tanh(matmul(cast(x, f32), cast(w, f32)) + cast(b, f32));
    loss = mean(softmax_cross_entropy(matmul(h, cast(v, f32)), label));
    graph.entry("train", {{"loss", loss}}, minimize(loss, optimizer(rate)));
    graph.entry("predict", {{"h", cast(h, bf16)}, {"W", transpose(w)}});
  }
};

Tensor inputs(int64_t n) {
  Tensor x(f16, {n, 20});
  for (int64_t i = 0; i < x.elements(); ++i)
    x.write<half>()[static_cast<size_t>(i)] = half(std::sin(0.37 * double(i * i % 101)));
  return x;
}
Tensor labels(int64_t n) {
  Tensor label(u8, {n});
  for (int64_t i = 0; i < n; ++i) label.write<uint8_t>()[static_cast<size_t>(i)] = static_cast<uint8_t>(i * 7 % 4);
  return label;
}

}  // namespace

TEST_CASE("a network stored in bf16 learns from inputs of f16, the same at any thread count") {
  const Network network([](Operand rate) { return adam(rate); });
  const Program program = compile(network.graph);
  std::vector<Tensor> first;
  for (int threads : {1, 2, 3}) {
    Session session(program, {.threads = threads});
    session.init(3);
    double begin = 0, end = 0;
    for (int step = 0; step < 200; ++step) {
      const int64_t n = step % 5 == 4 ? 13 : 40;
      const double loss = session.run("train", {{"x", inputs(n)}, {"label", labels(n)}, {"rate", 0.01}})["loss"].number();
      (step ? end : begin) = loss;
    }
    CHECK(end < begin / 10);
    CHECK(session.read("W").dtype() == bf16);
    CHECK(session.read("W/adam.m").dtype() == f32);
    CHECK(session.read("b/adam.v").dtype() == f32);
    for (size_t i = 0; i < program.states.size(); ++i) {
      const Tensor state = session.read(program.states[i].name);
      if (threads == 1)
        first.push_back(state);
      else
        CHECK(state.same_bits(first[i]));
    }
  }
}

TEST_CASE("a step of every optimiser is that of f32, rounded once") {
  const std::function<Optimizer(Operand)> optimizers[] = {
      [](Operand rate) { return sgd(rate, 0.01); }, [](Operand rate) { return momentum(rate); },
      [](Operand rate) { return nesterov(rate); },  [](Operand rate) { return rmsprop(rate); },
      [](Operand rate) { return adam(rate, 0.9); }, [](Operand rate) { return adamw(rate, 0.01); }};
  for (const auto& optimizer : optimizers) {
    const Network network(optimizer);
    const Program program = compile(network.graph);
    Session session(program);
    session.init(5);
    Bindings bindings{{"x", ReferenceArray::of({f16, {7, 20}}, {inputs(7).data(), 280})},
                      {"label", ReferenceArray::of({u8, {7}}, {labels(7).data(), 7})},
                      {"rate", ReferenceArray::of({f32, {}}, std::vector<double>{0.125})}};
    for (const StateBinding& state : program.states) {
      const Tensor value = session.read(state.name);
      bindings[state.name] = ReferenceArray::of(state.type, {value.data(), static_cast<size_t>(value.byte_count())});
    }
    session.run("train", {{"x", inputs(7)}, {"label", labels(7)}, {"rate", 0.125}});
    const EntryResult expected = evaluate_entry(network.graph.body(), "train", bindings, 7);
    for (const StateBinding& state : program.states) {
      const Tensor value = session.read(state.name);
      const Comparison comparison =
          compare(expected.states.at(state.name), {value.data(), static_cast<size_t>(value.byte_count())});
      CHECK_MESSAGE(comparison.agree(), state.name << ": " << comparison.str());
      CHECK(comparison.undecided == 0);
    }
  }
}

TEST_CASE("penalties and the largest norm of what is stored are computed in f32") {
  Graph graph;
  const Value w = graph.parameter("W", bf16, {2, 2}, constant(3));
  const Value loss = l1({w}) + l2({w});
  graph.entry("train", {{"loss", loss}}, max_norm(minimize(loss, sgd(0.5)), 1));
  const Program program = compile(graph);
  Session session(program);
  session.init(1);
  CHECK(session.run("train")["loss"].number() == 12 + 18);
  const Tensor updated = session.read("W");  // 3 - 0.5 * (3 + 1) = 1, in columns of the norm sqrt(2)
  for (int64_t i = 0; i < 4; ++i) CHECK(updated.at(i) == static_cast<double>(bfloat(std::sqrt(0.5f))));
}

TEST_CASE("the gradient of what is stored is an f32 that nothing has rounded") {
  Graph graph;
  const Value w = graph.parameter("W", bf16, {3}, zeros()), x = graph.input("x", f32, {3});
  const Value rounded = cast(cast(x, f16), f32), loss = sum(cast(reverse(w, {0}), f32) * rounded * (1 + 0x1p-20));
  const std::vector<Value> found = gradients(loss, {w, x});
  CHECK(found[0].dtype() == f32);
  CHECK(found[1].dtype() == f32);
  const std::vector<double> one = {1, 1, 1};
  const Bindings bindings{{"W", ReferenceArray::of({bf16, {3}}, std::span(one))},
                          {"x", ReferenceArray::of({f32, {3}}, std::span(one))}};
  for (const Value& gradient : found)
    CHECK(evaluate(gradient, bindings, 1, Arithmetic::typed).real == std::vector<double>(3, 1 + 0x1p-20));
  const int line = __LINE__ + 1;
  const std::string said = test::message([&] { gradients(cast(loss, f16), {w}); });
  CHECK(said == fmt::format("storage_test.cpp:{}: gradients: the loss is f16[], which only stores numbers; give the f32 that "
                            "was cast",
                            line));
}

TEST_CASE("no pass drops a rounding, and one to a type and back is kept where it is constant") {
  Graph graph;
  const Value x = graph.input("x", f32, {2});
  graph.entry("y", {{"y", cast(cast(x, bf16), f32)}, {"c", cast(cast(full_like(x, 1.001), f16), f32)}});
  const Program program = compile(graph);
  Session session(program);
  const Outputs outputs = session.run("y", {{"x", Tensor::of<float>({2}, {1.001f, -3.14159f})}});
  for (int64_t i : {0, 1}) CHECK(outputs["y"].at(i) == rounded(bf16, i ? -3.14159f : 1.001f));
  for (int64_t i : {0, 1}) CHECK(outputs["c"].at(i) == rounded(f16, 1.001f));
}

TEST_CASE("numbers and checked inputs of f16, and checkpoints") {
  Graph graph;
  const Value scale = graph.input("scale", f16, {}), w = graph.parameter("W", f16, {2}, constant(0.1));
  graph.entry("scaled", {{"y", cast(w, f32) * cast(scale, f32)}}, {{w, cast(cast(w, f32) * cast(scale, f32), f16)}});
  const Program program = compile(graph);
  Session session(program);
  session.init(1);
  CHECK(session.run("scaled", {{"scale", 0.3}})["y"].at(0) ==
        double(static_cast<float>(half(0.1f)) * static_cast<float>(half(0.3f))));
  const test::Folder folder;
  save(session, folder / "c");
  const Tensor before = session.read("W");
  Session other(program);
  load(other, folder / "c");
  CHECK(other.read("W").same_bits(before));
  CHECK(before.read<half>()[0].bits == half(static_cast<float>(half(0.1f)) * static_cast<float>(half(0.3f))).bits);
}
