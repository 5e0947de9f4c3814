// Indices as sums of products: what cancels, what stays, and that no expression can make the arithmetic fail.
#include "compiler/kernel/index.h"

#include <doctest/doctest.h>

#include "ir/scalar_text.h"

using namespace tenon;

namespace {

Scalar v(int64_t variable) { return Scalar::index(variable); }
Scalar c(int64_t value) { return Scalar::integer(value); }
const Extent n(1, "n");

std::string text(const Scalar& x) {
  return ScalarPrinter([](int64_t source) { return "b" + std::to_string(source); }).text(x);
}
// i < 4, j < 12, k < n
std::string simplified(const Scalar& x) { return text(IndexForms(VariableExtents{4, 12, n}).simplified(x)); }
std::string bounds(const Scalar& x) {
  const auto range = IndexForms(VariableExtents{4, 12, n}).range(x, 100);
  return range ? fmt::format("{} to {}", range->least, range->greatest) : "none";
}

}  // namespace

TEST_CASE("reshapes vanish, at a number and at the run-time size") {
  CHECK(simplified(floordiv(v(0) * c(12) + v(1), c(12))) == "i");
  CHECK(simplified(mod(v(0) * c(12) + v(1), c(12))) == "j");
  CHECK(simplified(c(3) * floordiv(v(1), c(3)) + mod(v(1), c(3))) == "j");
  const Scalar size = Scalar::extent(n);
  CHECK(simplified(floordiv(v(1) * size + v(2), size)) == "j");
  CHECK(simplified(size * floordiv(v(1), size) + mod(v(1), size)) == "j");
  CHECK(simplified(floordiv(floordiv(v(2), c(2)), c(5))) == "k // 10");
  CHECK(simplified(floordiv(v(0) * c(12) + v(1), c(4))) == "3 * i + j // 4");
  CHECK(simplified((v(0) + v(1)) * (v(0) - v(1)) + v(1) * v(1)) == "i * i");
}

TEST_CASE("an address has a stride where neighbours lie equally far apart") {
  IndexForms forms(VariableExtents{Extent(16, "n"), 4, 4});
  const Scalar rows[] = {floordiv(v(0), c(16)), mod(v(0), c(16)), v(1)}, wrapped[] = {mod(v(0), c(5)), v(1), v(2)};
  CHECK(forms.stride({n, 16, 8}, rows, 0) == Extent(8));
  CHECK(forms.stride({n, 16, 8}, rows, 1) == Extent(1));
  CHECK(forms.stride({n, 16, 8}, rows, 2) == Extent(0));
  CHECK_FALSE(forms.stride({5, 4, 8}, wrapped, 0));
  const Scalar columns[] = {v(1), v(2)};
  CHECK(forms.stride({4, Extent(3, "n")}, columns, 1) == Extent(3, "n"));
}

TEST_CASE("bounds hold at every size") {
  CHECK(bounds(v(1) - v(0)) == "-3 to 11");
  CHECK(bounds(Scalar::extent(n) - v(2)) == "1 to 100");
  CHECK(bounds(floordiv(c(3) * v(2) + v(0), c(2))) == "0 to 200");  // no more than 150, of which this is a bound
  CHECK(bounds(Scalar::to(i64, Scalar::read(0, u8, {v(0)}))) == "0 to 255");
  CHECK(bounds(v(3)) == "none");
  CHECK(bounds(c(int64_t{1} << 31)) == "none");
}

TEST_CASE("what does not fit stays as it is") {
  const Scalar i = v(0), large = c(int64_t{1} << 62);
  CHECK(simplified((large * i) * c(4)) == "4611686018427387904 * i * 4");
  CHECK(simplified(Scalar::call(Scalar::floordiv, {i, c(0)})) == "i // 0");
  CHECK(simplified(Scalar::call(Scalar::mod, {i, c(-3)})) == "i % -3");
  Scalar power = i, sum = i, doubled = i + v(1);
  for (int k = 0; k < 7; ++k) power = power * v(1);
  CHECK(simplified(power) == "j * (i * j * j * j * j * j * j)");  // a product of six at most
  for (int k = 0; k < 100'000; ++k) sum = sum + i;
  CHECK(simplified(sum) == "100001 * i");
  for (int k = 0; k < 70; ++k) doubled = doubled + doubled;
  CHECK(IndexForms(VariableExtents{4, 12}).leaves(doubled, 5, 1) == false);
}
