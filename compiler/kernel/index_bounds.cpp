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

std::optional<IndexForms::Bound> IndexForms::plus(const Bound& x, const Bound& y, int64_t factor) {
  const auto number = checked_sum(x.number, checked_times(y.number, factor));
  if (!number) return {};
  if (y.sized.terms.empty()) return Bound{*number, x.sized};
  auto sized = tenon::plus(x.sized, y.sized, factor);
  return sized ? std::optional(Bound{*number, std::move(*sized)}) : std::nullopt;
}

std::optional<IndexForms::Bound> IndexForms::times(const Bound& x, const Bound& y) {
  const auto scaled = [](const Bound& bound, int64_t by) { return plus({}, Bound{0, bound.sized}, by); };
  const auto number = checked_times(x.number, y.number);
  const auto left = scaled(x, y.number), right = scaled(y, x.number);
  const auto both = tenon::times(x.sized, y.sized);
  if (!number || !left || !right || !both) return {};
  const auto sum = plus(*left, *right, 1);
  return sum ? plus(*sum, Bound{*number, *both}, 1) : std::nullopt;
}

// With each size as 1 and a rest from 0 on, no coefficient is negative.
bool IndexForms::Bound::never_negative() const {
  if (sized.terms.empty()) return number >= 0;
  std::map<Product, std::optional<int64_t>> rests{{Product{}, number}};
  for (const auto& [product, c] : sized.terms) {
    const size_t atoms = static_cast<size_t>(std::ranges::find(product, 0u) - product.begin());
    for (uint32_t chosen = 0; chosen < 1u << atoms; ++chosen) {
      Product rest{};
      for (size_t i = 0, to = 0; i < atoms; ++i)
        if (chosen >> i & 1) rest[to++] = product[i];
      auto& coefficient = rests.try_emplace(rest, 0).first->second;
      coefficient = checked_sum(coefficient, c);
    }
  }
  return std::ranges::all_of(rests, [](const auto& rest) { return rest.second.value_or(-1) >= 0; });
}

std::optional<IndexForms::Bounds> IndexForms::bounds(const IndexSum& x) {
  Bounds sum;
  for (const auto& [product, coefficient] : x.terms) {
    Bounds term{{1}, {1}};
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
  auto up_to = [](int64_t last) { return Bounds{{}, {last}}; };
  switch (x->function) {
    case Scalar::variable: {
      auto it = extents_.find(x->integer);
      if (it == extents_.end()) return {};
      const Extent& e = it->second;
      if (!e.symbolic()) return up_to(std::max<int64_t>(e.count - 1, 0));
      return Bounds{{}, {-1, sum(Scalar::extent(e))}};
    }
    case Scalar::size: {
      const Bound size{0, sum(x)};
      return Bounds{size, size};
    }
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

// For sizes s, floor((sum a s + b) / d) lies between the sums of floor(a/d) s and of ceil(a/d) s, plus floor(b/d).
std::optional<IndexForms::Bounds> IndexForms::quotient_bounds(const Scalar& dividend, int64_t divisor) {
  const auto x = bounds(sum(dividend));
  if (!x) return {};
  auto divided = [&](const Bound& of, bool up) {
    Bound result{floor_of(of.number, divisor)};
    for (const auto& [product, c] : of.sized.terms)
      if (const int64_t quotient = floor_of(c, divisor) + (up && c % divisor != 0))
        result.sized.terms.emplace_back(product, quotient);
    return result;
  };
  return Bounds{divided(x->low, false), divided(x->high, true)};
}

// 0 <= x < divisor, provably.
bool IndexForms::within(const IndexSum& x, const IndexSum& divisor) {
  const auto r = bounds(x), d = bounds(divisor);
  if (!r || !d || !r->low.never_negative()) return false;
  const auto left = plus(d->low, r->high, -1), least = left ? plus(*left, Bound{1}, -1) : std::nullopt;
  return least && least->never_negative();
}

std::optional<Range> IndexForms::range(const Scalar& index, const Sizes& maxima) {
  if (index->dtype != i64) return {};
  const auto found = bounds(sum(index));
  if (!found) return {};
  // Each product of sizes by itself is between 1 and what it is at the maxima.
  auto end = [&](const Bound& bound, bool high) -> std::optional<int64_t> {
    std::optional<int64_t> value = bound.number;
    for (const auto& [product, c] : bound.sized.terms) {
      std::optional<int64_t> term = c;
      for (uint32_t a : product)
        if (a && (c > 0) == high) term = checked_times(term, maxima.at(at(a)->size));
      value = checked_sum(value, term);
    }
    return value && *value > -beyond_32_bits && *value < beyond_32_bits ? value : std::nullopt;
  };
  const auto least = end(found->low, false), greatest = end(found->high, true);
  return least && greatest ? std::optional(Range{*least, *greatest}) : std::nullopt;
}

bool IndexForms::leaves(const Scalar& index, Extent extent, const Sizes& maxima) {
  const IndexSum& x = sum(index);
  Sizes sizes;
  auto depends = [&](Extent e) {
    for (std::string_view size : e.names()) sizes.set(size, 1);
  };
  depends(extent);
  for (const auto& [product, c] : x.terms)
    for (uint32_t a : product) {
      if (is(a, Scalar::size)) sizes.set(at(a)->size, 1);
      if (!is(a, Scalar::variable)) continue;
      if (auto it = extents_.find(at(a)->integer); it != extents_.end()) depends(it->second);
    }
  constexpr size_t most_sizes = 4;
  if (sizes.size() > most_sizes) return false;
  // Every corner, as a number with one digit per size.
  int64_t corners = 1;
  for (size_t i = 0; i < sizes.size(); ++i) corners *= 3;
  for (int64_t corner = 0; corner < corners; ++corner) {
    int64_t digits = corner;
    Sizes at_corner = sizes;
    for (const auto& [name, one] : sizes) {
      const int64_t most = maxima.at(name), digit = digits % 3;
      at_corner.set(name, digit == 2 ? most : std::min(digit + 1, most));
      digits /= 3;
    }
    if (leaves_at(x, extent, at_corner)) return true;
  }
  return false;
}

bool IndexForms::leaves_at(const IndexSum& x, Extent extent, const Sizes& sizes) {
  using Number = std::optional<int64_t>;
  auto at_size = [&](Extent e) {
    Number value = e.count;
    for (std::string_view size : e.names()) value = checked_times(value, sizes.at(size));
    return value;
  };
  std::map<int64_t, Number> coefficients;  // by variable; -1: of none
  for (const auto& [product, c] : x.terms) {
    Number value = c;
    int64_t variable = -1;
    for (uint32_t a : product) {
      if (a == 0) break;
      if (is(a, Scalar::size)) {
        value = checked_times(value, sizes.at(at(a)->size));
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
    const Number last = variable < 0 ? Number(1) : checked_sum(at_size(extents_.at(variable)), -1);
    const Number most = checked_times(coefficient, last);
    if (!most) return false;
    if (variable < 0 || *most < 0) low = checked_sum(low, most);
    if (variable < 0 || *most > 0) high = checked_sum(high, most);
  }
  const Number end = at_size(extent);
  return low && high && end && (*low < 0 || *high >= *end);
}

}  // namespace tenon
