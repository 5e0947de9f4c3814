#pragma once
// The contraction of a kernel: acc[m,n] = sum over k of a * b as one FMA chain per element, then the kernel's
// statements on the register tile. Before: a position in the kernel's function. After: the position at the
// end of an open block. A thread computes a contiguous part of the tiles; an operand that is not a plain load
// with the strides the tile wants is evaluated once into a panel of the thread's scratch. Cuts, panels and
// parts never change a bit.
#include "compiler/native/emit.h"

namespace tenon {

void emit_contraction(Emitter& e);

}  // namespace tenon
