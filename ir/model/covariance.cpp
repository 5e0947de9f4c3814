// A mixture of known covariances: their matrices become, when the graph is built, the Cholesky factors of the
// precisions that GaussianMixture computes with.
#include <cmath>

#include "ir/model/distributions.h"
#include "ir/ops.h"

namespace tenon {
namespace {

// A square matrix of the user's, or one of its factors.
struct Matrix {
  size_t d;
  std::vector<double> elements = std::vector<double>(d * d);

  double& at(size_t row, size_t column) { return elements[row * d + column]; }
};

// U, upper triangular with a positive diagonal, such that U U^T = covariance.
Matrix upper_factor(Matrix& covariance, size_t component, Line line) {
  Matrix u{covariance.d};
  for (size_t j = u.d; j-- > 0;)
    for (size_t i = j + 1; i-- > 0;) {
      const double element = covariance.at(i, j);
      if (element != covariance.at(j, i))
        fail(line, "mixture: covariance[{},{},{}] is {} and [{},{},{}] is {}; a covariance is symmetric", component, i, j,
             element, component, j, i, covariance.at(j, i));
      double rest = element;
      for (size_t k = j + 1; k < u.d; ++k) rest -= u.at(i, k) * u.at(j, k);
      if (i == j && !(rest > 0 && std::isfinite(rest)))
        fail(line,
             "mixture: covariance[{},{},{}] is {}, which leaves {} given the rows below; a covariance is "
             "positive definite",
             component, j, j, element, rest);
      u.at(i, j) = i == j ? std::sqrt(rest) : rest / u.at(j, j);
    }
  return u;
}

Matrix inverse_of_upper(Matrix& u) {
  Matrix inverse{u.d};
  for (size_t j = 0; j < u.d; ++j) {
    inverse.at(j, j) = 1 / u.at(j, j);
    for (size_t i = j; i-- > 0;) {
      for (size_t k = i + 1; k <= j; ++k) inverse.at(i, j) -= u.at(i, k) * inverse.at(k, j);
      inverse.at(i, j) /= u.at(i, i);
    }
  }
  return inverse;
}

}  // namespace

GaussianMixture GaussianMixture::with_covariances(Value weights, Value means, const std::vector<double>& covariances,
                                                  std::source_location at) {
  if (!is_float(means.dtype()) || means.rank() < 2 || means.shape().back().symbolic() ||
      means.shape()[means.shape().size() - 2].symbolic())
    fail(at, "mixture: the means are {}; they must be f32 or f64 [..., components, d], both constant", means.type().str());
  const int64_t d = means.shape().back().count, components = means.shape()[means.shape().size() - 2].count;
  if (static_cast<int64_t>(covariances.size()) != components * d * d)
    fail(at, "mixture: the covariances are {} numbers; {} components of {} dimensions have {}", covariances.size(), components,
         d, components * d * d);
  const auto size = static_cast<size_t>(d);
  std::vector<double> log_scales, strict;
  for (size_t component = 0; component < static_cast<size_t>(components); ++component) {
    const auto begin = covariances.begin() + static_cast<std::ptrdiff_t>(component * size * size);
    Matrix covariance{size, {begin, begin + d * d}};
    Matrix u = upper_factor(covariance, component, at);
    Matrix transposed = inverse_of_upper(u);  // of L: covariance^-1 = U^-T U^-1 = L L^T
    for (size_t row = 0; row < size; ++row) {
      log_scales.push_back(std::log(u.at(row, row)));
      for (size_t column = 0; column < row; ++column) strict.push_back(transposed.at(column, row));
    }
  }
  const Scope scope(means.body(), "mixture", at);
  const auto known = [&](const std::vector<double>& values, int64_t each) {
    Shape shape = means.shape();
    shape.back() = each;
    return broadcast_to(constant(means.body(), Literal::of({means.dtype(), {components, each}}, values)), shape);
  };
  return GaussianMixture(weights, means, known(log_scales, d), d > 1 ? known(strict, d * (d - 1) / 2) : Value{}, at);
}

}  // namespace tenon
