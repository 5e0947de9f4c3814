// The evaluator against loops and published values, its bounds, and what it leaves undecided.
#include "ir/evaluate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "ir/ops.h"

namespace {
using namespace tenon;
const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");

Value make(Graph& g, const Type& type, std::vector<double> values) { return constant(g.body(), Literal::of(type, values)); }
std::vector<double> real(Value x, Arithmetic arithmetic = Arithmetic::bounded) { return evaluate(x, {}, 1, arithmetic).real; }
std::vector<int64_t> whole(Value x) { return evaluate(x).whole; }
using Reals = std::vector<double>;
using Wholes = std::vector<int64_t>;

// A long sum against the same sum written as a loop in float.
TEST_CASE("a contraction is the sum that its letters say, within its bound") {
  Graph g;
  Reals a(6 * 50), b(50 * 4);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(std::cos(static_cast<double>(i)));
  ReferenceArray y = evaluate(contract(make(g, {f32, {6, 50}}, a), make(g, {f32, {50, 4}}, b), "ik,kj->ij"));
  std::vector<float> actual(24);
  for (size_t i = 0; i < 6; ++i)
    for (size_t k = 0; k < 50; ++k)
      for (size_t j = 0; j < 4; ++j) actual[i * 4 + j] += static_cast<float>(a[i * 50 + k]) * static_cast<float>(b[k * 4 + j]);
  Comparison same = compare(y, std::as_bytes(std::span(actual)));
  CHECK_MESSAGE(same.agree(), same.str());
  CHECK(same.undecided == 0);
  CHECK(same.ratio > 0);
  actual[17] += 1e-4f;
  Comparison other = compare(y, std::as_bytes(std::span(actual)));
  CHECK(other.mismatches == 1);
  CHECK(other.worst == 17);
  CHECK(other.str().find("1 of 24 elements differ (0 undecided); worst [17]: ") == 0);
}

TEST_CASE("integers wrap in their own type") {
  Graph g;
  auto i32s = [&](double x) { return make(g, {i32, {}}, {x}); };
  CHECK(whole(i32s(2147483647) + i32s(1)) == Wholes{-2147483648});
  CHECK(whole(i32s(65536) * i32s(65536)) == Wholes{0});
  CHECK(whole(i32s(-7) / i32s(2)) == Wholes{-3});
  CHECK(whole(i32s(7) / i32s(0)) == Wholes{0});
  CHECK(whole(i32s(-2147483648.0) / i32s(-1)) == Wholes{-2147483648});
  CHECK(whole(make(g, {u8, {}}, {250}) + make(g, {u8, {}}, {10})) == Wholes{4});
  CHECK(whole(sum(make(g, {u8, {3}}, {200, 200, 200}))) == Wholes{88});
  CHECK(whole(cast(make(g, {f32, {6}}, {2.9, -2.9, nan, inf, -inf, 3e9}), i32)) ==
        Wholes{2, -2, 0, 2147483647, -2147483648, 2147483647});
  CHECK(whole(cast(make(g, {i64, {2}}, {-1, 257}), u8)) == Wholes{255, 1});
}

TEST_CASE("reductions: order, NaN and nothing") {
  Graph g;
  Value x = make(g, {f32, {2, 3}}, {1, 5, 5, -1, nan, 7});
  CHECK(real(sum(make(g, {f32, {2, 3}}, {1, 2, 3, 4, 5, 6}), {0})) == Reals{5, 7, 9});
  CHECK(whole(argmax(x)) == Wholes{1, 1});
  Reals most = real(reduce_max(x, {1}));
  CHECK(most[0] == 5);
  CHECK(std::isnan(most[1]));
  CHECK(real(sum(make(g, {f32, {2, 0}}, {}), {1})) == Reals{0, 0});
  CHECK(real(prod(make(g, {f32, {2, 0}}, {}), {1})) == Reals{1, 1});
  CHECK(real(prod(make(g, {f32, {3}}, {2, 3, 4}))) == Reals{24});
}

TEST_CASE("views, choosing and scattering") {
  Graph g;
  Value x = make(g, {f32, {2, 3}}, {1, 2, 3, 4, 5, 6});
  CHECK(real(transpose(x)) == Reals{1, 4, 2, 5, 3, 6});
  CHECK(real(pad(x, {0, 1}, {1, 0}, 9)) == Reals{9, 1, 2, 3, 9, 4, 5, 6, 9, 9, 9, 9});
  CHECK(real(concat({x, x}, 1)) == Reals{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6});
  CHECK(real(pick(x, make(g, {u8, {2}}, {2, 0}))) == Reals{3, 4});
  CHECK(real(gather(x, make(g, {i32, {3}}, {1, 1, 0}))) == Reals{4, 5, 6, 4, 5, 6, 1, 2, 3});
  CHECK(real(scatter_add(make(g, {i64, {2}}, {1, 1}), x, 3)) == Reals{0, 0, 0, 5, 7, 9, 0, 0, 0});
  CHECK(real(one_hot(make(g, {i64, {2}}, {1, 0}), 2)) == Reals{0, 1, 1, 0});
}

TEST_CASE("an index out of range names row and value") {
  Graph g;
  Value x = make(g, {f32, {2, 3}}, {1, 2, 3, 4, 5, 6});
  Value index = make(g, {i64, {2}}, {0, 3});
  CHECK_THROWS_WITH_AS(evaluate(pick(x, index)), doctest::Contains("pick: index 3 at row 1 is out of range: it must be 0 to 2"),
                       Error);
  CHECK_THROWS_WITH_AS(evaluate(scatter_add(index, x, 2)), doctest::Contains("scatter_add: index 3 at row 1"), Error);
}

TEST_CASE("an expansion is evaluated as what it expands into") {
  Graph g;
  Reals p = real(softmax(make(g, {f64, {3}}, {1, 2, 3})));
  CHECK(p[0] == doctest::Approx(0.09003057317038046).epsilon(1e-14));
  CHECK(p[2] == doctest::Approx(0.66524095577482178).epsilon(1e-14));
  CHECK(real(softmax_cross_entropy(make(g, {f64, {1, 3}}, {1, 2, 3}), make(g, {i64, {1}}, {0})))[0] ==
        doctest::Approx(2.40760596444438).epsilon(1e-12));
}

TEST_CASE("typed arithmetic has the bits of float code") {
  Graph g;
  Value a = make(g, {f32, {4}}, {0.1, 16777216, 3e38, 1e-40}), b = make(g, {f32, {4}}, {0.2, 1, 3e38, 3});
  auto typed = [](Value x) { return evaluate(x, {}, 1, Arithmetic::typed); };
  for (size_t i = 0; i < 4; ++i) {
    float x = static_cast<float>(evaluate(a).real[i]), y = static_cast<float>(evaluate(b).real[i]);
    CHECK(typed(a + b).real[i] == x + y);
    CHECK(typed(a * b).real[i] == x * y);
    CHECK(typed(a / b).real[i] == x / y);
    CHECK(typed(sqrt(a)).real[i] == std::sqrt(x));
  }
  CHECK(typed(a + b).bound.empty());
  CHECK(evaluate(make(g, {f32, {}}, {0.1}) + make(g, {f32, {}}, {0.2})).real[0] != 0.1f + 0.2f);
}

TEST_CASE("what is exact has no bound, and equality is then decided") {
  Graph g;
  Value x = make(g, {f32, {3}}, {1, 2, 4});
  CHECK(evaluate(x * x + x).bound.empty());
  CHECK(evaluate(select(equal(x * x, x + x), x, -x)).bound.empty());
  CHECK(evaluate(cast(x, i32)).bound.empty());
  CHECK(evaluate(x / make(g, {f32, {3}}, {3, 3, 3})).bound_at(0) > 0);
}

TEST_CASE("what rounding could flip is undecided") {
  Graph g;
  Value third = make(g, {f32, {}}, {1}) / make(g, {f32, {}}, {3}), one = third * 3.0;
  auto open = [](Value x) { return std::isinf(evaluate(x).bound_at(0)); };
  CHECK(open(equal(one, 1.0)));
  CHECK(open(one < 1.0));
  CHECK_FALSE(open(one < 1.1));
  CHECK(evaluate(cast(one, i32)).bound_at(0) > 0);
  CHECK(evaluate(floor(one)).bound_at(0) == doctest::Approx(1));
  CHECK(evaluate(floor(one + 0.5)).bound_at(0) == 0);
  CHECK(open(sqrt(one - 1.0)));
  CHECK(open(1.0 / (one - 1.0)));
  CHECK_FALSE(open(select(one < 1.0, one, one * 1.0001)));  // both branches are near
  CHECK(open(select(one < 1.0, one * 1e38, one * inf)));
  Value pair = concat({expand_dims(one, 0), make(g, {f32, {1}}, {1})});
  CHECK(open(argmax(pair)));
  CHECK(open(gather(make(g, {f32, {2}}, {5, 6}), argmax(pair))));
  CHECK_FALSE(open(reduce_max(pair)));
  CHECK_FALSE(open(argmax(make(g, {f32, {2}}, {1, 1}))));                // an exact tie is decided: the first
  CHECK(open(make(g, {f32, {}}, {3e38}) + make(g, {f32, {}}, {3e38})));  // overflows f32
  std::vector<float> anything{123};
  CHECK(compare(evaluate(sqrt(one - 1.0)), std::as_bytes(std::span(anything))).undecided == 1);
}

TEST_CASE("not a number, infinities and zeros compare as they are") {
  Graph g;
  ReferenceArray y = evaluate(log(make(g, {f32, {4}}, {0, -1, inf, 1})));
  std::vector<float> actual{-INFINITY, NAN, INFINITY, 0};
  CHECK(compare(y, std::as_bytes(std::span(actual))).agree());
  for (size_t i = 0; i < 4; ++i) {
    auto wrong = actual;
    wrong[i] = 3;
    CHECK(compare(y, std::as_bytes(std::span(wrong))).mismatches == 1);
  }
}

TEST_CASE("float code stays within the bounds") {
  Graph g;
  std::vector<float> x(300), actual(300);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i)) * 9;
  Value v = constant(g.body(), ReferenceArray::of({f32, {300}}, Reals(x.begin(), x.end())).literal());
  ReferenceArray y = evaluate(log(exp(v) + 1.0) * tanh(v) - sigmoid(v * v) / (abs(v) + 0.5));
  for (size_t i = 0; i < x.size(); ++i)
    actual[i] = std::log(std::exp(x[i]) + 1) * std::tanh(x[i]) - 1 / (1 + std::exp(-(x[i] * x[i]))) / (std::fabs(x[i]) + 0.5f);
  Comparison same = compare(y, std::as_bytes(std::span(actual)));
  CHECK_MESSAGE(same.agree(), same.str());
  CHECK(same.undecided == 0);
}

TEST_CASE("an entry reads the states of its start, and the last row is masked by n") {
  Graph g;
  Extent n = g.size("n", 8);
  Value x = g.input("x", f32, {n});
  auto two = [](Graph& graph, const Type& type) { return full(graph.body(), type, 2); };
  Value a = g.state("a", f32, {}, two), b = g.state("b", f32, {}, two);
  g.entry("swap", {{"sum", sum(x)}, {"size", size_of(g.body(), n)}}, {{a, b + 1}, {b, a * 10}});
  Bindings bindings = evaluate_initial(g.body(), 7);
  CHECK(bindings.at("a").real == Reals{2});
  CHECK(bindings.at("seed").whole == Wholes{7});
  bindings["x"] = ReferenceArray::of({f32, {3}}, Reals{1, 2, 3});
  EntryResult result = evaluate_entry(g.body(), "swap", bindings, 3);
  CHECK(result.outputs.at("sum").real == Reals{6});
  CHECK(result.outputs.at("size").whole == Wholes{3});
  CHECK(result.states.at("a").real == Reals{3});
  CHECK(result.states.at("b").real == Reals{20});
  CHECK_THROWS_WITH_AS(evaluate_entry(g.body(), "swap", bindings, 9), "evaluate: n is 9, it must be 1 to 8", Error);
  CHECK_THROWS_WITH_AS(evaluate_entry(g.body(), "swap", bindings, 4), doctest::Contains("input 'x' is f32[4], bound to f32[3]"),
                       Error);
  bindings.erase("x");
  CHECK_THROWS_WITH_AS(evaluate_entry(g.body(), "swap", bindings, 4), doctest::Contains("input 'x' is not bound"), Error);
}

TEST_CASE("random bits are those of Philox, element by element") {
  Graph g;
  Value bits = random_bits(g.seed(), g.step(), {2, 3}, 42);
  Bindings bindings = evaluate_initial(g.body(), 5);
  bindings["step"].whole = {9};
  ReferenceArray y = evaluate(bits, bindings);
  for (size_t i = 0; i < 6; ++i) CHECK(y.whole[i] == philox_bits(5, 42, 9, static_cast<int64_t>(i)));
}

}  // namespace
