#pragma once
// Before: any graph. After: only leaves and operations with a compute definition; an operation that is made
// of simpler ones (mean, softmax, ...) is replaced by them. Differentiation and fusion come first, while
// meaning is still one node.
#include "ir/graph.h"

namespace tenon {
Graph expand(const Graph& graph);
}  // namespace tenon
