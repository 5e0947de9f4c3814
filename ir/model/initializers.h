#pragma once
// How parameters begin. Each function returns an Initializer, which builds the first value in the scope of
// the parameter; the entry `init` computes it, so that it is compiled like everything else and a seed
// reproduces it. A random stream belongs to its parameter's path: another layer more or less changes no other
// parameter's start.
//
// Fans, for a weight [..., in, out] whose leading axes are a window of w positions in all (1 for a matrix):
// fan_in = w * in, fan_out = w * out. Error, at the line of the call, for a parameter of fewer than two axes.
#include "ir/graph.h"

namespace tenon {

Initializer zeros();
Initializer constant(double value);

// Uniform between low and high. Error unless low < high.
Initializer uniform(double low, double high, std::source_location at = std::source_location::current());

// Gaussian with mean 0. Error unless stddev > 0.
Initializer normal(double stddev, std::source_location at = std::source_location::current());

// The same, conditioned on lying within two stddev: sqrt(2) * erfinv(u * erf(sqrt(2))) * stddev with u
// uniform in
// (-1, 1), so its own standard deviation is 0.8796 * stddev.
Initializer truncated_normal(double stddev, std::source_location at = std::source_location::current());

// Uniform within sqrt(6 / (fan_in + fan_out)): keeps the variance of activations and of gradients where the
// units are about linear at 0 (Glorot, Bengio 2010).
Initializer glorot(std::source_location at = std::source_location::current());

// Gaussian of variance 2 / fan_in: the same for rectifiers, which pass half of it (He et al. 2015).
Initializer he(std::source_location at = std::source_location::current());

// Gaussian of variance 1 / fan_in (LeCun et al. 1998).
Initializer lecun(std::source_location at = std::source_location::current());

// gain times a matrix with orthonormal columns, or rows where it is wider than tall, uniformly distributed among
// all such; the axes before the last count as one. The polar factor of a Gaussian matrix by polynomial
// iteration, X := X (a + b X^T X + c (X^T X)^2), in contractions only, so that it is compiled like the rest:
// X^T X is the identity to about 1e-6 per element. Saxe, McClelland, Ganguli 2014; Higham 2008, section 8.
Initializer orthogonal(double gain = 1, std::source_location at = std::source_location::current());

}  // namespace tenon
