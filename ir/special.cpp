#include "ir/special.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace tenon::special {
namespace {
constexpr double pi = std::numbers::pi, nan = std::numeric_limits<double>::quiet_NaN(),
                 infinity = std::numeric_limits<double>::infinity();
bool pole(double x) { return x <= 0 && x == std::floor(x); }
}  // namespace

double lgamma(double x) {
  int sign;
  return ::lgamma_r(x, &sign);
}

// Upward recurrence to x >= 10, then the asymptotic series in Bernoulli numbers (Abramowitz and Stegun 6.3.18); the
// reflection formula 6.3.7 below zero.
double digamma(double x) {
  if (std::isnan(x) || x == -infinity || pole(x)) return nan;
  if (x < 0) return digamma(1 - x) - pi / std::tan(pi * (x - std::round(x)));
  double shift = 0;
  for (; x < 10; ++x) shift -= 1 / x;
  double r = 1 / x, r2 = r * r;
  double series =
      r2 * (1.0 / 12 -
            r2 * (1.0 / 120 - r2 * (1.0 / 252 - r2 * (1.0 / 240 - r2 * (1.0 / 132 - r2 * (691.0 / 32760 - r2 * (1.0 / 12)))))));
  return shift + (std::log(x) - 0.5 * r - series);
}

// The same for the second derivative (6.4.12 and 6.4.7).
double trigamma(double x) {
  if (std::isnan(x) || x == -infinity) return nan;
  if (pole(x)) return infinity;
  if (x < 0) {
    double s = std::sin(pi * (x - std::round(x)));
    return pi * pi / (s * s) - trigamma(1 - x);
  }
  double shift = 0;
  for (; x < 10; ++x) shift += 1 / (x * x);
  double r = 1 / x, r2 = r * r;
  double series =
      r2 *
      (1.0 / 6 - r2 * (1.0 / 30 - r2 * (1.0 / 42 - r2 * (1.0 / 30 - r2 * (5.0 / 66 - r2 * (691.0 / 2730 - r2 * (7.0 / 6)))))));
  return shift + r * (1 + 0.5 * r + series);
}

// A start from the tails' leading behaviour (Winitzki), then Newton steps on erf, in erfc where erf has rounded away.
double erfinv(double y) {
  if (!(y >= -1 && y <= 1)) return nan;
  if (y == 1 || y == -1) return y * infinity;
  double a = std::fabs(y), log1 = std::log1p(-a * a);
  double t = 2 / (pi * 0.147) + log1 / 2;
  double x = std::sqrt(std::sqrt(t * t - log1 / 0.147) - t);
  if (a < 1e-9) x = a * std::sqrt(pi) / 2;
  for (int i = 0; i < 4; ++i) {
    double error = a > 0.5 ? (1 - a) - std::erfc(x) : std::erf(x) - a;
    double step = error * std::sqrt(pi) / 2 * std::exp(x * x);
    x -= step / (1 + x * step);
  }
  return std::copysign(x, y);
}

}  // namespace tenon::special
