// Initial values have the distributions their names say, as the entry init computes them, and losses their
// formulas.
#include "ir/model/initializers.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "ir/evaluate.h"
#include "ir/model/distributions.h"
#include "ir/model/layers.h"
#include "ir/model/losses.h"
#include "ir/ops.h"

using namespace tenon;

namespace {

struct Sample {
  double mean = 0, deviation = 0, low = 0, high = 0;
};

Sample draw(const Initializer& initializer, Shape shape, int64_t seed = 1) {
  Graph g;
  g.parameter("W", f32, std::move(shape), initializer);
  const std::vector<double> values = evaluate_initial(g.body(), seed).find("W")->second.real;
  Sample sample{0, 0, values[0], values[0]};
  for (const double x : values) {
    sample.mean += x / static_cast<double>(values.size());
    sample.low = std::min(sample.low, x);
    sample.high = std::max(sample.high, x);
  }
  for (const double x : values) sample.deviation += (x - sample.mean) * (x - sample.mean) / static_cast<double>(values.size());
  sample.deviation = std::sqrt(sample.deviation);
  return sample;
}

// 20,000 numbers: the mean is within 5 standard errors, the deviation within 3 %.
void check_moments(const Sample& sample, double mean, double deviation) {
  CHECK(std::abs(sample.mean - mean) < 5 * deviation / std::sqrt(20000.0));
  CHECK(sample.deviation == doctest::Approx(deviation).epsilon(0.03));
}

}  // namespace

TEST_CASE("initial values have the moments that their formulas say") {
  const Shape shape = {200, 100};
  check_moments(draw(uniform(-1, 3), shape), 1, 4 / std::sqrt(12.0));
  check_moments(draw(normal(0.5), shape), 0, 0.5);
  check_moments(draw(truncated_normal(0.5), shape), 0, 0.5 * 0.8796);
  check_moments(draw(glorot(), shape), 0, std::sqrt(2.0 / 300));
  check_moments(draw(he(), shape), 0, std::sqrt(2.0 / 200));
  check_moments(draw(lecun(), shape), 0, std::sqrt(1.0 / 200));
  const Sample point = draw(constant(0.25), shape);
  CHECK(point.low == 0.25);
  CHECK(point.high == 0.25);
  CHECK(draw(zeros(), shape).high == 0);
}

TEST_CASE("bounded distributions stay within their bounds and reach near them") {
  const Sample uniformly = draw(uniform(-1, 3), {200, 100});
  CHECK(uniformly.low >= -1);
  CHECK(uniformly.low < -0.99);
  CHECK(uniformly.high <= 3);
  CHECK(uniformly.high > 2.99);
  const Sample truncated = draw(truncated_normal(0.5), {200, 100});
  CHECK(truncated.low >= -1);
  CHECK(truncated.low < -0.98);
  CHECK(truncated.high <= 1);
  CHECK(truncated.high > 0.98);
}

TEST_CASE("the leading axes of a weight are a window that widens both fans") {
  check_moments(draw(he(), {5, 5, 8, 100}), 0, std::sqrt(2.0 / 200));
}

TEST_CASE("initial values are those of the seed, whatever other layers there are") {
  const auto first = [](bool other_layer_before, int64_t seed) {
    Graph g;
    const Value x = g.input("x", f32, {1, 6});
    if (other_layer_before) dense(g, x, 4, {.name = "other"});
    dense(g, x, 4, {.name = "mine"});
    return evaluate_initial(g.body(), seed).find("mine/W")->second.real;
  };
  CHECK(first(false, 1) == first(false, 1));
  CHECK(first(false, 1) == first(true, 1));
  CHECK(first(false, 1) != first(false, 2));
}

TEST_CASE("a dense layer is x W + b") {
  Graph g;
  const Value x = g.input("x", f64, {2, 3});
  const Value y = dense(g, x, 2);
  const auto array = [](Shape shape, std::vector<double> values) {
    return ReferenceArray::of(Type{f64, std::move(shape)}, std::span<const double>(values));
  };
  const ReferenceArray result = evaluate(y, {{"x", array({2, 3}, {1, 2, 3, 4, 5, 6})},
                                             {"dense1/W", array({3, 2}, {1, 10, 2, 20, 3, 30})},
                                             {"dense1/b", array({2}, {0.5, 0.25})}});
  CHECK(result.real == std::vector<double>{14.5, 140.25, 32.5, 320.25});
}

TEST_CASE("losses and accuracy are what their formulas say") {
  Graph g;
  const Value z = g.input("z", f64, {3, 2}), target = g.input("target", f64, {3, 2}), label = g.input("label", u8, {3});
  const std::vector<double> logits = {1, 3, 2, 2, 5, 4}, targets = {0, 3, 4, 2, 5, 1}, labels = {1, 1, 0};
  const Bindings bindings = {{"z", ReferenceArray::of(z.type(), std::span(logits))},
                             {"target", ReferenceArray::of(target.type(), std::span(targets))},
                             {"label", ReferenceArray::of(label.type(), std::span(labels))}};
  CHECK(evaluate(mse(z, target), bindings).real[0] == doctest::Approx((1 + 4 + 9) / 6.0));
  CHECK(evaluate(mae(z, target), bindings).real[0] == doctest::Approx((1 + 2 + 3) / 6.0));
  CHECK(evaluate(huber(z, target, 1.5), bindings).real[0] == doctest::Approx((0.5 + 1.875 + 3.375) / 6));
  const double expected = (std::log1p(std::exp(-2.0)) + std::log(2.0) + std::log1p(std::exp(-1.0))) / 3;
  CHECK(evaluate(nll(z, label), bindings).real[0] == doctest::Approx(expected));
  CHECK(evaluate(accuracy(z, label), bindings).real[0] == doctest::Approx(2 / 3.0));  // a tie goes to the first
}

TEST_CASE("dropout keeps the mean and drops the share it says") {
  Graph g;
  const Value x = g.input("x", f64, {10000});
  const Value y = dropout(g, x, 0.25, Mode::train);
  const std::vector<double> ones(10000, 1.0);
  Bindings bindings = evaluate_initial(g.body(), 3);
  bindings.insert_or_assign("x", ReferenceArray::of(x.type(), std::span(ones)));
  const std::vector<double> result = evaluate(y, bindings).real;
  const auto dropped = std::count(result.begin(), result.end(), 0.0);
  CHECK(std::abs(static_cast<double>(dropped) - 2500) < 200);
  for (const double value : result)
    if (value != 0) REQUIRE(value == doctest::Approx(1 / 0.75));
}
