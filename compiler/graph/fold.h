#pragma once
// Before: any graph. After: what follows from constants alone, and is no larger than a few thousand elements,
// is a constant; with the bits that compiled code would have given.
#include "ir/graph.h"

namespace tenon {
Graph fold(const Graph& graph);
}  // namespace tenon
