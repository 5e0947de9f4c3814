#pragma once
// What the printer, the parser and verify() of the loop language must agree on.
#include "compiler/loop/loop.h"
#include "ir/compute.h"

namespace tenon::loop {

inline constexpr int deepest = 100;  // loops and branches inside one another; all three recurse into them

inline const ScalarFunction& reference_of(const Node& node) {
  return tenon::function(static_cast<Scalar::Function>(node.integer));
}

// What a reduction may combine its lanes by.
inline bool combines(Code code) { return code == Code::add || code == Code::mul || code == Code::max || code == Code::min; }

// The operands before the mask, which stand in a row in the text; of all nodes but accesses that is all of
// them.
inline size_t unmasked_operands(const Node& node) {
  switch (node.code) {
    case Code::load: return 1;
    case Code::gather:
    case Code::store: return 2;
    case Code::scatter: return 3;
    default: return node.operands.size();
  }
}

}  // namespace tenon::loop
