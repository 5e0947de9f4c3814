// Deep and narrow against shallow and wide at equal numbers of parameters: test error on digits over five
// seeds, and an honest word on which won. Goodfellow, Bengio, Courville 2016, section 6.4.1.
#include <numeric>

#include "chart.h"
#include "example.h"

using namespace tenon;

namespace {

// The largest width at which `depth` hidden layers have no more parameters than the budget.
int64_t width_of(int64_t inputs, int64_t depth, int64_t budget) {
  int64_t width = 1;
  const auto parameters = [&](int64_t w) { return (inputs + 1) * w + (depth - 1) * (w + 1) * w + 10 * (w + 1); };
  while (parameters(width + 1) <= budget) ++width;
  return width;
}

std::vector<double> test_errors(const Digits& data, int64_t depth, int64_t width, int epochs) {
  Graph g;
  const Extent n = g.size("n", 100);
  const Value x = g.input("x", f32, {n, data.inputs}), label = g.input("label", u8, {n});
  Value h = x;
  for (int64_t layer = 0; layer < depth; ++layer) h = relu(dense(g, h, width));
  const Value z = dense(g, h, 10, {.weight = glorot()}), loss = nll(z, label);
  g.entry("train", {{"loss", loss}}, minimize(loss, adam(0.003 / (1 + cast(g.step(), f32) / 500))));
  g.entry("test", {{"error", 1 - accuracy(z, label)}});
  const Program program = compile(g);
  std::vector<double> errors;
  for (const int seed : {1, 2, 3, 4, 5}) {
    Session session(program);
    session.init(seed);
    Batches train({data.train, data.train_labels}, 100, {.seed = static_cast<uint64_t>(seed)});
    Batches test({data.test, data.test_labels}, 100);
    for (int epoch = 0; epoch < epochs; ++epoch) run_epoch(session, "train", train, {"x", "label"});
    errors.push_back(run_epoch(session, "test", test, {"x", "label"})["error"]);
  }
  return errors;
}

bool claim(const Arguments& arguments) {
  const Digits data = digits(arguments);
  chart::Chart chart{"Test error at 8000 parameters",
                     "hidden layers",
                     "share of errors",
                     {{"mean of five", {}, {}}, {"each seed", {}, {}, true}}};
  std::map<double, int64_t> by_error;
  for (const int64_t depth : {1, 2, 3, 5}) {
    const int64_t width = width_of(data.inputs, depth, 8000);
    const std::vector<double> errors = test_errors(data, depth, width, arguments.brief ? 10 : 30);
    const double mean = std::accumulate(errors.begin(), errors.end(), 0.0) / 5;
    for (const double error : errors) chart.series[1].add(static_cast<double>(depth), error);
    chart.series[0].add(static_cast<double>(depth), mean);
    by_error[mean] = depth;
    const auto [low, high] = std::minmax_element(errors.begin(), errors.end());
    fmt::print("{} hidden layers of {} units: test error {:.2f} % ({:.2f} to {:.2f})\n", depth, width, 100 * mean, 100 * *low,
               100 * *high);
  }
  chart::write("depth.svg", {chart});
  const auto [error, best] = *by_error.begin();
  fmt::print("depth {}: the best has {} hidden layers\n", best > 1 ? "won" : "did not win", best);
  return error < 0.2;  // all that is claimed is that the comparison is between networks that learn
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, claim); }
