// Softmax with cross-entropy, compiled in f32, against the same formula in double: the loss and its gradient
// within 8 units in the last place for gaps up to 80, and no NaN or infinity for any finite logit.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <cmath>

using namespace tenon;

namespace {

constexpr int64_t classes = 10;

struct Result {
  std::vector<float> loss, slope;
};

// The loss of each row, and the gradient of their sum.
Result run(std::span<const float> logits, std::span<const uint8_t> labels) {
  static const Program program = [] {
    Graph graph;
    Extent n = graph.size("n", 1000);
    Value z = graph.input("z", f32, {n, classes}), y = graph.input("y", u8, {n});
    Value loss = -log(pick(softmax(z), y));  // fused, so that it is the precise one
    graph.entry("loss", {{"loss", loss}, {"slope", gradients(sum(loss), {z})[0]}});
    return compile(graph);
  }();
  Session session(program);
  int64_t rows = static_cast<int64_t>(labels.size());
  Outputs outputs =
      session.run("loss", {{"z", Tensor::of<float>({rows, classes}, logits)}, {"y", Tensor::of<uint8_t>({rows}, labels)}});
  auto copy = [](std::span<const float> values) { return std::vector<float>(values.begin(), values.end()); };
  return {copy(outputs["loss"].read<float>()), copy(outputs["slope"].read<float>())};
}

double ulps(float actual, double expected) {
  float rounded = static_cast<float>(std::fabs(expected));
  double unit = std::nextafter(rounded, INFINITY) - rounded;
  return std::fabs(actual - expected) / unit;
}

}  // namespace

TEST_CASE("loss and gradient are within 8 ulp for gaps up to 80") {
  std::vector<float> logits;
  std::vector<uint8_t> labels;
  // Multiples of 1/64, so that the gaps themselves are exact.
  uint32_t bits = 1;
  auto below = [&](uint32_t n) { return (bits = bits * 1664525u + 1013904223u) / 65536 % n; };
  for (int row = 0; row < 800; ++row) {
    uint32_t span = 1 + 64 * static_cast<uint32_t>(row / 10);
    int offset = static_cast<int>(below(4000)) - 2000;
    for (int64_t j = 0; j < classes; ++j) logits.push_back(static_cast<float>(offset - static_cast<int>(below(span))) / 64);
    labels.push_back(static_cast<uint8_t>(below(classes)));
  }
  for (int gap = 0; gap <= 80; ++gap)  // one class above all others; the label is that class, and another
    for (uint8_t label : {3, 4}) {
      for (int j = 0; j < classes; ++j) logits.push_back(j == 3 ? static_cast<float>(gap) : 0);
      labels.push_back(label);
    }
  Result result = run(logits, labels);
  for (float loss : result.loss) CHECK(loss > 0);  // the minimum of a cross-entropy is never reached
  double worst_loss = 0, worst_slope = 0;
  for (size_t row = 0; row < labels.size(); ++row) {
    const float* z = &logits[row * classes];
    long double sum = 0, others = 0;
    for (int j = 0; j < classes; ++j) sum += std::exp(static_cast<long double>(z[j] - z[0]));
    // log(sum of e^(z_j - z_y)) without the 1 of the label itself.
    for (int j = 0; j < classes; ++j)
      if (j != labels[row]) others += std::exp(static_cast<long double>(z[j] - z[labels[row]]));
    worst_loss = std::max(worst_loss, ulps(result.loss[row], static_cast<double>(std::log1p(others))));
    for (int j = 0; j < classes; ++j) {
      long double p = std::exp(static_cast<long double>(z[j] - z[0])) / sum;
      long double expected = j == labels[row] ? -others / (1 + others) : p;
      worst_slope =
          std::max(worst_slope, ulps(result.slope[row * classes + static_cast<size_t>(j)], static_cast<double>(expected)));
    }
  }
  CAPTURE(worst_loss);
  CAPTURE(worst_slope);
  CHECK(worst_loss <= 8);
  CHECK(worst_slope <= 8);
  MESSAGE("loss " << worst_loss << " ulp, gradient " << worst_slope << " ulp");
}

TEST_CASE("extreme and masked logits") {
  std::vector<float> logits;
  std::vector<uint8_t> labels;
  for (float big : {1e4f, 3e38f, -3e38f, INFINITY})
    for (uint8_t label : {0, 1, 2}) {
      // INFINITY stands for a masked class: -inf.
      for (int j = 0; j < classes; ++j) logits.push_back(j == 1 ? (big == INFINITY ? -INFINITY : big) : j == 2 ? -3e38f : 1);
      labels.push_back(label);
    }
  Result result = run(logits, labels);
  for (float x : result.loss) CHECK(std::isfinite(x));
  for (float x : result.slope) CHECK(std::isfinite(x));
  for (float x : result.loss) CHECK(x >= 0);
}
