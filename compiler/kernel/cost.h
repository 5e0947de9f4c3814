#pragma once
// What one element of an expression costs, from the rows of its functions: what grouping and cutting weigh.
#include "ir/compute.h"

namespace tenon {

bool is_expensive(Scalar::Function f);  // an exponential and the like

// In additions, roughly, without index arithmetic; what is used more than once is computed once.
int cost(const Scalar& x);

}  // namespace tenon
