// Elementwise arithmetic on numbers: operands and result have one type. Conventions where calculus has none:
//   sqrt     derivative 0 at 0, so that the norm sqrt(sum x^2) has gradient 0 at 0, at every order
//   pow      x^0 = 1 with derivative 0 in x for every x; 0^e for e >= 0 has derivative 0 in e
//   abs      derivative 0 at 0;  sign, floor, ceil and round: derivative 0 everywhere
//   max, min the tie goes to operand number `tie`: the literal if there is one, else the first
//   clip     derivative 0 in x at both bounds, where the bound takes it
#include <numbers>

#include "ir/ops/build.h"

namespace tenon {
namespace {

using Gradients = std::vector<Value>;

// The gradient of one-argument functions: dx = dy * slope(x, y).
template <Value (*slope)(const Value& x, const Value& y)>
Gradients slope_of(const Pullback& p) {
  return {scale(p.dy, slope(p.x[0], p.y))};
}

Type tied(const Application& a) {
  Type type = same_number(a);
  int64_t tie = attribute<int64_t>(a, "tie");
  if (tie != 0 && tie != 1) a.fail("attribute 'tie' is an operand number, 0 or 1, not {}", tie);
  return type;
}

Type kink_zero_number(const Application& a) {
  word_attribute(a, "kink", {"zero"});
  return same_number(a);
}

// `wins`: where the first operand would give the result without regard to ties is `strict`, with them
// `loose`.
Gradients tied_gradient(const Pullback& p, const Value& first_or_tie, const Value& second_or_tie) {
  if (p.attributes.get<int64_t>("tie") == 0) return {select(first_or_tie, p.dy, 0), select(first_or_tie, 0, p.dy)};
  return {select(second_or_tie, 0, p.dy), select(second_or_tie, p.dy, 0)};
}

Value tied_binary(const Op& op, const Operand& a, const Operand& b) {
  return binary(op, a, b, attributes({{"tie", int64_t{a.value && !b.value ? 1 : 0}}}));
}

}  // namespace

constinit const Op add_op = {
    .name = "add",
    .operands = 2,
    .type = same_number,
    .gradient =
        [](const Pullback& p) {
          return Gradients{p.dy, p.dy};
        },
    .compute = pointwise<Scalar::add>,
};

constinit const Op sub_op = {
    .name = "sub",
    .operands = 2,
    .type = same_number,
    .gradient =
        [](const Pullback& p) {
          return Gradients{p.dy, through_mask(p.dy, [](const Value& d) { return -d; })};
        },
    .compute = pointwise<Scalar::sub>,
};

constinit const Op mul_op = {
    .name = "mul",
    .operands = 2,
    .type = same_number,
    .gradient =
        [](const Pullback& p) {
          return Gradients{scale(p.dy, p.x[1]), scale(p.dy, p.x[0])};
        },
    .compute = pointwise<Scalar::mul>,
};

// d(a/b) = da/b - y/b db. Integers truncate toward zero.
constinit const Op div_op = {
    .name = "div",
    .operands = 2,
    .type = same_number,
    .gradient =
        [](const Pullback& p) {
          return Gradients{through_mask(p.dy, [&](const Value& d) { return d / p.x[1]; }),
                           through_mask(p.dy, [&](const Value& d) { return -(d * p.y) / p.x[1]; })};
        },
    .compute = pointwise<Scalar::div>,
};

constinit const Op neg_op = {
    .name = "neg",
    .operands = 1,
    .type = same_number,
    .gradient = [](const Pullback& p) { return Gradients{through_mask(p.dy, [](const Value& d) { return -d; })}; },
    .compute = pointwise<Scalar::neg>,
};

constinit const Op abs_op = {
    .name = "abs",
    .operands = 1,
    .type = kink_zero_number,
    .gradient = slope_of<[](const Value& x, const Value&) { return sign(x); }>,
    .compute = pointwise<Scalar::abs>,
};

constinit const Op sign_op = {
    .name = "sign",
    .operands = 1,
    .type = same_number,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::sign>,
};

constinit const Op sqrt_op = {
    .name = "sqrt",
    .operands = 1,
    .type = same_float,
    .gradient =
        [](const Pullback& p) {
          return Gradients{through_mask(p.dy, [&](const Value& d) { return select(equal(p.x[0], 0), 0, d / (2 * p.y)); })};
        },
    .compute = pointwise<Scalar::sqrt>,
};

constinit const Op rsqrt_op = {
    .name = "rsqrt",
    .operands = 1,
    .type = same_float,
    .gradient = slope_of<[](const Value& x, const Value& y) { return -0.5 * y / x; }>,
    .compute =
        [](const Application& a) {
          Scalar one = Scalar::number(a.result.dtype, 1);
          Scalar root = Scalar::call(Scalar::sqrt, {read_operand(a, 0)});
          return elementwise(a, Scalar::call(Scalar::div, {one, root}));
        },
};

constinit const Op exp_op = {
    .name = "exp",
    .operands = 1,
    .type = same_float,
    .gradient = slope_of<[](const Value&, const Value& y) { return y; }>,
    .compute = pointwise<Scalar::exp>,
};

constinit const Op expm1_op = {
    .name = "expm1",
    .operands = 1,
    .type = same_float,
    .gradient = slope_of<[](const Value& x, const Value&) { return exp(x); }>,
    .compute = pointwise<Scalar::expm1>,
};

constinit const Op log_op = {
    .name = "log",
    .operands = 1,
    .type = same_float,
    .gradient = [](const Pullback& p) { return Gradients{through_mask(p.dy, [&](const Value& d) { return d / p.x[0]; })}; },
    .compute = pointwise<Scalar::log>,
};

constinit const Op log1p_op = {
    .name = "log1p",
    .operands = 1,
    .type = same_float,
    .gradient =
        [](const Pullback& p) { return Gradients{through_mask(p.dy, [&](const Value& d) { return d / (1 + p.x[0]); })}; },
    .compute = pointwise<Scalar::log1p>,
};

constinit const Op pow_op = {
    .name = "pow",
    .operands = 2,
    .type = same_float,
    .gradient =
        [](const Pullback& p) {
          const Value &x = p.x[0], &e = p.x[1];
          Value flat = equal(e, 0), bottom = logical_and(equal(x, 0), e >= 0);
          return Gradients{through_mask(p.dy, [&](const Value& d) { return select(flat, 0, d * e * pow(x, e - 1)); }),
                           through_mask(p.dy, [&](const Value& d) { return select(bottom, 0, d * p.y * log(x)); })};
        },
    .compute = pointwise<Scalar::pow>,
};

constinit const Op sin_op = {
    .name = "sin",
    .operands = 1,
    .type = same_float,
    .gradient = slope_of<[](const Value& x, const Value&) { return cos(x); }>,
    .compute = pointwise<Scalar::sin>,
};

constinit const Op cos_op = {
    .name = "cos",
    .operands = 1,
    .type = same_float,
    .gradient = slope_of<[](const Value& x, const Value&) { return -sin(x); }>,
    .compute = pointwise<Scalar::cos>,
};

constinit const Op erf_op = {
    .name = "erf",
    .operands = 1,
    .type = same_float,
    .gradient = slope_of<[](const Value& x, const Value&) { return 2 * std::numbers::inv_sqrtpi * exp(-(x * x)); }>,
    .compute = pointwise<Scalar::erf>,
};

constinit const Op erfinv_op = {
    .name = "erfinv",
    .operands = 1,
    .type = same_float,
    .gradient = slope_of<[](const Value&, const Value& y) { return 0.5 / std::numbers::inv_sqrtpi * exp(y * y); }>,
    .compute = pointwise<Scalar::erfinv>,
};

constinit const Op lgamma_op = {
    .name = "lgamma",
    .operands = 1,
    .type = same_float,
    .gradient = slope_of<[](const Value& x, const Value&) { return digamma(x); }>,
    .compute = pointwise<Scalar::lgamma>,
};

constinit const Op digamma_op = {
    .name = "digamma",
    .operands = 1,
    .type = same_float,
    .gradient = slope_of<[](const Value& x, const Value&) { return trigamma(x); }>,
    .compute = pointwise<Scalar::digamma>,
};

// Its gradient, the next polygamma, is missing.
constinit const Op trigamma_op = {
    .name = "trigamma",
    .operands = 1,
    .type = same_float,
    .compute = pointwise<Scalar::trigamma>,
};

constinit const Op max_op = {
    .name = "max",
    .operands = 2,
    .type = tied,
    .gradient = [](const Pullback& p) { return tied_gradient(p, p.x[1] <= p.x[0], p.x[0] <= p.x[1]); },
    .compute = pointwise<Scalar::max>,
};

constinit const Op min_op = {
    .name = "min",
    .operands = 2,
    .type = tied,
    .gradient = [](const Pullback& p) { return tied_gradient(p, p.x[0] <= p.x[1], p.x[1] <= p.x[0]); },
    .compute = pointwise<Scalar::min>,
};

// min(max(x, low), high): where low > high the result is high.
constinit const Op clip_op = {
    .name = "clip",
    .operands = 3,
    .type = kink_zero_number,
    .gradient =
        [](const Pullback& p) {
          const Value &x = p.x[0], &low = p.x[1], &high = p.x[2];
          Value inside = logical_and(low < x, x < high), below = logical_and(x <= low, low < high);
          Value above = high <= max(x, low);
          return Gradients{select(inside, p.dy, 0), select(below, p.dy, 0), select(above, p.dy, 0)};
        },
    .compute =
        [](const Application& a) {
          Scalar raised = Scalar::call(Scalar::max, {read_operand(a, 0), read_operand(a, 1)});
          return elementwise(a, Scalar::call(Scalar::min, {raised, read_operand(a, 2)}));
        },
};

constinit const Op floor_op = {
    .name = "floor",
    .operands = 1,
    .type = same_float,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::floor>,
};

constinit const Op ceil_op = {
    .name = "ceil",
    .operands = 1,
    .type = same_float,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::ceil>,
};

constinit const Op round_op = {
    .name = "round",
    .operands = 1,
    .type = same_float,
    .gradient = zero_gradient,
    .compute = pointwise<Scalar::round>,
};

Value operator+(Operand a, Operand b) { return binary(add_op, a, b); }
Value operator-(Operand a, Operand b) { return binary(sub_op, a, b); }
Value operator*(Operand a, Operand b) { return binary(mul_op, a, b); }
Value operator/(Operand a, Operand b) { return binary(div_op, a, b); }
Value operator-(Operand x) { return unary(neg_op, x); }
Value abs(Operand x) { return unary(abs_op, x, attributes({{"kink", std::string("zero")}})); }
Value sign(Operand x) { return unary(sign_op, x); }
Value sqrt(Operand x) { return unary(sqrt_op, x); }
Value rsqrt(Operand x) { return unary(rsqrt_op, x); }
Value exp(Operand x) { return unary(exp_op, x); }
Value expm1(Operand x) { return unary(expm1_op, x); }
Value log(Operand x) { return unary(log_op, x); }
Value log1p(Operand x) { return unary(log1p_op, x); }
Value pow(Operand x, Operand exponent) { return binary(pow_op, x, exponent); }
Value sin(Operand x) { return unary(sin_op, x); }
Value cos(Operand x) { return unary(cos_op, x); }
Value erf(Operand x) { return unary(erf_op, x); }
Value erfinv(Operand x) { return unary(erfinv_op, x); }
Value lgamma(Operand x) { return unary(lgamma_op, x); }
Value digamma(Operand x) { return unary(digamma_op, x); }
Value trigamma(Operand x) { return unary(trigamma_op, x); }
Value max(Operand a, Operand b) { return tied_binary(max_op, a, b); }
Value min(Operand a, Operand b) { return tied_binary(min_op, a, b); }
Value floor(Operand x) { return unary(floor_op, x); }
Value ceil(Operand x) { return unary(ceil_op, x); }
Value round(Operand x) { return unary(round_op, x); }

Value clip(Operand x, Operand low, Operand high) {
  Value of = value_of("clip", x);
  for (Operand* bound : {&low, &high}) {
    if (!bound->value) bound->value = adopt("clip", *bound, of, bound->line);
    bound->value = broadcast_to(*bound, of.shape());
  }
  return apply(clip_op, {of, low.value, high.value}, attributes({{"kink", std::string("zero")}}), x.line);
}

}  // namespace tenon
