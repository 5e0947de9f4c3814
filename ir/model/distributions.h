#pragma once
// What a network says of y given x: a distribution whose parameters are Values, and the one training loss
// nll(distribution, y) = mean over the rows of -log p(y | x). A row of y is its last axis, y [..., d] with a
// constant d; log_prob [...] is the joint density of the row, a sum over d independent elements where nothing
// else is said. Scales are given by their logarithm, so that they and the precisions are positive for any
// output of a network. Samples are functions of (seed, scope, step), drawn anew in each step.
//
// All functions: Error, at the caller's line, for types that do not go together. An input or constant outside
// of the support is an Error of the run (of the build for a constant) that names row and value. The check is
// the input's, in every entry that reads it; what is computed from inputs, but for casts and reshapes, is not
// checked. Goodfellow, Bengio, Courville 2016, sections 3.9 and 6.2.
#include <concepts>
#include <functional>

#include "ir/graph.h"

namespace tenon {

// One of k classes: p(y = j) = softmax(logits)_j; logits [..., k] may be any scores, log-probabilities
// included. y: labels [...] of an integer type, or a distribution [..., k] of the type of the logits, for
// which log_prob is sum_j y_j log p_j.
struct Categorical {
  Value logits;

  Categorical(Value logits) : logits(logits) {}  // NOLINT: scores are a distribution over the classes
  // p(y = j) proportional to e^-energy_j: normalised by log-sum-exp.
  static Categorical of_energies(Value energies, std::source_location at = std::source_location::current());

  Value log_prob(Value y, std::source_location at = std::source_location::current()) const;
  Value mean(std::source_location at = std::source_location::current()) const;  // the probabilities [..., k]
  Value mode(std::source_location at = std::source_location::current()) const;  // i64 [...], the first of equals
  Value sample(Graph& graph, std::source_location at = std::source_location::current()) const;  // i64 [...]
};

// Bits: p(y_j = 1) = sigmoid(logits_j); y [..., d] in [0, 1], of the type of the logits or of an integer
// type.
struct Bernoulli {
  Value logits;

  Value log_prob(Value y, std::source_location at = std::source_location::current()) const;
  Value mean(std::source_location at = std::source_location::current()) const;
  Value mode(std::source_location at = std::source_location::current()) const;  // 1 where the logit is above 0
  Value sample(Graph& graph, std::source_location at = std::source_location::current()) const;
};

// p(y_j) = exp(-((y_j - location_j) / s_j)^2 / 2) / (s_j sqrt(2 pi)). With a fixed scale the loss is the mean
// squared error but for constants; with a learned one, or one per input, it weighs errors by the precision.
struct Gaussian {
  Value location, log_scale;  // log s, in the shape of the location

  // s = scale everywhere. Error unless it is above 0.
  explicit Gaussian(Value location, double scale = 1, std::source_location at = std::source_location::current());
  // log s is learned or depends on x; broadcast: [] one for all, [d] one per output, [..., d] any.
  Gaussian(Value location, Value log_scale, std::source_location at = std::source_location::current());
  // s^2 is known, above 0, broadcast likewise.
  static Gaussian with_variance(Value location, Value variance, std::source_location at = std::source_location::current());

  Value log_prob(Value y, std::source_location at = std::source_location::current()) const;
  Value mean() const { return location; }
  Value mode() const { return location; }
  Value sample(Graph& graph, std::source_location at = std::source_location::current()) const;
};

// p(y_j) = exp(-|y_j - location_j| / b_j) / (2 b_j): with a fixed b the loss is the mean absolute error but
// for constants. Arguments as for Gaussian, b in the place of s.
struct Laplace {
  Value location, log_scale;

  explicit Laplace(Value location, double scale = 1, std::source_location at = std::source_location::current());
  Laplace(Value location, Value log_scale, std::source_location at = std::source_location::current());

  Value log_prob(Value y, std::source_location at = std::source_location::current()) const;
  Value mean() const { return location; }
  Value mode() const { return location; }
  Value sample(Graph& graph, std::source_location at = std::source_location::current()) const;
};

// Counts: p(y_j) = r_j^y_j e^-r_j / y_j!, with log r given; y [..., d] in 0, 1, 2, ..., of the type of
// log_rate or of an integer type.
struct Poisson {
  Value log_rate;

  Value log_prob(Value y, std::source_location at = std::source_location::current()) const;
  Value mean(std::source_location at = std::source_location::current()) const;
  Value mode(
      std::source_location at = std::source_location::current()) const;  // the largest integer that is not above the rate
  // By inversion of the distribution function, summed up to at_most: a larger count is drawn as at_most. For
  // a rate up to 80 the default cuts off less than what 24 random bits resolve.
  Value sample(Graph& graph, int64_t at_most = 160, std::source_location at = std::source_location::current()) const;
};

// p(y) = sum_k softmax(weights)_k N(y; means_k, (L_k L_k^T)^-1), where L_k, the Cholesky factor of component
// k's precision, has the diagonal exp(-log_scales_k), and `strict` below it. By log-sum-exp: an outlier that
// every component deems impossible has a finite loss and gradient, as long as its squared distance in scales
// is finite in the element type (1e18 scales in f32). Bishop 1994, Mixture density networks.
struct GaussianMixture {
  enum class Covariance : uint8_t { spherical, diagonal, full };

  Value weights;     // logits [..., k]
  Value means;       // [..., k, d]
  Value log_scales;  // [..., k, d], or [..., k, 1]
  Value strict;      // [..., k, d(d-1)/2]: L below its diagonal, row by row; null: none

  GaussianMixture(Value weights, Value means, Value log_scales, Value strict = {},
                  std::source_location at = std::source_location::current());
  // Cuts one output z [..., width] of a network: weights, means, log_scales, strict of all components in this
  // order. Error unless z has the width.
  GaussianMixture(Value z, int64_t components, int64_t dims, Covariance covariance,
                  std::source_location at = std::source_location::current());
  static int64_t width(int64_t components, int64_t dims, Covariance covariance);
  // Covariances that are known: k matrices [d, d], row by row, for means [..., k, d]. Error, which names
  // component, row and value, unless each is symmetric and positive definite.
  static GaussianMixture with_covariances(Value weights, Value means, const std::vector<double>& covariances,
                                          std::source_location at = std::source_location::current());

  Value log_prob(Value y, std::source_location at = std::source_location::current()) const;
  Value mean(std::source_location at = std::source_location::current()) const;
  // The mean of the component whose weighted density is highest at its own mean: close to the mode where
  // components lie apart; the mode itself has no closed form.
  Value best_component_mean(std::source_location at = std::source_location::current()) const;
  Value sample(Graph& graph, std::source_location at = std::source_location::current()) const;
};

// mean(-log_prob(y)), for every distribution above and for the user's own.
Value nll(const std::function<Value(Value)>& log_prob, Value y, std::source_location at = std::source_location::current());
template <typename Distribution>
requires requires(const Distribution& d, Value y, std::source_location at) {
  { d.log_prob(y, at) } -> std::same_as<Value>;
}
Value nll(const Distribution& distribution, Value y, std::source_location at = std::source_location::current()) {
  return nll([&](Value target) { return distribution.log_prob(target, at); }, y, at);
}

struct LabelOptions {
  double smoothing = 0;                // e: the label's probability becomes 1 - e + e/k, the others' e/k; Szegedy et al. 2016
  Value class_weights = {};            // [k]: class j's term of the loss is multiplied by w_j
  std::optional<int64_t> ignore = {};  // rows with this label do not count
};

// The same with labels treated as the options say. The mean over labels is weighted by the weight of each
// row's label, 0 for ignored ones; it is 0, with gradient 0, if they are 0 altogether. A distribution as y
// takes no `ignore`, and its mean counts each row once.
Value nll(const Categorical& distribution, Value y, const LabelOptions& options = {},
          std::source_location at = std::source_location::current());

}  // namespace tenon
