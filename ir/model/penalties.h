#pragma once
// Regularisation by what parameters are: penalties to add to a loss, and a bound on weights after an update.
// Weight decay apart from the gradient is adamw(); dropout is in layers.h, label smoothing in
// distributions.h. Goodfellow, Bengio, Courville 2016, sections 7.1 and 7.2.
#include "ir/graph.h"

namespace tenon {

// The parameters of two or more axes, in the order of their making: weights, as against biases and slopes.
std::vector<Value> weights(const Graph& graph);

// sum |w| over all elements of all w; derivative 0 where w is 0. A multiple of it in a loss drives weights to
// 0. Error for none, and for different element types.
Value l1(const std::vector<Value>& parameters, std::source_location at = std::source_location::current());

// sum w^2 / 2: in a loss, c * l2(w) adds c * w to the gradient.
Value l2(const std::vector<Value>& parameters, std::source_location at = std::source_location::current());

// The updates of minimize() with every unit's incoming weights, a column of W [in, units], scaled back to the
// norm c where they are longer: w := w min(1, c / |w|). Parameters of one axis are left alone. Error unless c
// > 0. Hinton et al. 2012.
std::vector<Update> max_norm(std::vector<Update> updates, double c, std::source_location at = std::source_location::current());

}  // namespace tenon
