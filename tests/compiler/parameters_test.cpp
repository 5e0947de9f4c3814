// What is said about parameters beside the loss: how they begin, low-rank pairs, penalties, bounds; and
// gradients by hand, apart from any optimiser.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <algorithm>
#include <cmath>

using namespace tenon;

namespace {

// The largest |Q^T Q - 1| of the columns, or of the rows if there are fewer.
double orthogonality(const Tensor& q, int64_t rows, int64_t columns) {
  const bool tall = rows >= columns;
  const int64_t shorter = std::min(rows, columns), longer = std::max(rows, columns);
  const std::span<const float> values = q.read<float>();
  const auto at = [&](int64_t vector, int64_t i) {
    return double(values[static_cast<size_t>(tall ? i * columns + vector : vector * columns + i)]);
  };
  double worst = 0;
  for (int64_t a = 0; a < shorter; ++a)
    for (int64_t b = a; b < shorter; ++b) {
      double dot = 0;
      for (int64_t i = 0; i < longer; ++i) dot += at(a, i) * at(b, i);
      worst = std::max(worst, std::abs(dot - (a == b)));
    }
  return worst;
}

}  // namespace

TEST_CASE("orthogonal: tall, wide, one number, a window, a gain; reproducible by seed") {
  Graph g;
  g.parameter("tall", f32, {40, 17}, orthogonal());
  g.parameter("wide", f32, {9, 33}, orthogonal());
  g.parameter("one", f32, {1, 1}, orthogonal());
  const Value window = g.parameter("window", f32, {3, 2, 6}, orthogonal(2));  // square
  g.entry("read", {{"w", window}});
  const Program program = compile(g);
  Session session(program), again(program);
  for (int64_t seed : {1, 2, 3}) {
    session.init(seed);
    CHECK(orthogonality(session.read("tall"), 40, 17) < 3e-6);
    CHECK(orthogonality(session.read("wide"), 9, 33) < 3e-6);
    CHECK(std::abs(session.read("one").number()) == doctest::Approx(1));
    Tensor q = session.read("window");
    for (float& x : q.write<float>()) x /= 2;
    CHECK(orthogonality(q, 6, 6) < 3e-6);
    again.init(seed);
    CHECK(session.read("tall").same_bits(again.read("tall")));
  }
  session.init(1);
  CHECK_FALSE(session.read("tall").same_bits(again.read("tall")));
}

TEST_CASE("a low-rank pair has the parameters it says, and the factors are never multiplied") {
  Graph g;
  const Extent n = g.size("n", 32);
  const Value x = g.input("x", f32, {n, 96}), label = g.input("label", i32, {n});
  const Value y = dense(g, relu(low_rank(g, x, 80, 4)), 10);
  const Value loss = nll(y, label);
  g.entry("train", {{"loss", loss}}, minimize(loss, sgd(0.1)));
  const Program program = compile(g);
  CHECK(program.summary().find("low_rank1: 704 weights in U [96,4] and V [4,80], where one W [96,80] has 7680\n") !=
        std::string::npos);
  CHECK(program.receipt().find("low_rank1: ") == std::string::npos);
  for (const ProgramEntry& entry : program.entries)
    for (const BufferReport& buffer : entry.buffers) CHECK(buffer.type.elements().at(32) < 7680);
  const Graph optimised = parse(program.listing(Stage::graph), "listing");
  for (const Node& node : optimised.body().nodes) CHECK(node.type.elements() != Extent(96 * 80));
  CHECK(program.states.size() == 7);  // U, V, b; W, b; seed, step
  CHECK_THROWS_AS(low_rank(g, x, 80, 81), Error);
}

TEST_CASE("penalties add their derivative; l2 is sgd's decay and not adamw's") {
  Graph g;
  const Value x = g.input("x", f64, {1, 3});
  const Value y = dense(g, x, 2, {.bias = constant(5)});
  CHECK(weights(g).size() == 1);
  const Value w = weights(g)[0];
  const std::vector<double> at{1, -2, 0, 3, -0.5, 0};
  const Bindings bindings = {{"dense1/W", ReferenceArray::of(w.type(), at)}};
  CHECK(evaluate(l1(weights(g)), bindings).real[0] == 6.5);
  CHECK(evaluate(l2(weights(g)), bindings).real[0] == 0.5 * (1 + 4 + 9 + 0.25));
  CHECK(evaluate(gradients(l1(weights(g)), {w})[0], bindings).real == std::vector<double>{1, -1, 0, 1, -1, 0});
  CHECK(evaluate(gradients(l2(weights(g)), {w})[0], bindings).real == at);

  const MinimizeOptions of_w{.parameters = {w}};
  const auto after = [&](Value loss, const Optimizer& optimizer) {
    Bindings all = bindings;
    all.insert({{"x", ReferenceArray::of(x.type(), std::vector<double>{1, 2, 3})},
                {"dense1/b", ReferenceArray::of(Type{f64, {2}}, std::vector<double>{0, 0})},
                {"dense1/W/adamw.t", ReferenceArray::of(Type{i64, {}}, std::vector<double>{0})}});
    for (const char* slot : {"dense1/W/adamw.m", "dense1/W/adamw.v"})
      all.insert({slot, ReferenceArray::of(w.type(), std::vector<double>(6))});
    for (const Update& update : minimize(loss, optimizer, of_w))
      if (update.state == w) return evaluate(update.value, all).real;
    return std::vector<double>();
  };
  const std::vector<double> decayed = after(sum(y), sgd(0.1, 0.25));
  const std::vector<double> penalised = after(sum(y) + 0.25 * l2({w}), sgd(0.1));
  for (size_t i = 0; i < 6; ++i) CHECK(decayed[i] == doctest::Approx(penalised[i]));
  CHECK(after(sum(y), adamw(0.1, 0.25))[0] != doctest::Approx(after(sum(y) + 0.25 * l2({w}), adamw(0.1, 0))[0]));
}

TEST_CASE("max-norm bounds each unit's incoming weights and leaves short ones and biases alone") {
  Graph g;
  const Value c = g.input("c", f32, {2, 2}), d = g.input("d", f32, {2});
  const Value w = g.parameter("w", f32, {2, 2}, zeros()), b = g.parameter("b", f32, {2}, zeros());
  g.entry("train", {}, max_norm(minimize(sum(c * w) + sum(d * b), sgd(1)), 2.5));
  Session session(compile(g));
  session.init(1);
  session.run("train", {{"c", Tensor::of<float>({2, 2}, {-3, -1, -4, 1})}, {"d", Tensor::of<float>({2}, {-9, 9})}});
  CHECK(session.read("w").same_bits(Tensor::of<float>({2, 2}, {1.5f, 1, 2, -1})));
  CHECK(session.read("b").same_bits(Tensor::of<float>({2}, {9, -9})));
  CHECK_THROWS_AS(max_norm({}, 0), Error);
}

TEST_CASE("gradients by hand: a Hessian times a vector, without the Hessian") {
  Graph g;
  const Value w = g.parameter("w", f64, {3}, zeros()), v = g.input("v", f64, {3});
  const Value loss = pow(slice(w, 0, 0, 1), 3.0) + slice(w, 0, 0, 1) * slice(w, 0, 1, 2) + sum(w * w * w * w) / 4;
  const Value slope = gradients(sum(loss), {w})[0];
  const Value product = gradients(sum(slope * stop_gradient(v)), {w})[0];
  g.entry("curvature", {{"Hv", product}});
  for (const Node& node : g.body().nodes) CHECK(node.type.elements() != Extent(9));
  Session session(compile(g));
  session.init(1);
  session.write("w", Tensor::of<double>({3}, {1, 2, -1}));
  // H = [[6 + 3, 1, 0], [1, 12, 0], [0, 0, 3]] at (1, 2, -1)
  const Tensor hv = session.run("curvature", {{"v", Tensor::of<double>({3}, {1, 10, 100})}})["Hv"];
  CHECK(hv.same_bits(Tensor::of<double>({3}, {19, 121, 300})));
}

TEST_CASE("each line of the gradient's text names the forward line it comes from") {
  Graph g;
  const Value x = g.input("x", f64, {2, 3});
  const int line = __LINE__ + 1;
  const Value h = dense(g, x, 4);
  const Value y = tanh(h);
  gradients(mean(y * y), weights(g));
  const std::string text = print(g);
  const auto named = [&](std::string_view comment) { return text.find(comment) != std::string::npos; };
  CHECK(named(fmt::format("# backward of dense1 parameters_test.cpp:{}\n", line)));
  CHECK(named(fmt::format("# backward of parameters_test.cpp:{}\n", line + 1)));
  CHECK(named(fmt::format("# backward of parameters_test.cpp:{}\n", line + 2)));
  size_t backward = 0, lines = 0;
  for (const Node& node : g.body().nodes)
    if (node.origin.backward) ++backward, lines += !node.origin.lines.empty();
  CHECK(backward > 5);
  CHECK(lines == backward);
}

TEST_CASE(
    "the chain rule computes nothing twice: nodes grow linearly with the depth of a chain with shared "
    "parts") {
  const auto nodes = [](int depth) {
    Graph g;
    const Value x = g.input("x", f64, {4});
    Value y = x;
    for (int i = 0; i < depth; ++i) y = sigmoid(y) * y + y;  // each layer reads the one before three times
    gradients(sum(y), {x});
    return g.body().size();
  };
  CHECK(nodes(20) - nodes(10) == nodes(30) - nodes(20));
  CHECK(nodes(30) < 30 * 14);
}
