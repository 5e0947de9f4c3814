// Softmax and cross-entropy over the last axis. Forward and backward are written over the same functions of
// the logits, so that hash-consing makes exponentials and sums common to both:
//   m  = max_j z_j                        shifted_j = z_j - m, so no exponential overflows
//   e  = exp(shifted)                     others    = sum over j other than the first arg-max of e_j
// The sum of all e_j is 1 + others, and its logarithm log1p(others), which loses nothing when one logit
// dominates. m is cut to the finite range in the shift: a row of -inf then has e = 0 (softmax 0, log-sum-exp
// -inf) and no NaN. A loss saturates at the largest finite number instead of overflowing.
#include "ir/ops/build.h"

namespace tenon {
namespace {

using Gradients = std::vector<Value>;

// A value per row, repeated along the last axis of z.
Value spread(const Value& row, const Value& z) { return restore(row, z.shape(), {z.rank() - 1}); }
Value row_sum(const Value& x) { return sum(x, {-1}); }
Value row_max(const Value& z) { return reduce_max(z, {-1}); }
Value shifted(const Value& z) {
  double end = traits(z.dtype()).largest;
  return z - spread(clip(row_max(z), -end, end), z);
}
Value exponentials(const Value& z) { return exp(shifted(z)); }
Value at_largest(const Value& z) { return at_index(z, argmax(z)); }
Value others(const Value& z) { return row_sum(select(at_largest(z), 0, exponentials(z))); }

Type logits(const Application& a) {
  const Type& z = a.operand(0);
  if (!is_float(z.dtype)) a.fail("needs a float type (f32 or f64), got {}; cast it first", z.str());
  if (z.rank() < 1 || z.shape.back() == Extent(0)) a.fail("{} has no classes on its last axis", z.str());
  return z;
}

Type row_type(const Application& a) {
  Type type = logits(a);
  type.shape.pop_back();
  return type;
}

// The type of a loss per row; the target is a label or a distribution.
Type loss_type(const Application& a) {
  Type row = row_type(a);
  const Type &z = a.operand(0), &target = a.operand(1);
  bool fits = is_integer(target.dtype) ? target.shape == row.shape : target == z;
  if (!fits)
    a.fail("the target is {}, the scores are {}; it must be integer labels {} or a distribution {}", target.str(), z.str(),
           str(row.shape), z.str());
  return row;
}

// -log softmax(z) per class.
Value surprise(const Value& z) { return min(-shifted(z), traits(z.dtype()).largest) + spread(log1p(others(z)), z); }

// q * x, and 0 where q is 0 whatever x is.
Value weigh(const Value& q, const Value& x) { return select(equal(q, 0), 0, q * x); }

Value row_loss(const Op& op, const Operand& scores, const Operand& target) {
  return apply(op, {value_of(op.name, scores), value_of(op.name, target)}, {}, line_of(scores, target));
}

Value over_axis(const Op& op, const Operand& z, int64_t axis) {
  Value of = value_of(op.name, z);
  axis = normalise_axis(op.name, of, axis, z.line);
  if (axis == of.rank() - 1) return unary(op, z);
  Axes swap = axes_but(of.rank(), {});
  std::swap(swap[static_cast<size_t>(axis)], swap.back());
  return transpose(Operand(unary(op, Operand(transpose(z, swap), z.line)), z.line), swap);
}

}  // namespace

constinit const Op softmax_op = {
    .name = "softmax",
    .operands = 1,
    .type = logits,
    .gradient = [](const Pullback& p) { return Gradients{p.y * (p.dy - spread(row_sum(p.dy * p.y), p.y))}; },
    .expand =
        [](std::span<const Value> x, const Attributes&) {
          Value e = exponentials(x[0]);
          return e / spread(max(row_sum(e), 1), x[0]);  // the sum is at least 1, but 0 in a row of -inf
        },
};

constinit const Op log_softmax_op = {
    .name = "log_softmax",
    .operands = 1,
    .type = logits,
    .gradient = [](const Pullback& p) { return Gradients{p.dy - softmax(p.x[0]) * spread(row_sum(p.dy), p.y)}; },
    .expand = [](std::span<const Value> x, const Attributes&) { return shifted(x[0]) - spread(log1p(others(x[0])), x[0]); },
};

constinit const Op logsumexp_op = {
    .name = "logsumexp",
    .operands = 1,
    .type = row_type,
    .gradient = [](const Pullback& p) { return Gradients{spread(p.dy, p.x[0]) * softmax(p.x[0])}; },
    .expand = [](std::span<const Value> x, const Attributes&) { return row_max(x[0]) + log1p(others(x[0])); },
};

// -log p[label], or -sum_j q_j log p_j with 0 log 0 = 0, of probabilities p.
constinit const Op cross_entropy_op = {
    .name = "cross_entropy",
    .operands = 2,
    .type = loss_type,
    .gradient =
        [](const Pullback& p) {
          const Value &probability = p.x[0], &target = p.x[1];
          auto repeat = [&](const Value& d) { return spread(d, probability); };
          if (is_integer(target.dtype())) {
            Value hot = at_label(probability, target);
            return Gradients{through_mask(
                                 p.dy, [&](const Value& d) { return select(hot, -repeat(d) / probability, 0); }, repeat),
                             Value()};
          }
          Value absent = logical_and(equal(target, 0), equal(probability, 0));
          return Gradients{
              through_mask(
                  p.dy, [&](const Value& d) { return select(absent, 0, -repeat(d) * target / probability); }, repeat),
              through_mask(
                  p.dy, [&](const Value& d) { return -repeat(d) * log(probability); }, repeat)};
        },
    .expand =
        [](std::span<const Value> x, const Attributes&) {
          if (is_integer(x[1].dtype())) return -log(pick(x[0], x[1]));
          return -row_sum(weigh(x[1], log(x[0])));
        },
};

// (m - z_y) + log1p(others). The gradient at the label is minus the sum of the other probabilities, not p -
// 1, and a distribution's likewise: p_j (Q - q_j) - q_j (1 - p_j) with Q = sum q, where 1 - p_j is others / S
// at the arg-max.
constinit const Op softmax_cross_entropy_op = {
    .name = "softmax_cross_entropy",
    .operands = 2,
    .type = loss_type,
    .gradient =
        [](const Pullback& p) {
          const Value &z = p.x[0], &target = p.x[1];
          Value e = exponentials(z), total = 1 + others(z);
          auto repeat = [&](const Value& d) { return spread(d, z); };
          if (is_integer(target.dtype())) {
            Value hot = at_label(z, target), rest = row_sum(select(hot, 0, e));
            Value direction = select(hot, -repeat(rest), e);
            return Gradients{through_mask(
                                 p.dy, [&](const Value& d) { return direction * repeat(d / total); }, repeat),
                             Value()};
          }
          Value complement = select(at_largest(z), repeat(others(z)), repeat(total) - e);
          Value direction = e * (repeat(row_sum(target)) - target) - target * complement;
          return Gradients{through_mask(
                               p.dy, [&](const Value& d) { return direction * repeat(d / total); }, repeat),
                           through_mask(
                               p.dy, [&](const Value& d) { return repeat(d) * surprise(z); }, repeat)};
        },
    .expand =
        [](std::span<const Value> x, const Attributes&) {
          const Value& z = x[0];
          if (!is_integer(x[1].dtype())) return row_sum(weigh(x[1], surprise(z)));
          return min(-pick(shifted(z), x[1]), traits(z.dtype()).largest) + log1p(others(z));
        },
};

// -t log sigmoid(z) - (1 - t) log sigmoid(-z) = max(z, 0) - z t + log1p(e^-|z|).
constinit const Op sigmoid_cross_entropy_op = {
    .name = "sigmoid_cross_entropy",
    .operands = 2,
    .type = same_float,
    .gradient =
        [](const Pullback& p) {
          const Value &z = p.x[0], &t = p.x[1];
          return Gradients{scale(p.dy, (1 - t) * sigmoid(z) - t * sigmoid(-z)), scale(p.dy, -z)};
        },
    .compute =
        [](const Application& a) {
          Scalar z = read_operand(a, 0), t = read_operand(a, 1);
          Scalar tail = Scalar::call(Scalar::exp, {-Scalar::call(Scalar::abs, {z})});
          Scalar hinge = Scalar::call(Scalar::max, {z, Scalar::number(a.result.dtype, 0)});
          return elementwise(a, hinge - z * t + Scalar::call(Scalar::log1p, {tail}));
        },
};

Value softmax(Operand z) { return unary(softmax_op, z); }
Value log_softmax(Operand z) { return unary(log_softmax_op, z); }
Value logsumexp(Operand x) { return unary(logsumexp_op, x); }
Value cross_entropy(Operand p, Operand target) {
  require_support(value_of("cross_entropy", p), Support::unit_interval, "cross_entropy: p", p.line);
  return row_loss(cross_entropy_op, p, target);
}
Value softmax_cross_entropy(Operand z, Operand target) { return row_loss(softmax_cross_entropy_op, z, target); }
Value sigmoid_cross_entropy(Operand z, Operand target) { return binary(sigmoid_cross_entropy_op, z, target); }
Value softmax(Operand z, int64_t axis) { return over_axis(softmax_op, z, axis); }
Value log_softmax(Operand z, int64_t axis) { return over_axis(log_softmax_op, z, axis); }

}  // namespace tenon
