#include "ir/model/optimizers.h"

#include <cmath>

#include "ir/ops.h"

namespace tenon {

Value OptimizerStep::slot(std::string_view name) const { return slot(name, parameter.type()); }

Value OptimizerStep::slot(std::string_view name, const Type& type) const {
  Body& body = parameter.body();
  const Value stored = &parameter.op() == &cast_op ? parameter.operand(0) : parameter;
  std::string full = fmt::format("{}/{}", stored.attributes().get<std::string>("name"), name);
  if (const State* known = body.state(full)) {
    Value value(&body, known->node);
    if (value.type() != type)
      fail(parameter.line(), "state '{}': is {}, but an optimiser needs {}", full, value.type().str(), type.str());
    return value;
  }
  Value node = state(body, full, type, parameter.line());
  body.states.push_back({node.id(), zeros_like(node).id(), false});
  return node;
}

Value OptimizerStep::decayed_gradient() const { return decay ? gradient + decay * parameter : gradient; }

Optimizer sgd(Operand rate, Operand decay) {
  return {"sgd", rate, decay, [](const OptimizerStep& s) -> std::vector<Update> {
            return {{s.parameter, s.parameter - s.rate * s.decayed_gradient()}};
          }};
}

Optimizer momentum(Operand rate, double beta, Operand decay) {
  return {"momentum", rate, decay, [beta](const OptimizerStep& s) -> std::vector<Update> {
            Value v = s.slot("momentum.v");
            Value next = beta * v + s.decayed_gradient();
            return {{v, next}, {s.parameter, s.parameter - s.rate * next}};
          }};
}

Optimizer nesterov(Operand rate, double beta, Operand decay) {
  return {"nesterov", rate, decay, [beta](const OptimizerStep& s) -> std::vector<Update> {
            Value v = s.slot("nesterov.v"), g = s.decayed_gradient();
            Value next = beta * v + g;
            return {{v, next}, {s.parameter, s.parameter - s.rate * (g + beta * next)}};
          }};
}

Optimizer rmsprop(Operand rate, double rho, double epsilon, Operand decay) {
  return {"rmsprop", rate, decay, [rho, epsilon](const OptimizerStep& s) -> std::vector<Update> {
            Value r = s.slot("rmsprop.r"), g = s.decayed_gradient();
            Value next = rho * r + (1 - rho) * (g * g);
            return {{r, next}, {s.parameter, s.parameter - s.rate * g / sqrt(next + epsilon)}};
          }};
}

namespace {

// 1 - b^t, without the cancellation of 1 - 0.999.
Value bias_correction(double beta, Value t) { return -expm1(t * std::log(beta)); }

// Adam's step, with the updates of m, v and t. Both parts of its fraction are multiplied by the root of
// 1 - b2^t, which leaves one division a parameter and one product less an element.
Value adam_step(const OptimizerStep& s, Value g, std::string_view name, double beta1, double beta2, double epsilon,
                std::vector<Update>& updates) {
  Value m = s.slot(fmt::format("{}.m", name)), v = s.slot(fmt::format("{}.v", name));
  Value next_m = beta1 * m + (1 - beta1) * g;
  Value next_v = beta2 * v + (1 - beta2) * (g * g);
  Value count = s.slot(fmt::format("{}.t", name), {i64, {}}), next_count = count + 1;
  updates.insert(updates.end(), {{m, next_m}, {v, next_v}, {count, next_count}});
  Value t = cast(next_count, s.parameter.dtype());
  Value root = sqrt(bias_correction(beta2, t)), size = s.rate * root / bias_correction(beta1, t);
  return size * next_m / (sqrt(next_v) + epsilon * root);
}

}  // namespace

Optimizer adam(Operand rate, double beta1, double beta2, double epsilon, Operand decay) {
  return {"adam", rate, decay, [=](const OptimizerStep& s) {
            std::vector<Update> updates;
            Value step = adam_step(s, s.decayed_gradient(), "adam", beta1, beta2, epsilon, updates);
            updates.push_back({s.parameter, s.parameter - step});
            return updates;
          }};
}

Optimizer adamw(Operand rate, Operand decay, double beta1, double beta2, double epsilon) {
  return {"adamw", rate, decay, [=](const OptimizerStep& s) {
            std::vector<Update> updates;
            Value step = adam_step(s, s.gradient, "adamw", beta1, beta2, epsilon, updates);
            Value kept = s.decay ? s.parameter - s.rate * s.decay * s.parameter : s.parameter;
            updates.push_back({s.parameter, kept - step});
            return updates;
          }};
}

}  // namespace tenon
