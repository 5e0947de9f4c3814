#pragma once
// Before: any graph. After: only leaves and operations with a compute definition; an operation that is made
// of simpler ones (mean, softmax, ...) is replaced by them, and what has no elements or is a sum over nothing by zeros,
// so that no kernel computes what is empty. Differentiation and fusion come first, while
// meaning is still one node.
#include "ir/graph.h"

namespace tenon {
Graph expand(const Graph& graph);
}  // namespace tenon
