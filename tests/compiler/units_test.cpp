// Hidden units and softmax inside a model: values, derivatives at and beside kinks, curvature, infinities.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <algorithm>
#include <cmath>

using namespace tenon;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
const double selu_scale = 1.0507009873554805, selu_alpha = 1.6732632423543772;

ReferenceArray array(const Value& of, std::vector<double> values) {
  return ReferenceArray::of(of.type(), std::span<const double>(values));
}

std::vector<double> column(const Value& y, const Value& x, std::vector<double> at) {
  return evaluate(y, {{"x", array(x, std::move(at))}}).real;
}

int count(const Body& body, std::string_view op) {
  return static_cast<int>(std::ranges::count_if(body.nodes, [&](const Node& n) { return n.op->name == op; }));
}

}  // namespace

TEST_CASE("the table of hidden units: value, derivative, derivative at the kink, second derivative") {
  struct Unit {
    const char* name;
    Value (*apply)(Value);
    double kink;     // NaN: none
    double at_kink;  // the derivative there
    double (*f)(double), (*slope)(double), (*bend)(double);
  };
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  static const auto flat = [](double) { return 0.0; };
  static const auto bit = [](double x) { return 1 / (1 + std::exp(-x)); };
  static const auto cdf = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2)); };
  static const auto density = [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); };
  const Unit units[] = {
      {"identity", [](Value x) { return identity(x) + 0; }, none, 0, [](double x) { return x; }, [](double) { return 1.0; },
       flat},
      {"relu", [](Value x) { return relu(x); }, 0, 0, [](double x) { return x > 0 ? x : 0; },
       [](double x) { return double(x > 0); }, flat},
      {"abs", [](Value x) { return abs(x); }, 0, 0, [](double x) { return std::abs(x); },
       [](double x) { return x > 0 ? 1.0 : -1.0; }, flat},
      {"leaky_relu", [](Value x) { return leaky_relu(x); }, 0, 0.01, [](double x) { return x > 0 ? x : 0.01 * x; },
       [](double x) { return x > 0 ? 1 : 0.01; }, flat},
      {"hard_tanh", [](Value x) { return hard_tanh(x); }, 1, 0, [](double x) { return std::clamp(x, -1.0, 1.0); },
       [](double x) { return double(std::abs(x) < 1); }, flat},
      {"sigmoid", [](Value x) { return sigmoid(x); }, none, 0, bit, [](double x) { return bit(x) * bit(-x); },
       [](double x) { return bit(x) * bit(-x) * (1 - 2 * bit(x)); }},
      {"tanh", [](Value x) { return tanh(x); }, none, 0, [](double x) { return std::tanh(x); },
       [](double x) { return 1 - std::tanh(x) * std::tanh(x); },
       [](double x) { return -2 * std::tanh(x) * (1 - std::tanh(x) * std::tanh(x)); }},
      {"softplus", [](Value x) { return softplus(x); }, none, 0, [](double x) { return std::log1p(std::exp(x)); }, bit,
       [](double x) { return bit(x) * bit(-x); }},
      {"elu", [](Value x) { return elu(x); }, 0, 1, [](double x) { return x > 0 ? x : std::expm1(x); },
       [](double x) { return x > 0 ? 1 : std::exp(x); }, [](double x) { return x > 0 ? 0 : std::exp(x); }},
      {"selu", [](Value x) { return selu(x); }, 0, selu_scale * selu_alpha,
       [](double x) { return selu_scale * (x > 0 ? x : selu_alpha * std::expm1(x)); },
       [](double x) { return selu_scale * (x > 0 ? 1 : selu_alpha * std::exp(x)); },
       [](double x) { return x > 0 ? 0 : selu_scale * selu_alpha * std::exp(x); }},
      {"gelu", [](Value x) { return gelu(x); }, none, 0, [](double x) { return x * cdf(x); },
       [](double x) { return cdf(x) + x * density(x); }, [](double x) { return (2 - x * x) * density(x); }},
      {"silu", [](Value x) { return silu(x); }, none, 0, [](double x) { return x * bit(x); },
       [](double x) { return bit(x) * (1 + x * bit(-x)); },
       [](double x) { return bit(x) * bit(-x) * (2 + x * (1 - 2 * bit(x))); }},
      {"cos", [](Value x) { return cos(x); }, none, 0, [](double x) { return std::cos(x); },
       [](double x) { return -std::sin(x); }, [](double x) { return -std::cos(x); }},
  };
  for (const Unit& unit : units) {
    CAPTURE(unit.name);
    Graph g;
    const Value x = g.input("x", f64, {5});
    const Value y = unit.apply(x);
    const Value slope = gradients(sum(y), {x})[0];
    std::vector<std::string> unreached;
    const Value wrt[] = {x};
    const Value found = reachable_gradients(sum(slope), wrt, "test", {}, unreached)[0];
    const Value bend = found ? found : zeros_like(x);
    const std::vector<double> at{-2.5, -0.7, 0.3, 0.9, 3.1};
    for (size_t i = 0; i < at.size(); ++i) {
      CAPTURE(at[i]);
      CHECK(column(y, x, at)[i] == doctest::Approx(unit.f(at[i])).epsilon(1e-12));
      CHECK(column(slope, x, at)[i] == doctest::Approx(unit.slope(at[i])).epsilon(1e-12));
      CHECK(column(bend, x, at)[i] == doctest::Approx(unit.bend(at[i])).epsilon(1e-11));
    }
    if (!std::isnan(unit.kink)) {
      CHECK(column(slope, x, std::vector<double>(5, unit.kink))[0] == doctest::Approx(unit.at_kink));
      if (unit.at_kink == 0) CHECK(column(bend, x, std::vector<double>(5, unit.kink))[0] == 0);
    }
  }
}

TEST_CASE("gelu and silu of infinities are their limits, and so are their derivatives") {
  Graph g;
  const Value x = g.input("x", f32, {4});
  const Value y = gelu(x), z = silu(x);
  g.entry("units", {{"gelu", y}, {"silu", z}, {"dgelu", gradients(sum(y), {x})[0]}, {"dsilu", gradients(sum(z), {x})[0]}});
  Session session(compile(g));
  session.init(1);
  const float inf = std::numeric_limits<float>::infinity();
  const Outputs out = session.run("units", {{"x", Tensor::of<float>({4}, {-inf, inf, -3e38f, 3e38f})}});
  for (const char* name : {"gelu", "silu"}) {
    CHECK(out[name].at(0) == 0);
    CHECK(out[name].at(1) == infinity);
    CHECK(out[name].at(2) == 0);
    CHECK(out[name].at(3) == 3e38f);
  }
  for (const char* name : {"dgelu", "dsilu"}) {
    CHECK(out[name].at(0) == 0);
    CHECK(out[name].at(1) == 1);
  }
}

TEST_CASE("a maxout unit is the largest of its pieces, and a tie teaches the first") {
  Graph g;
  const Value x = g.input("x", f64, {2, 6});
  const Value y = maxout(x, 3);
  CHECK(y.type().str() == "f64[2,2]");
  const std::vector<double> at{1, 5, 2, 0, 0, -1, 3, 3, 3, -2, -1, -3};
  CHECK(column(y, x, at) == std::vector<double>{2, 5, 3, 3});
  CHECK(column(gradients(sum(y), {x})[0], x, at) == std::vector<double>{0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0});
  const uint32_t line = std::source_location::current().line() + 1;
  CHECK_THROWS_WITH_AS(maxout(x, 4),
                       fmt::format("units_test.cpp:{}: maxout: x is f64[2,6]; its last axis must be a multiple "
                                   "of the 4 pieces of a unit",
                                   line)
                           .c_str(),
                       Error);
}

TEST_CASE("prelu learns one slope per unit; a radial basis is highest at its centre") {
  Graph g;
  const Extent n = g.size("n", 8);
  const Value x = g.input("x", f64, {n, 2});
  const Value y = prelu(g, x), again = prelu(g, x), r = radial_basis(g, x, 3, normal(1), 2);
  CHECK(y != again);
  const Value slope = g.body().value(g.body().state("prelu1/slope")->node);
  CHECK(slope.type().str() == "f64[2]");
  const Value c = g.body().value(g.body().state("radial_basis1/c")->node);
  const Value log_s = g.body().value(g.body().state("radial_basis1/log_s")->node);
  const auto of = [](Shape shape, std::vector<double> v) { return ReferenceArray::of(Type{f64, std::move(shape)}, v); };
  const Bindings bindings = {{"x", of({2, 2}, {-2, 3, 4, -8})},
                             {"prelu1/slope", of({2}, {0.5, 0.25})},
                             {"radial_basis1/c", of({3, 2}, {-2, 3, 0, 0, 4, -7})},
                             {"radial_basis1/log_s", of({3}, {0, std::log(2.0), std::log(3.0)})}};
  CHECK(evaluate(y, bindings, 2).real == std::vector<double>{-1, 3, 4, -2});
  CHECK(evaluate(gradients(sum(y), {slope})[0], bindings, 2).real == std::vector<double>{-2, -8});
  const std::vector<double> phi = evaluate(r, bindings, 2).real;
  CHECK(phi[0] == 1);
  CHECK(phi[1] == doctest::Approx(std::exp(-13.0 / 4)));
  CHECK(phi[5] == doctest::Approx(std::exp(-1.0 / 9)));
  CHECK(gradients(sum(r), {c, log_s}).size() == 2);
}

TEST_CASE("a softmax inside a model keeps its true gradient and is not merged with the loss") {
  Graph g;
  const Value s = g.input("s", f64, {2, 3}), e = g.input("e", f64, {2, 3, 4}), label = g.input("label", i64, {2});
  const Value y = mixture_of_experts(s, e);
  const Value loss = nll(y, label);
  const std::vector<Value> slopes = gradients(loss, {s, e});
  CHECK(count(g.body(), "softmax") > 0);
  CHECK(count(g.body(), "softmax_cross_entropy") > 0);  // of y alone
  for (const Node& node : g.body().nodes)
    if (node.op->name == "softmax_cross_entropy") CHECK(g.body().node(node.operands[0]).type == y.type());
  const auto wave = [](size_t size, double shift) {
    std::vector<double> v;
    for (size_t i = 0; i < size; ++i) v.push_back(std::sin(2.3 * static_cast<double>(i) + shift));
    return v;
  };
  Bindings bindings = {{"s", array(s, wave(6, 0))}, {"e", array(e, wave(24, 1))}, {"label", array(label, {3, 0})}};
  const std::vector<double> slope = evaluate(slopes[0], bindings).real;
  for (size_t i = 0; i < 6; ++i) {
    double& at = bindings.find("s")->second.real[i];
    const double middle = at, h = 1e-5;
    const auto value = [&](double x) { return at = x, evaluate(loss, bindings).real[0]; };
    const double numeric = (value(middle + h) - value(middle - h)) / (2 * h);
    at = middle;
    CHECK(slope[i] == doctest::Approx(numeric).epsilon(1e-7));
  }
}

TEST_CASE("temperature sharpens, hard softargmax is its limit, attention weighs values by keys") {
  Graph g;
  const Value z = g.input("x", f64, {1, 3});
  const std::vector<double> at{1, 3, 2};
  CHECK(column(softmax_at(z, 0.01), z, at)[1] == doctest::Approx(1));
  CHECK(column(softmax_at(z, 1e6), z, at)[0] == doctest::Approx(1 / 3.0));
  CHECK(column(hard_softargmax(z), z, at) == std::vector<double>{0, 1, 0});
  CHECK_THROWS_AS(softmax_at(z, 0), Error);

  const Value q = g.input("q", f64, {2, 4}), k = g.input("k", f64, {3, 4}), v = g.input("v", f64, {3, 5});
  const Value y = attention(q, k, v);
  CHECK(y.type().str() == "f64[2,5]");
  std::vector<double> queries(8), keys(12), values(15);
  for (size_t i = 0; i < 8; ++i) queries[i] = std::sin(static_cast<double>(i));
  for (size_t i = 0; i < 12; ++i) keys[i] = std::cos(static_cast<double>(i));
  for (size_t i = 0; i < 15; ++i) values[i] = static_cast<double>(i);
  const std::vector<double> result =
      evaluate(y, {{"q", array(q, queries)}, {"k", array(k, keys)}, {"v", array(v, values)}}).real;
  for (size_t row = 0; row < 2; ++row) {
    double total = 0, expected = 0;
    for (size_t m = 0; m < 3; ++m) {
      double score = 0;
      for (size_t d = 0; d < 4; ++d) score += queries[4 * row + d] * keys[4 * m + d] / 2;
      total += std::exp(score);
      expected += std::exp(score) * values[5 * m + 1];
    }
    CHECK(result[5 * row + 1] == doctest::Approx(expected / total));
  }
}
