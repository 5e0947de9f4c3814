#pragma once
// What the epilogue of a contraction reads of a tile (the optimiser's moments, the parameter, a mask) lies far apart, a
// few lines in each row, and comes from far away. It is asked for row by row while the inner loop runs; asked for all at
// once, it would delay the operands of the inner loop.
#include "compiler/native/pack.h"

namespace tenon {

// The distinct loads of the epilogue that are contiguous along n and differ from row to row.
std::vector<Scalar> epilogue_loads(const Emitter& e);

// Asks for one row of them.
void prefetch(Emitter& e, const std::vector<Scalar>& loads, llvm::Value* m, const Columns& columns);

}  // namespace tenon
