#pragma once
// Addresses as linear forms: constant + sum of factor * atom, where an atom is a loop variable or an expression that is
// not linear (a loaded index, a quotient). Reshapes vanish here: c * (e // c) + e % c is e, and (c*i + j) // c is i
// when 0 <= j < c.
#include <optional>
#include <unordered_map>

#include "compiler/kernel/kernel.h"

namespace tenon {

// c + n * size, where size is the run-time size.
struct Factor {
  int64_t c = 0, n = 0;
  bool operator==(const Factor&) const = default;
  bool zero() const { return c == 0 && n == 0; }
};
Factor operator+(Factor a, Factor b);
std::optional<Factor> operator*(Factor a, Factor b);  // none if both are symbolic

struct Linear {
  struct Term {
    Scalar atom;
    Factor factor;
  };
  std::vector<Term> terms;  // of distinct atoms, no factor zero
  Factor constant;

  void add(const Scalar& atom, Factor factor);
  bool add(const Linear& other, Factor factor);  // false, and nothing is added, if a product is not linear in the size
};

struct Range {
  int64_t least, greatest;
};

class LinearForms {
 public:
  explicit LinearForms(int64_t maximum) : maximum_(maximum) {}
  void bound(const Axis& axis);  // its variable lies in [0, extent)

  Linear of(const Scalar& index) const;
  Linear flatten(const Type& type, std::span<const Scalar> index) const;  // the address in elements
  // Bounds of an index expression over all points of the loops; none if unknown or not within 32 bits.
  std::optional<Range> range(const Scalar& index) const;

 private:
  // What was found out about an expression, which a sum of sums asks again and again.
  struct Known {
    Scalar expression;  // keeps the key of the table alive
    std::optional<Linear> form = {};
    std::optional<std::optional<Range>> range = {};
  };
  Linear new_form(const Scalar& x) const;
  std::optional<Range> new_range(const Scalar& x) const;
  std::optional<Range> range(const Linear& form) const;
  bool divide(const Scalar& dividend, int64_t divisor, Linear& quotient, Linear& remainder) const;
  void join(Linear& form) const;

  int64_t maximum_;  // of the run-time size
  std::vector<std::pair<int64_t, int64_t>> greatest_;
  mutable std::unordered_map<const ScalarNode*, Known> known_;
};

}  // namespace tenon
