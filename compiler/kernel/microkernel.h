#pragma once
// Micro-kernels: the register tiles that the inner loop of a contraction can have. A step along k multiplies a column of
// elements of a with vectors of b and adds the products to rows x vectors accumulators, which stay in registers. To add a
// micro-kernel is to add its record; `cut` weighs all that the target can run.
#include <span>

#include "compiler/kernel/target.h"
#include "ir/type.h"

namespace tenon {

struct MicroKernel {
  Isa isa;                     // that it is made for
  DType operand, accumulator;  // of both factors; of the sum
  int64_t rows, vectors;       // of the largest tile, a vector being 16 elements; smaller ones stand at the edges of a result
  bool b_in_place = false;     // whether b can only be read in place: its vectors then need no register of their own
  // Cycles with both operands in L1: of a vector's multiply-add, of loading a vector of b or an element of a, of a step at
  // least.
  double multiply_add, load, latency;

  // Vector registers that a tile of so many rows and vectors takes: accumulators, a row of b, an element of a.
  int64_t registers(int64_t rows, int64_t vectors, const Target& target) const;
  bool runs_on(const Target& target) const;
};

std::span<const MicroKernel> micro_kernels();

}  // namespace tenon
