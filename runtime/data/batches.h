#pragma once
// Epochs of shuffled batches. The order is a function of (seed, epoch, number of examples), the same
// everywhere, and a position can be saved and restored exactly. Elements keep their type: pixels stay u8.
//
//   Batches batches(images, labels, 128, seed);
//   for (int epoch = 0; epoch < 10; ++epoch)
//     while (batches.next()) session.run("train", {{"x", batches[0]}, {"label", batches[1]}});
#include <memory>
#include <vector>

#include "runtime/tensor.h"

namespace tenon {

// A permutation of 0 .. count-1: Fisher-Yates, its numbers from SplitMix64 keyed by seed and epoch (Steele,
// Lea, Flood 2014).
std::vector<int64_t> shuffled(int64_t count, uint64_t seed, int64_t epoch);

// Where a run through the data is: all of an epoch's examples before `row` have been returned.
struct Position {
  int64_t epoch = 0;
  int64_t row = 0;
  bool operator==(const Position&) const = default;
};

struct BatchOptions {
  uint64_t seed = 0;
  bool shuffle = true;
  bool drop_last = false;  // leave out a last batch that is not full
  bool prefetch = false;   // a thread gathers the next batch meanwhile
};

class Batches {
 public:
  // Tensors with the same first extent; Error if they differ, there are no examples, or batch is below 1.
  Batches(std::vector<Tensor> tensors, int64_t batch, const BatchOptions& options = {});
  Batches(Tensor images, Tensor labels, int64_t batch, uint64_t seed);
  Batches(Batches&&) noexcept;
  Batches& operator=(Batches&&) noexcept;
  ~Batches();

  // The next batch of the epoch; false, once, at the end of each epoch.
  bool next();

  // Tensor i of the batch, its rows gathered into a buffer that is valid until the next call of next().
  const Tensor& operator[](size_t i) const;
  int64_t size() const;      // rows in this batch
  int64_t examples() const;  // in an epoch
  int64_t batches() const;   // in an epoch
  int64_t epoch() const { return position().epoch; }
  const std::vector<int64_t>& rows() const;  // which examples this batch holds

  Position position() const;     // after the batch that next() returned last
  void seek(Position position);  // the next batch begins there; Error if the epoch has no such row

 private:
  struct Loader;
  std::unique_ptr<Loader> loader_;
};

}  // namespace tenon
