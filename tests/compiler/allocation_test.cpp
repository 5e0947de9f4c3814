// A prepared step allocates nothing, on one thread and on two: every operator new of this binary is counted.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include "tests/system.h"

using namespace tenon;

TEST_CASE("a step allocates nothing, also for another batch size and another rate") {
  Graph g;
  const Extent n = g.size("n", 64);
  const Value x = g.input("x", u8, {n, 300}), label = g.input("label", u8, {n}), rate = g.input("rate", f32, {});
  const Value loss = nll(dense(g, relu(dense(g, cast(x, f32) / 255, 128)), 10), label);
  g.entry("train", {{"loss", loss}}, minimize(loss, adam(rate)));
  const Program program = compile(g);
  const Tensor whole(u8, {64, 300}), part(u8, {7, 300}), labels(u8, {64}), few(u8, {7});
  for (int threads : {1, 2}) {
    Session session(program, {.threads = threads});
    session.init(1);
    Step step = session.prepare("train");
    int64_t bound = 0;  // the first binding of an input may allocate
    for (int i = 0; i < 6; ++i) {
      step.bind("x", i % 2 ? part : whole).bind("label", i % 2 ? few : labels).bind("rate", 0.01 * i);
      step.run();
      if (i == 0) bound = test::seen.allocations;
    }
    CHECK(bound > 0);
    CHECK(test::seen.allocations == bound);
  }
}
