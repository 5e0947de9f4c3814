#pragma once
// Rules as data. A rule's two sides are written in the public vocabulary over holes; the left side, built
// once over sample inputs, is the pattern. To match, holes are bound by walking the pattern's operations
// beside the candidate's; then the left side is built again from what was bound, and hash-consing must give
// the candidate itself. So attributes, literals and broadcasts are compared without a line of code for them.
#include <optional>
#include <unordered_map>

#include "ir/graph.h"

namespace tenon {

using Holes = std::span<const Value>;

struct Rule {
  enum Kind : uint8_t {
    exact,        // both sides have the same bits for every input, NaN, zeros and infinities included
    stabilising,  // equal over the reals, and the right side is never less accurate
  };
  std::string_view name;
  Kind kind;
  std::vector<Type> holes;  // sample types: of the pattern and of the tests; a hole binds floats, integers or bools
  Value (*left)(Holes x);
  Value (*right)(Holes x);
  std::string_view note = {};  // stabilising: where the left side is not finite, or inaccurate
};

// A table of rules, indexed by the root operation of the left sides.
class Rules {
 public:
  explicit Rules(std::span<const Rule> table);
  // The first rule that matches, or null; what takes the candidate's place.
  const Rule* match(Value candidate, Value& replacement) const;

 private:
  struct Pattern {
    const Rule* rule;
    Value root;
  };
  std::unordered_map<const Op*, std::vector<Pattern>> by_root_;
  std::vector<Graph> graphs_;  // of the patterns
};

// The number that the value repeats in every element, if it is a constant of one number, reshaped or
// broadcast.
std::optional<double> repeated_number(Value value);

// Whether each element of the result is computed from the operands' elements at the same index and nothing
// else.
bool is_pointwise(Value value);

}  // namespace tenon
