#pragma once
// Random programs: a seed gives a graph of inputs, parameters and a few dozen operations over small shapes, with
// gradients and updates, in which every value stays of moderate size. The same seed is the same graph on every machine.
#include <tenon/tenon.h>

#include <cstdint>

namespace tenon::testing {

// splitmix64: Steele, Lea and Flood 2014.
struct Dice {
  uint64_t state;

  uint64_t bits() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(bits() % static_cast<uint64_t>(n)); }
  bool coin() { return bits() & 1; }
  double real(double low, double high) { return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53; }
};

struct RandomGraph {
  Graph graph;
  int64_t n;  // a size to run it with, at most the maximum
};

// Entries "forward" (outputs y0, y1, ...) and, if the loss reaches a parameter, "train" (output loss; sgd updates).
RandomGraph random_graph(uint64_t seed);

}  // namespace tenon::testing
