#pragma once
// Before: any graph. After: equal meanings have one spelling as far as exact rules go, so that the passes
// after it see few spellings: literals stand on the right, x - literal is x + (-literal), negations and views
// of memory stand outside of elementwise operations, views are not stacked, a logarithm stands inside the
// choice of a softmax's element.
#include "ir/graph.h"

namespace tenon {
Graph canonicalise(const Graph& graph);
Value canonical(Value candidate);  // one step of it
}  // namespace tenon
