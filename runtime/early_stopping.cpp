#include "runtime/early_stopping.h"

namespace tenon {

EarlyStopping::EarlyStopping(Session& session, int patience, double margin)
    : session_(session), patience_(patience), margin_(margin) {
  if (patience < 1 || !(margin >= 0))
    throw Error(
        fmt::format("early stopping: patience is {} and margin {}; valid are 1 or more and 0 or more", patience, margin));
}

bool EarlyStopping::stop(double measure) {
  const int64_t now = measures_++;
  if (measure < best_ - margin_ || (states_.empty() && measure < best_)) {
    best_ = measure;
    best_at_ = now;
    states_.clear();
    for (const StateBinding& state : session_.program().states) states_.push_back(session_.read(state.name));
  }
  return now - best_at_ >= patience_;
}

void EarlyStopping::restore() {
  if (!states_.empty()) session_.write_all(states_);
}

}  // namespace tenon
