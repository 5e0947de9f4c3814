// The folds of Accumulator.
#include "ir/accumulate.h"

#include <algorithm>
#include <cmath>

#include "ir/bound.h"
#include "ir/integer.h"

namespace tenon {

Accumulator::Accumulator(Reduction reduction, DType dtype, bool bounded)
    : reduction_(reduction),
      dtype_(dtype),
      bounded_(bounded),
      real_(0),
      whole_(0),
      high_(-undecided),
      low_(-undecided),
      rival_(-undecided),
      exact_rival_(-undecided) {
  if (reduction == Reduction::product) real_ = 1, whole_ = 1;
  if (reduction == Reduction::max) real_ = -undecided, whole_ = least(dtype);
  if (reduction == Reduction::min) real_ = high_ = low_ = undecided, whole_ = greatest(dtype);
}

void Accumulator::add(double x, int64_t whole, double error) {
  auto unsigned_of = [](int64_t value) { return static_cast<uint64_t>(value); };
  if (!is_float(dtype_)) x = static_cast<double>(whole);
  switch (reduction_) {
    case Reduction::none:
    case Reduction::sum:
      whole_ = wrap(dtype_, unsigned_of(whole_) + unsigned_of(whole));
      real_ = reduction_ == Reduction::none ? x : real_ + x;  // 0 + -0 would lose the sign
      magnitude_ += std::fabs(x);
      error_ += error;
      break;
    case Reduction::product: {
      double factors[] = {real_, x, 0}, errors[] = {error_, error, 0};
      whole_ = wrap(dtype_, unsigned_of(whole_) * unsigned_of(whole));
      real_ *= x;
      if (bounded_) error_ = is_float(dtype_) ? float_bound(Scalar::mul, dtype_, factors, errors, real_) : error_ + error;
      break;
    }
    case Reduction::max: whole_ = std::max(whole_, whole), extremum(x, error); break;
    case Reduction::min: whole_ = std::min(whole_, whole), extremum(x, error); break;
    case Reduction::argmax: argmax(x, whole, error); break;
  }
  ++count_;
}

void Accumulator::extremum(double x, double error) {
  auto reference = function(reduction_ == Reduction::max ? Scalar::max : Scalar::min).reference;
  real_ = reference(real_, x, 0);
  if (std::isinf(error)) {
    error_ = undecided;
    return;
  }
  high_ = reference(high_, x + error, 0);
  low_ = reference(low_, x - error, 0);
}

void Accumulator::argmax(double x, int64_t whole, double error) {
  bool wins = is_float(dtype_) ? !std::isnan(real_) && (std::isnan(x) || x > real_) : whole > whole_;
  if (count_ > 0) {
    double loser = wins ? real_ : x, loser_error = wins ? best_error_ : error;
    double& rival = loser_error == 0 ? exact_rival_ : rival_;
    rival = std::max(rival, loser + loser_error);
  }
  if (count_ == 0 || wins) real_ = x, whole_ = whole, best_ = count_, best_error_ = error;
}

double Accumulator::argmax_bound() const {
  if (count_ < 2) return 0;
  if (std::isinf(rival_) && rival_ > 0) return undecided;
  if (std::isnan(real_)) return best_error_ == 0 ? 0 : undecided;
  double least = real_ - best_error_;
  return rival_ < least && (best_error_ == 0 || exact_rival_ < least) ? 0 : undecided;
}

double Accumulator::bound() const {
  switch (reduction_) {
    case Reduction::none: return error_;
    case Reduction::argmax: return argmax_bound();
    case Reduction::product: return is_float(dtype_) || error_ == 0 ? error_ : undecided;
    case Reduction::max:
    case Reduction::min: return std::isfinite(real_) ? std::max({error_, high_ - real_, real_ - low_}) : error_;
    case Reduction::sum: break;
  }
  if (!is_float(dtype_) || std::isinf(error_)) return error_;
  if (!std::isfinite(real_)) return 0;
  auto count = static_cast<double>(count_);
  const ElementType& type = traits(dtype_);
  double half_unit = std::ldexp(1, -type.digits);
  double error = error_ + (count_ < 2 ? 0 : half_unit * magnitude_ * std::min(count, 8 + 4 * std::sqrt(count)));
  return std::fabs(real_) + error > type.largest ? undecided : error;
}

}  // namespace tenon
