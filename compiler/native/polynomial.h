#pragma once
// What the polynomials of math_f32.cpp and math_f64.cpp are written in: operations on one float type, scalar
// or vector, and on its bits as integers of the same width. mul and add stay separate; fma is the one
// rounding of llvm.fma.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>

#include <initializer_list>

#include "compiler/kernel/target.h"

namespace tenon {

struct Arithmetic {
  using Value = llvm::Value*;

  llvm::IRBuilderBase& b;
  llvm::Type* real;     // f32, f64 or a vector of them
  Isa isa;
  llvm::Type* integer;  // as wide

  Arithmetic(llvm::IRBuilderBase& b, llvm::Type* real, Isa isa)
      : b(b), real(real), isa(isa), integer(real->getWithNewType(b.getIntNTy(real->getScalarSizeInBits()))) {}

  Value number(double x) const { return llvm::ConstantFP::get(real, x); }
  Value whole(uint64_t x) const { return llvm::ConstantInt::get(integer, x); }
  Value bits(Value x) const { return b.CreateBitCast(x, integer); }
  Value from_bits(Value x) const { return b.CreateBitCast(x, real); }

  Value add(Value x, Value y) const { return b.CreateFAdd(x, y); }
  Value sub(Value x, Value y) const { return b.CreateFSub(x, y); }
  Value mul(Value x, Value y) const { return b.CreateFMul(x, y); }
  Value div(Value x, Value y) const { return b.CreateFDiv(x, y); }
  Value fma(Value x, Value y, Value z) const {
    return b.CreateIntrinsic(llvm::Intrinsic::fma, {real}, {x, y, z});
  }
  Value fabs(Value x) const { return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
  Value copysign(Value x, Value sign) const {
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, x, sign);
  }
  // A NaN stays: one instruction each, whose second operand wins where either is NaN.
  Value at_most(Value x, double bound) const {
    return b.CreateSelect(b.CreateFCmpOLT(number(bound), x), number(bound), x);
  }
  Value at_least(Value x, double bound) const {
    return b.CreateSelect(b.CreateFCmpOGT(number(bound), x), number(bound), x);
  }

  // c[0] + c[1] x + c[2] x^2 ... by Horner's rule, with one rounding a step, or with two.
  Value polynomial(Value x, std::initializer_list<double> c) const {
    auto at = c.end();
    Value y = number(*--at);
    while (at != c.begin()) y = fma(y, x, number(*--at));
    return y;
  }
  Value unfused_polynomial(Value x, std::initializer_list<double> c) const {
    auto at = c.end();
    Value y = number(*--at);
    while (at != c.begin()) y = add(mul(y, x), number(*--at));
    return y;
  }
};

// m and x are of f32, and so is the value.
llvm::Value* emit_exp(const Arithmetic& m, llvm::Value* x);
llvm::Value* emit_log(const Arithmetic& m, llvm::Value* x);
llvm::Value* emit_tanh(const Arithmetic& m, llvm::Value* x);
llvm::Value* emit_sigmoid(const Arithmetic& m, llvm::Value* x);
llvm::Value* emit_expm1(const Arithmetic& m, llvm::Value* x);
llvm::Value* emit_log1p(const Arithmetic& m, llvm::Value* x);
llvm::Value* emit_erf(const Arithmetic& m, llvm::Value* x);
// Within |x| <= trigonometric_bound; any value beyond it.
inline constexpr double trigonometric_bound = 1 << 20;
llvm::Value* emit_sin(const Arithmetic& m, llvm::Value* x);
llvm::Value* emit_cos(const Arithmetic& m, llvm::Value* x);

}  // namespace tenon
