#pragma once
// Several axes as one, whose points are theirs in row-major order: how a contraction's lists of axes become the three loops of
// a register tile.
#include <functional>

#include "compiler/kernel/kernel.h"

namespace tenon {

// Whether x is as simple over one axis as over both: it uses their variables only in loads without a guard, each of an
// address that depends on outer * extent of inner + inner alone. The shape is that of a load's source.
bool merges(const Scalar& x, const Axis& outer, const Axis& inner, const std::function<const Shape&(int64_t source)>& shape);

// The same contraction over a single m and a single n, whose variables may be new ones, and over one k axis in place of two
// that merge in both factors.
Kernel flattened(const Kernel& kernel, const KernelList& list);

}  // namespace tenon
