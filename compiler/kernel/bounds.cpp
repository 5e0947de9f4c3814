#include "compiler/kernel/bounds.h"

#include <optional>
#include <unordered_map>

namespace tenon {
namespace {

constexpr size_t most_terms = 64;

using Number = std::optional<int64_t>;  // none: not within 64 bits
Number plus(Number x, Number y) {
  int64_t sum = 0;
  return x && y && !__builtin_add_overflow(*x, *y, &sum) ? Number(sum) : std::nullopt;
}
Number times(Number x, Number y) {
  int64_t product = 0;
  return x && y && !__builtin_mul_overflow(*x, *y, &product) ? Number(product) : std::nullopt;
}

struct Term {
  int64_t variable = -1;  // none: 1
  bool size = false;      // times the run-time size
  auto operator<=>(const Term&) const = default;
};
using Sum = std::map<Term, int64_t>;
using Found = std::optional<Sum>;

Found product(const Sum& x, const Sum& y) {
  Sum result;
  for (const auto& [a, c] : x)
    for (const auto& [b, d] : y) {
      if ((a.size && b.size) || (a.variable >= 0 && b.variable >= 0)) return {};
      const Term term{std::max(a.variable, b.variable), a.size || b.size};
      const Number value = plus(result[term], times(c, d));
      if (!value || result.size() > most_terms) return {};
      result[term] = *value;
    }
  return result;
}

Found combined(const Sum& x, const Sum& y, int64_t sign) {
  Sum result = x;
  for (const auto& [term, c] : y) {
    const Number value = plus(result[term], times(c, sign));
    if (!value || result.size() > most_terms) return {};
    result[term] = *value;
  }
  return result;
}

Found sum_of(const Scalar& index, const std::map<int64_t, Extent>& extents) {
  std::unordered_map<const ScalarNode*, Found> known;
  visit(index, [&](const Scalar& x) {  // after its arguments
    auto argument = [&](size_t i) -> const Found& { return known.at(&*x->arguments[i]); };
    Found& made = known[&*x];
    const bool both = x->arguments.size() == 2 && argument(0) && argument(1);
    switch (x->function) {
      case Scalar::constant: made = x->dtype == i64 ? Found(Sum{{{}, x->integer}}) : std::nullopt; break;
      case Scalar::size: made = Sum{{{-1, true}, x->integer}}; break;
      case Scalar::variable:
        if (extents.contains(x->integer)) made = Sum{{{x->integer, false}, 1}};
        break;
      case Scalar::neg:
        if (argument(0)) made = combined({}, *argument(0), -1);
        break;
      case Scalar::add:
      case Scalar::sub:
        if (both) made = combined(*argument(0), *argument(1), x->function == Scalar::add ? 1 : -1);
        break;
      case Scalar::mul:
        if (both) made = product(*argument(0), *argument(1));
        break;
      default: break;
    }
  });
  return known.at(&*index);
}

Number at(Extent extent, int64_t n) { return times(extent.count, extent.symbolic() ? n : 1); }

}  // namespace

bool leaves(const Scalar& index, Extent extent, const std::map<int64_t, Extent>& extents, int64_t maximum) {
  const Found sum = sum_of(index, extents);
  if (!sum) return false;
  for (int64_t n : {int64_t{1}, std::min<int64_t>(2, maximum), maximum}) {
    std::map<int64_t, Number> coefficients;  // by variable
    for (const auto& [term, c] : *sum) {
      Number& coefficient = coefficients.try_emplace(term.variable, 0).first->second;
      coefficient = plus(coefficient, times(c, term.size ? n : 1));
    }
    Number low = 0, high = 0;
    for (const auto& [variable, coefficient] : coefficients) {
      const Number last = variable < 0 ? Number(1) : plus(at(extents.at(variable), n), -1);
      const Number most = times(coefficient, last);
      if (!most) return false;
      if (variable < 0 || *most < 0) low = plus(low, most);
      if (variable < 0 || *most > 0) high = plus(high, most);
    }
    const Number end = at(extent, n);
    if (!low || !high || !end) return false;
    if (*low < 0 || *high >= *end) return true;
  }
  return false;
}

}  // namespace tenon
