#pragma once
// Random programs: a seed gives a graph of inputs, parameters and a few dozen operations over small shapes,
// with gradients and updates, in which every value stays of moderate size. The same seed is the same graph on
// every machine.
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
  Sizes sizes;  // to run it with, at most the maxima
};

// Entries "forward" (outputs y0, y1, ... and, of integers and truth values, z0, z1, ...) and "train" (output
// loss; the updates of an optimiser, and states whose updates read one another).
RandomGraph random_graph(uint64_t seed);

// ---- what the steps of a program draw from (random_steps.cpp) ----

inline constexpr int64_t most_elements = 6000;  // of a value, at the largest maximum
inline constexpr int64_t largest_maximum = 40;

struct Pool {
  Dice dice;
  Graph graph{};
  std::vector<Extent> sizes = {};
  DType real = f32;
  bool empty = false;              // extents of 0 occur
  std::vector<Value> values = {};  // of the float type
  std::vector<Value> parameters = {};
  std::vector<Value> indices = {};  // integers from 0 to 255
  std::vector<Value> whole = {};    // integers and truth values

  int64_t extent();
  Extent size() { return sizes[static_cast<size_t>(dice.below(std::ssize(sizes)))]; }  // one of them
  Value any() { return one_of(values); }
  Value recent();  // mostly the last ones, so that graphs grow deep
  Value one_of(const std::vector<Value>& from) {
    return from[static_cast<size_t>(dice.below(static_cast<int64_t>(from.size())))];
  }
  void keep(Value value);
  void keep_whole(Value value);
  Value parameter(Shape shape, double scale = 1);
  Value like(Value x);  // of the same shape
  Value positive(Value x) { return abs(x) + 0.5; }
  bool small(Value x) const { return x.type().elements().at(largest_maximum) <= most_elements; }
};

// Adds a value or two to the pool.
void add_step(Pool& pool);

}  // namespace tenon::testing
