#pragma once
// Elementary and special functions in emitted code. Arguments are scalars or vectors of f32 or f64; a lane of
// a vector has the bits of the scalar. Before: a position in a block. After: the value, the position in the
// same block. f32 exp, log, tanh and sigmoid are branch-free polynomials in f32, expm1, log1p, erf, sin and
// cos polynomials in f64 without FMA; the other functions, and all in f64, call the reference of ir/compute.h
// lane by lane. Bounds of the errors are in the table of ir/compute.h. Every choice holds on every ISA, so
// that only libm's own bits can differ.
#include <llvm/IR/IRBuilder.h>

#include <string>
#include <utility>
#include <vector>

#include "compiler/kernel/target.h"
#include "ir/compute.h"

namespace tenon {

// Of sqrt to trigamma in Scalar::Function.
llvm::Value* emit_math(llvm::IRBuilderBase& b, Isa isa, Scalar::Function function,
                       llvm::ArrayRef<llvm::Value*> arguments);

// The symbols that emitted math may call ("tenon_sin"), and their addresses.
std::vector<std::pair<std::string, const void*>> math_symbols();

}  // namespace tenon
