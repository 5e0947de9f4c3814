#include "ir/model/layers.h"

#include <utility>

#include "ir/ops.h"

namespace tenon {

std::string numbered(const Body& body, std::string_view layer, std::string_view parameter) {
  const std::string path = body.scope().empty() ? "" : body.scope() + "/";
  for (int64_t i = 1;; ++i) {
    std::string name = fmt::format("{}{}", layer, i);
    if (!body.state(fmt::format("{}{}/{}", path, name, parameter))) return name;
  }
}

Dense::Dense(Graph& graph, DType dtype, int64_t inputs, int64_t units, DenseOptions options, std::source_location at)
    : name(options.name.empty() ? numbered(graph.body(), "dense", "W") : std::move(options.name)) {
  if (inputs < 1 || units < 1) fail(at, "dense: needs inputs and units, not {} and {}", inputs, units);
  if (!is_float(dtype) || is_storage(dtype))
    fail(at, "dense: the element type is {}; it must be f32 or f64", tenon::name(dtype));
  const Scope scope(graph, name, at);
  W = graph.parameter("W", dtype, {inputs, units}, options.weight, at);
  if (options.bias) b = graph.parameter("b", dtype, {units}, options.bias, at);
}

Value Dense::operator()(Value x, std::source_location at) const {
  const Type& weight = W.type();
  if (x.rank() == 0 || x.dtype() != weight.dtype || x.shape().back() != weight.shape[0])
    fail(at, "{}: x is {}; it must be {}[..., {}] to go with W, {}", name, x.type().str(), tenon::name(weight.dtype),
         weight.shape[0].str(), weight.str());
  const Scope scope(x.body(), name, at);
  Shape rows(x.shape().begin(), x.shape().end() - 1), result = rows;
  result.push_back(weight.shape[1]);
  const bool matrix = x.rank() == 2;
  Value y = matmul(matrix ? x : reshape(x, {elements(rows), weight.shape[0]}), W);
  if (b) y = y + b;
  return matrix ? y : reshape(y, result);
}

Value dense(Graph& graph, Value x, int64_t units, DenseOptions options, std::source_location at) {
  if (!is_float(x.dtype()) || x.rank() == 0 || x.shape().back().symbolic())
    fail(at, "dense: x is {}; it must be f32 or f64 with a constant last axis", x.type().str());
  return Dense(graph, x.dtype(), x.shape().back().count, units, std::move(options), at)(x, at);
}

Value low_rank(Graph& graph, Value x, int64_t units, int64_t rank, DenseOptions options, std::source_location at) {
  if (!is_float(x.dtype()) || x.rank() == 0 || x.shape().back().symbolic())
    fail(at, "low_rank: x is {}; it must be f32 or f64 with a constant last axis", x.type().str());
  const int64_t inputs = x.shape().back().count;
  if (rank < 1 || rank > std::min(inputs, units))
    fail(at, "low_rank: the rank is {}; of {} inputs and {} units it must be in 1..{}", rank, inputs, units,
         std::min(inputs, units));
  if (options.name.empty()) options.name = numbered(graph.body(), "low_rank", "U/W");
  const std::string layer = std::exchange(options.name, "V");
  const Scope scope(graph, layer, at);
  const Value narrow = Dense(graph, x.dtype(), inputs, rank, {lecun(at), nullptr, "U"}, at)(x, at);
  const Value y = Dense(graph, x.dtype(), rank, units, std::move(options), at)(narrow, at);
  graph.body().receipts.push_back(
      {"parameters", at, -1, true,
       fmt::format("{}: {} weights in U [{},{}] and V [{},{}], where one W [{},{}] has {}", layer, (inputs + units) * rank,
                   inputs, rank, rank, units, inputs, units, inputs * units)});
  return y;
}

Value dropout(Graph& graph, Value x, double rate, Mode mode, std::source_location at) {
  if (!(rate >= 0 && rate < 1)) fail(at, "dropout: the rate is {}; it must be at least 0 and below 1", rate);
  if (mode == Mode::predict || rate == 0) return x;
  const Scope scope(graph, "dropout", at);
  return dropout(graph, x, rate);
}

}  // namespace tenon
