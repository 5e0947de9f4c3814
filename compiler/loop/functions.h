#pragma once
// Elementary and special functions, and random bits, as code of the loop language. Arguments are scalars or vectors; a lane
// of a vector has the bits of the scalar. f32 exp, log, tanh and sigmoid are branch-free polynomials in f32, in place; expm1,
// log1p, erf, sin and cos polynomials in f64 without FMA, in functions of their own, so that what is long or full of branches
// stays out of the loops; the other functions, and all in f64, call the reference of ir/compute.h. Bounds of the errors are
// in the table of ir/compute.h. Every choice holds on every ISA, so that only libm's own bits can differ.
#include "compiler/kernel/target.h"
#include "compiler/loop/build.h"
#include "ir/compute.h"

namespace tenon::loop {

// Of exp to trigamma in Scalar::Function; of floats.
Value expand(Builder& b, Isa isa, Scalar::Function function, const Values& arguments);

// Philox4x32-10, as philox_bits(): 32 bits as an i64, of a seed, stream, step and index of i64.
Value philox(Builder& b, const Values& arguments);

// The cast of the scalar language, also to and from f16 and bf16.
Value convert(Builder& b, Isa isa, Value x, DType to);

}  // namespace tenon::loop
