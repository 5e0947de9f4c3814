#pragma once
// "Instead of A write B": all rules that need no more than two formulas. A new rule is one row; the tests
// evaluate both sides of every row.
#include "compiler/graph/match.h"

namespace tenon {

// Exact: bring equal meanings to one spelling.
std::span<const Rule> canonical_rules();
// Stabilising: the row says where the left side is not finite or loses digits.
std::span<const Rule> stable_rules();
// Exact: fewer or cheaper operations.
std::span<const Rule> simple_rules();

}  // namespace tenon
