#pragma once
// Sums of products of atoms with integer coefficients: the algebra of indices. An atom is a number from 1 on, whose meaning is
// the caller's. What does not fit 64 bits, or has too many terms or factors, is no sum (none).
#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace tenon {

using Product = std::array<uint32_t, 6>;  // atoms, ascending, and then zeros; without atoms it is 1

std::optional<int64_t> checked_sum(std::optional<int64_t> x, std::optional<int64_t> y);
std::optional<int64_t> checked_times(std::optional<int64_t> x, std::optional<int64_t> y);

struct IndexSum {
  std::vector<std::pair<Product, int64_t>> terms = {};  // by ascending product; no coefficient is 0

  static IndexSum number(int64_t value);
  static IndexSum atom(uint32_t which);
  int64_t coefficient(const Product& product) const;
};

std::optional<IndexSum> plus(const IndexSum& a, const IndexSum& b, int64_t factor);  // a + factor * b
std::optional<IndexSum> times(const IndexSum& a, const IndexSum& b);
std::optional<Product> times(const Product& a, const Product& b);

// x = coefficient * divisor * multiple + rest, where `multiple` has the terms that are divisible; a number is divided with a
// remainder from 0 on. The coefficient is positive.
struct Split {
  IndexSum multiple, rest;
};
Split split(const IndexSum& x, const Product& divisor, int64_t coefficient);

}  // namespace tenon
