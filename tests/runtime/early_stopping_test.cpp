// Early stopping ends after `patience` measures without improvement and puts the best states back.
#include "runtime/early_stopping.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace tenon;

namespace {

Program program() {
  Program program;
  StateBinding w;
  w.name = "w";
  w.type = Type{f32, {}};
  program.states = {w};
  return program;
}

// Measures in turn, with w the number of the measure; returns how many it took to stop, 0: it did not.
size_t stops_after(EarlyStopping& stopping, Session& session, std::initializer_list<double> measures) {
  size_t taken = 0;
  for (const double measure : measures) {
    session.write("w", Tensor::scalar(static_cast<float>(taken++)));
    if (stopping.stop(measure)) return taken;
  }
  return 0;
}

}  // namespace

TEST_CASE("stops when the measure has not improved for `patience` times, and restores the best states") {
  Session session(program());
  EarlyStopping stopping(session, 2);
  CHECK(stops_after(stopping, session, {3, 2, 2.5, 1, 1, 4, 0}) == 6);
  CHECK(stopping.best() == 1);
  CHECK(stopping.best_at() == 3);
  stopping.restore();
  CHECK(session.read("w").number() == 3);
}

TEST_CASE("a margin asks for more, NaN is never an improvement") {
  Session session(program());
  EarlyStopping wide(session, 3, 0.5);
  CHECK(stops_after(wide, session, {3, 2.8, 2.6, 2.4, 2.2, 2.1, 2.0}) == 7);
  CHECK(wide.best() == 2.4);
  EarlyStopping lost(session, 2);
  CHECK(stops_after(lost, session, {NAN, NAN, NAN}) == 2);
  session.write("w", Tensor::scalar(7.0f));
  lost.restore();
  CHECK(session.read("w").number() == 7);
  CHECK_THROWS_WITH_AS(EarlyStopping(session, 0),
                       "early stopping: patience is 0 and margin 0; valid are 1 or more and 0 or more", Error);
}
