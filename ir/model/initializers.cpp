#include "ir/model/initializers.h"

#include <cmath>

#include "ir/ops.h"

namespace tenon {
namespace {

struct Fans {
  double in, out;
};

Fans fans(std::string_view initializer, const Type& type, Line line) {
  if (type.rank() < 2) fail(line, "{}: a weight [in, out] has at least two axes, the parameter is {}", initializer, type.str());
  double window = 1;
  for (size_t axis = 0; axis + 2 < type.shape.size(); ++axis) window *= static_cast<double>(type.shape[axis].count);
  const Extent in = type.shape[type.shape.size() - 2], out = type.shape.back();
  return {window * static_cast<double>(in.count), window * static_cast<double>(out.count)};
}

}  // namespace

Initializer zeros() { return constant(0); }

Initializer constant(double value) {
  return [=](Graph& graph, const Type& type) { return full(graph.body(), type, value); };
}

Initializer uniform(double low, double high, std::source_location at) {
  if (!(low < high)) fail(at, "uniform: low must be below high, not {} and {}", low, high);
  return [=](Graph& graph, const Type& type) { return uniform(graph, type.dtype, type.shape) * (high - low) + low; };
}

Initializer normal(double stddev, std::source_location at) {
  if (!(stddev > 0)) fail(at, "normal: the standard deviation must be above 0, not {}", stddev);
  return [=](Graph& graph, const Type& type) { return normal(graph, type.dtype, type.shape) * stddev; };
}

Initializer truncated_normal(double stddev, std::source_location at) {
  if (!(stddev > 0)) fail(at, "truncated_normal: the standard deviation must be above 0, not {}", stddev);
  return [=](Graph& graph, const Type& type) {
    const double within = std::erf(std::sqrt(2.0));  // the share of a Gaussian within two standard deviations
    const Value u = uniform(-within, within, at)(graph, type);
    return erfinv(u) * (std::sqrt(2.0) * stddev);
  };
}

Initializer glorot(std::source_location at) {
  return [=](Graph& graph, const Type& type) {
    const Fans fan = fans("glorot", type, at);
    const double limit = std::sqrt(6 / (fan.in + fan.out));
    return uniform(-limit, limit, at)(graph, type);
  };
}

Initializer he(std::source_location at) {
  return [=](Graph& graph, const Type& type) { return normal(std::sqrt(2 / fans("he", type, at).in), at)(graph, type); };
}

Initializer lecun(std::source_location at) {
  return [=](Graph& graph, const Type& type) { return normal(std::sqrt(1 / fans("lecun", type, at).in), at)(graph, type); };
}

Initializer orthogonal(double gain, std::source_location at) {
  if (!(gain > 0)) fail(at, "orthogonal: the gain must be above 0, not {}", gain);
  return [=](Graph& graph, const Type& type) {
    if (type.rank() < 2) fail(at, "orthogonal: a weight [in, out] has at least two axes, the parameter is {}", type.str());
    const int64_t columns = type.shape.back().count;
    const int64_t rows = elements({type.shape.begin(), type.shape.end() - 1}).count;
    const bool tall = rows >= columns;
    Value x = normal(graph, type.dtype, tall ? Shape{rows, columns} : Shape{columns, rows});
    x = x / sqrt(sum(x * x));  // all singular values in (0, 1]
    const auto step = [&](double a, double b, double c) {
      const Value square = matmul(x, x, true, false);
      x = a * x + matmul(x, b * square + c * matmul(square, square));
    };
    // The first polynomial multiplies small singular values by 3.44 and keeps large ones within (0.68, 1.14): in
    // 13 rounds all down to 1e-7 arrive there. The second leaves 5/2 e^3 of an error e.
    for (int round = 0; round < 13; ++round) step(3.4445, -4.7750, 2.0315);
    for (int round = 0; round < 3; ++round) step(15.0 / 8, -10.0 / 8, 3.0 / 8);
    return gain * reshape(tall ? x : transpose(x), type.shape);
  };
}

}  // namespace tenon
