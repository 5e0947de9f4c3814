#pragma once
// One element in its own type, for the interpreters: what compiled code holds in a register. f32 is rounded
// after every operation, integers wrap, a bool is 0 or 1.
#include <cstddef>
#include <span>

#include "ir/compute.h"

namespace tenon {

struct Number {
  DType dtype = i64;
  double real = 0;    // of a float type
  int64_t whole = 0;  // of the others
  double as_double() const { return is_float(dtype) ? real : static_cast<double>(whole); }
};

Number real_number(DType dtype, double x);  // rounded to the type
Number load_number(const std::byte* base, DType dtype, int64_t position);
void store_number(std::byte* base, int64_t position, const Number& x);

Number convert(const Number& x, DType to);  // the cast of the scalar language
// A function of elements that is neither a leaf, cast nor select. Those of ScalarFunction::ulp 0 have the
// bits of compiled code; the others are its reference, rounded.
Number apply(Scalar::Function function, DType result, std::span<const Number> arguments);

}  // namespace tenon
