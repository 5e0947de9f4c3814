// An operation from outside the library: one record with its builder. Its gradient is deliberately not its derivative
// (a straight-through estimator), which shows that a custom gradient is the one that is used.
#include <tenon/tenon.h>

#include <cmath>
#include <cstdio>

using namespace tenon;

// y = round(x), dx = dy: the rounding is passed straight through.
static const Op quantise_op = {.name = "quantise",
                               .operands = 1,
                               .type = same_float,
                               .gradient = [](const Pullback& p) { return std::vector{p.dy}; },
                               .compute = pointwise<Scalar::round>};
static Value quantise(Operand x) { return apply(quantise_op, {x.value}, {}, x.line); }

int main() {
  register_op(quantise_op);
  Graph graph;
  Extent n = graph.size("n", 8);
  Value x = graph.input("x", f32, {n});
  Value w = graph.parameter("w", f32, {}, [](Graph& g, const Type& type) { return full(g.body(), type, 0.4); });
  Value y = quantise(w * x);
  Value loss = sum(y);
  Value gradient = gradients(loss, {w})[0];
  graph.entry("gradient", {{"y", y}, {"gradient", gradient}});
  Graph again = parse(print(graph));  // the parser knows it too

  Session session(compile(again));
  session.init(1);
  float values[4] = {1, 2, 3, 4};
  Outputs out = session.run("gradient", {{"x", Tensor::view(values, {4})}});
  std::span<const float> rounded = out["y"].read<float>();
  bool right = rounded[0] == 0 && rounded[1] == 1 && rounded[2] == 1 && rounded[3] == 2 && out["gradient"].number() == 10;
  std::printf("%s\n", right ? "right" : "wrong");
  return right ? 0 : 1;
}
