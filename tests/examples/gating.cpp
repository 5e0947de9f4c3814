// A softmax inside a model: four straight lines, and a gate that chooses between them by softmax, learn a
// curve with kinks and a jump together. Jacobs, Jordan, Nowlan, Hinton 1991.
#include "chart.h"
#include "example.h"

using namespace tenon;

namespace {

double curve(double x) { return x < -0.5 ? 2 + 2 * x : x < 0 ? -2 * x : x < 0.4 ? 2 * x : -0.5 - 0.5 * (x - 0.4); }

bool claim(const Arguments& arguments) {
  const int64_t rows = 256;
  const std::vector<double> at = grid(rows), wanted = map(at, curve);
  Graph g;
  const Value x = g.input("x", f32, {rows, 1}), target = g.input("y", f32, {rows, 1});
  const Value scores = dense(g, x, 4, {.weight = normal(5), .name = "gate"}), lines = dense(g, x, 4, {.name = "experts"});
  const Value y = mixture_of_experts(scores, expand_dims(lines, -1)), loss = mse(y, target);
  const Value one_line = mse(dense(g, x, 1, {.name = "line"}), target);
  g.entry("train", {{"loss", loss}, {"line", one_line}}, minimize(loss + one_line, adam(0.1)));
  g.entry("predict", {{"y", y}, {"gate", transpose(softmax(scores))}});
  Session session(compile(g));
  session.init(2);
  const Tensor xs = column(at), ys = column(wanted);
  Step train = session.prepare("train");
  train.bind("x", xs).bind("y", ys);
  for (int step = 0; step < (arguments.brief ? 3000 : 10000); ++step) train.run();

  const Outputs out = session.run("predict", {{"x", xs}});
  chart::Chart fit{"Four lines and a gate", "x", "y", {{"data", at, wanted, true}, {"the model", at, numbers(out["y"])}}};
  chart::Chart gates{"What the gate chooses", "x", "softmax of the gate"};
  for (int k = 0; k < 4; ++k)
    gates.series.push_back({fmt::format("expert {}", k + 1), at, numbers(out["gate"].rows(k, k + 1))});
  chart::write("gating.svg", {fit, gates});
  const double error = train.output("loss").number(), line = train.output("line").number();
  fmt::print("mean squared error: one line {:.5f}, four gated lines {:.5f}\n", line, error);
  return error < line / 20;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, claim); }
