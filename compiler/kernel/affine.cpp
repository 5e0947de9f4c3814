// Polynomials with integer coefficients over atoms: loop variables, the run-time size, and terms that stay opaque
// (a load, a division that does not cancel). Bounds have the form a*n + b, which is enough to decide the divisions
// that reshapes of shapes [c*n, ...] make.
#include "compiler/kernel/affine.h"

#include <algorithm>
#include <map>

namespace tenon {
namespace {

using Monomial = std::vector<size_t>;  // atoms, ascending; empty for the constant term
using Polynomial = std::map<Monomial, int64_t>;

// a*n + b for every size n >= 1.
struct Bound {
  int64_t a = 0, b = 0;
  bool never_negative() const { return a >= 0 && a + b >= 0; }
};
struct Range {
  Bound low, high;
};

Bound operator+(Bound x, Bound y) { return {x.a + y.a, x.b + y.b}; }
Bound operator*(int64_t c, Bound x) { return {c * x.a, c * x.b}; }

class Simplifier {
 public:
  explicit Simplifier(const VariableExtents& extents) : extents_(extents) {}

  Polynomial polynomial(const Scalar& x) {
    switch (x->function) {
      case Scalar::constant: return number(x->integer);
      case Scalar::size: return scale({{{atom(Scalar::extent(Extent(1, x->size)))}, 1}}, x->integer);
      case Scalar::add: return add(polynomial(x->arguments[0]), polynomial(x->arguments[1]), 1);
      case Scalar::sub: return add(polynomial(x->arguments[0]), polynomial(x->arguments[1]), -1);
      case Scalar::neg: return scale(polynomial(x->arguments[0]), -1);
      case Scalar::mul: return product(polynomial(x->arguments[0]), polynomial(x->arguments[1]));
      case Scalar::floordiv: return quotient(polynomial(x->arguments[0]), polynomial(x->arguments[1]));
      case Scalar::mod: return remainder(polynomial(x->arguments[0]), polynomial(x->arguments[1]));
      default: return {{{atom(x)}, 1}};
    }
  }

  Scalar scalar(const Polynomial& p) const {
    Scalar sum = Scalar::integer(0);
    for (const auto& [monomial, coefficient] : p) {
      Scalar term = Scalar::integer(coefficient);
      for (size_t a : monomial) term = term * atoms_[a];
      sum = sum + term;
    }
    return sum;
  }

  const Scalar& atom_at(size_t a) const { return atoms_[a]; }

  bool affine(const Polynomial& p) const {
    return std::ranges::all_of(p, [&](const auto& term) {
      int variables = 0;
      for (size_t a : term.first) {
        variables += atoms_[a]->function == Scalar::variable;
        if (atoms_[a]->function != Scalar::variable && atoms_[a]->function != Scalar::size) return false;
      }
      return variables <= 1;
    });
  }

  // c*d * (x // d) + c * (x % d) becomes c * x: what remains of a reshape when the axes are flattened to an address.
  Polynomial joined(Polynomial p) {
    for (auto it = p.begin(); it != p.end(); ++it) {
      if (it->first.size() != 1) continue;
      const Scalar rest = atoms_[it->first[0]];
      if (rest->function != Scalar::mod || rest->arguments[1]->function != Scalar::constant) continue;
      const int64_t coefficient = it->second, divisor = rest->arguments[1]->integer;
      const Polynomial x = polynomial(rest->arguments[0]), whole = quotient(x, number(divisor));
      if (whole.size() != 1 || whole.begin()->second != 1) continue;
      auto partner = p.find(whole.begin()->first);
      if (partner == p.end() || partner->second != coefficient * divisor) continue;
      p.erase(partner);
      p.erase(it);
      p = add(std::move(p), scale(x, coefficient), 1);
      it = p.begin();
      if (it == p.end()) break;
    }
    return p;
  }

 private:
  static Polynomial number(int64_t c) { return c == 0 ? Polynomial{} : Polynomial{{{}, c}}; }

  static Polynomial add(Polynomial a, const Polynomial& b, int64_t sign) {
    for (const auto& [monomial, coefficient] : b)
      if ((a[monomial] += sign * coefficient) == 0) a.erase(monomial);
    return a;
  }

  static Polynomial scale(Polynomial a, int64_t c) {
    if (c == 0) return {};
    for (auto& term : a) term.second *= c;
    return a;
  }

  static Polynomial product(const Polynomial& a, const Polynomial& b) {
    Polynomial result;
    for (const auto& [left, c] : a)
      for (const auto& [right, d] : b) {
        Monomial both;
        std::merge(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(both));
        if ((result[both] += c * d) == 0) result.erase(both);
      }
    return result;
  }

  // x = divisor * multiple + rest, where `multiple` holds the terms that the divisor divides.
  struct Split {
    Polynomial multiple, rest;
  };
  static Split split(const Polynomial& x, const Monomial& atoms, int64_t coefficient) {
    Split result;
    for (const auto& [monomial, c] : x) {
      bool divides = std::includes(monomial.begin(), monomial.end(), atoms.begin(), atoms.end());
      if (divides && c % coefficient == 0) {
        Monomial left;
        std::set_difference(monomial.begin(), monomial.end(), atoms.begin(), atoms.end(), std::back_inserter(left));
        result.multiple[left] = c / coefficient;
      } else if (monomial.empty() && atoms.empty()) {
        int64_t floor = c / coefficient - (c % coefficient < 0);
        if (floor) result.multiple[{}] = floor;
        result.rest[{}] = c - floor * coefficient;
      } else {
        result.rest[monomial] = c;
      }
    }
    return result;
  }

  bool within(const Polynomial& x, const Polynomial& divisor) const {  // 0 <= x < divisor, provably
    std::optional<Range> r = range(x), d = range(divisor);
    if (!r || !d) return false;
    return r->low.never_negative() && (d->low + -1 * r->high + Bound{0, -1}).never_negative();
  }

  Polynomial quotient(const Polynomial& x, const Polynomial& divisor) {
    if (divisor.size() == 1 && divisor.begin()->second > 0) {
      auto [multiple, rest] = split(x, divisor.begin()->first, divisor.begin()->second);
      if (within(rest, divisor)) return multiple;
      if (divisor.begin()->first.empty() && rest.size() == 1 && rest.begin()->second == 1 &&
          rest.begin()->first.size() == 1) {  // (y / c) / d = y / (c*d)
        const Scalar inner = atoms_[rest.begin()->first[0]];
        if (inner->function == Scalar::floordiv && inner->arguments[1]->function == Scalar::constant)
          return add(multiple, quotient(polynomial(inner->arguments[0]),
                                        scale(divisor, inner->arguments[1]->integer)), 1);
      }
      return add(multiple, {{{atom(floordiv(scalar(rest), scalar(divisor)))}, 1}}, 1);
    }
    return {{{atom(floordiv(scalar(x), scalar(divisor)))}, 1}};
  }

  Polynomial remainder(const Polynomial& x, const Polynomial& divisor) {
    if (divisor.size() == 1 && divisor.begin()->second > 0) {
      Polynomial rest = split(x, divisor.begin()->first, divisor.begin()->second).rest;
      if (within(rest, divisor)) return rest;
      return {{{atom(mod(scalar(rest), scalar(divisor)))}, 1}};
    }
    return {{{atom(mod(scalar(x), scalar(divisor)))}, 1}};
  }

  std::optional<Range> range(const Polynomial& p) const {
    Range sum;
    for (const auto& [monomial, coefficient] : p) {
      Range term{{0, 1}, {0, 1}};
      for (size_t a : monomial) {
        std::optional<Range> factor = range(atoms_[a]);
        if (!factor || !factor->low.never_negative() || !term.low.never_negative()) return {};
        if (factor->high.a && term.high.a) return {};
        auto times = [](Bound x, Bound y) { return x.a ? y.b * x : x.b * y; };
        term = {times(term.low, factor->low), times(term.high, factor->high)};
      }
      if (coefficient < 0) std::swap(term.low, term.high);
      sum = {sum.low + coefficient * term.low, sum.high + coefficient * term.high};
    }
    return sum;
  }

  std::optional<Range> range(const Scalar& atom) const {
    auto below = [](const Extent& e) {
      return Range{{0, 0}, e.symbolic() ? Bound{e.count, -1} : Bound{0, e.count - 1}};
    };
    if (atom->function == Scalar::variable) {
      if (atom->integer >= static_cast<int64_t>(extents_.size())) return {};
      return below(extents_[static_cast<size_t>(atom->integer)]);
    }
    if (atom->function == Scalar::size) return Range{{1, 0}, {1, 0}};
    if (atom->function == Scalar::mod && atom->arguments[1]->function == Scalar::constant)
      return below(Extent(atom->arguments[1]->integer));
    if (atom->function == Scalar::floordiv && atom->arguments[1]->function == Scalar::constant) {
      Simplifier inner(extents_);
      std::optional<Range> x = inner.range(inner.polynomial(atom->arguments[0]));
      if (!x || !x->low.never_negative() || x->high.a) return {};
      return Range{{0, 0}, {0, x->high.b / atom->arguments[1]->integer}};
    }
    return {};
  }

  size_t atom(const Scalar& x) {
    for (size_t i = 0; i < atoms_.size(); ++i)
      if (bool(atoms_[i] == x)) return i;
    atoms_.push_back(x);
    return atoms_.size() - 1;
  }

  const VariableExtents& extents_;
  std::vector<Scalar> atoms_;
};

}  // namespace

Scalar simplify_index(const Scalar& index, const VariableExtents& extents) {
  Simplifier simplifier(extents);
  return simplifier.scalar(simplifier.polynomial(index));
}

Scalar simplify_loads(const Scalar& x, const VariableExtents& extents) {
  return substitute(x, [&](const Scalar& leaf) -> Scalar {
    if (leaf->function != Scalar::load) return {};
    std::vector<Scalar> indices;
    for (const Scalar& index : leaf->indices()) indices.push_back(simplify_index(index, extents));
    if (leaf->guarded)
      return Scalar::read_if(leaf->guard(), leaf->integer, leaf->dtype, std::move(indices), leaf->otherwise());
    return Scalar::read(leaf->integer, leaf->dtype, std::move(indices));
  });
}

namespace {

Polynomial address(Simplifier& simplifier, const Scalar& load, const Shape& shape) {
  Scalar sum = Scalar::integer(0);
  std::vector<Extent> steps = strides(shape);
  for (size_t i = 0; i < shape.size(); ++i) sum = sum + load->indices()[i] * Scalar::extent(steps[i]);
  return simplifier.joined(simplifier.polynomial(sum));
}

}  // namespace

std::optional<Extent> stride(const Scalar& load, const Shape& shape, int64_t variable) {
  VariableExtents none;
  Simplifier simplifier(none);
  Extent result(0);
  for (const auto& [monomial, coefficient] : address(simplifier, load, shape)) {
    const char* size = nullptr;
    bool here = false, opaque = false;
    for (size_t a : monomial) {
      const Scalar& atom = simplifier.atom_at(a);
      if (atom->function == Scalar::size) {
        opaque = opaque || size != nullptr;
        size = atom->size;
      } else if (atom->function == Scalar::variable) {
        opaque = opaque || (here && atom->integer == variable);
        here = here || atom->integer == variable;
      } else {
        visit(atom, [&](const Scalar& x) {
          opaque = opaque || (x->function == Scalar::variable && x->integer == variable);
        });
      }
    }
    if (opaque) return {};
    if (!here) continue;
    if (monomial.size() != (size ? 2u : 1u) || result.count != 0) return {};
    result = size ? Extent(coefficient, size) : Extent(coefficient);
  }
  return result;
}

// From the innermost stride outwards, every axis begins where the ones before it end.
bool meets_each_once(const Scalar& load, const Shape& shape, const Shape& axes, int64_t maximum) {
  std::map<int64_t, int64_t> count_by_stride;
  for (size_t v = 0; v < axes.size(); ++v) {
    const int64_t count = axes[v].at(maximum);
    const auto apart = stride(load, shape, static_cast<int64_t>(v));
    if (count == 1) continue;
    if (!apart || !count_by_stride.emplace(std::abs(apart->at(maximum)), count).second) return false;
  }
  int64_t next = 1;
  for (const auto& [stride, count] : count_by_stride) {
    if (stride != next) return false;
    next *= count;
  }
  return true;
}

bool is_affine(const Scalar& load, const Shape& shape) {
  VariableExtents none;
  Simplifier simplifier(none);
  const Polynomial at = address(simplifier, load, shape);
  return simplifier.affine(at);
}

}  // namespace tenon
