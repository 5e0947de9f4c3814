#pragma once
// The training steps that are measured: what they compute stands here once, for every benchmark and for its peers.
#include <tenon/tenon.h>

#include <string>
#include <vector>

struct Workload {
  std::string name;
  std::vector<int64_t> widths;  // of the layers, the input's first
  int64_t batch;
  bool adam;

  // Multiplications and additions of the contractions of one step: forward, input gradients but the first, weights.
  double flops() const {
    double total = 0;
    for (size_t i = 0; i + 1 < widths.size(); ++i)
      total += (i == 0 ? 4.0 : 6.0) * static_cast<double>(batch * widths[i] * widths[i + 1]);
    return total;
  }
};

inline const std::vector<Workload> workloads = {
    {"xor", {2, 8, 1}, 4, false},
    {"mlp-784-128-10-b32", {784, 128, 10}, 32, false},
    {"mlp-784-128-10-b128", {784, 128, 10}, 128, false},
    {"mlp-784-512-512-10-b128-sgd", {784, 512, 512, 10}, 128, false},
    {"mlp-784-512-512-10-b128-adam", {784, 512, 512, 10}, 128, true},
    {"mlp-784-512-512-10-b512-sgd", {784, 512, 512, 10}, 512, false},
    {"mlp-784-512-512-10-b512-adam", {784, 512, 512, 10}, 512, true},
    {"mlp-784-2048x3-10-b512-adam", {784, 2048, 2048, 2048, 10}, 512, true},
};
