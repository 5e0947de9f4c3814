// Which emission a function has: a polynomial in place, a polynomial in a function of its own, or its
// reference.
#include "compiler/native/math.h"

#include <llvm/IR/Module.h>

#include <array>
#include <functional>

#include "compiler/native/outline.h"
#include "compiler/native/polynomial.h"

namespace tenon {

using llvm::Value;

namespace {

using Polynomial = Value* (*)(const Arithmetic&, Value*);

// A polynomial in place, or one of f32 that is called: it is longer, and needs its calls and branches out of
// the way.
struct Emission {
  Polynomial in_place = nullptr, called = nullptr;
  double bound = 0;  // if not 0: larger arguments go to the reference
};

Emission emission(Scalar::Function function) {
  switch (function) {
    case Scalar::exp: return {.in_place = emit_exp};
    case Scalar::log: return {.in_place = emit_log};
    case Scalar::tanh: return {.in_place = emit_tanh};
    case Scalar::sigmoid: return {.in_place = emit_sigmoid};
    case Scalar::expm1: return {.called = emit_expm1};
    case Scalar::log1p: return {.called = emit_log1p};
    case Scalar::erf: return {.called = emit_erf};
    case Scalar::sin: return {.called = emit_sin, .bound = trigonometric_bound};
    case Scalar::cos: return {.called = emit_cos, .bound = trigonometric_bound};
    default: return {};
  }
}

std::string symbol(Scalar::Function function) {
  return "tenon_" + std::string(tenon::function(function).name);
}

// The reference in double, once for each lane.
Value* by_lane(llvm::IRBuilderBase& b, Scalar::Function function, llvm::ArrayRef<Value*> arguments) {
  llvm::Type* type = arguments[0]->getType();
  llvm::Type* f64 = b.getDoubleTy();
  auto* module = b.GetInsertBlock()->getModule();
  auto reference =
      module->getOrInsertFunction(symbol(function), llvm::FunctionType::get(f64, {f64, f64, f64}, false));
  auto* declaration = llvm::cast<llvm::Function>(reference.getCallee());
  declaration->setDoesNotAccessMemory();
  declaration->setDoesNotThrow();
  declaration->setWillReturn();
  auto one = [&](std::function<Value*(Value*)> lane) {
    std::array<Value*, 3> x;
    x.fill(llvm::ConstantFP::get(f64, 0));
    for (size_t i = 0; i < arguments.size(); ++i) x[i] = b.CreateFPCast(lane(arguments[i]), f64);
    return b.CreateFPCast(b.CreateCall(reference, x), type->getScalarType());
  };
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  if (!vector) return one([](Value* x) { return x; });
  Value* result = llvm::PoisonValue::get(type);
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    Value* y = one([&](Value* x) { return b.CreateExtractElement(x, i); });
    result = b.CreateInsertElement(result, y, i);
  }
  return result;
}

// The body of a called function; the position is in its entry block.
Value* emit_body(llvm::IRBuilderBase& b, Isa isa, Scalar::Function function, llvm::ArrayRef<Value*> arguments) {
  Emission how = emission(function);
  Value* x = arguments[0];
  if (!how.called || !x->getType()->getScalarType()->isFloatTy()) return by_lane(b, function, arguments);
  Arithmetic m(b, x->getType(), isa);
  if (how.bound == 0) return how.called(m, x);
  Value* outside = b.CreateFCmpUGT(b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x),
                                   llvm::ConstantFP::get(x->getType(), how.bound));
  if (x->getType()->isVectorTy()) outside = b.CreateOrReduce(outside);
  auto* caller = b.GetInsertBlock()->getParent();
  auto* far = llvm::BasicBlock::Create(b.getContext(), "far", caller);
  auto* near = llvm::BasicBlock::Create(b.getContext(), "near", caller);
  b.CreateCondBr(outside, far, near);
  b.SetInsertPoint(far);
  // Within the bound a lane keeps the bits that it has in other company.
  Value* reference = by_lane(b, function, arguments);
  Value* inside = b.CreateFCmpOLE(b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x),
                                  llvm::ConstantFP::get(x->getType(), how.bound));
  b.CreateRet(b.CreateSelect(inside, how.called(m, x), reference));
  b.SetInsertPoint(near);
  return how.called(m, x);
}

}  // namespace

Value* emit_math(llvm::IRBuilderBase& b, Isa isa, Scalar::Function function,
                 llvm::ArrayRef<Value*> arguments) {
  Value* x = arguments[0];
  if (function == Scalar::sqrt) return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x);
  Emission how = emission(function);
  if (how.in_place && x->getType()->getScalarType()->isFloatTy()) return how.in_place({b, x->getType(), isa}, x);
  std::string name = fmt::format("tenon.{}.{}", tenon::function(function).name, type_name(x->getType()));
  auto* call = call_outlined(b, name, x->getType(), arguments, [&](llvm::IRBuilder<>& inside, llvm::ArrayRef<Value*> a) {
    return emit_body(inside, isa, function, a);
  });
  call->setDoesNotAccessMemory();
  return call;
}

std::vector<std::pair<std::string, const void*>> math_symbols() {
  std::vector<std::pair<std::string, const void*>> symbols;
  for (int f = Scalar::sqrt; f <= Scalar::trigamma; ++f) {
    auto function = static_cast<Scalar::Function>(f);
    symbols.emplace_back(symbol(function),
                         reinterpret_cast<const void*>(tenon::function(function).reference));
  }
  return symbols;
}

}  // namespace tenon
