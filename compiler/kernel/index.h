#pragma once
// Index arithmetic: what reshapes, slices and transposes leave behind, brought to sums of products. Their atoms are loop
// variables, run-time sizes, and what stays opaque: a loaded index, a quotient that does not cancel. Reshapes vanish here:
// c * (e // c) + e % c is e, and (c*i + j) // c is i where 0 <= j < c. For texts by anybody: nothing here overflows, divides by
// zero, or recurses as deep as an expression; what does not fit stays opaque.
#include <optional>
#include <span>
#include <unordered_map>

#include "compiler/kernel/index_sum.h"
#include "ir/compute.h"

namespace tenon {

// The extent of each loop variable: variable v runs over [0, extents[v]). Sizes are at least 1.
using VariableExtents = std::vector<Extent>;

// number + the sum of the multiples of run-time sizes.
struct Factor {
  int64_t number = 0;
  std::vector<Extent> sized = {};  // of distinct products
  bool is(int64_t x) const { return number == x && sized.empty(); }
};

// constant + the sum of factor * atom.
struct Linear {
  struct Term {
    Scalar atom;  // a variable, opaque, or a product of such
    Factor factor;
  };
  std::vector<Term> terms;  // of distinct atoms, no factor zero
  Factor constant;
};

struct Range {
  int64_t least, greatest;
};

class IndexForms {
 public:
  IndexForms() = default;
  explicit IndexForms(const VariableExtents& extents);
  void bound(int64_t variable, Extent extent);  // it lies in [0, extent)

  Scalar simplified(const Scalar& index);
  const Linear& linear(const Scalar& index);
  // The address of an element of a row-major buffer of that shape, in elements.
  Linear flatten(const Shape& shape, std::span<const Scalar> index);
  // How far apart in memory, in elements, the elements are for neighbouring values of the variable, if that is an extent.
  std::optional<Extent> stride(const Shape& shape, std::span<const Scalar> index, int64_t variable);
  // Whether that address is a sum of multiples of variables, sizes and a constant.
  bool is_affine(const Shape& shape, std::span<const Scalar> index);

  // Bounds of an index over all values of the variables and sizes up to their maxima; none if unknown or not within 32 bits.
  std::optional<Range> range(const Scalar& index, const Sizes& maxima);
  // Whether the index leaves [0, extent) for some values of the variables where each size is 1, 2 or its maximum (which decides
  // it for bounds that are linear in each size). False if it is no sum of multiples of bound variables, sizes and a constant,
  // or depends on more than four sizes. No extent is 0.
  bool leaves(const Scalar& index, Extent extent, const Sizes& maxima);

 private:
  // number + sized, for all sizes from 1 on.
  struct Bound {
    int64_t number = 0;
    IndexSum sized = {};          // of sizes alone
    bool never_negative() const;  // false if that does not show
  };
  struct Bounds {
    Bound low, high;
  };
  // What was found out about an expression, which a sum of sums asks again and again.
  struct Known {
    Scalar expression;  // keeps the key of the table alive
    IndexSum sum;
    std::optional<Linear> linear = {};
  };

  const IndexSum& sum(const Scalar& index);
  Known& known(const Scalar& index);
  IndexSum new_sum(const Scalar& index);
  std::optional<IndexSum> arithmetic(const Scalar& x);
  std::optional<IndexSum> quotient(const IndexSum& x, const IndexSum& divisor);
  std::optional<IndexSum> remainder(const IndexSum& x, const IndexSum& divisor);
  IndexSum joined(IndexSum x);
  IndexSum address(const Shape& shape, std::span<const Scalar> index);
  uint32_t atom(const Scalar& x);
  const Scalar& at(uint32_t atom) const { return atoms_[atom - 1]; }
  bool is(uint32_t atom, Scalar::Function function) const { return atom != 0 && at(atom)->function == function; }
  Scalar scalar(const IndexSum& x) const;
  Scalar scalar(const Product& x);
  Linear linear_of(const IndexSum& x);
  const SizeProduct* sizes_of(const Product& sizes);
  bool leaves_at(const IndexSum& x, Extent extent, const Sizes& sizes);
  std::optional<Bounds> bounds(const IndexSum& x);
  std::optional<Bounds> bounds(const Scalar& atom);
  std::optional<Bounds> new_bounds(const Scalar& atom);
  std::optional<Bounds> quotient_bounds(const Scalar& dividend, int64_t divisor);
  bool within(const IndexSum& x, const IndexSum& divisor);

  static std::optional<Bound> plus(const Bound& x, const Bound& y, int64_t factor);
  static std::optional<Bound> times(const Bound& x, const Bound& y);

  std::unordered_map<int64_t, Extent> extents_;
  std::vector<Scalar> atoms_;
  std::unordered_multimap<size_t, uint32_t> numbers_;  // of atoms, by what they are at first sight
  std::unordered_map<const ScalarNode*, Known> known_;
  std::unordered_map<const ScalarNode*, std::optional<Bounds>> bounds_;  // of atoms
  std::vector<std::pair<Product, Scalar>> products_;
  std::vector<std::pair<Product, const SizeProduct*>> size_products_;
};

// x with the indices of all its loads simplified.
Scalar simplify_loads(const Scalar& x, const VariableExtents& extents);

// Whether the load from a buffer of that shape, over axes of such extents, is at each element of it once, where the run-time
// sizes have those maxima.
bool meets_each_once(const Scalar& load, const Shape& shape, const Shape& axes, const Sizes& maxima);

}  // namespace tenon
