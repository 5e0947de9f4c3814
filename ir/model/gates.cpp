#include "ir/model/gates.h"

#include <cmath>

#include "ir/ops.h"

namespace tenon {

Value softmax_at(Value z, double temperature, std::source_location at) {
  if (!(temperature > 0)) fail(at, "softmax_at: the temperature is {}; it must be above 0", temperature);
  const Scope scope(z.body(), "softmax_at", at);
  return softmax({temperature == 1 ? z : z / temperature, Line(at)});
}

Value hard_softargmax(Value z, std::source_location at) {
  if (!is_float(z.dtype()) || z.rank() == 0 || z.shape().back().symbolic())
    fail(at, "hard_softargmax: z is {}; it must be f32 or f64 [..., k] with a constant k", z.type().str());
  const Scope scope(z.body(), "hard_softargmax", at);
  return one_hot(argmax(z), z.shape().back().count, z.dtype());
}

Value mixture_of_experts(Value scores, Value outputs, std::source_location at) {
  const Shape leading(outputs.shape().begin(), outputs.shape().end() - (outputs.rank() > 0));
  if (outputs.rank() < 2 || scores.type() != Type{outputs.dtype(), leading})
    fail(at, "mixture_of_experts: the scores are {}, the outputs are {}; they must be [..., k] and [..., k, d]",
         scores.type().str(), outputs.type().str());
  const Scope scope(scores.body(), "mixture_of_experts", at);
  return sum(expand_dims(softmax(scores), -1) * outputs, {-2});
}

Value attention(Value query, Value key, Value value, std::source_location at) {
  if (query.rank() < 2 || key.rank() < 2 || query.shape().back().symbolic() || query.shape().back() != key.shape().back())
    fail(at, "attention: the query is {}, the key is {}; they must be [..., q, d] and [..., m, d]", query.type().str(),
         key.type().str());
  const Scope scope(query.body(), "attention", at);
  const double scale = 1 / std::sqrt(static_cast<double>(query.shape().back().count));
  return matmul(softmax(scale * matmul(query, key, false, true)), value);
}

}  // namespace tenon
