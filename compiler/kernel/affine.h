#pragma once
// Index arithmetic: what reshapes, slices and transposes leave behind, brought to a canonical sum of products.
#include <optional>

#include "compiler/kernel/kernel.h"

namespace tenon {

// The extent of each loop variable: variable v runs over [0, extents[v]). Sizes are at least 1.
using VariableExtents = std::vector<Extent>;

// The same value, as a sum of products with divisions and remainders removed where the extents prove them away.
Scalar simplify_index(const Scalar& index, const VariableExtents& extents);

// x with the indices of all its loads simplified.
Scalar simplify_loads(const Scalar& x, const VariableExtents& extents);

// How far apart in memory, in elements, the values of `load` are for neighbouring values of the variable, if that is
// one number (times the run-time size); the load reads a row-major buffer of that shape.
std::optional<Extent> stride(const Scalar& load, const Shape& shape, int64_t variable);

// Whether the load from a buffer of that shape, over axes of such extents, is at each element of it once, where the run-time
// size has that maximum.
bool meets_each_once(const Scalar& load, const Shape& shape, const Shape& axes, int64_t maximum);

// Whether the address of the load in a row-major buffer of that shape is a sum of multiples of variables, sizes and a
// constant.
bool is_affine(const Scalar& load, const Shape& shape);

}  // namespace tenon
