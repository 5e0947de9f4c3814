#pragma once
// From a graph of compute definitions to loops: which nodes share a kernel, which are never stored.
#include "compiler/kernel/kernel.h"

namespace tenon {

// The kernels of an entry, in execution order. Every node that the entry reaches is a leaf or has a compute definition.
// No choice made here changes a bit of any result: a value is computed by the same operations on the same rounded
// values, once or several times, and a sum keeps the order of its definition.
KernelList group(const Graph& graph, const Entry& entry);

}  // namespace tenon
