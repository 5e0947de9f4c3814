#include "ir/model/units.h"

#include <cmath>

#include "ir/model/layers.h"
#include "ir/ops.h"

namespace tenon {
namespace {

int64_t width_of(std::string_view unit, Value x, Line line) {
  if (!is_float(x.dtype()) || x.rank() == 0 || x.shape().back().symbolic())
    fail(line, "{}: x is {}; it must be f32 or f64 with a constant last axis", unit, x.type().str());
  return x.shape().back().count;
}

}  // namespace

Value identity(Value x) { return x; }

Value hard_tanh(Value x, std::source_location at) {
  const Scope scope(x.body(), "hard_tanh", at);
  return clip({x, at}, -1, 1);
}

Value selu(Value x, std::source_location at) {
  const Scope scope(x.body(), "selu", at);
  return 1.0507009873554805 * elu({x, at}, 1.6732632423543772);
}

Value prelu(Graph& graph, Value x, double initial, std::source_location at) {
  const int64_t units = width_of("prelu", x, at);
  const Scope scope(graph, numbered(graph.body(), "prelu", "slope"), at);
  return prelu(x, graph.parameter("slope", x.dtype(), {units}, constant(initial), at));
}

Value maxout(Value x, int64_t k, std::source_location at) {
  const int64_t width = width_of("maxout", x, at);
  if (k < 1 || width % k != 0)
    fail(at, "maxout: x is {}; its last axis must be a multiple of the {} pieces of a unit", x.type().str(), k);
  const Scope scope(x.body(), "maxout", at);
  Shape groups = x.shape();
  groups.back() = k;
  groups.push_back(width / k);  // units are neighbours, so that vectors of them are compared
  return reduce_max(reshape(x, groups), {-2});
}

Value radial_basis(Graph& graph, Value x, int64_t units, const Initializer& centres, double width, std::source_location at) {
  const int64_t inputs = width_of("radial_basis", x, at);
  if (units < 1 || !(width > 0)) fail(at, "radial_basis: needs units and a width above 0, not {} and {}", units, width);
  const Scope scope(graph, numbered(graph.body(), "radial_basis", "c"), at);
  const Value c = graph.parameter("c", x.dtype(), {units, inputs}, centres, at);
  const Value log_s = graph.parameter("log_s", x.dtype(), {units}, constant(std::log(width)), at);
  const Value distance = expand_dims(x, -2) - c;
  return exp(-sum(distance * distance, {-1}) * exp(-2 * log_s));
}

}  // namespace tenon
