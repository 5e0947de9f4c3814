#include "compiler/loop/linear.h"

#include <algorithm>

namespace tenon {
namespace {

constexpr int64_t limit = int64_t{1} << 31;

std::optional<Range> bounded(Range range) {
  if (range.least <= -limit || range.greatest >= limit) return {};
  return range;
}

int64_t floor_of(int64_t a, int64_t b) { return a / b - (a % b < 0); }

bool literal(const Scalar& x) { return x->function == Scalar::constant; }

}  // namespace

Factor operator+(Factor a, Factor b) { return {a.c + b.c, a.n + b.n}; }

std::optional<Factor> operator*(Factor a, Factor b) {
  if (a.n != 0 && b.n != 0) return {};
  return Factor{a.c * b.c, a.c * b.n + a.n * b.c};
}

void Linear::add(const Scalar& atom, Factor factor) {
  auto it = std::find_if(terms.begin(), terms.end(), [&](const Term& term) { return term.atom == atom; });
  if (it == terms.end()) {
    if (!factor.zero()) terms.push_back({atom, factor});
  } else {
    it->factor = it->factor + factor;
    if (it->factor.zero()) terms.erase(it);
  }
}

bool Linear::add(const Linear& other, Factor factor) {
  if (!(other.constant * factor)) return false;
  for (const Term& term : other.terms)
    if (!(term.factor * factor)) return false;
  for (const Term& term : other.terms) add(term.atom, *(term.factor * factor));
  constant = constant + *(other.constant * factor);
  return true;
}

void LinearForms::bound(const Axis& axis) {
  greatest_.emplace_back(axis.variable, std::max<int64_t>(axis.extent.at(maximum_) - 1, 0));
  known_.clear();
}

std::optional<Range> LinearForms::range(const Linear& form) const {
  auto ends = [&](Factor factor) {
    int64_t one = factor.c + factor.n, most = factor.c + factor.n * maximum_;
    return Range{std::min(one, most), std::max(one, most)};
  };
  auto sum = bounded(ends(form.constant));
  for (const Linear::Term& term : form.terms) {
    auto atom = range(term.atom), factor = bounded(ends(term.factor));
    if (!sum || !atom || !factor) return {};
    auto [least, greatest] =
        std::minmax({factor->least * atom->least, factor->least * atom->greatest, factor->greatest * atom->least,
                     factor->greatest * atom->greatest});
    sum = bounded({sum->least + least, sum->greatest + greatest});
  }
  return sum;
}

std::optional<Range> LinearForms::range(const Scalar& x) const {
  if (auto it = known_.find(&*x); it != known_.end() && it->second.range) return *it->second.range;
  const std::optional<Range> found = new_range(x);
  Known& known = known_[&*x];
  known.expression = x;
  known.range = found;
  return found;
}

std::optional<Range> LinearForms::new_range(const Scalar& x) const {
  switch (x->function) {
    case Scalar::variable:
      for (auto [variable, greatest] : greatest_)
        if (variable == x->integer) return bounded({0, greatest});
      return {};
    case Scalar::constant:
      if (!is_integer(x->dtype)) return {};
      return bounded({x->integer, x->integer});
    case Scalar::load:
      if (x->dtype == u8 && !x->guarded) return Range{0, 255};
      return {};
    case Scalar::cast: return is_integer(x->arguments[0]->dtype) ? range(x->arguments[0]) : std::nullopt;
    case Scalar::select: {
      auto a = range(x->arguments[1]), b = range(x->arguments[2]);
      if (!a || !b) return {};
      return Range{std::min(a->least, b->least), std::max(a->greatest, b->greatest)};
    }
    case Scalar::floordiv: case Scalar::mod: {
      const Scalar& divisor = x->arguments[1];
      if (x->dtype != i64 || !literal(divisor) || divisor->integer <= 0) return {};
      auto dividend = range(of(x->arguments[0]));
      if (!dividend) return {};
      if (x->function == Scalar::mod) return Range{0, divisor->integer - 1};
      return Range{floor_of(dividend->least, divisor->integer), floor_of(dividend->greatest, divisor->integer)};
    }
    case Scalar::size: case Scalar::add: case Scalar::sub: case Scalar::mul: case Scalar::neg: {
      Linear form = of(x);
      if (form.terms.size() == 1 && form.terms[0].atom == x) return {};
      return range(form);
    }
    default: return {};
  }
}

// dividend = divisor * quotient + remainder with 0 <= remainder < divisor, if the ranges show it.
bool LinearForms::divide(const Scalar& dividend, int64_t divisor, Linear& quotient, Linear& remainder) const {
  Linear form = of(dividend);
  auto part = [&](int64_t a) { return floor_of(a, divisor); };
  for (const Linear::Term& term : form.terms) {
    bool whole = term.factor.c % divisor == 0 && term.factor.n % divisor == 0;
    if (whole)
      quotient.add(term.atom, {term.factor.c / divisor, term.factor.n / divisor});
    else
      remainder.add(term.atom, term.factor);
  }
  quotient.constant = {part(form.constant.c), part(form.constant.n)};
  remainder.constant = {form.constant.c - divisor * quotient.constant.c, form.constant.n - divisor * quotient.constant.n};
  auto known = range(remainder);
  return known && known->least >= 0 && known->greatest < divisor;
}

// c * g * (e // c) + g * (e % c) is g * e.
void LinearForms::join(Linear& form) const {
  for (bool changed = true; changed;) {
    changed = false;
    for (const Linear::Term& m : form.terms) {
      if (m.atom->function != Scalar::mod) continue;
      Scalar inner = m.atom->arguments[0], divisor = m.atom->arguments[1];
      Scalar whole = floordiv(inner, divisor);
      if (inner->function == Scalar::floordiv)  // (e // a) // b is e // (a * b)
        whole = floordiv(inner->arguments[0], inner->arguments[1] * divisor);
      auto it = std::find_if(form.terms.begin(), form.terms.end(), [&](const Linear::Term& q) {
        return q.atom == whole || q.atom == floordiv(inner, divisor);
      });
      Linear c = of(divisor);
      if (it == form.terms.end() || !c.terms.empty() || it->factor != m.factor * c.constant) continue;
      Linear rest = form;
      Factor factor = m.factor, negative = *(Factor{-1, 0} * m.factor);
      rest.add(it->atom, *(Factor{-1, 0} * it->factor));
      rest.add(m.atom, negative);
      if (!rest.add(of(inner), factor)) continue;
      form = std::move(rest);
      changed = true;
      break;
    }
  }
}

Linear LinearForms::of(const Scalar& x) const {
  if (auto it = known_.find(&*x); it != known_.end() && it->second.form) return *it->second.form;
  Linear found = new_form(x);
  Known& known = known_[&*x];
  known.expression = x;
  known.form = found;
  return found;
}

Linear LinearForms::new_form(const Scalar& x) const {
  Linear result;
  auto linear = [&]() -> bool {
    if (x->dtype != i64) return false;
    switch (x->function) {
      case Scalar::constant: result.constant = {x->integer, 0}; return true;
      case Scalar::size: result.constant = {0, x->integer}; return true;
      case Scalar::add: case Scalar::sub:
        return result.add(of(x->arguments[0]), {1, 0}) &&
               result.add(of(x->arguments[1]), {x->function == Scalar::add ? 1 : -1, 0});
      case Scalar::neg: return result.add(of(x->arguments[0]), {-1, 0});
      case Scalar::mul: {
        Linear a = of(x->arguments[0]), b = of(x->arguments[1]);
        if (b.terms.empty()) return result.add(a, b.constant);
        return a.terms.empty() && result.add(b, a.constant);
      }
      case Scalar::floordiv: case Scalar::mod: {
        const Scalar& divisor = x->arguments[1];
        if (!literal(divisor) || divisor->integer <= 0) return false;
        Linear quotient, remainder;
        if (!divide(x->arguments[0], divisor->integer, quotient, remainder)) return false;
        result = x->function == Scalar::floordiv ? quotient : remainder;
        return true;
      }
      default: return false;
    }
  };
  if (!linear()) {
    result = {};
    result.add(x, {1, 0});
  }
  join(result);
  return result;
}

Linear LinearForms::flatten(const Type& type, std::span<const Scalar> index) const {
  check(index.size() == type.shape.size(), "a load has one index per axis of its buffer");
  std::vector<Extent> steps = strides(type.shape);
  Linear result;
  for (size_t i = 0; i < index.size(); ++i) {
    Factor factor = steps[i].symbolic() ? Factor{0, steps[i].count} : Factor{steps[i].count, 0};
    if (!result.add(of(index[i]), factor)) result.add(index[i] * Scalar::extent(steps[i]), {1, 0});
  }
  join(result);
  return result;
}

}  // namespace tenon
