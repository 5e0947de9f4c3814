// Every gradient rule of the vocabulary, by the samples of tests/ops_samples: against central differences in
// f64, and the gradient of the gradient likewise.
#include <doctest/doctest.h>

#include <cmath>

#include "compiler/graph/differentiate.h"
#include "tests/ops_samples.h"

using namespace tenon;
using namespace tenon::testing;

namespace {

double run(Value scalar, const Bindings& bindings) { return evaluate(scalar, bindings, Sample::n).at(0); }

// sum of x times fixed weights: a scalar to differentiate that tells all elements apart.
Value weighted(const Value& x) {
  Value order = iota(x.body(), {x.type().elements()}, 0);
  Value weights = 0.3 + sin(cast(order, x.dtype()) * 1.7);
  return sum(reshape(x, {x.type().elements()}) * weights);
}

// The gradient of `loss` with respect to each float leaf against central differences; where none reaches a
// leaf the differences must be 0. Returns the gradients there are.
std::vector<Value> check_gradient(const Sample& sample, Value loss, std::span<const Value> leaves) {
  std::vector<Value> wrt;
  std::vector<size_t> number;
  for (size_t i = 0; i < leaves.size(); ++i)
    if (is_float(leaves[i].dtype())) {
      wrt.push_back(leaves[i]);
      number.push_back(i);
    }
  std::vector<std::string> unreached;
  std::vector<Value> result = reachable_gradients(loss, wrt, "test", {}, unreached);
  for (size_t g = 0; g < wrt.size(); ++g) {
    Value gradient = result[g] ? result[g] : zeros_like(wrt[g]);
    CHECK(gradient.type() == wrt[g].type());
    ReferenceArray analytic = evaluate(gradient, sample.bind(), Sample::n);
    double scale = 0;
    for (int64_t i = 0; i < analytic.elements(); ++i) scale = std::max(scale, std::fabs(analytic.at(i)));
    for (int64_t i = 0; i < analytic.elements(); ++i) {
      auto moved = [&](double steps, double h) {
        Bindings bindings = sample.bind();
        bindings["x" + std::to_string(number[g])].real[static_cast<size_t>(i)] += steps * h;
        return run(loss, bindings);
      };
      // Five points: the error is of order h^4.
      double h = 1e-3 * std::max(0.05, std::min(1.0, std::fabs(sample.inputs[number[g]].values[static_cast<size_t>(i)])));
      double numeric = (8 * (moved(1, h) - moved(-1, h)) - (moved(2, h) - moved(-2, h))) / (12 * h);
      CAPTURE(g);
      CAPTURE(i);
      CAPTURE(analytic.at(i));
      CAPTURE(numeric);
      CHECK(std::fabs(analytic.at(i) - numeric) <= 1e-6 * std::max({std::fabs(analytic.at(i)), 0.1 * scale, 1e-3}));
    }
  }
  std::erase(result, Value());
  return result;
}

}  // namespace

TEST_CASE("every gradient agrees with central differences, and so does its own gradient") {
  for (const Sample& sample : ops_samples()) {
    if (sample.orders == 0) continue;
    CAPTURE(sample.title);
    Graph graph;
    std::vector<Value> leaves;
    Value loss = weighted(sample.apply(graph, f64, leaves));
    std::vector<Value> first = check_gradient(sample, loss, leaves);
    if (sample.orders == 1) continue;
    REQUIRE(!first.empty());
    Value slope = weighted(first[0]);
    for (size_t g = 1; g < first.size(); ++g) slope = slope + weighted(first[g]);
    check_gradient(sample, slope, leaves);
  }
}
