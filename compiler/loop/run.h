#pragma once
// What placed kernels mean at the level of loops: each is lowered for a target, which need not be this machine's, and
// interpreted. Bit for bit what the machine code does.
#include "compiler/kernel/interpret.h"
#include "compiler/kernel/target.h"

namespace tenon {

// Runs the entry with those run-time sizes on that many threads, one after the other between two barriers, the last first.
// Indices that are inputs have been checked. InternalError if a kernel's loops are broken; Error if they touch what is
// outside of a buffer.
IndexFault run_loops(const KernelList& list, KernelMemory& memory, const Sizes& sizes, const Target& target,
                     int64_t threads = 1);

}  // namespace tenon
