#pragma once
// Whether an index stays inside of its axis, for texts by anybody: nothing here recurses, divides or overflows.
#include <map>

#include "ir/compute.h"

namespace tenon {

// Whether the index leaves [0, extent) for some values of the variables, each from 0 to below its extent, at the run-time
// size 1, 2 or its maximum (which decides it for bounds that are linear in the size). False if it is no sum of multiples of
// these variables, the size, their products and a constant, or too long or large to tell. No extent is 0.
bool leaves(const Scalar& index, Extent extent, const std::map<int64_t, Extent>& extents, int64_t maximum);

}  // namespace tenon
