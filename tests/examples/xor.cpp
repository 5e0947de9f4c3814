// The exclusive or, which no linear model can learn (Goodfellow, Bengio, Courville 2016, section 6.1): 2-8-1
// with rectifiers, all four rows in each step.
#include <fmt/core.h>
#include <tenon/tenon.h>

using namespace tenon;

int main() try {
  Graph g;
  const Value x = g.input("x", f32, {4, 2}), target = g.input("target", f32, {4, 1});
  const Value h = relu(dense(g, x, 8));
  const Value z = dense(g, h, 1);
  const Value loss = mean(sigmoid_cross_entropy(z, target));
  g.entry("train", {{"loss", loss}}, minimize(loss, adam(0.02)));
  g.entry("predict", {{"p", sigmoid(z)}});

  const Tensor inputs = Tensor::of<float>({4, 2}, {0, 0, 0, 1, 1, 0, 1, 1});
  const Tensor targets = Tensor::of<float>({4, 1}, {0, 1, 1, 0});
  Session session(compile(g));
  session.init(1);
  Step train = session.prepare("train");
  train.bind("x", inputs).bind("target", targets);
  for (int step = 0; step < 2000; ++step) train.run();

  const Tensor p = session.run("predict", {{"x", inputs}})["p"];
  bool learnt = true;
  fmt::print("a  b  p(a xor b)\n");
  for (int row = 0; row < 4; ++row) {
    fmt::print("{}  {}  {:.4f}\n", inputs.at(2 * row), inputs.at(2 * row + 1), p.at(row));
    learnt = learnt && (p.at(row) > 0.5) == (targets.at(row) > 0.5);
  }
  fmt::print("{} after 2000 steps, loss {:.6f}\n", learnt ? "learnt" : "not learnt", train.output("loss").number());
  return learnt ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
