// A maxout unit is a convex function of k lines: it fits a parabola better as k grows. Goodfellow et al.
// 2013.
#include "chart.h"
#include "example.h"

using namespace tenon;

namespace {

bool claim(const Arguments& arguments) {
  const int64_t rows = 128;
  const std::vector<double> at = grid(rows), wanted = map(at, [](double x) { return x * x; });
  const Tensor xs = column(at), ys = column(wanted);
  chart::Chart chart{"One maxout unit learns a parabola", "x", "y", {{"the parabola", at, wanted, true}}};
  double before = 1;
  bool falls = true;
  for (const int64_t k : {1, 2, 3, 4, 8}) {
    Graph g;
    const Value x = g.input("x", f32, {rows, 1}), target = g.input("y", f32, {rows, 1});
    const Value y = maxout(dense(g, x, k, {.weight = normal(1), .bias = zeros()}), k), loss = mse(y, target);
    g.entry("train", {{"loss", loss}}, minimize(loss, adam(0.02 / (1 + cast(g.step(), f32) / 500))));
    g.entry("predict", {{"y", y}});
    Session session(compile(g));
    session.init(1);
    Step train = session.prepare("train");
    train.bind("x", xs).bind("y", ys);
    for (int step = 0; step < (arguments.brief ? 3000 : 10000); ++step) train.run();
    const double error = train.output("loss").number();
    fmt::print("k = {}: mean squared error {:.6f}\n", k, error);
    falls = falls && error < before;
    before = error;
    chart.series.push_back({fmt::format("k = {}", k), at, numbers(session.run("predict", {{"x", xs}})["y"])});
  }
  chart::write("maxout.svg", {chart});
  return falls;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, claim); }
