// What an index can be over all values of its variables, at every size.
#include <algorithm>
#include <limits>
#include <map>

#include "compiler/kernel/index.h"

namespace tenon {
namespace {

constexpr int64_t beyond_32_bits = int64_t{1} << 31;

int64_t floor_of(int64_t a, int64_t b) { return a / b - (a % b < 0); }

}  // namespace

std::optional<IndexForms::Bound> IndexForms::plus(Bound x, Bound y, int64_t factor) {
  const auto a = checked_sum(x.a, checked_times(y.a, factor)), b = checked_sum(x.b, checked_times(y.b, factor));
  return a && b ? std::optional(Bound{*a, *b}) : std::nullopt;
}

// Of bounds of which one is a number.
std::optional<IndexForms::Bound> IndexForms::times(Bound x, Bound y) {
  if (x.a && y.a) return {};
  return x.a ? plus({}, x, y.b) : plus({}, y, x.b);
}

std::optional<IndexForms::Bounds> IndexForms::bounds(const IndexSum& x) {
  Bounds sum;
  for (const auto& [product, coefficient] : x.terms) {
    Bounds term{{0, 1}, {0, 1}};
    for (size_t i = 0; i < product.size() && product[i]; ++i) {
      const auto factor = bounds(at(product[i]));
      if (!factor) return {};
      if (i == 0) {
        term = *factor;
        continue;
      }
      if (!factor->low.never_negative() || !term.low.never_negative()) return {};
      const auto low = times(term.low, factor->low), high = times(term.high, factor->high);
      if (!low || !high) return {};
      term = {*low, *high};
    }
    if (coefficient < 0) std::swap(term.low, term.high);
    const auto low = plus(sum.low, term.low, coefficient), high = plus(sum.high, term.high, coefficient);
    if (!low || !high) return {};
    sum = {*low, *high};
  }
  return sum;
}

std::optional<IndexForms::Bounds> IndexForms::bounds(const Scalar& x) {
  if (auto it = bounds_.find(&*x); it != bounds_.end()) return it->second;
  const auto found = new_bounds(x);
  bounds_.emplace(&*x, found);
  return found;
}

std::optional<IndexForms::Bounds> IndexForms::new_bounds(const Scalar& x) {
  auto up_to = [](int64_t last) { return Bounds{{0, 0}, {0, last}}; };
  switch (x->function) {
    case Scalar::variable: {
      auto it = extents_.find(x->integer);
      if (it == extents_.end()) return {};
      const Extent& e = it->second;
      return e.symbolic() ? Bounds{{0, 0}, {e.count, -1}} : up_to(std::max<int64_t>(e.count - 1, 0));
    }
    case Scalar::size: return Bounds{{x->integer, 0}, {x->integer, 0}};
    case Scalar::load: return x->dtype == u8 && !x->guarded ? std::optional(up_to(255)) : std::nullopt;
    case Scalar::cast: {
      const Scalar& from = x->arguments[0];
      return x->dtype == i64 && from->dtype == u8 ? bounds(from) : std::nullopt;
    }
    case Scalar::mod:
    case Scalar::floordiv: {
      const Scalar& divisor = x->arguments[1];
      if (x->dtype != i64 || divisor->function != Scalar::constant || divisor->integer <= 0) return {};
      if (x->function == Scalar::mod) return up_to(divisor->integer - 1);
      return quotient_bounds(x->arguments[0], divisor->integer);
    }
    default: return {};
  }
}

// floor((a n + b) / d) lies between floor(a/d) n + floor(b/d) and ceil(a/d) n + floor(b/d).
std::optional<IndexForms::Bounds> IndexForms::quotient_bounds(const Scalar& dividend, int64_t divisor) {
  const auto x = bounds(sum(dividend));
  if (!x) return {};
  return Bounds{{floor_of(x->low.a, divisor), floor_of(x->low.b, divisor)},
                {x->high.a / divisor + (x->high.a % divisor > 0), floor_of(x->high.b, divisor)}};
}

// 0 <= x < divisor, provably.
bool IndexForms::within(const IndexSum& x, const IndexSum& divisor) {
  const auto r = bounds(x), d = bounds(divisor);
  if (!r || !d || !r->low.never_negative()) return false;
  const auto left = plus(d->low, r->high, -1);
  return left && Bound{left->a, left->b - 1}.never_negative();
}

std::optional<Range> IndexForms::range(const Scalar& index, int64_t maximum) {
  if (index->dtype != i64) return {};
  const auto found = bounds(sum(index));
  if (!found) return {};
  Range result{std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()};
  for (int64_t n : {int64_t{1}, maximum})
    for (const Bound& bound : {found->low, found->high}) {
      const auto value = checked_sum(checked_times(bound.a, n), bound.b);
      if (!value || *value <= -beyond_32_bits || *value >= beyond_32_bits) return {};
      result = {std::min(result.least, *value), std::max(result.greatest, *value)};
    }
  return result;
}

bool IndexForms::leaves(const Scalar& index, Extent extent, int64_t maximum) {
  using Number = std::optional<int64_t>;
  const IndexSum& x = sum(index);
  auto at_size = [](Extent e, int64_t n) { return checked_times(e.count, e.symbolic() ? n : 1); };
  for (int64_t n : {int64_t{1}, std::min<int64_t>(2, maximum), maximum}) {
    std::map<int64_t, Number> coefficients;  // by variable; -1: of none
    for (const auto& [product, c] : x.terms) {
      Number value = c;
      int64_t variable = -1;
      for (uint32_t a : product) {
        if (a == 0) break;
        if (is(a, Scalar::size)) {
          value = checked_times(value, n);
          continue;
        }
        if (!is(a, Scalar::variable) || variable >= 0 || !extents_.contains(at(a)->integer)) return false;
        variable = at(a)->integer;
      }
      Number& coefficient = coefficients.try_emplace(variable, 0).first->second;
      coefficient = checked_sum(coefficient, value);
    }
    Number low = 0, high = 0;
    for (const auto& [variable, coefficient] : coefficients) {
      const Number last = variable < 0 ? Number(1) : checked_sum(at_size(extents_.at(variable), n), -1);
      const Number most = checked_times(coefficient, last);
      if (!most) return false;
      if (variable < 0 || *most < 0) low = checked_sum(low, most);
      if (variable < 0 || *most > 0) high = checked_sum(high, most);
    }
    const Number end = at_size(extent, n);
    if (!low || !high || !end) return false;
    if (*low < 0 || *high >= *end) return true;
  }
  return false;
}

}  // namespace tenon
