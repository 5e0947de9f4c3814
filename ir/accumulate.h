#pragma once
// The reductions of the evaluator: one Accumulator folds the terms of one element of a result, in order,
// together with what rounding may do to it. Integers fold in their own type, floats in double.
#include "ir/compute.h"

namespace tenon {

class Accumulator {
 public:
  // `bounded`: errors are tracked.
  Accumulator(Reduction reduction, DType dtype, bool bounded);
  // A term: `real` if the type is a float, else `whole`; off by at most `error`.
  void add(double real, int64_t whole, double error);

  double real() const { return real_; }
  int64_t whole() const { return reduction_ == Reduction::argmax ? best_ : whole_; }
  double bound() const;

 private:
  void extremum(double x, double error);
  void argmax(double x, int64_t whole, double error);
  double argmax_bound() const;

  Reduction reduction_;
  DType dtype_;
  bool bounded_;
  double real_;  // so far
  int64_t whole_;
  int64_t count_ = 0;
  double error_ = 0;      // of the terms; of a product, so far
  double magnitude_ = 0;  // the sum of |terms|
  double high_, low_;     // max, min: the result lies between
  int64_t best_ = 0;      // argmax: where, and by how much its value may be off
  double best_error_ = 0;
  double rival_, exact_rival_;  // argmax: the most that an inexact other may be, and an exact other is
};

}  // namespace tenon
