#pragma once
// What the epilogue of a contraction reads of a tile (the optimiser's moments, the parameter, a mask) lies far apart, a
// few lines in each row, and comes from far away. It is prefetched row by row while the inner loop runs; prefetched all at
// once, it would delay the operands of the inner loop.
#include "compiler/loop/pack.h"

namespace tenon::loop {

// The distinct loads of the epilogue that are contiguous along n and differ from row to row.
std::vector<Scalar> epilogue_loads(Lowering& low);

// Prefetches one row of them.
void prefetch(Lowering& low, const std::vector<Scalar>& loads, Value m, const Columns& columns);

}  // namespace tenon::loop
