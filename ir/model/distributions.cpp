#include "ir/model/distributions.h"

#include <cmath>
#include <numbers>

#include "ir/ops.h"

namespace tenon {
namespace {

const double log_sqrt_2_pi = 0.5 * std::log(2 * std::numbers::pi);

// A row of outputs: a float type with a constant last axis.
void require_row(std::string_view distribution, std::string_view what, Value x, Line line) {
  if (!is_float(x.dtype()) || x.rank() == 0 || x.shape().back().symbolic())
    fail(line, "{}: the {} is {}; it must be f32 or f64 [..., d] with a constant d", distribution, what, x.type().str());
}

// y as numbers of the parameter's type.
Value outcome(std::string_view distribution, Value parameter, Value y, bool whole, Line line) {
  if (whole && is_integer(y.dtype()) && y.shape() == parameter.shape()) y = cast(y, parameter.dtype());
  if (y.type() != parameter.type())
    fail(line, "{}: y is {}; it must be {}{}", distribution, y.type().str(), parameter.type().str(),
         whole ? ", or integers of that shape" : "");
  return y;
}

Value log_of_scale(std::string_view distribution, Value location, double scale, Line line) {
  require_row(distribution, "location", location, line);
  if (!(scale > 0 && std::isfinite(scale)))
    fail(line, "{}: the scale is {}; it must be above 0{}", distribution, scale, scale > 0 ? " and finite" : "");
  return full_like(location, std::log(scale), line);
}

Value row_sum(Value x) { return sum(x, {-1}); }

// The location's distance to y, in scales.
Value standardised(Value y, Value location, Value log_scale) { return (y - location) * exp(-log_scale); }

// Exponentially distributed, positive; infinite with probability 2^-24.
Value exponential(Graph& graph, Value like) { return -log(uniform(graph, like.dtype(), like.shape())); }

// The row's component by its index [...]: x [..., k, d] -> [..., d].
Value component(Value x, Value index) {
  Axes swap(static_cast<size_t>(x.rank()));
  for (size_t i = 0; i < swap.size(); ++i) swap[i] = static_cast<int64_t>(i);
  std::swap(swap[swap.size() - 2], swap.back());
  const Value columns = transpose(x, swap);
  return pick(columns, broadcast_to(expand_dims(index, -1), Shape(columns.shape().begin(), columns.shape().end() - 1)));
}

}  // namespace

Categorical Categorical::of_energies(Value energies, std::source_location at) {
  const Scope scope(energies.body(), "energies", at);
  return -energies;
}

Value Categorical::log_prob(Value y, std::source_location at) const {
  if (!is_integer(y.dtype())) require_support(y, Support::unit_interval, "categorical: y", at);
  const Scope scope(logits.body(), "categorical", at);
  return -softmax_cross_entropy({logits, Line(at)}, {y, Line(at)});
}

Value Categorical::mean(std::source_location at) const {
  const Scope scope(logits.body(), "categorical", at);
  return softmax(logits);
}

Value Categorical::mode(std::source_location at) const {
  const Scope scope(logits.body(), "categorical", at);
  return argmax(logits);
}

// Gumbel-max: the arg-max of logits - log(exponential) has the distribution of the softmax. Gumbel 1954.
Value Categorical::sample(Graph& graph, std::source_location at) const {
  const Scope scope(logits.body(), "categorical", at);
  return argmax(logits - log(exponential(graph, logits)));
}

Value Bernoulli::log_prob(Value y, std::source_location at) const {
  require_row("bernoulli", "logit", logits, at);
  require_support(y, Support::unit_interval, "bernoulli: y", at);
  const Scope scope(logits.body(), "bernoulli", at);
  return -row_sum(sigmoid_cross_entropy(logits, outcome("bernoulli", logits, y, true, at)));
}

Value Bernoulli::mean(std::source_location at) const {
  const Scope scope(logits.body(), "bernoulli", at);
  return sigmoid(logits);
}

Value Bernoulli::mode(std::source_location at) const {
  const Scope scope(logits.body(), "bernoulli", at);
  return cast(logits > 0, logits.dtype());
}

Value Bernoulli::sample(Graph& graph, std::source_location at) const {
  const Scope scope(logits.body(), "bernoulli", at);
  return cast(bernoulli(graph, sigmoid(logits), logits.shape()), logits.dtype());
}

Gaussian::Gaussian(Value location, double scale, std::source_location at)
    : Gaussian(location, log_of_scale("gaussian", location, scale, at), at) {}

Gaussian::Gaussian(Value location, Value log_scale, std::source_location at) : location(location) {
  require_row("gaussian", "location", location, at);
  this->log_scale = broadcast_to({log_scale, Line(at)}, location.shape());
}

Gaussian Gaussian::with_variance(Value location, Value variance, std::source_location at) {
  require_support(variance, Support::positive, "gaussian: the variance", at);
  const Scope scope(location.body(), "gaussian", at);
  return Gaussian(location, 0.5 * log(variance), at);
}

Value Gaussian::log_prob(Value y, std::source_location at) const {
  const Scope scope(location.body(), "gaussian", at);
  const Value r = standardised(outcome("gaussian", location, y, false, at), location, log_scale);
  return row_sum(-0.5 * (r * r) - log_scale - log_sqrt_2_pi);
}

Value Gaussian::sample(Graph& graph, std::source_location at) const {
  const Scope scope(location.body(), "gaussian", at);
  return location + exp(log_scale) * normal(graph, location.dtype(), location.shape());
}

Laplace::Laplace(Value location, double scale, std::source_location at)
    : Laplace(location, log_of_scale("laplace", location, scale, at), at) {}

Laplace::Laplace(Value location, Value log_scale, std::source_location at) : location(location) {
  require_row("laplace", "location", location, at);
  this->log_scale = broadcast_to({log_scale, Line(at)}, location.shape());
}

Value Laplace::log_prob(Value y, std::source_location at) const {
  const Scope scope(location.body(), "laplace", at);
  const Value r = standardised(outcome("laplace", location, y, false, at), location, log_scale);
  return row_sum(-abs(r) - log_scale - std::numbers::ln2);
}

Value Laplace::sample(Graph& graph, std::source_location at) const {
  const Scope scope(location.body(), "laplace", at);
  const Value distance = exp(log_scale) * -log1p(-uniform(graph, location.dtype(), location.shape()));
  return location + select(bernoulli(graph, full_like(location, 0.5), location.shape()), distance, -distance);
}

Value Poisson::log_prob(Value y, std::source_location at) const {
  require_row("poisson", "log-rate", log_rate, at);
  require_support(y, Support::count, "poisson: y", at);
  const Scope scope(log_rate.body(), "poisson", at);
  const Value count = outcome("poisson", log_rate, y, true, at);
  return row_sum(count * log_rate - exp(log_rate) - lgamma(count + 1));
}

Value Poisson::mean(std::source_location at) const {
  const Scope scope(log_rate.body(), "poisson", at);
  return exp(log_rate);
}

Value Poisson::mode(std::source_location at) const {
  const Scope scope(log_rate.body(), "poisson", at);
  return floor(exp(log_rate));
}

// The count is the number of k below at_most with P(y <= k) <= u.
Value Poisson::sample(Graph& graph, int64_t at_most, std::source_location at) const {
  if (at_most < 1) fail(at, "poisson: samples are at most {}; that must be 1 or more", at_most);
  const Scope scope(log_rate.body(), "poisson", at);
  const DType dtype = log_rate.dtype();
  Shape shape = log_rate.shape();
  const Value u = expand_dims(uniform(graph, dtype, shape), -1), log_r = expand_dims(log_rate, -1);
  shape.push_back(at_most);
  const Value k = cast(iota(log_rate.body(), {at_most}, 0), dtype);
  const Value p = exp(broadcast_to(k, shape) * broadcast_to(log_r, shape) - broadcast_to(exp(log_r), shape) - lgamma(k + 1));
  const Value row = iota(log_rate.body(), {at_most, at_most}, 0), column = iota(log_rate.body(), {at_most, at_most}, 1);
  const Value flat = reshape(p, {elements(log_rate.shape()), at_most});
  const Value cumulative = reshape(matmul(flat, cast(row <= column, dtype)), shape);
  return row_sum(cast(cumulative <= broadcast_to(u, shape), dtype));
}

GaussianMixture::GaussianMixture(Value weights, Value means, Value log_scales, Value strict, std::source_location at)
    : weights(weights), means(means), log_scales(log_scales), strict(strict) {
  const auto expect = [&](std::string_view what, Value x, const Type& type) {
    if (x.type() != type) fail(at, "mixture: the {} are {}; they must be {}", what, x.type().str(), type.str());
  };
  if (!is_float(means.dtype()) || means.rank() < 2 || means.shape().back().symbolic())
    fail(at, "mixture: the means are {}; they must be f32 or f64 [..., components, d] with a constant d", means.type().str());
  Type type = means.type();
  const int64_t d = type.shape.back().count;
  type.shape.pop_back();
  expect("weights", weights, type);
  type.shape.push_back(log_scales.rank() == means.rank() && log_scales.shape().back() == 1 ? 1 : d);
  expect("log-scales", log_scales, type);
  if (!strict) return;
  type.shape.back() = d * (d - 1) / 2;
  expect("factors below the diagonal", strict, type);
}

int64_t GaussianMixture::width(int64_t components, int64_t dims, Covariance covariance) {
  const int64_t scales = covariance == Covariance::spherical  ? 1
                         : covariance == Covariance::diagonal ? dims
                                                              : dims * (dims + 1) / 2;
  return components * (1 + dims + scales);
}

GaussianMixture::GaussianMixture(Value z, int64_t components, int64_t dims, Covariance covariance, std::source_location at) {
  if (components < 1 || dims < 1 || dims > 1024)
    fail(at, "mixture: {} components of {} dimensions; needs at least 1 of each, and at most 1024 dimensions", components,
         dims);
  const int64_t needed = width(components, dims, covariance);
  if (!is_float(z.dtype()) || z.rank() == 0 || z.shape().back() != Extent(needed))
    fail(at, "mixture: z is {}; {} components of {} dimensions need f32 or f64 [..., {}]", z.type().str(), components, dims,
         needed);
  const Scope scope(z.body(), "mixture", at);
  int64_t begin = 0;
  const auto cut = [&](int64_t each) {
    const Value part = slice(z, -1, begin, begin + components * each);
    begin += components * each;
    Shape shape(z.shape().begin(), z.shape().end() - 1);
    shape.insert(shape.end(), {components, each});
    return reshape(part, shape);
  };
  weights = slice(z, -1, 0, components);
  begin = components;
  means = cut(dims);
  log_scales = cut(covariance == Covariance::spherical ? 1 : dims);
  if (covariance == Covariance::full && dims > 1) strict = cut(dims * (dims - 1) / 2);
}

namespace {

// [..., k, d(d-1)/2] -> [..., k, d, d], zero on the diagonal and above it.
Value strictly_lower(Value strict, int64_t d) {
  std::vector<double> place, below;
  for (int64_t row = 0; row < d; ++row)
    for (int64_t column = 0; column < d; ++column) {
      below.push_back(column < row);
      place.push_back(column < row ? static_cast<double>(row * (row - 1) / 2 + column) : 0);
    }
  Axes to_front{strict.rank() - 1}, to_back;
  for (int64_t axis = 0; axis + 1 < strict.rank(); ++axis) {
    to_front.push_back(axis);
    to_back.push_back(axis + 2);
  }
  to_back.insert(to_back.end(), {0, 1});
  Body& body = strict.body();
  const Value index = constant(body, Literal::of({i64, {d, d}}, place));
  const Value square = transpose(gather(transpose(strict, to_front), index), to_back);
  const Value mask = constant(body, Literal::of({boolean, {d, d}}, below));
  return select(broadcast_to(mask, square.shape()), square, 0);
}

// log det L of each component: -sum_j log s_j.
Value log_root_determinant(const GaussianMixture& m) { return -row_sum(broadcast_to(m.log_scales, m.means.shape())); }

}  // namespace

Value GaussianMixture::log_prob(Value y, std::source_location at) const {
  const Scope scope(means.body(), "mixture", at);
  const int64_t d = means.shape().back().count;
  Type row = means.type();
  row.shape.erase(row.shape.end() - 2);
  if (y.type() != row) fail(at, "mixture: y is {}; it must be {}", y.type().str(), row.str());
  const Value distance = broadcast_to(expand_dims(y, -2), means.shape()) - means;
  Value r = distance * broadcast_to(exp(-log_scales), means.shape());
  if (strict) {
    const Value lower = strictly_lower(strict, d);
    r = r + sum(lower * broadcast_to(expand_dims(distance, -1), lower.shape()), {-2});
  }
  const Value density = -0.5 * row_sum(r * r) + log_root_determinant(*this) - static_cast<double>(d) * log_sqrt_2_pi;
  return logsumexp(log_softmax(weights) + density);
}

Value GaussianMixture::mean(std::source_location at) const {
  const Scope scope(means.body(), "mixture", at);
  return sum(broadcast_to(expand_dims(softmax(weights), -1), means.shape()) * means, {-2});
}

Value GaussianMixture::best_component_mean(std::source_location at) const {
  const Scope scope(means.body(), "mixture", at);
  return component(means, argmax(weights + log_root_determinant(*this)));
}

// A component, then its mean + x with L^T x = normal, by back substitution.
Value GaussianMixture::sample(Graph& graph, std::source_location at) const {
  const Scope scope(means.body(), "mixture", at);
  const Value index = Categorical(weights).sample(graph, at);
  const Value mean = component(means, index);
  const Value scale = exp(component(broadcast_to(log_scales, means.shape()), index));
  Value x = scale * normal(graph, mean.dtype(), mean.shape());
  if (!strict) return mean + x;
  const int64_t d = means.shape().back().count;
  const Value packed = component(strict, index);
  for (int64_t row = d - 1; row > 0; --row) {  // x_row is known: take it from the equations above it
    const Value known = slice(x, -1, row, row + 1);
    const Value below = slice(packed, -1, row * (row - 1) / 2, row * (row + 1) / 2);
    const Value change = slice(scale, -1, 0, row) * below * broadcast_to(known, below.shape());
    x = concat({slice(x, -1, 0, row) - change, slice(x, -1, row, d)}, x.rank() - 1);
  }
  return mean + x;
}

Value nll(const std::function<Value(Value)>& log_prob, Value y, std::source_location at) {
  const Scope scope(y.body(), "nll", at);
  const Value log_p = log_prob(y);
  if (!log_p || !is_float(log_p.dtype()))
    fail(at, "nll: log_prob gave {}; it must be f32 or f64", log_p ? log_p.type().str() : "an empty Value");
  return mean(-log_p);
}

Value nll(const Categorical& distribution, Value y, const LabelOptions& options, std::source_location at) {
  const Value& z = distribution.logits;
  if (!is_float(z.dtype()) || z.rank() == 0 || z.shape().back().symbolic())
    fail(at, "nll: the logits are {}; they must be f32 or f64 [..., k] with a constant k", z.type().str());
  const Scope scope(z.body(), "nll", at);
  const auto cross_entropy = [&](Value target) { return softmax_cross_entropy({z, Line(at)}, {target, Line(at)}); };
  const double e = options.smoothing;
  if (!(e >= 0 && e <= 1)) fail(at, "nll: the smoothing is {}; it must be in [0, 1]", e);
  if (!is_integer(y.dtype())) require_support(y, Support::unit_interval, "nll: y", at);
  if (!options.class_weights && !options.ignore && e == 0) return mean(cross_entropy(y));

  const double uniform = e / static_cast<double>(z.shape().back().count);
  Value weights = options.class_weights;
  if (weights && weights.type() != Type{z.dtype(), {z.shape().back()}})
    fail(at, "nll: the class weights are {}; they must be {}", weights.type().str(), Type{z.dtype(), {z.shape().back()}}.str());
  if (!is_integer(y.dtype())) {
    if (options.ignore) fail(at, "nll: y is {}; only labels of an integer type can be ignored", y.type().str());
    const Value target = (1 - e) * y + uniform;
    return mean(cross_entropy(weights ? target * weights : target));
  }

  const Value counts = options.ignore ? not_equal(y, static_cast<double>(*options.ignore)) : Value{};
  const Value label = counts ? select(counts, y, 0) : y;
  Value loss = cross_entropy(label);
  Value weight = weights ? gather(weights, label) : ones_like(loss);
  loss = weight * loss;
  if (e > 0)
    loss = (1 - e) * loss + cross_entropy(broadcast_to(weights ? weights * uniform : full_like(z, uniform), z.shape()));
  if (counts) {
    loss = select(counts, loss, 0);
    weight = select(counts, weight, 0);
  }
  const Value total = sum(weight);
  return select(equal(total, 0), 0, sum(loss) / total);
}

}  // namespace tenon
