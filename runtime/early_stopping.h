#pragma once
// Training that ends when a measure on held-out data has not improved for a while, with the best states put
// back: Goodfellow, Bengio, Courville 2016, algorithm 7.1.
#include <limits>
#include <vector>

#include "runtime/session.h"

namespace tenon {

class EarlyStopping {
 public:
  // Stops after `patience` measures in a row that are not better than the best by more than `margin`; less is
  // better. Error unless patience is 1 or more and margin is not negative. The Session must outlive it.
  explicit EarlyStopping(Session& session, int patience, double margin = 0);

  // Notes a measure of the states as they are now, and copies them if it is the best so far; NaN is never
  // better. True if training should stop.
  bool stop(double measure);
  // All states as they were at the best measure: parameters, the optimiser's, step and seed. Nothing before
  // the first measure that is a number.
  void restore();

  double best() const { return best_; }         // infinite before the first measure
  int64_t best_at() const { return best_at_; }  // its number, from 0; -1 before the first

 private:
  Session& session_;
  int patience_;
  double margin_, best_ = std::numeric_limits<double>::infinity();
  int64_t best_at_ = -1, measures_ = 0;
  std::vector<Tensor> states_;
};

}  // namespace tenon
