#include "ir/model/losses.h"

#include "ir/ops.h"

namespace tenon {
namespace {

void require_one_type(std::string_view loss, Value prediction, Value target, Line line) {
  if (prediction.type() != target.type() || !is_float(prediction.dtype()))
    fail(line, "{}: the prediction is {}, the target is {}; both must be of one type, f32 or f64", loss,
         prediction.type().str(), target.type().str());
}

void require_labels(std::string_view loss, Value logits, Value label, Line line) {
  if (!is_float(logits.dtype()) || logits.rank() == 0 || !is_integer(label.dtype()) ||
      label.shape() != Shape(logits.shape().begin(), logits.shape().end() - 1))
    fail(line, "{}: the logits are {}, the label is {}; they must be f32 or f64 [..., classes] and integers [...]", loss,
         logits.type().str(), label.type().str());
}

}  // namespace

Value mse(Value prediction, Value target, std::source_location at) {
  require_one_type("mse", prediction, target, at);
  const Scope scope(prediction.body(), "mse", at);
  const Value error = prediction - target;
  return mean(error * error);
}

Value mae(Value prediction, Value target, std::source_location at) {
  require_one_type("mae", prediction, target, at);
  const Scope scope(prediction.body(), "mae", at);
  return mean(abs(prediction - target));
}

Value huber(Value prediction, Value target, double d, std::source_location at) {
  require_one_type("huber", prediction, target, at);
  if (!(d > 0)) fail(at, "huber: d is {}; it must be above 0", d);
  const Scope scope(prediction.body(), "huber", at);
  const Value error = prediction - target, near = clip(error, -d, d);
  return mean(near * (error - 0.5 * near));
}

Value accuracy(Value logits, Value label, std::source_location at) {
  require_labels("accuracy", logits, label, at);
  const Scope scope(logits.body(), "accuracy", at);
  return mean(cast(equal(argmax(logits), cast(label, i64)), logits.dtype()));
}

}  // namespace tenon
