// What a gradient is after eight layers of sigmoid, tanh and relu units, and how many rectifiers are active
// at first with biases of 0 and of 0.1. Goodfellow, Bengio, Courville 2016, section 6.3; Glorot, Bengio 2010.
#include "chart.h"
#include "example.h"

using namespace tenon;

namespace {

struct First {
  std::vector<double> norms;  // of the gradient with respect to each layer's output, from the first layer on
  double active;              // share of positive outputs over all layers

  double left() const { return norms.front() / norms.back(); }
};

First first_batch(const Digits& data, Value (*unit)(Value), const Initializer& weight, double bias) {
  Graph g;
  const Value x = g.input("x", f32, {200, data.inputs}), label = g.input("label", u8, {200});
  std::vector<Value> layers, norms;
  Value h = x, active = constant(g.body(), f32, 0);
  for (int layer = 0; layer < 8; ++layer) {
    layers.push_back(h = unit(dense(g, h, 64, {.weight = weight, .bias = constant(bias)})));
    active = active + mean(cast(h > 0, f32)) / 8;
  }
  for (const Value& slope : gradients(nll(dense(g, h, 10, {.weight = glorot()}), label), layers))
    norms.push_back(reshape(sqrt(sum(slope * slope)), {1}));
  g.entry("measure", {{"active", active}, {"norms", concat(norms)}});
  Session session(compile(g));
  session.init(1);
  const Outputs out = session.run("measure", {{"x", data.train.rows(0, 200)}, {"label", data.train_labels.rows(0, 200)}});
  return {numbers(out["norms"]), out["active"].number()};
}

bool claim(const Arguments& arguments) {
  const Digits data = digits(arguments);
  const First sigmoids = first_batch(
      data, [](Value z) { return sigmoid(z); }, glorot(), 0);
  const First tanhs = first_batch(
      data, [](Value z) { return tanh(z); }, glorot(), 0);
  const First relus = first_batch(
      data, [](Value z) { return relu(z); }, he(), 0.1);
  const First unbiased = first_batch(
      data, [](Value z) { return relu(z); }, he(), 0);
  chart::Chart norms{"The gradient's norm at each layer, first batch", "layer", "norm of d loss / d output", {}, true};
  for (const auto& [name, first] : {std::pair("sigmoid", &sigmoids), {"tanh", &tanhs}, {"relu", &relus}}) {
    norms.series.push_back({name, {1, 2, 3, 4, 5, 6, 7, 8}, first->norms});
    fmt::print("{:<8} layer 8: {:.2e}, layer 1: {:.2e}, which is {:.1e} of it\n", name, first->norms.back(),
               first->norms.front(), first->left());
  }
  chart::write("vanishing.svg", {norms});
  fmt::print("active rectifiers: {:.3f} with biases of 0.1, {:.3f} with biases of 0\n", relus.active, unbiased.active);
  return sigmoids.left() < 1e-3 * tanhs.left() && tanhs.left() < relus.left() && relus.active > unbiased.active;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, claim); }
