// The likelihoods, differentiated and compiled: gradients against central differences, compiled steps against
// the evaluator, finite far from all that was expected, and errors for outcomes outside of the support.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <cmath>

#include "tests/runtime/program.h"

using namespace tenon;
using tenon::test::message;

namespace {

using Covariance = GaussianMixture::Covariance;
constexpr int64_t rows = 5, dims = 3;

struct Case {
  std::string name;
  int64_t width;  // of the network's output
  std::function<Value(Value z, Value y)> loss;
};

Value part(Value z, int64_t i) { return slice(z, -1, i * dims, (i + 1) * dims); }
Value label_of(Value y) { return argmax(y); }
Case mixture(std::string name, int64_t components, Covariance covariance) {
  return {std::move(name), GaussianMixture::width(components, dims, covariance),
          [=](Value z, Value y) { return nll(GaussianMixture(z, components, dims, covariance), y); }};
}

// y is in [0, 1] throughout, which every support but that of counts has.
const Case cases[] = {
    {"categorical", dims, [](Value z, Value y) { return nll(Categorical(z), label_of(y)); }},
    {"soft", dims, [](Value z, Value y) { return nll(Categorical(z), y); }},
    {"smoothed", dims, [](Value z, Value y) { return nll(z, label_of(y), {.smoothing = 0.1, .ignore = 1}); }},
    {"weighted", dims,
     [](Value z, Value y) {
       const std::vector<double> weights{0.5, 2, 1};
       return nll(z, label_of(y), {.class_weights = cast(constant(z.body(), Literal::of({f64, {3}}, weights)), z.dtype())});
     }},
    {"bernoulli", dims, [](Value z, Value y) { return nll(Bernoulli{z}, y); }},
    {"gaussian", dims, [](Value z, Value y) { return nll(Gaussian(z, 0.5), y); }},
    {"learned variance", 2 * dims, [](Value z, Value y) { return nll(Gaussian(part(z, 0), part(z, 1)), y); }},
    {"laplace", 2 * dims, [](Value z, Value y) { return nll(Laplace(part(z, 0), part(z, 1)), y); }},
    {"poisson", dims, [](Value z, Value y) { return nll(Poisson{z}, floor(4 * y)); }},
    mixture("spherical", 2, Covariance::spherical),
    mixture("diagonal", 3, Covariance::diagonal),
    mixture("full", 2, Covariance::full),
};

struct Run {
  Graph g;
  Value z, y, loss, slope;
  Run(const Case& c, DType dtype) {
    z = g.input("z", dtype, {rows, c.width});
    y = g.input("y", dtype, {rows, dims});
    loss = c.loss(z, y);
    slope = gradients(loss, {z})[0];
  }
};

std::vector<double> values(int64_t count, double low, double high, double shift) {
  std::vector<double> result;
  for (int64_t i = 0; i < count; ++i)
    result.push_back(low + (high - low) * (0.5 + 0.5 * std::sin(1.7 * static_cast<double>(i) + shift)));
  return result;
}

Bindings bind(const Run& run, double far = 0) {
  std::vector<double> y = values(rows * dims, 0.02, 0.98, 1);
  for (double& value : y) value += far;
  return {{"z", ReferenceArray::of(run.z.type(), values(run.z.type().elements().count, -1.5, 1.5, 0))},
          {"y", ReferenceArray::of(run.y.type(), y)}};
}

Outputs compiled(Session& session, const Bindings& bindings) {
  Tensor z(f32, {rows, bindings.at("z").type.shape[1].count}), y(f32, {rows, dims});
  const auto fill = [](Tensor& to, const ReferenceArray& from) {
    for (size_t i = 0; i < from.real.size(); ++i) to.write<float>()[i] = static_cast<float>(from.real[i]);
  };
  fill(z, bindings.at("z"));
  fill(y, bindings.at("y"));
  return session.run("loss", {{"z", z}, {"y", y}});
}

}  // namespace

TEST_CASE("the gradient of every likelihood agrees with central differences") {
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Run run(c, f64);
    Bindings bindings = bind(run);
    const ReferenceArray slope = evaluate(run.slope, bindings);
    for (int64_t i = 0; i < slope.elements(); i += 1 + slope.elements() / 40) {
      double& at = bindings.find("z")->second.real[static_cast<size_t>(i)];
      const double middle = at, h = 1e-4;
      const auto loss = [&](double x) { return at = x, evaluate(run.loss, bindings).real[0]; };
      const double numeric =
          (8 * (loss(middle + h) - loss(middle - h)) - loss(middle + 2 * h) + loss(middle - 2 * h)) / (12 * h);
      at = middle;
      CHECK(slope.at(i) == doctest::Approx(numeric).epsilon(1e-7));
    }
  }
}

TEST_CASE("compiled, every likelihood and its gradient are what the evaluator says") {
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Run run(c, f32);
    run.g.entry("loss", {{"loss", run.loss}, {"slope", run.slope}});
    const Program program = compile(run.g);
    Session session(program);
    session.init(1);
    const Bindings bindings = bind(run);
    const Outputs out = compiled(session, bindings);
    for (const auto& [name, value] : {std::pair("loss", run.loss), {"slope", run.slope}}) {
      const ReferenceArray expected = evaluate(value, bindings);
      double size = 0;
      for (int64_t i = 0; i < expected.elements(); ++i) size = std::max(size, std::abs(expected.at(i)));
      for (int64_t i = 0; i < expected.elements(); ++i) CHECK(std::abs(out[name].at(i) - expected.at(i)) <= 2e-6 * size);
    }
  }
}

TEST_CASE("a mixture's loss and gradient are finite for an outlier that no component expects") {
  for (Covariance covariance : {Covariance::spherical, Covariance::diagonal, Covariance::full}) {
    Run run(mixture("mixture", 4, covariance), f32);
    run.g.entry("loss", {{"loss", run.loss}, {"slope", run.slope}});
    const Program program = compile(run.g);
    Session session(program);
    session.init(1);
    const Outputs out = compiled(session, bind(run, 1e12));
    CHECK(std::isfinite(out["loss"].number()));
    CHECK(out["loss"].number() > 1e20);
    for (const float slope : out["slope"].read<float>()) REQUIRE(std::isfinite(slope));
  }
}

TEST_CASE("when every row is ignored the loss is 0 and nothing is learnt") {
  Graph g;
  const Value z = g.input("z", f32, {2, 3}), y = g.input("y", i32, {2});
  const Value loss = nll(z, y, {.ignore = -1});
  g.entry("loss", {{"loss", loss}, {"slope", gradients(loss, {z})[0]}});
  Session session(compile(g));
  session.init(1);
  const Tensor scores = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Outputs none = session.run("loss", {{"z", scores}, {"y", Tensor::of<int32_t>({2}, {-1, -1})}});
  CHECK(none["loss"].number() == 0);
  CHECK(none["slope"].same_bits(Tensor(f32, {2, 3})));
  CHECK(message([&] {
          session.run("loss", {{"z", scores}, {"y", Tensor::of<int32_t>({2}, {-1, 3})}});
        }).ends_with("[1] is 3, valid is 0 <= index < 3"));
}

TEST_CASE("outcomes outside of the support are errors that name row and value, and change nothing") {
  Graph g;
  const Extent n = g.size("n", 4);
  const Value t = g.input("t", f32, {n, 2}), k = g.input("k", f32, {n, 2}), p = g.input("p", f32, {n, 2}),
              c = g.input("c", u8, {n, 2}), v = g.input("v", f64, {2});
  const Value w = g.parameter("w", f32, {2}, zeros());
  const Value z = broadcast_to(w, t.shape());
  const auto entry = [&](const char* name, Value loss) { g.entry(name, {{"loss", loss}}, minimize(loss, sgd(1))); };
  entry("bits", nll(Bernoulli{z}, t));
  entry("counts", nll(Poisson{z}, reshape(k, k.shape())));
  entry("small counts", nll(Bernoulli{z}, c));
  g.entry("probabilities", {{"loss", mean(cross_entropy(p, argmax(p)))}});
  entry("variance", nll(Gaussian::with_variance(z, cast(v, f32)), z + 1));
  const Program program = compile(parse(print(g), "again"));
  Session session(program);
  session.init(1);
  const auto error = [&](const char* name, std::string_view input, const Tensor& tensor) {
    const std::string text = message([&] { session.run(name, {{input, tensor}}); });
    CHECK(session.read("w").same_bits(Tensor(f32, {2})));
    return text.substr(text.find(": ") + 2);
  };
  const auto three = [](float x) { return Tensor::of<float>({3, 2}, {0, 1, 1, 0, 0, x}); };
  CHECK(error("bits", "t", three(1.5f)) == "bits: input t[2,1] is 1.5, valid is 0 <= t <= 1");
  CHECK(error("bits", "t", three(NAN)) == "bits: input t[2,1] is nan, valid is 0 <= t <= 1");
  CHECK(error("variance", "v", Tensor::of<double>({2}, {1, 0})) == "variance: input v[1] is 0, valid is v > 0");
  CHECK(error("small counts", "c", Tensor::of<uint8_t>({1, 2}, {0, 2})) ==
        "small counts: input c[0,1] is 2, valid is 0 <= c <= 1");
  CHECK(error("counts", "k", three(0.5f)) == "counts: input k[2,1] is 0.5, valid is k = 0, 1, 2, ...");
  CHECK(error("counts", "k", three(INFINITY)) == "counts: input k[2,1] is inf, valid is k = 0, 1, 2, ...");
  CHECK(error("probabilities", "p", three(1.5f)) == "probabilities: input p[2,1] is 1.5, valid is 0 <= p <= 1");
  session.run("bits", {{"t", three(0.5f)}});

  const Value fixed = constant(g.body(), Literal::of({f32, {2}}, std::vector<double>{2, -1}));
  CHECK(message([&] { nll(Poisson{w}, fixed); }).ends_with("poisson: y[1] is -1, valid is y = 0, 1, 2, ..."));
}
