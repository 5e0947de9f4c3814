#pragma once
// Runs placed kernels one element at a time, in the elements' own types: what a KernelList means. Sums,
// products and everything correctly rounded have the bits of compiled code; exp, log and the like are the
// rounded references.
#include <span>

#include "compiler/kernel/kernel.h"

namespace tenon {

// Row-major at the size of the run; all but the arena by slot. What is empty is made by the run: constants
// from the list, outputs and arena unwritten.
struct KernelMemory {
  std::vector<std::vector<std::byte>> inputs, states, outputs, constants;
  std::vector<std::byte> arena;

  void complete(const KernelList& list, const Sizes& sizes);  // makes what is empty
  // The bytes of a buffer of the entry. InternalError if it has others than its type says.
  std::span<std::byte> bytes(const KernelList& list, BufferId id, const Sizes& sizes);
};

// The first check, in the order of the kernels and then of the entry, that fails, at its least element.
struct IndexFault {
  int64_t check = -1;  // its number; -1: none
  int64_t element = 0, value = 0;
};

// What the order of a run may be: every one gives the same values.
enum class RunOrder : uint8_t {
  forwards,
  adverse,  // rows and elements of a tile from the last to the first; kernels of several threads are shared
            // out row by row between two, of which the second runs everything up to the next barrier before
            // the first begins
};

// Runs the entry with those run-time sizes. If an index is out of range, says so as compiled code does, and no
// state has changed. InternalError if an element outside of a buffer, or a buffer outside of the arena, is
// touched. What has not been written is NaN, or -1.
IndexFault interpret(const KernelList& list, KernelMemory& memory, const Sizes& sizes, RunOrder order = RunOrder::forwards);

}  // namespace tenon
