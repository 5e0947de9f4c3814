// Why the likelihood and not the squared error: a classifier whose first answer is confidently wrong, trained
// with cross-entropy, squared, absolute and Huber errors of its probabilities. Cross-entropy undoes the
// exponential of the softmax and recovers; the others' gradient vanishes with the softmax's, and they stall.
// Goodfellow, Bengio, Courville 2016, section 6.2.2.
#include "chart.h"
#include "example.h"

using namespace tenon;

namespace {

struct Cost {
  std::string name;
  Value (*of)(Value z, Value label);
};

// Gradient norm and accuracy of each step.
std::pair<chart::Series, chart::Series> train(const Digits& data, const Cost& cost, int steps) {
  Graph g;
  const Extent n = g.size("n", 100);
  const Value x = g.input("x", f32, {n, data.inputs}), label = g.input("label", u8, {n});
  const Initializer wrong = [](Graph& graph, const Type& type) {  // class 0, by a gap of 25
    return 25 * cast(equal(iota(graph.body(), type.shape, 0), 0), type.dtype);
  };
  const Value z = dense(g, tanh(dense(g, x, 32)), 10, {.bias = wrong}), loss = cost.of(z, label);
  Value squares = constant(g.body(), f32, 0);
  for (const Value& gradient : gradients(loss, weights(g))) squares = squares + sum(gradient * gradient);
  g.entry("train", {{"norm", sqrt(squares)}, {"accuracy", accuracy(z, label)}}, minimize(loss, sgd(0.2)));
  Session session(compile(g));
  session.init(1);
  Batches batches({data.train, data.train_labels}, 100, {.drop_last = true});
  chart::Series norm{cost.name, {}, {}}, share{cost.name, {}, {}};
  for (int step = 0; step < steps;) {
    if (!batches.next()) continue;
    const Outputs out = session.run("train", {{"x", batches[0]}, {"label", batches[1]}});
    norm.add(step, out["norm"].number());
    share.add(step++, out["accuracy"].number());
  }
  return {norm, share};
}

bool claim(const Arguments& arguments) {
  const Digits data = digits(arguments);
  const Cost costs[] = {{"cross-entropy", [](Value z, Value y) { return nll(z, y); }},
                        {"squared", [](Value z, Value y) { return mse(softmax(z), one_hot(y, 10)); }},
                        {"absolute", [](Value z, Value y) { return mae(softmax(z), one_hot(y, 10)); }},
                        {"Huber", [](Value z, Value y) { return huber(softmax(z), one_hot(y, 10), 0.5); }}};
  chart::Chart norms{"The gradient's norm", "step", "norm of d cost / d weights", {}, true};
  chart::Chart shares{"Accuracy", "step", "share of the batch"};
  bool holds = true;
  for (const Cost& cost : costs) {
    const auto [norm, share] = train(data, cost, arguments.brief ? 300 : 1000);
    for (size_t step = 0; step < norm.y.size(); step += norm.y.size() / 5)
      fmt::print("{:<14} step {:>3}: gradient {:.1e}, accuracy {:.2f}\n", cost.name, step, norm.y[step], share.y[step]);
    norms.series.push_back(norm), shares.series.push_back(share);
    const bool recovers = share.y.back() > 0.7, stalls = share.y.back() < 0.2 && norm.y[0] < 1e-6 * norms.series[0].y[0];
    holds = holds && (&cost == costs ? recovers : stalls);
  }
  chart::write("saturation.svg", {norms, shares});
  return holds;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, claim); }
