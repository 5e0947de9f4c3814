#pragma once
// Before: a canonical graph. After: no formula of the table of stable rules is left in its naive spelling,
// and the graph is canonical still. A receipt names what was rewritten.
#include "ir/graph.h"

namespace tenon {
Graph stabilise(const Graph& graph);
}  // namespace tenon
