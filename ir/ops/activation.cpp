// Activations, elementwise on floats. `kink` says which one-sided derivative holds at 0: left unless the user
// asks.
#include "ir/ops/build.h"

namespace tenon {
namespace {

using Gradients = std::vector<Value>;

Type kinked(const Application& a) {
  word_attribute(a, "kink", {"left", "right"});
  return same_float(a);
}

Attributes kink(Kink at_zero, std::vector<std::pair<std::string, Attribute>> more = {}) {
  more.insert(more.begin(), {"kink", std::string(at_zero == Kink::left ? "left" : "right")});
  return attributes(std::move(more));
}

// Where the right-hand side of the kink holds.
Value right_of_zero(const Pullback& p) { return p.attributes.get<std::string>("kink") == "left" ? p.x[0] > 0 : p.x[0] >= 0; }

Scalar zero(const Application& a) { return Scalar::number(a.result.dtype, 0); }
Scalar call(Scalar::Function function, Scalar a, Scalar b) { return Scalar::call(function, {std::move(a), std::move(b)}); }

// x for x > 0, else `below`. A NaN takes the second branch, which keeps it.
Definition bent(const Application& a, Scalar below) {
  Scalar x = read_operand(a, 0);
  return elementwise(a, select(call(Scalar::lt, zero(a), x), x, std::move(below)));
}

Type with_factor(const Application& a, std::string_view name) {
  attribute<double>(a, name);
  return kinked(a);
}

}  // namespace

// The mask reads y where it can (y > 0 exactly where x > 0), so that x need not be kept for the backward
// pass.
constinit const Op relu_op = {
    .name = "relu",
    .operands = 1,
    .type = kinked,
    .gradient =
        [](const Pullback& p) {
          bool left = p.attributes.get<std::string>("kink") == "left";
          return Gradients{select(left ? p.y > 0 : p.x[0] >= 0, p.dy, 0)};
        },
    .compute = [](const Application& a) { return elementwise(a, call(Scalar::max, read_operand(a, 0), zero(a))); },
};

constinit const Op leaky_relu_op = {
    .name = "leaky_relu",
    .operands = 1,
    .type = [](const Application& a) { return with_factor(a, "slope"); },
    .gradient =
        [](const Pullback& p) {
          double slope = p.attributes.get<double>("slope");
          return Gradients{through_mask(p.dy, [&](const Value& d) { return select(right_of_zero(p), d, d * slope); })};
        },
    .compute =
        [](const Application& a) {
          Scalar slope = Scalar::number(a.result.dtype, a.attributes.get<double>("slope"));
          return bent(a, call(Scalar::mul, slope, read_operand(a, 0)));
        },
};

// x for x > 0, else slope * x.
constinit const Op prelu_op = {
    .name = "prelu",
    .operands = 2,
    .type = kinked,
    .gradient =
        [](const Pullback& p) {
          Value right = right_of_zero(p);
          return Gradients{through_mask(p.dy, [&](const Value& d) { return select(right, d, d * p.x[1]); }),
                           through_mask(p.dy, [&](const Value& d) { return select(right, 0, d * p.x[0]); })};
        },
    .compute = [](const Application& a) { return bent(a, call(Scalar::mul, read_operand(a, 1), read_operand(a, 0))); },
};

constinit const Op sigmoid_op = {
    .name = "sigmoid",
    .operands = 1,
    .type = same_float,
    .gradient = [](const Pullback& p) { return Gradients{scale(p.dy, p.y * (1 - p.y))}; },
    .compute = pointwise<Scalar::sigmoid>,
};

constinit const Op tanh_op = {
    .name = "tanh",
    .operands = 1,
    .type = same_float,
    .gradient = [](const Pullback& p) { return Gradients{scale(p.dy, 1 - p.y * p.y)}; },
    .compute = pointwise<Scalar::tanh>,
};

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), which cannot overflow.
constinit const Op softplus_op = {
    .name = "softplus",
    .operands = 1,
    .type = same_float,
    .gradient = [](const Pullback& p) { return Gradients{scale(p.dy, sigmoid(p.x[0]))}; },
    .compute =
        [](const Application& a) {
          Scalar x = read_operand(a, 0);
          Scalar tail = Scalar::call(Scalar::exp, {-Scalar::call(Scalar::abs, {x})});
          return elementwise(a, call(Scalar::max, x, zero(a)) + Scalar::call(Scalar::log1p, {tail}));
        },
};

namespace {
// The normal distribution function, shared by gelu and its gradient.
Value normal_cdf(const Value& x) { return 0.5 * (1 + erf(x * std::sqrt(0.5))); }

// x cut to the finite range, so that an infinite x times a factor that vanishes there is 0 and not NaN.
double largest(const Value& x) { return traits(x.dtype()).largest; }
Value above_infinity(const Value& x) { return max(x, -largest(x)); }
Value finite(const Value& x) { return clip(x, -largest(x), largest(x)); }
}  // namespace

// x * Phi(x); Hendrycks and Gimpel 2016, the exact form.
constinit const Op gelu_op = {
    .name = "gelu",
    .operands = 1,
    .type = same_float,
    .gradient =
        [](const Pullback& p) {
          Value x = finite(p.x[0]);
          Value density = 0.3989422804014327 * exp(-0.5 * (x * x));
          return Gradients{scale(p.dy, normal_cdf(x) + x * density)};
        },
    .expand = [](std::span<const Value> x, const Attributes&) { return above_infinity(x[0]) * normal_cdf(x[0]); },
};

// x * sigmoid(x).
constinit const Op silu_op = {
    .name = "silu",
    .operands = 1,
    .type = same_float,
    .gradient =
        [](const Pullback& p) {
          Value s = sigmoid(p.x[0]);
          return Gradients{scale(p.dy, s * (1 + finite(p.x[0]) * (1 - s)))};
        },
    .expand = [](std::span<const Value> x, const Attributes&) { return above_infinity(x[0]) * sigmoid(x[0]); },
};

// x for x > 0, else alpha * (e^x - 1), whose derivative there is y + alpha.
constinit const Op elu_op = {
    .name = "elu",
    .operands = 1,
    .type = [](const Application& a) { return with_factor(a, "alpha"); },
    .gradient =
        [](const Pullback& p) {
          double alpha = p.attributes.get<double>("alpha");
          return Gradients{through_mask(p.dy, [&](const Value& d) { return select(right_of_zero(p), d, d * (p.y + alpha)); })};
        },
    .compute =
        [](const Application& a) {
          Scalar alpha = Scalar::number(a.result.dtype, a.attributes.get<double>("alpha"));
          return bent(a, call(Scalar::mul, alpha, Scalar::call(Scalar::expm1, {read_operand(a, 0)})));
        },
};

Value relu(Operand x, Kink at_zero) { return unary(relu_op, x, kink(at_zero)); }
Value leaky_relu(Operand x, double slope) { return unary(leaky_relu_op, x, kink(Kink::left, {{"slope", slope}})); }
Value sigmoid(Operand x) { return unary(sigmoid_op, x); }
Value tanh(Operand x) { return unary(tanh_op, x); }
Value softplus(Operand x) { return unary(softplus_op, x); }
Value gelu(Operand x) { return unary(gelu_op, x); }
Value silu(Operand x) { return unary(silu_op, x); }
Value elu(Operand x, double alpha) { return unary(elu_op, x, kink(Kink::left, {{"alpha", alpha}})); }

Value prelu(Operand x, Operand slope) {
  Value of = value_of("prelu", x);
  if (!slope.value) slope.value = adopt("prelu", slope, of, slope.line);
  return apply(prelu_op, {of, broadcast_to(slope, of.shape())}, kink(Kink::left), x.line);
}

}  // namespace tenon
