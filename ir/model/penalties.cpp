#include "ir/model/penalties.h"

#include "ir/ops.h"

namespace tenon {
namespace {

Value total(std::string_view penalty, const std::vector<Value>& parameters, Value (*of)(Value), Line line) {
  if (parameters.empty()) fail(line, "{}: there are no parameters to penalise", penalty);
  const Scope scope(parameters[0].body(), penalty, line);
  Value result;
  for (const Value& parameter : parameters) {
    const Value term = of(cast(parameter, arithmetic_of(parameter.dtype())));
    result = result ? result + Operand(term, line) : term;
  }
  return result;
}

}  // namespace

std::vector<Value> weights(const Graph& graph) {
  std::vector<Value> result;
  for (const State& state : graph.body().states) {
    const Value parameter = graph.body().value(state.node);
    if (state.trainable && parameter.rank() >= 2) result.push_back(parameter);
  }
  return result;
}

Value l1(const std::vector<Value>& parameters, std::source_location at) {
  return total(
      "l1", parameters, [](Value w) { return sum(abs(w)); }, at);
}

Value l2(const std::vector<Value>& parameters, std::source_location at) {
  return total(
      "l2", parameters, [](Value w) { return 0.5 * sum(w * w); }, at);
}

std::vector<Update> max_norm(std::vector<Update> updates, double c, std::source_location at) {
  if (!(c > 0)) fail(at, "max_norm: the norm is at most {}; that must be above 0", c);
  for (Update& update : updates) {
    if (!update.state.body().state(update.state.id())->trainable || update.state.rank() < 2) continue;
    const Scope scope(update.state.body(), "max_norm", at);
    const Value w = cast(update.value, arithmetic_of(update.value.dtype()));
    Axes incoming;
    for (int64_t axis = 0; axis + 1 < w.rank(); ++axis) incoming.push_back(axis);
    update.value = cast(w * min(c / sqrt(sum(w * w, incoming)), 1), update.value.dtype());
  }
  return updates;
}

}  // namespace tenon
