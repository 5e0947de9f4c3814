#pragma once
// Rounding bounds of the evaluator: given what each argument may be off by, what a result may be off by.
// First order, by trying the corners of the arguments' intervals. An infinite bound means undecided.
#include <limits>

#include "ir/compute.h"

namespace tenon {

inline constexpr int max_arity = 3;
inline constexpr double undecided = std::numeric_limits<double>::infinity();

// One float function of an element: `reference` on the doubles x, each off by at most e.
double float_bound(Scalar::Function function, DType dtype, const double* x, const double* e, double result);
// One integer or bool function: the largest deviation, infinite where that is not known.
double integer_bound(Scalar::Function function, const int64_t* x, const double* e, int arity);
// A comparison or is_finite of floats, or any comparison of integers: 0 or infinite.
double decided(Scalar::Function function, const double* x, const double* e);
// What rounding `value` to the type may add; `ulp` as in ScalarFunction. Infinite where f32 may overflow.
double rounding(DType dtype, double value, double bound, double ulp);
// Whether the function rounds its result, so that even exact arguments give a bound.
bool rounds(Scalar::Function function);

}  // namespace tenon
