#pragma once
// Symbol-to-symbol differentiation: the gradient is more graph, appended to the loss's own, made of the
// public vocabulary. It can be printed, transformed, compiled, and differentiated again.
#include <source_location>

#include "ir/graph.h"

namespace tenon {

// d loss / d wrt[i], each of the type of wrt[i], but f32 for f16 and bf16: no gradient is rounded to those. The loss is
// first brought into its stable and fused form with every wrt opaque, and that form is differentiated; what is appended carries
// the forward lines, marked as backward. Error: the loss is no float scalar; an operation on the way has no gradient rule
// (named with its path from the loss); the loss does not depend on a wrt, or only through operations whose gradient is zero
// everywhere.
std::vector<Value> gradients(Value loss, std::vector<Value> wrt, std::source_location at = std::source_location::current());

// The same, with a null Value for a wrt that no gradient reaches, and why in `unreached` (one text per wrt).
std::vector<Value> reachable_gradients(Value loss, std::span<const Value> wrt, std::string_view caller, Line at,
                                       std::vector<std::string>& unreached);

}  // namespace tenon
