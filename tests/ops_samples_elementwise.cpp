// Samples of leaves, arithmetic, logic and activations.
#include <cmath>
#include <limits>
#include <numbers>

#include "tests/ops_samples.h"

namespace tenon::testing {
namespace {

using Args = std::span<const Value>;
using Row = std::vector<double>;
constexpr double infinity = std::numeric_limits<double>::infinity();

// One argument at a time through `f`.
Sample one(const Op& op, Row values, Value (*build)(Operand), double (*f)(double), int orders = 2) {
  int64_t count = static_cast<int64_t>(values.size());
  return {&op,
          std::string(op.name),
          {{{f64, {count}}, std::move(values)}},
          [=](Graph&, Args x) { return build(x[0]); },
          [=](const Arrays& x) {
            Row y;
            for (double v : x[0]) y.push_back(f(v));
            return y;
          },
          orders};
}

Sample two(const Op& op, Row a, Row b, Value (*build)(Operand, Operand), double (*f)(double, double), int orders = 2,
           DType dtype = f64) {
  int64_t count = static_cast<int64_t>(a.size());
  return {&op,
          std::string(op.name),
          {{{dtype, {count}}, std::move(a)}, {{dtype, {count}}, std::move(b)}},
          [=](Graph&, Args x) { return build(x[0], x[1]); },
          [=](const Arrays& x) {
            Row y;
            for (size_t i = 0; i < x[0].size(); ++i) y.push_back(f(x[0][i], x[1][i]));
            return y;
          },
          orders};
}

// The digamma and trigamma functions by their series, far slower and simpler than the library's.
double slow_digamma(double x) {
  double sum = -0.57721566490153286;
  for (int k = 0; k < 2000000; ++k) sum += 1.0 / (k + 1) - 1 / (k + x);
  return sum + (x - 1) / 2000000.5;
}
double slow_trigamma(double x) {
  double sum = 0;
  for (int k = 0; k < 2000000; ++k) sum += 1 / ((k + x) * (k + x));
  return sum + 1 / (2000000 + x - 0.5);
}
double slow_erfinv(double y) {
  double low = -6, high = 6;
  for (int i = 0; i < 200; ++i) (std::erf((low + high) / 2) < y ? low : high) = (low + high) / 2;
  return low;
}
double cdf(double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

void leaves(std::vector<Sample>& samples) {
  samples.push_back({&input_op,
                     "input",
                     {{{f64, {4}}, {1.5, -2, 0.25, 3}}},
                     [](Graph&, Args x) { return x[0]; },
                     [](const Arrays& x) { return x[0]; }});
  samples.push_back({&parameter_op,
                     "parameter",
                     {{{f64, {4}}, {1.5, -2, 0.25, 3}, &parameter_op}},
                     [](Graph&, Args x) { return x[0]; },
                     [](const Arrays& x) { return x[0]; }});
  samples.push_back({&state_op,
                     "state",
                     {{{f64, {2}}, {1.5, -2}, &state_op}},
                     [](Graph&, Args x) { return x[0] + 1; },
                     [](const Arrays&) {
                       return Row{2.5, -1};
                     },
                     0});
  samples.push_back({&constant_op,
                     "constant",
                     {},
                     [](Graph& g, Args) {
                       return constant(g.body(), Literal::of({f64, {2, 2}}, std::vector<double>{1.5, -2, 0.1, 1e-30}));
                     },
                     [](const Arrays&) {
                       return Row{1.5, -2, 0.1, 1e-30};
                     },
                     0});
  samples.push_back({&iota_op,
                     "iota",
                     {},
                     [](Graph& g, Args) {
                       return iota(g.body(), {2, Extent(1, "n"), 2}, 1);
                     },
                     [](const Arrays&) { return Row{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2}; },
                     0});
  samples.push_back({&size_op,
                     "size",
                     {},
                     [](Graph& g, Args) { return size_of(g.body(), Extent(4, "n")); },
                     [](const Arrays&) { return Row{12}; },
                     0});
}

void arithmetic(std::vector<Sample>& samples) {
  Row a = spread_values(7), b = {1.25, -0.75, 2.5, 0.3, -1.7, 0.9, -2.2}, positive = {0.1, 0.5, 1.3, 2.75, 7.5, 30, 400};
  Row wide = {-30, -3.3, -0.7, -1e-3, 1e-3, 0.8, 2.6, 20};
  samples.push_back(two(add_op, a, b, operator+, [](double x, double y) { return x + y; }));
  samples.push_back(two(sub_op, a, b, operator-, [](double x, double y) { return x - y; }));
  samples.push_back(two(mul_op, a, b, operator*, [](double x, double y) { return x * y; }));
  samples.push_back(two(div_op, a, b, operator/, [](double x, double y) { return x / y; }));
  samples.push_back(two(
      div_op, {7, -7, 7, -7, 5, -2147483648.0}, {2, 2, -2, -2, 0, -1}, operator/,
      [](double x, double y) { return y == 0    ? 0
                                      : y == -1 ? x
                                                : std::trunc(x / y); }, 0, i32));
  samples.push_back(two(
      add_op, {250, 3, 255}, {10, 4, 255}, operator+, [](double x, double y) { return std::fmod(x + y, 256); }, 0, u8));
  samples.push_back(one(neg_op, a, operator-, [](double x) { return -x; }));
  samples.push_back(one(abs_op, a, abs, [](double x) { return std::fabs(x); }));
  samples.push_back(one(
      sign_op, {-2, -0.0, 0, 3.5}, sign, [](double x) { return x > 0   ? 1.0
                                                               : x < 0 ? -1.0
                                                                       : x; }, 0));
  samples.push_back(one(sqrt_op, positive, sqrt, [](double x) { return std::sqrt(x); }));
  samples.push_back(one(rsqrt_op, positive, rsqrt, [](double x) { return 1 / std::sqrt(x); }));
  samples.push_back(one(exp_op, {-20, -1.5, -1e-6, 0.3, 1, 5}, exp, [](double x) { return std::exp(x); }));
  samples.push_back(one(expm1_op, {-20, -1.5, -1e-6, 0.3, 1, 5}, expm1, [](double x) { return std::expm1(x); }));
  samples.push_back(one(log_op, positive, log, [](double x) { return std::log(x); }));
  samples.push_back(one(log1p_op, {-0.9, -0.3, 1e-7, 0.4, 3, 100}, log1p, [](double x) { return std::log1p(x); }));
  samples.push_back(
      two(pow_op, positive, {2, -1.5, 0.5, 3, 1, -0.25, 0.7}, pow, [](double x, double e) { return std::pow(x, e); }));
  samples.push_back(one(sin_op, wide, sin, [](double x) { return std::sin(x); }));
  samples.push_back(one(cos_op, wide, cos, [](double x) { return std::cos(x); }));
  samples.push_back(one(erf_op, {-3, -0.8, 0.01, 0.5, 1.7}, erf, [](double x) { return std::erf(x); }));
  samples.push_back(one(erfinv_op, {-0.9, -0.5, 0.01, 0.3, 0.8}, erfinv, slow_erfinv));
  samples.push_back(one(lgamma_op, positive, lgamma, [](double x) { return std::lgamma(x); }));
  samples.push_back(one(digamma_op, {0.5, 1, 2.5, 6}, digamma, slow_digamma, 1));
  samples.push_back(one(trigamma_op, {0.5, 1, 2.5, 6}, trigamma, slow_trigamma, 0));
  samples.push_back(two(max_op, a, b, max, [](double x, double y) { return x > y ? x : y; }));
  samples.push_back(two(min_op, a, b, min, [](double x, double y) { return x < y ? x : y; }));
  samples.push_back(two(
      max_op, {NAN, 1, -infinity, 0}, {1, NAN, 2, -0.0}, max,
      [](double x, double y) { return std::isnan(x) || std::isnan(y) ? NAN
                                      : x > y                        ? x
                                                                     : y; }, 0));
  samples.push_back({&clip_op,
                     "clip",
                     {{{f64, {7}}, a}},
                     [](Graph&, Args x) { return clip(x[0], -0.5, 0.75); },
                     [](const Arrays& x) {
                       Row y;
                       for (double v : x[0]) y.push_back(v < -0.5 ? -0.5 : v > 0.75 ? 0.75 : v);
                       return y;
                     }});
  samples.push_back({&clip_op,
                     "clip by values",
                     {{{f64, {7}}, a}, {{f64, {}}, {-0.9}}, {{f64, {7}}, positive}},
                     [](Graph&, Args x) { return clip(x[0], x[1], x[2]); },
                     [](const Arrays& x) {
                       Row y;
                       for (size_t i = 0; i < 7; ++i) {
                         double v = x[0][i];
                         if (v < x[1][0]) v = x[1][0];
                         if (v > x[2][i]) v = x[2][i];
                         y.push_back(v);
                       }
                       return y;
                     }});
  Row halves = {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.3, -0.7};
  samples.push_back(one(
      floor_op, halves, floor, [](double x) { return std::floor(x); }, 0));
  samples.push_back(one(
      ceil_op, halves, ceil, [](double x) { return std::ceil(x); }, 0));
  samples.push_back(one(
      round_op, halves, round,
      [](double x) {
        double down = std::floor(x), rest = x - down;
        if (rest != 0.5) return rest < 0.5 ? down : down + 1;
        return std::fmod(down, 2) == 0 ? down : down + 1;
      },
      0));
}

void logic(std::vector<Sample>& samples) {
  Row a = {1, 2, -infinity, NAN, 0, 3}, b = {1, 3, infinity, NAN, -0.0, 2}, c = {1, 0, 1, 0}, d = {1, 1, 0, 0};
  auto both = [&](const Op& op, Value (*build)(Operand, Operand), double (*f)(double, double)) {
    samples.push_back(two(op, a, b, build, f, 0));
  };
  both(equal_op, equal, [](double x, double y) { return x == y ? 1.0 : 0.0; });
  both(not_equal_op, not_equal, [](double x, double y) { return x != y ? 1.0 : 0.0; });
  both(less_op, operator<, [](double x, double y) { return x < y ? 1.0 : 0.0; });
  both(less_equal_op, operator<=, [](double x, double y) { return x <= y ? 1.0 : 0.0; });
  samples.push_back(two(
      less_op, {-1, 5, 7}, {2, 5, 1}, operator>, [](double x, double y) { return x > y ? 1.0 : 0.0; }, 0, i64));
  samples.push_back(two(
      logical_and_op, c, d, logical_and, [](double x, double y) { return x * y; }, 0, boolean));
  samples.push_back(two(
      logical_or_op, c, d, logical_or, [](double x, double y) { return x + y > 0 ? 1.0 : 0.0; }, 0, boolean));
  samples.push_back({&logical_not_op,
                     "logical_not",
                     {{{boolean, {2}}, {0, 1}}},
                     [](Graph&, Args x) { return logical_not(x[0]); },
                     [](const Arrays&) {
                       return Row{1, 0};
                     },
                     0});
  samples.push_back(one(
      is_finite_op, a, is_finite, [](double x) { return x - x == 0 ? 1.0 : 0.0; }, 0));
  samples.push_back({&select_op,
                     "select",
                     {{{boolean, {4}}, c}, {{f64, {4}}, {1.5, 2, 3, 4}}, {{f64, {}}, {-7}}},
                     [](Graph&, Args x) { return select(x[0], x[1], x[2]); },
                     [](const Arrays&) {
                       return Row{1.5, -7, 3, -7};
                     }});
  samples.push_back({&cast_op,
                     "cast to i32",
                     {{{f64, {7}}, {1.9, -1.9, 3e9, -3e9, NAN, infinity, 7}}},
                     [](Graph&, Args x) { return cast(x[0], i32); },
                     [](const Arrays&) { return Row{1, -1, 2147483647.0, -2147483648.0, 0, 2147483647.0, 7}; },
                     0});
  samples.push_back({&cast_op,
                     "cast to u8",
                     {{{f64, {5}}, {1.9, -1.9, 255.9, 256, NAN}}},
                     [](Graph&, Args x) { return cast(x[0], u8); },
                     [](const Arrays&) {
                       return Row{1, 0, 255, 255, 0};
                     },
                     0});
  samples.push_back({&cast_op,
                     "cast from u8",
                     {{{u8, {3}}, {0, 7, 255}}},
                     [](Graph&, Args x) { return cast(x[0], f32); },
                     [](const Arrays& x) { return x[0]; },
                     0});
  samples.push_back({&cast_op,
                     "cast to f64",
                     {{{f32, {3}}, {0.5, -7, 255}}},
                     [](Graph&, Args x) { return cast(x[0], f64); },
                     [](const Arrays& x) { return x[0]; },
                     0});
  samples.push_back({&stop_gradient_op,
                     "stop_gradient",
                     {{{f64, {2}}, {0.5, -7}}},
                     [](Graph&, Args x) { return stop_gradient(x[0]) * x[0]; },
                     [](const Arrays&) {
                       return Row{0.25, 49};
                     },
                     0});
}

void activations(std::vector<Sample>& samples) {
  Row x = {-8.5, -2.2, -0.3, 0.2, 1.1, 3, 9};
  samples.push_back(one(
      relu_op, x, [](Operand v) { return relu(v); }, [](double v) { return v > 0 ? v : 0; }));
  samples.push_back(one(
      leaky_relu_op, x, [](Operand v) { return leaky_relu(v, 0.2); }, [](double v) { return v > 0 ? v : 0.2 * v; }));
  samples.push_back(one(sigmoid_op, x, sigmoid, logistic));
  samples.push_back(one(tanh_op, x, tanh, [](double v) { return 1 - 2 / (std::exp(2 * v) + 1); }));
  samples.push_back(one(softplus_op, x, softplus, [](double v) { return std::log1p(std::exp(v)); }));
  samples.push_back(one(gelu_op, x, gelu, [](double v) { return v * cdf(v); }));
  samples.push_back(one(silu_op, x, silu, [](double v) { return v * logistic(v); }));
  samples.push_back(one(
      elu_op, x, [](Operand v) { return elu(v, 1.5); }, [](double v) { return v > 0 ? v : 1.5 * (std::exp(v) - 1); }));
  samples.push_back({&prelu_op,
                     "prelu",
                     {{{f64, {2, 3}}, {-1, 2, -3, 4, -0.5, 0.6}}, {{f64, {3}}, {0.1, 0.2, 0.3}}},
                     [](Graph&, Args v) { return prelu(v[0], v[1]); },
                     [](const Arrays& v) {
                       Row y;
                       for (size_t i = 0; i < 6; ++i) y.push_back(v[0][i] > 0 ? v[0][i] : v[1][i % 3] * v[0][i]);
                       return y;
                     }});
}

}  // namespace

void elementwise_samples(std::vector<Sample>& samples) {
  leaves(samples);
  arithmetic(samples);
  logic(samples);
  activations(samples);
}

}  // namespace tenon::testing
