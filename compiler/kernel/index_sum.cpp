#include "compiler/kernel/index_sum.h"

#include <algorithm>

namespace tenon {
namespace {

constexpr size_t most_terms = 64;

using Terms = std::vector<std::pair<Product, int64_t>>;
size_t degree(const Product& x) { return static_cast<size_t>(std::find(x.begin(), x.end(), 0u) - x.begin()); }

}  // namespace

std::optional<int64_t> checked_sum(std::optional<int64_t> x, std::optional<int64_t> y) {
  int64_t sum = 0;
  return x && y && !__builtin_add_overflow(*x, *y, &sum) ? std::optional(sum) : std::nullopt;
}
std::optional<int64_t> checked_times(std::optional<int64_t> x, std::optional<int64_t> y) {
  int64_t product = 0;
  return x && y && !__builtin_mul_overflow(*x, *y, &product) ? std::optional(product) : std::nullopt;
}

IndexSum IndexSum::number(int64_t value) { return value == 0 ? IndexSum{} : IndexSum{{{Product{}, value}}}; }
IndexSum IndexSum::atom(uint32_t which) { return {{{Product{which}, 1}}}; }

int64_t IndexSum::coefficient(const Product& product) const {
  auto it = std::ranges::lower_bound(terms, product, {}, &Terms::value_type::first);
  return it != terms.end() && it->first == product ? it->second : 0;
}

std::optional<IndexSum> plus(const IndexSum& a, const IndexSum& b, int64_t factor) {
  Terms terms;
  terms.reserve(a.terms.size() + b.terms.size());
  auto x = a.terms.begin(), y = b.terms.begin();
  while (x != a.terms.end() || y != b.terms.end()) {
    if (y == b.terms.end() || (x != a.terms.end() && x->first < y->first)) {
      terms.push_back(*x++);
      continue;
    }
    const bool both = x != a.terms.end() && x->first == y->first;
    const auto coefficient = checked_sum(both ? x->second : 0, checked_times(y->second, factor));
    if (!coefficient) return {};
    if (*coefficient != 0) terms.emplace_back(y->first, *coefficient);
    x += both, ++y;
  }
  if (terms.size() > most_terms) return {};
  return IndexSum{std::move(terms)};
}

std::optional<Product> times(const Product& a, const Product& b) {
  const size_t left = degree(a), right = degree(b);
  if (left + right > a.size()) return {};
  Product both{};
  std::merge(a.begin(), a.begin() + left, b.begin(), b.begin() + right, both.begin());
  return both;
}

std::optional<IndexSum> times(const IndexSum& a, const IndexSum& b) {
  IndexSum sum;
  for (const auto& [left, c] : a.terms) {
    IndexSum row;
    for (const auto& [right, d] : b.terms) {
      const auto product = times(left, right);
      const auto coefficient = checked_times(c, d);
      if (!product || !coefficient) return {};
      row.terms.emplace_back(*product, *coefficient);
    }
    std::ranges::sort(row.terms);  // of distinct products, since those of b are
    auto next = plus(sum, row, 1);
    if (!next) return {};
    sum = std::move(*next);
  }
  return sum;
}

Split split(const IndexSum& x, const Product& divisor, int64_t coefficient) {
  Split result;
  const size_t atoms = degree(divisor);
  for (const auto& [product, c] : x.terms) {
    const size_t all = degree(product);
    const bool divides = std::includes(product.begin(), product.begin() + all, divisor.begin(), divisor.begin() + atoms);
    if (divides && c % coefficient == 0) {
      Product left{};
      std::set_difference(product.begin(), product.begin() + all, divisor.begin(), divisor.begin() + atoms, left.begin());
      result.multiple.terms.emplace_back(left, c / coefficient);
    } else if (all == 0 && atoms == 0) {
      const int64_t floor = c / coefficient - (c % coefficient < 0);
      if (floor) result.multiple.terms.emplace_back(Product{}, floor);
      result.rest.terms.emplace_back(Product{}, c - floor * coefficient);
    } else {
      result.rest.terms.emplace_back(product, c);
    }
  }
  std::ranges::sort(result.multiple.terms);
  return result;
}

}  // namespace tenon
