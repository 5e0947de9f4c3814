#pragma once
// Hidden units beyond the activations of ops.h: those with parameters or several inputs, and those that are a
// formula of others. ir/README.md has the table of all: formula, derivative, kinks.
#include "ir/graph.h"
#include "ir/model/initializers.h"

namespace tenon {

Value identity(Value x);

// max(-1, min(1, x)): derivative 0 at both kinks. Collobert 2004.
Value hard_tanh(Value x, std::source_location at = std::source_location::current());

// 1.0507 elu(x, 1.6733): keeps mean 0 and variance 1 through layers with lecun() weights. Klambauer et al.
// 2017.
Value selu(Value x, std::source_location at = std::source_location::current());

// x for x > 0, else slope x with a slope that each unit learns: the parameter "prelu1/slope" [units]. Error
// unless the last axis is constant. He et al. 2015.
Value prelu(Graph& graph, Value x, double initial = 0.25, std::source_location at = std::source_location::current());

// y_i = max over p of x_(p units + i): x [..., k * units] -> [..., units]. Each unit learns a convex function of
// k linear pieces; a tie goes to the first piece. Error if k does not divide the axis.
// Goodfellow et al. 2013.
Value maxout(Value x, int64_t k, std::source_location at = std::source_location::current());

// exp(-|x - c_i|^2 / s_i^2) for each unit i: x [..., d] -> [..., units], with the parameters
// "radial_basis1/c" [units, d], begun by `centres`, and "radial_basis1/log_s" [units], log of `width` at
// first. Saturates to 0 away from its centre, so it begins to learn only from centres among the data.
// Goodfellow, Bengio, Courville 2016, section 6.3.3.
Value radial_basis(Graph& graph, Value x, int64_t units, const Initializer& centres = normal(1), double width = 1,
                   std::source_location at = std::source_location::current());

}  // namespace tenon
