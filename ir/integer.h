#pragma once
// What the scalar language means on integers and bools: each in its own type, as compiled code does it.
#include "ir/compute.h"

namespace tenon {

int64_t wrap(DType dtype, uint64_t x);  // the low bits, as a value of the type
int64_t least(DType dtype);
int64_t greatest(DType dtype);
int64_t to_integer(DType dtype, double x);  // truncates toward zero, saturates; NaN gives 0
// x/0 and x mod 0 are 0; the least value divided by -1 is itself.
int64_t integer_function(Scalar::Function function, DType dtype, int64_t a, int64_t b, int64_t c);

}  // namespace tenon
