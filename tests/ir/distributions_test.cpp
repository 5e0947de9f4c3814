// Every distribution has the log-probabilities of its closed form and of PyTorch 1.13 (f64, on the values
// below; torch.nn.functional.cross_entropy and torch.distributions), the mean and the mode it says, and
// samples with that mean.
#include "ir/model/distributions.h"

#include <doctest/doctest.h>

#include <cmath>

#include "ir/evaluate.h"
#include "ir/ops.h"

using namespace tenon;

namespace {

using Row = std::vector<double>;
using Covariance = GaussianMixture::Covariance;

const Row scores{0.3, -1.2, 2.0, 0.1, 0.0, -0.4, 1.5, -2.5, 0.7, 3.0, -1.0, 0.2};
const Row outcomes{0.5, 1, -1, 2, 0, 3, -0.5, 0.25, 1, 0, 0, 2};
const Row log_scales{-1, 0.5, 0, 0.3, 2, -0.7, 0, -0.2, 0.1, 1, 1, -1.5};
const Row soft{0.1, 0.2, 0.7, 0.9, 0.05, 0.05, 0.3, 0.3, 0.4, 1, 0, 0};

struct Model {
  Graph g;
  Bindings bindings;
  Value z = input("z", f64, {4, 3}, scores);

  Value input(const std::string& name, DType dtype, Shape shape, const Row& values) {
    bindings.insert_or_assign(name, ReferenceArray::of(Type{dtype, shape}, values));
    return g.input(name, dtype, shape);
  }
  Value outcome() { return input("y", f64, {4, 3}, outcomes); }
  Value labels(Row values = {2, 0, 1, 0}) { return input("label", i32, {4}, values); }
  Value scales() { return input("s", f64, {4, 3}, log_scales); }
  // i -> ((7 i^2 + 13 i (row + 1) + 5 row) mod 41 - 20) / 16 in four rows
  Value flat(int64_t width) {
    Row values;
    for (int64_t row = 0; row < 4; ++row)
      for (int64_t i = 0; i < width; ++i)
        values.push_back(static_cast<double>((7 * i * i + 13 * i * (row + 1) + 5 * row) % 41 - 20) / 16);
    return input("flat", f64, {4, width}, values);
  }
  Row all(Value value) {
    const ReferenceArray result = evaluate(value, bindings);
    return result.real.empty() ? Row(result.whole.begin(), result.whole.end()) : result.real;
  }
  double one(Value value) { return all(value).at(0); }
};

void agrees(double value, double torch) { CHECK(std::abs(value - torch) < 1e-13 * std::abs(torch)); }

}  // namespace

TEST_CASE("the likelihood of classes is PyTorch's, with soft labels, smoothing, weights and ignored rows") {
  Model m;
  const Value y = m.labels(), q = m.input("q", f64, {4, 3}, soft), w = m.input("w", f64, {3}, {0.5, 2, 1});
  agrees(m.one(nll(m.z, y)), 1.3955772207483459);
  agrees(m.one(nll(m.z, one_hot(y, 3, f64))), 1.3955772207483459);
  agrees(m.one(nll(m.z, q)), 0.98557722074834564);
  agrees(m.one(nll(m.z, y, {.smoothing = 0.1})), 1.4380772207483459);
  agrees(m.one(nll(m.z, y, {.class_weights = w})), 2.3668695678072802);
  agrees(m.one(nll(m.z, y, {.ignore = 0})), 2.2926650248950735);
  agrees(m.one(nll(m.z, y, {.smoothing = 0.1, .class_weights = w, .ignore = 0})), 2.8917928249912008);
  agrees(m.one(nll(m.z, q, {.smoothing = 0.1, .class_weights = w})), 1.4870669004558199);
  agrees(m.one(nll(Categorical::of_energies(-m.z), y)), 1.3955772207483459);
}

TEST_CASE("a label that is ignored need not be a class; if all are, the loss is 0") {
  Model m;
  CHECK(m.one(nll(m.z, m.labels({-100, -100, -100, -100}), {.ignore = -100})) == 0);
  Model other;
  agrees(other.one(nll(other.z, other.labels({2, -100, 1, -100}), {.ignore = -100})), 2.2926650248950735);
}

TEST_CASE("the likelihoods of bits, reals and counts are PyTorch's") {
  Model m;
  const Value t = m.input("t", f64, {4, 3}, {1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0.5});
  const Value counts = m.input("c", f64, {4, 3}, {0, 3, 1, 7, 1, 0, 2, 2, 30, 0, 1, 4});
  const Value y = m.outcome(), s = m.scales();
  agrees(m.one(nll(Bernoulli{m.z}, t)), 2.059650446379329);
  agrees(m.one(nll(Gaussian(m.z), y)), 9.4996280996140179);
  agrees(m.one(nll(Gaussian(m.z, 2.5), y)), 6.584537795236483);
  agrees(m.one(nll(Gaussian(m.z, s), y)), 20.847005958293295);
  agrees(m.one(nll(Gaussian::with_variance(m.z, exp(2 * s)), y)), 20.847005958293295);
  agrees(m.one(nll(Laplace(m.z, s), y)), 9.5297426775298426);
  agrees(m.one(nll(Poisson{m.z}, counts)), 27.92686283801833);
  agrees(m.one(nll(Poisson{m.z}, cast(counts, u8))), 27.92686283801833);
}

TEST_CASE("the likelihood of a mixture is PyTorch's for every kind of covariance") {
  const std::tuple<Covariance, int64_t, double> torch[] = {{Covariance::spherical, 10, 5.2200426927190655},
                                                           {Covariance::diagonal, 14, 7.0355297997874233},
                                                           {Covariance::full, 20, 8.2224312104281019}};
  for (const auto& [covariance, width, expected] : torch) {
    Model m;
    CHECK(GaussianMixture::width(2, 3, covariance) == width);
    const GaussianMixture mixture(m.flat(width), 2, 3, covariance);
    agrees(m.one(nll(mixture, m.outcome())), expected);
    const Row mean = m.all(mixture.mean());
    agrees(mean[0], 0.6312873091152003);
    agrees(mean[2], -0.08405020823796322);
  }
}

TEST_CASE("a mixture is finite for an outlier, and one component of it is a Gaussian") {
  Model m;
  const Value far = m.input("far", f64, {4, 3}, Row(12, 1e100));
  const GaussianMixture mixture(m.flat(20), 2, 3, Covariance::full);
  CHECK(std::isfinite(m.one(nll(mixture, far))));
  const auto single = [](Value x) { return reshape(x, {4, 1, 3}); };
  const Value s = m.scales(), y = m.outcome();
  const GaussianMixture alone(m.input("w", f64, {4, 1}, {3, 1, 4, 1}), single(m.z), single(s));
  agrees(m.one(nll(alone, y)), 20.847005958293295);
  CHECK(m.all(alone.best_component_mean()) == scores);
}

TEST_CASE("a mixture of many components in 16 dimensions is what its covariance matrix says") {
  Graph g;
  const int64_t d = 16, k = 3, width = GaussianMixture::width(k, d, Covariance::full);
  Row z, y;
  for (int64_t i = 0; i < width; ++i) z.push_back(0.3 * std::sin(static_cast<double>(i * i + 1)));
  for (int64_t i = 0; i < d; ++i) y.push_back(std::cos(static_cast<double>(3 * i)));
  const GaussianMixture mixture(g.input("z", f64, {1, width}), k, d, Covariance::full);
  const double log_p =
      evaluate(mixture.log_prob(g.input("y", f64, {1, d})),
               {{"z", ReferenceArray::of(Type{f64, {1, width}}, z)}, {"y", ReferenceArray::of(Type{f64, {1, d}}, y)}})
          .real[0];
  // The same by loops: the precision matrix P = L L^T, and log N = (log det P - x^T P x - d log 2 pi) / 2.
  double total = 0, p = 0;
  for (int64_t c = 0; c < k; ++c) total += std::exp(z[static_cast<size_t>(c)]);
  for (int64_t c = 0; c < k; ++c) {
    const double* mean = &z[static_cast<size_t>(k + c * d)];
    const double* log_scale = mean + k * d;
    const double* below = &z[static_cast<size_t>(k + 2 * k * d + c * d * (d - 1) / 2)];
    double factor[16][16] = {}, log_det = 0, form = 0;
    for (int64_t i = 0; i < d; ++i) {
      factor[i][i] = std::exp(-log_scale[i]);
      log_det -= 2 * log_scale[i];
      for (int64_t j = 0; j < i; ++j) factor[i][j] = *below++;
    }
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j < d; ++j) {
        double precision = 0;
        for (int64_t l = 0; l < d; ++l) precision += factor[i][l] * factor[j][l];
        form += (y[static_cast<size_t>(i)] - mean[i]) * precision * (y[static_cast<size_t>(j)] - mean[j]);
      }
    p += std::exp(z[static_cast<size_t>(c)]) / total *
         std::exp(0.5 * (log_det - form) - 0.5 * static_cast<double>(d) * std::log(2 * M_PI));
  }
  CHECK(log_p == doctest::Approx(std::log(p)).epsilon(1e-12));
}

TEST_CASE("a mixture of known covariances is a Gaussian of its covariance matrix in each component") {
  Model m;
  // Covariance [[4, 1, 0.5], [1, 2, -0.3], [0.5, -0.3, 1]] by hand: determinant 5.84, inverse = adjugate
  // / 5.84.
  const Row sigma{4, 1, 0.5, 1, 2, -0.3, 0.5, -0.3, 1};
  const Row adjugate{1.91, -1.15, -1.3, -1.15, 3.75, 1.7, -1.3, 1.7, 7};
  const Value one = m.input("w", f64, {4, 1}, {0, 1, 2, 3}), means = reshape(m.z, {4, 1, 3});
  double expected = 0;
  for (size_t row = 0; row < 4; ++row) {
    double form = 0;
    for (size_t i = 0; i < 3; ++i)
      for (size_t j = 0; j < 3; ++j)
        form += (outcomes[3 * row + i] - scores[3 * row + i]) * adjugate[3 * i + j] / 5.84 *
                (outcomes[3 * row + j] - scores[3 * row + j]);
    expected += (form + std::log(5.84) + 3 * std::log(2 * M_PI)) / 2 / 4;
  }
  agrees(m.one(nll(GaussianMixture::with_covariances(one, means, sigma), m.outcome())), expected);

  // Two components of unit covariance and of 4 are the spherical mixture of scales 1 and 2.
  const Value two = m.input("w2", f64, {4, 2}, {0, 1, 2, 0, 1, 1, 0, 3}), twice = concat({means, -means}, 1);
  const Value log_scales =
      broadcast_to(reshape(constant(m.g.body(), Literal::of({f64, {2}}, Row{0, std::log(2.0)})), {2, 1}), {4, 2, 1});
  const Row diagonal{1, 0, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0, 0, 4, 0, 0, 0, 4};
  agrees(m.one(nll(GaussianMixture::with_covariances(two, twice, diagonal), m.outcome())),
         m.one(nll(GaussianMixture(two, twice, log_scales), m.outcome())));

  const auto error = [&](Row covariances) -> std::string {
    try {
      GaussianMixture::with_covariances(one, means, covariances);
    } catch (const Error& e) {
      return std::string(e.what()).substr(std::string(e.what()).find(": ") + 2);
    }
    return "none";
  };
  CHECK(error({4, 1, 0, 1, 0, 0, 0, 0, 1}) ==
        "mixture: covariance[0,1,1] is 0, which leaves 0 given the rows below; a covariance is positive "
        "definite");
  CHECK(error({1, 2, 0, 2, 1, 0, 0, 0, 1}) ==
        "mixture: covariance[0,0,0] is 1, which leaves -3 given the rows below; a covariance is positive "
        "definite");
  CHECK(error({1, 2, 0, 0, 9, 0, 0, 0, 1}) == "mixture: covariance[0,0,1] is 2 and [0,1,0] is 0; a covariance is symmetric");
  CHECK(error({1, 0, 0, 1}) == "mixture: the covariances are 4 numbers; 1 components of 3 dimensions have 9");
}

TEST_CASE("means and modes") {
  Model m;
  CHECK(m.all(Categorical(m.z).mode()) == Row{2, 0, 0, 0});
  CHECK(m.all(Bernoulli{m.z}.mode()) == Row{1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1});
  CHECK(m.all(Poisson{m.z}.mode()) == Row{1, 0, 7, 1, 1, 0, 4, 0, 2, 20, 0, 1});
  agrees(m.all(Poisson{m.z}.mean())[9], std::exp(3.0));
  agrees(m.all(Categorical(m.z).mean())[0], std::exp(0.3) / (std::exp(0.3) + std::exp(-1.2) + std::exp(2.0)));
  CHECK(m.all(Gaussian(m.z).mode()) == scores);
}

TEST_CASE("samples have the mean and the spread of their distribution, and change with the step") {
  Graph g;
  const int64_t n = 4000;
  const auto repeated = [&](Row row) {
    return broadcast_to(constant(g.body(), Literal::of({f64, {static_cast<int64_t>(row.size())}}, row)),
                        {n, static_cast<int64_t>(row.size())});
  };
  const Value z = repeated({0.3, -1.2, 2.0}), s = repeated({-1, 0.5, 0});
  const auto draw = [&](Value sample, int64_t step = 0) {
    Bindings bindings = evaluate_initial(g.body(), 5);
    bindings.insert_or_assign("step", ReferenceArray::of(Type{i64, {}}, Row{static_cast<double>(step)}));
    const ReferenceArray result = evaluate(sample, bindings);
    return result.real.empty() ? Row(result.whole.begin(), result.whole.end()) : result.real;
  };
  // Checks the mean, and the mean square about it, of each of d columns within five standard errors or so.
  const auto has = [&](Value sample, Row means, Row variances) {
    const Row x = draw(sample);
    CHECK(x == draw(sample));
    CHECK(x != draw(sample, 1));
    const size_t d = means.size();
    for (size_t j = 0; j < d; ++j) {
      double mean = 0, square = 0;
      for (size_t i = j; i < x.size(); i += d) mean += x[i] / n;
      for (size_t i = j; i < x.size(); i += d) square += (x[i] - mean) * (x[i] - mean) / n;
      CAPTURE(j);
      CHECK(std::abs(mean - means[j]) < 5 * std::sqrt(variances[j] / n));
      CHECK(square == doctest::Approx(variances[j]).epsilon(0.15));
    }
  };
  has(Gaussian(z, s).sample(g), {0.3, -1.2, 2}, {std::exp(-2.0), std::exp(1.0), 1});
  has(Laplace(z, s).sample(g), {0.3, -1.2, 2}, {2 * std::exp(-2.0), 2 * std::exp(1.0), 2});
  has(Poisson{z}.sample(g, 30), {std::exp(0.3), std::exp(-1.2), std::exp(2.0)}, {std::exp(0.3), std::exp(-1.2), std::exp(2.0)});
  const auto bit = [](double x) { return 1 / (1 + std::exp(-x)); };
  has(Bernoulli{z}.sample(g), {bit(0.3), bit(-1.2), bit(2)}, {bit(0.3) * bit(-0.3), bit(1.2) * bit(-1.2), bit(2) * bit(-2)});
  const double total = std::exp(0.3) + std::exp(-1.2) + std::exp(2.0);
  const Value classes = one_hot(Categorical(z).sample(g), 3, f64);
  const double p0 = std::exp(0.3) / total, p1 = std::exp(-1.2) / total, p2 = std::exp(2.0) / total;
  has(classes, {p0, p1, p2}, {p0 * (1 - p0), p1 * (1 - p1), p2 * (1 - p2)});
  // One component with L = [[2, 0], [1, 0.5]]: the covariance is the inverse of L L^T = [[4, 2], [2, 1.25]].
  const GaussianMixture one(repeated({-std::log(2.0) * 0, 3, -1, -std::log(2.0), std::log(2.0), 1}), 1, 2, Covariance::full);
  has(one.sample(g), {3, -1}, {1.25, 4});
  const Row x = draw(one.sample(g));
  double covariance = 0;
  for (size_t i = 0; i < x.size(); i += 2) covariance += (x[i] - 3) * (x[i + 1] + 1) / n;
  CHECK(covariance == doctest::Approx(-2).epsilon(0.1));
  const GaussianMixture two(repeated({0, std::log(3.0), -5, 5, -1, -1}), 2, 1, Covariance::spherical);
  has(two.sample(g), {2.5}, {25 - 6.25 + std::exp(-2.0)});
}

TEST_CASE("nll takes the user's own log-probability") {
  Model m;
  const Value y = m.outcome();
  const Value own = nll([&](Value t) { return sum(-0.5 * (t - m.z) * (t - m.z), {-1}); }, y);
  agrees(m.one(own) + 1.5 * std::log(2 * M_PI), 9.4996280996140179);
}

TEST_CASE("parameters and outcomes that do not go together are named with the user's line") {
  Model m;
  const Value y = m.outcome(), label = m.labels(), vector = m.g.input("v", f64, {m.g.size("n", 4)}),
              scalar = m.g.input("scalar", f64, {});
  const auto fails = [](auto mistake, const std::string& text, std::source_location at = std::source_location::current()) {
    CHECK_THROWS_WITH_AS(mistake(), (Line(at).str() + ": " + text).c_str(), Error);
  };
  fails([&] { nll(Gaussian(m.z), label); }, "gaussian: y is i32[4]; it must be f64[4,3]");
  fails([&] { nll(Poisson{m.z}, label); }, "poisson: y is i32[4]; it must be f64[4,3], or integers of that shape");
  fails([&] { nll(Bernoulli{vector}, vector); },
        "bernoulli: the logit is f64[n]; it must be f32 or f64 [..., d] with a constant d");
  fails([&] { Gaussian(m.z, -1.0); }, "gaussian: the scale is -1; it must be above 0");
  fails([&] { Gaussian(m.z, INFINITY); }, "gaussian: the scale is inf; it must be above 0 and finite");
  fails([&] { nll(Categorical(scalar), label, {.smoothing = 0.1}); },
        "nll: the logits are f64[]; they must be f32 or f64 [..., k] with a constant k");
  fails([&] { Laplace(m.z, 0.0); }, "laplace: the scale is 0; it must be above 0");
  // the mistake stands on the line of its check
  // clang-format off
  fails([&] { nll(m.z, label, {.smoothing = 1.5}); }, "nll: the smoothing is 1.5; it must be in [0, 1]");
  fails([&] { nll(m.z, label, {.class_weights = y}); },
        "nll: the class weights are f64[4,3]; they must be f64[3]");
  fails([&] { nll(m.z, y, {.ignore = 0}); },
        "nll: y is f64[4,3]; only labels of an integer type can be ignored");
  fails([&] { GaussianMixture(m.z, 2, 3, Covariance::full); },
        "mixture: z is f64[4,3]; 2 components of 3 dimensions need f32 or f64 [..., 20]");
  fails([&] { GaussianMixture(m.z, m.z, m.z); }, "mixture: the weights are f64[4,3]; they must be f64[4]");
  fails([&] { nll([&](Value) { return label; }, y); }, "nll: log_prob gave i32[4]; it must be f32 or f64");
  // clang-format on
}
