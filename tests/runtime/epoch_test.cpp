// A pass over the data: every example once, means weighted by rows, outputs that have no mean refused.
#include "runtime/epoch.h"

#include <doctest/doctest.h>

#include <cstring>

using namespace tenon;

namespace {

// x f32[n] -> mean f32[], copy f32[n] in the entry "all"; the entry "train" returns the mean alone.
void average(const Frame* frame) {
  if (frame->thread != 0) return;
  float sum = 0;
  for (int64_t i = 0; i < frame->sizes[0]; ++i) sum += reinterpret_cast<const float*>(frame->inputs[0])[i];
  sum /= static_cast<float>(frame->sizes[0]);
  std::memcpy(frame->outputs[0], &sum, sizeof sum);
}

Program program() {
  Program program;
  program.sizes = {{"n", 4}};
  const Type scalar{f32, {}}, rows{f32, {Extent(1, "n")}};
  for (const char* name : {"train", "all"}) {
    ProgramEntry entry;
    entry.name = name;
    entry.inputs = {{"x", rows, {}}};
    entry.outputs = {{"mean", scalar, {}}};
    if (entry.name == "all") entry.outputs.push_back({"copy", rows, {"model.cpp", 7}});
    entry.function = average;
    program.entries.push_back(std::move(entry));
  }
  return program;
}

}  // namespace

TEST_CASE("the mean over an epoch counts every example once, also those of a short last batch") {
  Session session(program());
  session.init(1);
  const Tensor x = Tensor::of<float>({6}, {1, 2, 3, 4, 10, 20});
  Batches batches({x}, 4);
  CHECK(run_epoch(session, "train", batches, {"x"}).at("mean") == doctest::Approx(40 / 6.0));
  CHECK(run_epoch(session, "train", batches, {"x"}).at("mean") == doctest::Approx(40 / 6.0));
  CHECK(batches.epoch() == 2);
}

TEST_CASE("an output that is no scalar has no mean") {
  Session session(program());
  session.init(1);
  Batches batches({Tensor(f32, {6})}, 4);
  CHECK_THROWS_WITH_AS(run_epoch(session, "all", batches, {"x"}),
                       "model.cpp:7: run_epoch: output 'copy' of entry 'all' is f32[n]; only scalars have a mean over batches",
                       Error);
}
