#pragma once
// A Program made by hand, so that the runtime is tested without a compiler: a linear classifier of bytes.
//   train:    x u8[n,3], label u8[n], rate f32[] -> loss f32[], y f32[n];  W -= rate * sum of x, step += 1
//   init:     W = seed + [0, 1, 2]
//   gather:   index i32[n] -> rows f32[n]; the index is checked by the entry itself, as a computed one is
#include "runtime/session.h"
#include "tests/message.h"

namespace tenon::test {

inline const float* f32s(const std::byte* p) { return reinterpret_cast<const float*>(p); }
inline float* f32s(std::byte* p) { return reinterpret_cast<float*>(p); }

// States: 0 W f32[3], 1 seed, 2 step.
inline void init_entry(const Frame* f) {
  if (f->thread != 0) return;
  for (int i = 0; i < 3; ++i) f32s(f->states[0])[i] = static_cast<float>(reinterpret_cast<const int64_t*>(f->states[1])[0] + i);
}

// Rows are shared among the threads; the sums are taken in row order after all have met.
inline void train_entry(const Frame* f) {
  const auto* x = reinterpret_cast<const uint8_t*>(f->inputs[0]);
  float* y = f32s(f->outputs[1]);
  for (int64_t i = f->sizes[0] * f->thread / f->threads; i < f->sizes[0] * (f->thread + 1) / f->threads; ++i) {
    y[i] = 0;
    for (int j = 0; j < 3; ++j) y[i] += f32s(f->states[0])[j] * static_cast<float>(x[3 * i + j]);
  }
  if (f->threads > 1) f->barrier(f->team);
  if (f->thread != 0) return;
  float loss = 0;
  for (int64_t i = 0; i < f->sizes[0]; ++i) {
    loss += y[i] - static_cast<float>(std::to_integer<int>(f->inputs[1][i]));
    for (int j = 0; j < 3; ++j) f32s(f->states[0])[j] -= f32s(f->inputs[2])[0] * static_cast<float>(x[3 * i + j]);
  }
  f32s(f->outputs[0])[0] = loss;
  ++*reinterpret_cast<int64_t*>(f->states[2]);
}

inline void gather_entry(const Frame* f) {
  const auto* index = reinterpret_cast<const int32_t*>(f->inputs[0]);
  for (int64_t i = 0; i < f->sizes[0]; ++i)
    if (index[i] < 0 || index[i] >= 3) {
      *f->fault = {.check = 0, .element = i, .value = index[i]};
      return;
    }
  for (int64_t i = 0; i < f->sizes[0]; ++i) f32s(f->outputs[0])[i] = f32s(f->states[0])[index[i]];
  f32s(f->states[0])[0] += 1;
}

inline StateBinding state(const char* name, Type type, bool trainable) {
  StateBinding binding;
  binding.name = name;
  binding.type = std::move(type);
  binding.line = {"train.cpp", 5};
  binding.trainable = trainable;
  return binding;
}

inline Program linear_program(int64_t maximum = 64, int64_t threads = 1) {
  const Extent n(1, "n");
  Program p;
  p.sizes = {{"n", maximum}};
  p.states = {state("W", {f32, {3}}, true), state("seed", {i64, {}}, false), state("step", {i64, {}}, false)};
  p.graph_hash = "12ab";
  ProgramEntry init;
  init.name = "init";
  init.updated = {0};
  init.function = init_entry;
  ProgramEntry train;
  train.name = "train";
  train.inputs = {
      {"x", {u8, {n, 3}}, {"train.cpp", 9}}, {"label", {u8, {n}}, {"train.cpp", 10}}, {"rate", {f32, {}}, {"train.cpp", 11}}};
  train.outputs = {{"loss", {f32, {}}, {}}, {"y", {f32, {n}}, {}}};
  train.updated = {0, 2};
  train.checks = {{.what = "pick: index", .input = 1, .type = {u8, {n}}, .extent = 10, .line = {"train.cpp", 12}}};
  train.threads = threads;
  train.function = train_entry;
  ProgramEntry gather;
  gather.name = "gather";
  gather.inputs = {{"index", {i32, {n}}, {"train.cpp", 20}}};
  gather.outputs = {{"rows", {f32, {n}}, {}}};
  gather.updated = {0};
  gather.checks = {{.what = "gather: row", .input = -1, .type = {i32, {n}}, .extent = 3, .line = {"train.cpp", 21}}};
  gather.function = gather_entry;
  p.entries = {init, train, gather};
  return p;
}

}  // namespace tenon::test
