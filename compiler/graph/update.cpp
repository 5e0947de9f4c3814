#include "compiler/graph/update.h"

#include <algorithm>

#include "ir/op.h"
#include "ir/ops.h"

namespace tenon {
namespace {

std::string name_of(Value parameter) { return parameter.attributes().get<std::string>("name"); }

const ParameterGroup* group_of(const MinimizeOptions& options, Value parameter) {
  for (const ParameterGroup& group : options.groups)
    if (group.includes(name_of(parameter))) return &group;
  return nullptr;
}

// A rate or a decay as a scalar of the parameter's element type.
Value scalar(const Operand& number, std::string_view what, Value parameter, Line at) {
  if (!number.value) return constant(parameter.body(), parameter.dtype(), number.number, at);
  if (&number.value.body() != &parameter.body()) fail(at, "minimize: the {} is not of the loss's graph", what);
  if (!number.value.type().scalar() || !is_float(number.value.dtype()))
    fail(at, "minimize: the {} is {}; it must be a number or f32[]", what, number.value.type().str());
  return cast(number.value, parameter.dtype());
}

std::vector<Value> trained_parameters(Body& body, const MinimizeOptions& options, Line at) {
  std::vector<Value> parameters = options.parameters;
  if (parameters.empty())
    for (const State& state : body.states)
      if (state.trainable) parameters.push_back({&body, state.node});
  for (const Value& parameter : parameters)
    if (!parameter || &parameter.body() != &body || parameter.op().name != parameter_op.name)
      fail(at, "minimize: only parameters of the loss's graph can be trained{}",
           parameter ? fmt::format(", not '{}'", parameter.op().name) : "");
  std::erase_if(parameters, [&](Value parameter) {
    const ParameterGroup* group = group_of(options, parameter);
    return group && group->frozen;
  });
  if (parameters.empty()) fail(at, "minimize: there is no parameter to train");
  return parameters;
}

void clip(std::vector<Value>& gradients, const MinimizeOptions& options, Line at) {
  for (const auto& [bound, name] : {std::pair(options.clip_value, "clip_value"), {options.clip_norm, "clip_norm"}})
    if (bound && !(*bound > 0)) fail(at, "minimize: {} is {}; it must be above 0", name, *bound);
  if (options.clip_value)
    for (Value& gradient : gradients) gradient = tenon::clip(gradient, -*options.clip_value, *options.clip_value);
  if (!options.clip_norm) return;
  Value squares;
  for (const Value& gradient : gradients) {
    Value term = cast(sum(gradient * gradient), gradients[0].dtype());
    squares = squares ? squares + term : term;
  }
  Value factor = min(*options.clip_norm / sqrt(squares), 1.0);
  for (Value& gradient : gradients) gradient = cast(factor, gradient.dtype()) * gradient;
}

}  // namespace

bool is_bias(std::string_view name) {
  std::string_view last = name.substr(name.rfind('/') + 1);  // all of it where there is no slash
  return last == "b" || last == "bias";
}

std::vector<Update> minimize(Value loss, const Optimizer& optimizer, const MinimizeOptions& options, std::source_location at) {
  if (!loss) fail(at, "minimize: the loss is an empty Value");
  Body& body = loss.body();
  std::vector<Value> parameters = trained_parameters(body, options, at);
  std::vector<std::string> unreached;
  std::vector<Value> found = reachable_gradients(loss, parameters, "minimize", at, unreached);
  std::vector<Value> trained, gradients;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (found[i]) {
      trained.push_back(parameters[i]);
      gradients.push_back(found[i]);
    } else if (std::find(body.allow_unreached.begin(), body.allow_unreached.end(), parameters[i].id()) ==
               body.allow_unreached.end()) {
      fail(at, "minimize: no gradient reaches parameter '{}' ({}): {}; freeze it, or allow_unreached() it",
           name_of(parameters[i]), parameters[i].line().str(), unreached[i]);
    }
  }
  if (trained.empty()) fail(at, "minimize: no gradient reaches any parameter");

  Scope scope(body, Origin{{Line(at)}, optimizer.name, false});
  clip(gradients, options, at);
  Value step = step_of(body), next_step = step + 1;
  std::vector<Update> updates;
  for (size_t i = 0; i < trained.size(); ++i) {
    const ParameterGroup* group = group_of(options, trained[i]);
    const Operand rate = group && group->rate ? *group->rate : optimizer.rate;
    const Operand decay = group && group->decay ? *group->decay : optimizer.decay;
    bool decays = decay.value || decay.number != 0;
    const Value parameter = cast(trained[i], arithmetic_of(trained[i].dtype()));
    OptimizerStep one{parameter, gradients[i], scalar(rate, "rate", parameter, at),
                      decays ? scalar(decay, "decay", parameter, at) : Value{}};
    for (Update& update : optimizer.step(one)) {
      if (update.state == parameter) update = {trained[i], cast(update.value, trained[i].dtype())};
      updates.push_back(update);
    }
  }
  updates.push_back({step, next_step});
  return updates;
}

}  // namespace tenon
