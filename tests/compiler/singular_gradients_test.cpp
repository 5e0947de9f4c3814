// Where 0 * inf or 0 / 0 would arise in a gradient that has a limit or a stated convention: finite at first
// and second order. Each case bit another compiler.
#include <doctest/doctest.h>

#include <cmath>

#include "compiler/graph/differentiate.h"
#include "ir/evaluate.h"
#include "ir/ops.h"

using namespace tenon;

namespace {

struct Orders {
  std::vector<double> first, second;
};

// The gradient of sum(f(x)), and of the sum of that.
Orders orders(std::vector<double> at, Value (*f)(Value)) {
  Graph g;
  Value x = g.input("x", f64, {static_cast<int64_t>(at.size())});
  Value first = gradients(sum(f(x)), {x})[0];
  std::vector<std::string> unreached;
  Value second = reachable_gradients(sum(first), std::span(&x, 1), "test", {}, unreached)[0];
  if (!second) second = zeros_like(x);
  Bindings bindings{{"x", ReferenceArray::of(x.type(), std::span<const double>(at))}};
  return {evaluate(first, bindings).real, evaluate(second, bindings).real};
}

using Row = std::vector<double>;

}  // namespace

TEST_CASE("where(x > 0, log x, 0) at 0 and below") {
  Orders result = orders({-1, 0, 2}, [](Value x) { return select(x > 0, log(x), 0); });
  CHECK(result.first == Row{0, 0, 0.5});
  CHECK(result.second == Row{0, 0, -0.25});
}

TEST_CASE("where(x > 0, (log x)^2, 0): two gradients meet under one mask") {
  Orders result = orders({0, 1}, [](Value x) {
    Value y = log(x);
    return select(x > 0, y * y, 0);
  });
  CHECK(result.first == Row{0, 0});
  CHECK(result.second == Row{0, 2});
}

TEST_CASE("where(x != 0, sin(x) / x, 1)") {
  Orders result = orders({0}, [](Value x) { return select(not_equal(x, 0), sin(x) / x, 1); });
  CHECK(result.first == Row{0});
  CHECK(result.second == Row{0});
}

TEST_CASE("max(sqrt(x), eps) at 0") {
  Orders result = orders({0, 4}, [](Value x) { return max(sqrt(x), 1e-3); });
  CHECK(result.first == Row{0, 0.25});
  CHECK(result.second == Row{0, -1.0 / 32});
}

TEST_CASE("where(x > 0, sqrt x, 0) below 0") {
  Orders result = orders({-1, 0, 4}, [](Value x) { return select(x > 0, sqrt(x), 0); });
  CHECK(result.first == Row{0, 0, 0.25});
  CHECK(result.second == Row{0, 0, -1.0 / 32});
}

TEST_CASE("the norm at 0 has gradient 0") {
  Orders result = orders({0, 0}, [](Value x) { return sqrt(sum(x * x)); });
  CHECK(result.first == Row{0, 0});
  CHECK(result.second == Row{0, 0});
}

TEST_CASE("x^0, x^1, x^2 and 0^x at 0") {
  CHECK(orders({0}, [](Value x) { return pow(x, 0); }).first == Row{0});
  CHECK(orders({0}, [](Value x) { return pow(x, 0); }).second == Row{0});
  CHECK(orders({0}, [](Value x) { return pow(x, 1); }).first == Row{1});
  CHECK(orders({0}, [](Value x) { return pow(x, 1); }).second == Row{0});
  CHECK(orders({0, -3}, [](Value x) { return pow(x, 2); }).first == Row{0, -6});
  CHECK(orders({0, -3}, [](Value x) { return pow(x, 2); }).second == Row{2, 2});
  CHECK(orders({0, 2}, [](Value x) { return pow(zeros_like(x), x); }).first == Row{0, 0});
  CHECK(orders({0, 2}, [](Value x) { return pow(zeros_like(x), x); }).second == Row{0, 0});
}

TEST_CASE("a mask on rows reaches through sums, means and reshapes") {
  Orders result = orders({0, 1, 0, 2}, [](Value x) {
    Value rows = log(reshape(x, {2, 2}));
    Value keep = sum(reshape(x, {2, 2}), {0}) > 0;
    return select(keep, mean(rows, {0}), 0);
  });
  CHECK(result.first == Row{0, 0.5, 0, 0.25});
}

TEST_CASE("log-sum-exp and softmax of equal and of masked logits") {
  Orders equal_logits = orders({1, 1}, [](Value z) { return logsumexp(z) * logsumexp(z); });
  for (double x : equal_logits.first) CHECK(x == doctest::Approx(1 + std::log(2.0)));
  Graph g;
  Value z = g.input("z", f64, {3});
  Value loss = softmax_cross_entropy(select(constant(g.body(), Literal::of({boolean, {3}}, Row{1, 0, 1})), z, -INFINITY),
                                     constant(g.body(), i64, 0));
  Value dz = gradients(loss, {z})[0];
  CHECK(evaluate(dz, {{"z", ReferenceArray::of(z.type(), Row{1, 9, 1})}}).real == Row{-0.5, 0, 0.5});
}

TEST_CASE("the product has gradients through its zeros") {
  CHECK(orders({2, 0, 3}, [](Value x) { return prod(x); }).first == Row{0, 6, 0});
  CHECK(orders({2, 0, 3}, [](Value x) { return prod(x); }).second == Row{3, 5, 2});
}

TEST_CASE("trigamma has no gradient rule, and the error says so") {
  Graph g;
  Value x = g.input("x", f64, {});
  CHECK_THROWS_WITH_AS(gradients(trigamma(x), {x}), doctest::Contains("'trigamma' has no gradient rule"), Error);
}
