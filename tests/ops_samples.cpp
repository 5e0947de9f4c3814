#include "tests/ops_samples.h"

namespace tenon::testing {

Value Sample::apply(Graph& graph, DType floating, std::vector<Value>& leaves) const {
  graph.size("n", maximum);
  leaves.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& [type, values, leaf] = inputs[i];
    DType dtype = type.dtype == f64 ? floating : type.dtype;
    std::string name = "x" + std::to_string(i);
    auto zeros = [](Graph& g, const Type& of) { return full(g.body(), of, 0); };
    leaves.push_back(leaf == &parameter_op ? graph.parameter(name, dtype, type.shape, zeros)
                     : leaf == &state_op   ? graph.state(name, dtype, type.shape, zeros)
                                           : graph.input(name, dtype, type.shape));
  }
  return build(graph, leaves);
}

Bindings Sample::bind(DType floating) const {
  Bindings bindings;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Type type = at_size(inputs[i].type);
    if (type.dtype == f64) type.dtype = floating;
    bindings["x" + std::to_string(i)] = ReferenceArray::of(type, std::span<const double>(inputs[i].values));
  }
  return bindings;
}

Type at_size(Type type) {
  for (Extent& extent : type.shape) extent = Extent(extent.at(Sample::n));
  return type;
}

std::vector<double> spread_values(int64_t count, double low, double high) {
  // Multiples of the golden ratio modulo 1 are spread evenly and never repeat.
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) {
    double part = static_cast<double>(i + 1) * 0.6180339887498949;
    values.push_back(low + (high - low) * (part - static_cast<double>(static_cast<int64_t>(part))));
  }
  return values;
}

std::vector<Sample> ops_samples() {
  std::vector<Sample> samples;
  elementwise_samples(samples);
  shape_samples(samples);
  row_samples(samples);
  return samples;
}

}  // namespace tenon::testing
