#pragma once
// How kernels are cut: register tiles, packing, threads, barriers. No choice changes a bit.
#include "compiler/kernel/kernel.h"
#include "compiler/kernel/target.h"

namespace tenon {

void tile(KernelList& list, const Target& target);

// The tile, panels and blocks of a kernel that is a contraction.
Tile cut(const Kernel& kernel, const KernelList& list, const Target& target);

// Whether those loads of an operand that move with the variable move by one element, and one does.
bool contiguous(const Scalar& operand, int64_t variable, const KernelList& list);

}  // namespace tenon
