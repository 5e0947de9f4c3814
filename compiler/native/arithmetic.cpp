// Nodes that work element by element, and between lanes.
#include <fmt/format.h>
#include <llvm/IR/IntrinsicsX86.h>

#include "compiler/native/emit.h"
#include "ir/compute.h"

namespace tenon {

using loop::Code;

llvm::Value* Emitter::elementwise(const loop::Node& node) {
  const Values x = values(node.operands);
  llvm::Type* type = this->type(node.type);
  const DType from = this->node(node.operands[0]).type.dtype;
  const bool floating = is_float(from);
  auto unary = [&](llvm::Intrinsic::ID id) { return b_.CreateUnaryIntrinsic(id, x[0]); };
  switch (node.code) {
    case Code::add:
    case Code::mul:
    case Code::max:
    case Code::min: return combine(node.code, from, x[0], x[1]);
    case Code::sub: return floating ? b_.CreateFSub(x[0], x[1]) : b_.CreateSub(x[0], x[1]);
    case Code::fma: return b_.CreateIntrinsic(llvm::Intrinsic::fma, {type}, {x[0], x[1], x[2]});
    case Code::div:
      if (floating) return b_.CreateFDiv(x[0], x[1]);
      return loop::is_signed(from) ? b_.CreateSDiv(x[0], x[1]) : b_.CreateUDiv(x[0], x[1]);
    case Code::neg: return floating ? b_.CreateFNeg(x[0]) : b_.CreateNeg(x[0]);
    case Code::abs:
      if (floating) return unary(llvm::Intrinsic::fabs);
      return loop::is_signed(from) ? b_.CreateBinaryIntrinsic(llvm::Intrinsic::abs, x[0], b_.getFalse()) : x[0];
    case Code::eq:
    case Code::ne:
    case Code::lt:
    case Code::le:
    case Code::ult: return compare(node, x);
    case Code::select: return b_.CreateSelect(x[0], x[1], x[2]);
    case Code::floor: return unary(llvm::Intrinsic::floor);
    case Code::ceil: return unary(llvm::Intrinsic::ceil);
    case Code::round: return unary(llvm::Intrinsic::roundeven);
    case Code::sqrt: return unary(llvm::Intrinsic::sqrt);
    case Code::copysign: return b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, x[0], x[1]);
    case Code::scale:
      check(target_.isa == Isa::avx512 && node.type == loop::ValueType{f32, true}, "a machine that scales f32 has AVX-512");
      return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                                {x[0], x[1], x[0], b_.getInt16(0xffff), b_.getInt32(4)});
    case Code::cast: return cast(x[0], from, node.type.dtype);
    case Code::zero_extend: return b_.CreateZExt(x[0], type);
    case Code::bits:
      if (byte_size(from) != byte_size(node.type.dtype)) return b_.CreateZExtOrTrunc(x[0], type);
      return b_.CreateBitCast(x[0], type);
    case Code::reference: return reference(node, x);
    default: return integer_arithmetic(node, x);
  }
}

// By add, mul, max or min: the codes that a reduction has too.
llvm::Value* Emitter::combine(Code code, DType dtype, llvm::Value* x, llvm::Value* y) {
  const bool floating = is_float(dtype), is_signed = loop::is_signed(dtype);
  auto extreme = [&](llvm::Intrinsic::ID of_floats, llvm::Intrinsic::ID of_signed, llvm::Intrinsic::ID of_unsigned) {
    return b_.CreateBinaryIntrinsic(floating ? of_floats : is_signed ? of_signed : of_unsigned, x, y);
  };
  switch (code) {
    case Code::add: return floating ? b_.CreateFAdd(x, y) : b_.CreateAdd(x, y);
    case Code::mul: return floating ? b_.CreateFMul(x, y) : b_.CreateMul(x, y);
    case Code::max: return extreme(llvm::Intrinsic::maximum, llvm::Intrinsic::smax, llvm::Intrinsic::umax);
    default: return extreme(llvm::Intrinsic::minimum, llvm::Intrinsic::smin, llvm::Intrinsic::umin);
  }
}

llvm::Value* Emitter::integer_arithmetic(const loop::Node& node, const Values& x) {
  const bool is_signed = loop::is_signed(node.type.dtype);
  switch (node.code) {
    case Code::rem: return is_signed ? b_.CreateSRem(x[0], x[1]) : b_.CreateURem(x[0], x[1]);
    case Code::udiv: return b_.CreateUDiv(x[0], x[1]);
    case Code::urem: return b_.CreateURem(x[0], x[1]);
    case Code::bit_and: return b_.CreateAnd(x[0], x[1]);
    case Code::bit_or: return b_.CreateOr(x[0], x[1]);
    case Code::bit_xor: return b_.CreateXor(x[0], x[1]);
    case Code::shift_left: return b_.CreateShl(x[0], x[1]);
    case Code::shift_right: return is_signed ? b_.CreateAShr(x[0], x[1]) : b_.CreateLShr(x[0], x[1]);
    case Code::shift_right_unsigned: return b_.CreateLShr(x[0], x[1]);
    default: break;
  }
  check(false, "a node of the loops has a case");
  return nullptr;
}

llvm::Value* Emitter::compare(const loop::Node& node, const Values& x) {
  using Compare = llvm::CmpInst;
  const DType from = this->node(node.operands[0]).type.dtype;
  const bool floating = is_float(from), is_signed = loop::is_signed(from);
  switch (node.code) {
    case Code::eq: return floating ? b_.CreateFCmpOEQ(x[0], x[1]) : b_.CreateICmpEQ(x[0], x[1]);
    case Code::ne: return floating ? b_.CreateFCmpUNE(x[0], x[1]) : b_.CreateICmpNE(x[0], x[1]);
    case Code::ult: return b_.CreateICmpULT(x[0], x[1]);
    case Code::lt:
      if (floating) return b_.CreateFCmpOLT(x[0], x[1]);
      return b_.CreateICmp(is_signed ? Compare::ICMP_SLT : Compare::ICMP_ULT, x[0], x[1]);
    default:
      if (floating) return b_.CreateFCmpOLE(x[0], x[1]);
      return b_.CreateICmp(is_signed ? Compare::ICMP_SLE : Compare::ICMP_ULE, x[0], x[1]);
  }
}

llvm::Value* Emitter::cast(llvm::Value* x, DType from, DType to) {
  llvm::Value* zero = llvm::Constant::getNullValue(x->getType());
  if (to == boolean) return is_float(from) ? b_.CreateFCmpUNE(x, zero) : b_.CreateICmpNE(x, zero);
  llvm::Type* type = x->getType()->getWithNewType(element_type(to));
  if (is_storage(from) || is_storage(to)) {  // f16 and f32; elements of f16 are held as integers
    check(target_.isa != Isa::sse2, "a machine that casts f16 has F16C");
    llvm::Type* half = x->getType()->getWithNewType(b_.getHalfTy());
    if (is_storage(from)) return b_.CreateFPExt(b_.CreateBitCast(x, half), type);
    return b_.CreateBitCast(b_.CreateFPTrunc(x, half), type);
  }
  if (is_float(to)) {
    if (is_float(from)) return b_.CreateFPCast(x, type);
    return loop::is_signed(from) ? b_.CreateSIToFP(x, type) : b_.CreateUIToFP(x, type);
  }
  if (!is_float(from)) return b_.CreateIntCast(x, type, loop::is_signed(from));
  const auto id = to == u8 ? llvm::Intrinsic::fptoui_sat : llvm::Intrinsic::fptosi_sat;
  return b_.CreateIntrinsic(id, {type, x->getType()}, {x});
}

namespace {

std::string symbol(Scalar::Function function) { return "tenon_" + std::string(tenon::function(function).name); }

}  // namespace

// In double, once for each lane.
llvm::Value* Emitter::reference(const loop::Node& node, const Values& arguments) {
  llvm::Type *type = arguments[0]->getType(), *f64 = b_.getDoubleTy();
  auto callee = module_.getOrInsertFunction(symbol(static_cast<Scalar::Function>(node.integer)),
                                            llvm::FunctionType::get(f64, {f64, f64, f64}, false));
  auto* declaration = llvm::cast<llvm::Function>(callee.getCallee());
  declaration->setDoesNotAccessMemory();
  declaration->setDoesNotThrow();
  declaration->setWillReturn();
  auto one = [&](const std::function<llvm::Value*(llvm::Value*)>& lane) {
    Values x(3, llvm::ConstantFP::get(f64, 0));
    for (size_t i = 0; i < arguments.size(); ++i) x[i] = b_.CreateFPCast(lane(arguments[i]), f64);
    return b_.CreateFPCast(b_.CreateCall(callee, x), type->getScalarType());
  };
  if (!node.type.vector) return one([](llvm::Value* x) { return x; });
  llvm::Value* result = llvm::PoisonValue::get(type);
  for (unsigned i = 0; i < loop::lanes; ++i) {
    llvm::Value* y = one([&](llvm::Value* x) { return b_.CreateExtractElement(x, i); });
    result = b_.CreateInsertElement(result, y, i);
  }
  return result;
}

std::vector<std::pair<std::string, const void*>> reference_symbols() {
  std::vector<std::pair<std::string, const void*>> symbols;
  for (int f = 0; f < scalar_functions; ++f) {
    if (!loop::is_reference(f)) continue;
    const auto function = static_cast<Scalar::Function>(f);
    symbols.emplace_back(symbol(function), reinterpret_cast<const void*>(tenon::function(function).reference));
  }
  return symbols;
}

llvm::Value* Emitter::call(const loop::Node& node) {
  const loop::Function& called = *source_.functions[static_cast<size_t>(node.integer)];
  llvm::Function* function = module_.getFunction(called.name);
  if (!function) {
    llvm::SmallVector<llvm::Type*> types;
    for (loop::ValueType parameter : called.parameters) types.push_back(type(parameter));
    function = declare_apart(called.name, type(node.type), types);
    Emitter inside(module_, called, function, target_);
    for (auto& parameter : function->args()) inside.parameters.push_back(&parameter);
    llvm::Value* result = inside.body()[0];
    inside.position().CreateRet(result);
  }
  auto* call = b_.CreateCall(function, values(node.operands));
  call->setDoesNotAccessMemory();
  return call;
}

llvm::Value* Emitter::between_lanes(const loop::Node& node) {
  const Values x = values(node.operands);
  switch (node.code) {
    case Code::splat: return b_.CreateVectorSplat(loop::lanes, x[0]);
    case Code::extract: return b_.CreateExtractElement(x[0], static_cast<uint64_t>(node.integer));
    case Code::any: return b_.CreateOrReduce(x[0]);
    default: break;
  }
  std::vector<int> lanes = node.lanes;
  if (x[0] == x[1])
    for (int& lane : lanes) lane %= loop::lanes;
  return b_.CreateShuffleVector(x[0], x[1], lanes);
}

llvm::Value* Emitter::reduce(const loop::Node& node) {
  llvm::Value* x = value(node.operands[0]);
  for (int half = loop::lanes / 2; half > 0; half /= 2) {
    std::vector<int> low, high;
    for (int lane = 0; lane < half; ++lane) low.push_back(lane), high.push_back(lane + half);
    x = combine(static_cast<Code>(node.integer), node.type.dtype, b_.CreateShuffleVector(x, low),
                b_.CreateShuffleVector(x, high));
  }
  return b_.CreateExtractElement(x, uint64_t{0});
}

}  // namespace tenon
