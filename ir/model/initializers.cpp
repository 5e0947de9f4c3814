#include "ir/model/initializers.h"

#include <cmath>

#include "ir/ops.h"

namespace tenon {
namespace {

struct Fans {
  double in, out;
};

Fans fans(std::string_view initializer, const Type& type, Line line) {
  if (type.rank() < 2)
    fail(line, "{}: a weight [in, out] has at least two axes, the parameter is {}", initializer, type.str());
  double window = 1;
  for (size_t axis = 0; axis + 2 < type.shape.size(); ++axis)
    window *= static_cast<double>(type.shape[axis].count);
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
  return [=](Graph& graph, const Type& type) {
    return uniform(graph, type.dtype, type.shape) * (high - low) + low;
  };
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
  return [=](Graph& graph, const Type& type) {
    return normal(std::sqrt(2 / fans("he", type, at).in), at)(graph, type);
  };
}

Initializer lecun(std::source_location at) {
  return [=](Graph& graph, const Type& type) {
    return normal(std::sqrt(1 / fans("lecun", type, at).in), at)(graph, type);
  };
}

}  // namespace tenon
