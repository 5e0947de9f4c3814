// The rules of the evaluator's bounds.
#include "ir/bound.h"

#include <cfloat>
#include <cmath>

namespace tenon {
namespace {

double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  double d = std::fabs(a - b);
  return std::isnan(d) ? undecided : d;
}

// The largest distance of the function from `result` over the corners of x +- e.
double corners(const ScalarFunction& function, const double* x, const double* e, double result) {
  double worst = 0;
  for (int corner = 0; corner < 1 << function.arity; ++corner) {
    double at[max_arity] = {};
    bool skip = false;
    for (int i = 0; i < function.arity; ++i) {
      bool up = corner >> i & 1;
      skip |= up && e[i] == 0;
      at[i] = e[i] == 0 ? x[i] : up ? x[i] + e[i] : x[i] - e[i];
    }
    if (!skip) worst = std::max(worst, distance(function.reference(at[0], at[1], at[2]), result));
  }
  return worst;
}

}  // namespace

bool rounds(Scalar::Function function) {
  switch (function) {
    case Scalar::neg:
    case Scalar::abs:
    case Scalar::sign:
    case Scalar::max:
    case Scalar::min:
    case Scalar::floor:
    case Scalar::ceil:
    case Scalar::round:
    case Scalar::select:
    case Scalar::load:
    case Scalar::constant: return false;
    default: return true;
  }
}

double rounding(DType dtype, double value, double bound, double ulp) {
  if (!std::isfinite(value)) return 0;
  const ElementType& type = traits(dtype);
  const double epsilon = std::ldexp(1, 1 - type.digits);
  if (dtype == f64) return std::fabs(value) * epsilon * (ulp + 1);  // the reference is as coarse
  if (std::fabs(value) + bound > type.largest) return undecided;
  if (bound == 0 && ulp == 0 && rounded(dtype, value) == value) return 0;
  return (std::fabs(value) * epsilon + std::ldexp(1, type.tiny)) * (ulp + 0.5);
}

double float_bound(Scalar::Function function, DType dtype, const double* x, const double* e, double result) {
  const ScalarFunction& row = tenon::function(function);
  bool exact = true, finite = true;
  for (int i = 0; i < row.arity; ++i) {
    if (std::isinf(e[i])) return undecided;
    exact &= e[i] == 0;
    finite &= std::isfinite(x[i]);
  }
  bool overflows = function == Scalar::add || function == Scalar::sub || function == Scalar::mul || function == Scalar::fma ||
                   function == Scalar::exp || function == Scalar::expm1;
  if (std::isinf(result) && finite && overflows) return undecided;
  double bound = 0;
  if (!exact) {
    if (function == Scalar::sin || function == Scalar::cos)
      bound = std::min(e[0], 2.0);
    else if (function == Scalar::div && std::fabs(x[1]) <= e[1])
      bound = undecided;
    else if (function == Scalar::mod && corners(tenon::function(Scalar::floordiv), x, e, std::floor(x[0] / x[1])) != 0)
      bound = undecided;
    else
      bound = corners(row, x, e, result);
  }
  return rounds(function) ? bound + rounding(dtype, result, bound, row.ulp) : bound;
}

double decided(Scalar::Function function, const double* x, const double* e) {
  if (function == Scalar::is_finite)
    return std::isinf(e[0]) || (e[0] != 0 && std::isfinite(x[0]) && std::fabs(x[0]) + e[0] > FLT_MAX) ? undecided : 0;
  double slack = e[0] + e[1];
  if (slack == 0) return 0;
  if (std::isinf(slack)) return undecided;
  return std::isnan(x[0]) || std::isnan(x[1]) || std::fabs(x[0] - x[1]) > slack ? 0 : undecided;
}

double integer_bound(Scalar::Function function, const int64_t* x, const double* e, int arity) {
  double sum = 0;
  for (int i = 0; i < arity; ++i) sum += e[i];
  if (sum == 0) return 0;
  switch (function) {
    case Scalar::add:
    case Scalar::sub:
    case Scalar::neg:
    case Scalar::abs:
    case Scalar::logical_not: return sum;
    case Scalar::max:
    case Scalar::min: return std::max(e[0], e[1]);
    case Scalar::logical_and: return (e[0] == 0 && !x[0]) || (e[1] == 0 && !x[1]) ? 0 : undecided;
    case Scalar::logical_or: return (e[0] == 0 && x[0]) || (e[1] == 0 && x[1]) ? 0 : undecided;
    case Scalar::eq:
    case Scalar::ne:
    case Scalar::lt:
    case Scalar::le: {
      double values[] = {static_cast<double>(x[0]), static_cast<double>(x[1])};
      return decided(function, values, e);
    }
    default: return undecided;
  }
}

}  // namespace tenon
