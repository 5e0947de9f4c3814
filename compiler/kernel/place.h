#pragma once
// From lifetimes to byte offsets in one arena.
#include "compiler/kernel/kernel.h"

namespace tenon {

// Gives each arena buffer an offset, a multiple of 64, at the maxima of the run-time sizes; buffers that are alive in
// one kernel, or in kernels without a barrier between them, never overlap. Comes after tile. Fills in the size of the arena and
// its lower bound, the largest live set.
void place(KernelList& list);

}  // namespace tenon
