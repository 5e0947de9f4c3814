#pragma once
// Before: any graph. After: the same values, bit for bit, from fewer or cheaper operations: canonical
// spellings, transposes read by the contraction itself, no select with a constant condition, no view of
// everything, no division where a multiplication has the same bits.
#include "ir/graph.h"

namespace tenon {
Graph simplify(const Graph& graph);
}  // namespace tenon
