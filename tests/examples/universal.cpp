// Universal approximation: one hidden layer of growing width fits a sine with a step, and its error falls
// with the width. Goodfellow, Bengio, Courville 2016, section 6.4.1.
#include "chart.h"
#include "example.h"

using namespace tenon;

namespace {

bool claim(const Arguments& arguments) {
  const int64_t rows = 200;
  const std::vector<double> at = grid(rows);
  const std::vector<double> wanted = map(at, [](double x) { return std::sin(6 * x) / 2 + (x > 0.3); });
  const Tensor xs = column(at), ys = column(wanted);
  chart::Chart fits{"Fits of sin(6x)/2 + step(x - 0.3)", "x", "y", {{"the function", at, wanted, true}}};
  chart::Chart errors{"Error against width", "hidden units", "mean squared error", {{"tanh", {}, {}}}, true};
  chart::Series& error = errors.series[0];
  bool falls = true;
  for (const int64_t width : {1, 4, 16, 64}) {
    Graph g;
    const Value x = g.input("x", f32, {rows, 1}), target = g.input("y", f32, {rows, 1});
    const Value h = tanh(dense(g, x, width, {.weight = normal(4), .bias = uniform(-3, 3)}));
    const Value y = dense(g, h, 1, {.weight = glorot()}), loss = mse(y, target);
    g.entry("train", {{"loss", loss}}, minimize(loss, adam(0.02 / (1 + cast(g.step(), f32) / 1000))));
    g.entry("predict", {{"y", y}});
    Session session(compile(g));
    session.init(1);
    Step train = session.prepare("train");
    train.bind("x", xs).bind("y", ys);
    for (int step = 0; step < (arguments.brief ? 4000 : 20000); ++step) train.run();
    error.add(static_cast<double>(width), train.output("loss").number());
    fmt::print("{:>3} hidden units: mean squared error {:.6f}\n", width, error.y.back());
    falls = falls && (width == 1 || error.y.back() < error.y.end()[-2]);
    fits.series.push_back({fmt::format("{} units", width), at, numbers(session.run("predict", {{"x", xs}})["y"])});
  }
  chart::write("universal.svg", {fits, errors});
  return falls && error.y.back() < error.y.front() / 30;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, claim); }
