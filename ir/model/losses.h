#pragma once
// Losses and measures: plain formulas, means over all rows, scalars of the prediction's element type. A
// prediction and its target must have one type: broadcasting [n,1] against [n] is a mistake here, and so an
// Error.
#include "ir/graph.h"

namespace tenon {

// mean((prediction - target)^2): the likelihood of a Gaussian of unit variance, but for constants.
Value mse(Value prediction, Value target, std::source_location at = std::source_location::current());

// mean(|prediction - target|): the likelihood of a Laplace distribution; its derivative where they are equal
// is 0.
Value mae(Value prediction, Value target, std::source_location at = std::source_location::current());

// mean(e^2 / 2 where |e| <= d, else d (|e| - d / 2)) with e = prediction - target: squared for small errors,
// absolute for outliers; its gradient is e cut to [-d, d]. Error unless d > 0. Huber 1964.
Value huber(Value prediction, Value target, double d = 1, std::source_location at = std::source_location::current());

// The share of rows whose largest logit, the first of equals, is the label's: logits [..., classes], label
// [...] of an integer type.
Value accuracy(Value logits, Value label, std::source_location at = std::source_location::current());

}  // namespace tenon
