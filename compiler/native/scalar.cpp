// Expressions: where an expression is emitted, and the instructions of every scalar function.
#include <algorithm>
#include <bit>
#include <cmath>

#include "compiler/native/emit.h"
#include "compiler/native/math.h"
#include "compiler/native/outline.h"

namespace tenon {

const Emitter::Facts& Emitter::facts(const Scalar& x) {
  if (auto it = facts_.find(&*x); it != facts_.end()) return it->second;
  Facts result{.expression = x, .variables = {}, .reads = {}};
  for (const Scalar& argument : x->arguments) {
    const Facts& inner = facts(argument);
    result.variables.insert(result.variables.end(), inner.variables.begin(), inner.variables.end());
    result.reads.insert(result.reads.end(), inner.reads.begin(), inner.reads.end());
    result.reads_row |= inner.reads_row;
  }
  if (x->function == Scalar::variable) result.variables.push_back(x->integer);
  if (x->function == Scalar::load) {
    Storage storage = list.buffers[static_cast<size_t>(x->integer)].storage;
    if (storage == Storage::tile || written_[static_cast<size_t>(x->integer)]) result.reads.push_back(x->integer);
    result.reads_row |= storage == Storage::row;
  }
  auto unique = [](auto& values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
  };
  unique(result.variables);
  unique(result.reads);
  return facts_.emplace(&*x, std::move(result)).first->second;
}

bool Emitter::varies(const Facts& facts) const {
  const Level* vector = vector_level();
  if (!vector) return false;
  if (row_lanes && facts.reads_row) return true;
  if (std::binary_search(facts.variables.begin(), facts.variables.end(), vector->vector_variable)) return true;
  return std::any_of(facts.reads.begin(), facts.reads.end(), [&](BufferId id) {
    return list.buffers[static_cast<size_t>(id)].storage == Storage::tile;
  });
}

// The outermost level at which the value can be computed.
size_t Emitter::level(const Facts& facts) const {
  size_t result = 0;
  for (int64_t variable : facts.variables) {
    size_t at = levels_.size();
    while (at > 0 && !levels_[at - 1].bound.count(variable)) --at;
    check(at > 0, "every loop variable of an expression is bound");
    result = std::max(result, at - 1);
  }
  if (varies(facts)) result = std::max(result, static_cast<size_t>(vector_level() - levels_.data()));
  for (BufferId read : facts.reads) {
    size_t at = levels_.size();
    while (at > 0 && !levels_[at - 1].settled) --at;
    bool settled = at > 0 && list.buffers[static_cast<size_t>(read)].storage != Storage::tile;
    if (settled)
      for (BufferId written : levels_[at - 1].written) settled &= !share_bytes(list, written, read);
    result = std::max(result, settled ? at - 1 : levels_.size() - 1);
  }
  return result;
}

llvm::Value* Emitter::scalar(const Scalar& x) { return value(x, false); }
llvm::Value* Emitter::vector(const Scalar& x) { return value(x, true); }

llvm::Value* Emitter::value(const Scalar& x, bool wide) {
  const Facts& about = facts(x);
  size_t at = level(about);
  const auto& memo = wide ? levels_[at].vectors : levels_[at].scalars;
  if (auto it = memo.find(&*x); it != memo.end()) return it->second;
  llvm::IRBuilder<>::InsertPointGuard guard(b);
  if (at + 1 < levels_.size()) b.SetInsertPoint(levels_[at + 1].outside);
  llvm::Value* result = wide && !varies(about) ? splat(value(x, false)) : make(x, wide);
  return (wide ? levels_[at].vectors : levels_[at].scalars)[&*x] = result;
}

namespace {

// Truncates toward zero; x / 0 is 0 and the least integer / -1 is itself. Never traps, not in a masked lane either.
llvm::Value* divide(llvm::IRBuilderBase& b, llvm::Value* x, llvm::Value* y, bool is_signed) {
  llvm::Type* type = x->getType();
  llvm::Value *zero = llvm::ConstantInt::get(type, 0), *one = llvm::ConstantInt::get(type, 1);
  llvm::Value* nothing = b.CreateICmpEQ(y, zero);
  if (!is_signed) return b.CreateSelect(nothing, zero, b.CreateUDiv(x, b.CreateSelect(nothing, one, y)));
  llvm::Value* minus = b.CreateICmpEQ(y, llvm::ConstantInt::getSigned(type, -1));
  llvm::Value* quotient = b.CreateSDiv(x, b.CreateSelect(b.CreateOr(nothing, minus), one, y));
  return b.CreateSelect(nothing, zero, b.CreateSelect(minus, b.CreateNeg(x), quotient));
}

// Floors; the divisor is positive (any other gives some value, and no trap).
std::pair<llvm::Value*, llvm::Value*> floor_divide(llvm::IRBuilderBase& b, llvm::Value* x, llvm::Value* y,
                                                   bool is_signed) {
  llvm::Type* type = x->getType();
  llvm::Value *zero = llvm::ConstantInt::get(type, 0), *one = llvm::ConstantInt::get(type, 1);
  if (!is_signed) {
    y = b.CreateSelect(b.CreateICmpEQ(y, zero), one, y);
    return {b.CreateUDiv(x, y), b.CreateURem(x, y)};
  }
  y = b.CreateSelect(b.CreateICmpSLE(y, zero), one, y);
  llvm::Value *quotient = b.CreateSDiv(x, y), *remainder = b.CreateSRem(x, y);
  llvm::Value* below = b.CreateICmpSLT(remainder, zero);
  return {b.CreateSelect(below, b.CreateSub(quotient, one), quotient),
          b.CreateSelect(below, b.CreateAdd(remainder, y), remainder)};
}

llvm::Value* cast(llvm::IRBuilderBase& b, llvm::Value* x, DType from, DType to, llvm::Type* type) {
  llvm::Value* zero = llvm::Constant::getNullValue(x->getType());
  if (to == boolean) return is_float(from) ? b.CreateFCmpUNE(x, zero) : b.CreateICmpNE(x, zero);
  bool is_unsigned = from == u8 || from == boolean;
  if (is_float(to)) {
    if (is_float(from)) return b.CreateFPCast(x, type);
    return is_unsigned ? b.CreateUIToFP(x, type) : b.CreateSIToFP(x, type);
  }
  if (!is_float(from)) return b.CreateIntCast(x, type, !is_unsigned);
  auto id = to == u8 ? llvm::Intrinsic::fptoui_sat : llvm::Intrinsic::fptosi_sat;
  return b.CreateIntrinsic(id, {type, x->getType()}, {x});
}

}  // namespace

namespace {

// x / c for a pixel x (a u8 as a float) without a division, if that gives the rounded quotient for each of the 256. The
// remainder of the product with 1 / c corrects it.
llvm::Value* divide_pixel(llvm::IRBuilderBase& b, const ScalarNode& division, llvm::Value* x) {
  const Scalar &pixel = division.arguments[0], &divisor = division.arguments[1];
  bool fits = division.dtype == f32 && pixel->function == Scalar::cast && pixel->arguments[0]->dtype == u8 &&
              divisor->function == Scalar::constant;
  float c = static_cast<float>(divisor->number), inverse = 1 / c;
  for (int i = 0; fits && i < 256; ++i) {
    float y = static_cast<float>(i), quotient = y * inverse, rest = std::fma(-c, quotient, y);
    float corrected = std::fma(rest, inverse, quotient), exact = y / c;
    fits = std::bit_cast<uint32_t>(corrected) == std::bit_cast<uint32_t>(exact);
  }
  if (!fits) return nullptr;
  llvm::Type* type = x->getType();
  auto number = [&](float value) { return llvm::ConstantFP::get(type, value); };
  auto fma = [&](llvm::Value* p, llvm::Value* q, llvm::Value* r) {
    return b.CreateIntrinsic(llvm::Intrinsic::fma, {type}, {p, q, r});
  };
  llvm::Value* quotient = b.CreateFMul(x, number(inverse));
  return fma(fma(number(-c), quotient, x), number(inverse), quotient);
}

}  // namespace

llvm::Value* extreme(llvm::IRBuilderBase& b, bool max, DType dtype, llvm::Value* x, llvm::Value* y) {
  llvm::Intrinsic::ID id = max ? llvm::Intrinsic::umax : llvm::Intrinsic::umin;
  if (dtype == i64 || dtype == i32) id = max ? llvm::Intrinsic::smax : llvm::Intrinsic::smin;
  if (is_float(dtype)) id = max ? llvm::Intrinsic::maximum : llvm::Intrinsic::minimum;
  return b.CreateBinaryIntrinsic(id, x, y);
}

llvm::Value* Emitter::make(const Scalar& x, bool wide) {
  const ScalarNode& node = *x;
  llvm::Type* type = wide ? static_cast<llvm::Type*>(vector_type(node.dtype)) : this->type(node.dtype);
  switch (node.function) {
    case Scalar::constant:
      return is_float(node.dtype)
                 ? static_cast<llvm::Value*>(llvm::ConstantFP::get(type, node.number))
                 : llvm::ConstantInt::getSigned(type, node.dtype == u8 ? node.integer & 0xFF : node.integer);
    case Scalar::variable: {
      for (auto it = levels_.rbegin(); it != levels_.rend(); ++it)
        if (auto bound = it->bound.find(node.integer); bound != it->bound.end())
          return wide ? b.CreateAdd(splat(bound->second), lane_numbers(b.getInt64Ty())) : bound->second;
      return nullptr;
    }
    case Scalar::size: return extent(Extent(node.integer, node.size));
    case Scalar::load: return load(x, wide);
    case Scalar::select: {
      bool wide_condition = wide && varies(facts(node.arguments[0]));
      return b.CreateSelect(value(node.arguments[0], wide_condition), value(node.arguments[1], wide),
                            value(node.arguments[2], wide));
    }
    case Scalar::add: case Scalar::sub: case Scalar::mul: case Scalar::floordiv: case Scalar::mod:
      // Index arithmetic as its simplest linear form.
      if (node.dtype == i64) {
        Linear form = forms_.of(x);
        if (form.terms.size() != 1 || !(form.terms[0].atom == x)) {
          llvm::Value* same = linear(form, false, wide, false);
          return wide ? b.CreateAdd(same, linear(form, true, true, false)) : all(form);
        }
      }
      break;
    default: break;
  }

  std::vector<llvm::Value*> a;
  for (const Scalar& argument : node.arguments) a.push_back(value(argument, wide));
  DType from = node.arguments[0]->dtype;
  bool floating = is_float(from), is_signed = from == i64 || from == i32;
  auto compare = [&](llvm::CmpInst::Predicate of_floats, llvm::CmpInst::Predicate of_signed,
                     llvm::CmpInst::Predicate of_unsigned) {
    if (floating) return b.CreateFCmp(of_floats, a[0], a[1]);
    return b.CreateICmp(is_signed ? of_signed : of_unsigned, a[0], a[1]);
  };
  using Compare = llvm::CmpInst;
  switch (node.function) {
    case Scalar::add: return floating ? b.CreateFAdd(a[0], a[1]) : b.CreateAdd(a[0], a[1]);
    case Scalar::sub: return floating ? b.CreateFSub(a[0], a[1]) : b.CreateSub(a[0], a[1]);
    case Scalar::mul: return floating ? b.CreateFMul(a[0], a[1]) : b.CreateMul(a[0], a[1]);
    case Scalar::div: {
      if (!floating) return divide(b, a[0], a[1], is_signed);
      llvm::Value* quotient = target.isa == Isa::sse2 ? nullptr : divide_pixel(b, node, a[0]);
      return quotient ? quotient : b.CreateFDiv(a[0], a[1]);
    }
    case Scalar::floordiv: case Scalar::mod: {
      bool quotient = node.function == Scalar::floordiv;
      if (floating) {
        llvm::Value* floor = b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, b.CreateFDiv(a[0], a[1]));
        return quotient ? floor : b.CreateFSub(a[0], b.CreateFMul(a[1], floor));
      }
      auto dividend = forms_.range(node.arguments[0]), divisor = forms_.range(node.arguments[1]);
      if (from == i64 && dividend && dividend->least >= 0 && divisor && divisor->least > 0) {
        // 32 bits suffice, and vectors of them divide by a constant cheaply.
        llvm::Type* small = type->getWithNewBitWidth(32);
        llvm::Value *p = b.CreateTrunc(a[0], small), *q = b.CreateTrunc(a[1], small);
        return b.CreateZExt(quotient ? b.CreateUDiv(p, q) : b.CreateURem(p, q), type);
      }
      auto both = floor_divide(b, a[0], a[1], is_signed);
      return quotient ? both.first : both.second;
    }
    case Scalar::neg: return floating ? b.CreateFNeg(a[0]) : b.CreateNeg(a[0]);
    case Scalar::abs:
      if (floating) return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a[0]);
      return is_signed ? b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, a[0], b.getFalse()) : a[0];
    case Scalar::sign: {
      llvm::Value* zero = llvm::Constant::getNullValue(type);
      if (!floating) {
        llvm::Value* positive = b.CreateZExt(b.CreateICmpNE(a[0], zero), type);
        if (!is_signed) return positive;
        return b.CreateSelect(b.CreateICmpSLT(a[0], zero), llvm::ConstantInt::getSigned(type, -1), positive);
      }
      llvm::Value *one = llvm::ConstantFP::get(type, 1), *minus = llvm::ConstantFP::get(type, -1);
      return b.CreateSelect(b.CreateFCmpOGT(a[0], zero), one, b.CreateSelect(b.CreateFCmpOLT(a[0], zero), minus, a[0]));
    }
    case Scalar::fma:
      if (!floating) return b.CreateAdd(b.CreateMul(a[0], a[1]), a[2]);
      return b.CreateIntrinsic(llvm::Intrinsic::fma, {type}, {a[0], a[1], a[2]});
    case Scalar::eq: return compare(Compare::FCMP_OEQ, Compare::ICMP_EQ, Compare::ICMP_EQ);
    case Scalar::ne: return compare(Compare::FCMP_UNE, Compare::ICMP_NE, Compare::ICMP_NE);
    case Scalar::lt: return compare(Compare::FCMP_OLT, Compare::ICMP_SLT, Compare::ICMP_ULT);
    case Scalar::le: return compare(Compare::FCMP_OLE, Compare::ICMP_SLE, Compare::ICMP_ULE);
    case Scalar::logical_and: return b.CreateAnd(a[0], a[1]);
    case Scalar::logical_or: return b.CreateOr(a[0], a[1]);
    case Scalar::logical_not: return b.CreateNot(a[0]);
    case Scalar::is_finite: {
      if (!floating) return llvm::Constant::getAllOnesValue(type);
      llvm::Value* size = b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a[0]);
      return b.CreateFCmpOLT(size, llvm::ConstantFP::getInfinity(a[0]->getType()));
    }
    case Scalar::cast: return cast(b, a[0], from, node.dtype, type);
    case Scalar::max: case Scalar::min: return extreme(b, node.function == Scalar::max, from, a[0], a[1]);
    case Scalar::floor: return floating ? b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, a[0]) : a[0];
    case Scalar::ceil: return floating ? b.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, a[0]) : a[0];
    case Scalar::round: return floating ? b.CreateUnaryIntrinsic(llvm::Intrinsic::roundeven, a[0]) : a[0];
    case Scalar::sqrt: return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, a[0]);
    case Scalar::philox: return emit_philox(b, a);
    default: return emit_math(b, target.isa, node.function, a);
  }
}

}  // namespace tenon
