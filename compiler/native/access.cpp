// Loads and stores.
#include <fmt/format.h>

#include "compiler/native/emit.h"

namespace tenon {

using loop::Code;

namespace {

llvm::Align alignment(const loop::Node& node, DType dtype) {
  const bool stated = node.code == Code::load || node.code == Code::store;
  return llvm::Align(static_cast<uint64_t>(stated ? node.integer : byte_size(dtype)));
}

}  // namespace

// Whether a masked access is a function of its own: where LLVM would make a branch for each lane, and where it would see on
// AVX2 what the mask is made of. There it splits `a uniform condition and constant lanes` in two and takes the half whose
// lanes are all constant and false for one that is loaded whole. The first lanes, which inner loops load, are no such mask.
bool Emitter::apart(const loop::Node& access, loop::Id mask, DType dtype) const {
  if (target_.isa == Isa::avx512) return false;
  if (target_.isa == Isa::sse2 || byte_size(dtype) < 4) return true;
  const loop::Node& made = node(mask);
  const bool first_lanes = made.code == Code::lt && node(made.operands[0]).code == Code::lane_numbers;
  if (access.code == Code::load && first_lanes) return false;
  return !llvm::isa<llvm::Constant>(values_[static_cast<size_t>(mask)]);
}

llvm::Function* Emitter::declare_apart(const std::string& name, llvm::Type* result, llvm::ArrayRef<llvm::Type*> parameters) {
  auto* function = llvm::Function::Create(llvm::FunctionType::get(result, parameters, false), llvm::Function::InternalLinkage,
                                          name, module_);
  // The same features as the caller: the registers of vector arguments depend on them.
  for (auto attribute : function_->getAttributes().getFnAttrs())
    if (attribute.isStringAttribute()) function->addFnAttr(attribute);
  function->addFnAttr(llvm::Attribute::NoInline);
  function->setDoesNotThrow();
  function->setWillReturn();
  return function;
}

llvm::Value* Emitter::call_apart(const std::string& name, llvm::Type* result, const Values& arguments, const Body& body) {
  llvm::Function* function = module_.getFunction(name);
  if (!function) {
    llvm::SmallVector<llvm::Type*> types;
    for (llvm::Value* argument : arguments) types.push_back(argument->getType());
    function = declare_apart(name, result, types);
    llvm::IRBuilder<> inside(llvm::BasicBlock::Create(b_.getContext(), "entry", function));
    llvm::SmallVector<llvm::Value*> parameters;
    for (auto& parameter : function->args()) parameters.push_back(&parameter);
    llvm::Value* value = body(inside, parameters);
    value ? inside.CreateRet(value) : inside.CreateRetVoid();
  }
  return b_.CreateCall(function, arguments);
}

llvm::Value* Emitter::load(const loop::Node& node) {
  Values x = values(node.operands);
  llvm::Type* type = this->type(node.type);
  const llvm::Align align = alignment(node, node.type.dtype);
  const bool gather = node.code == Code::gather;
  llvm::Value* address = gather ? b_.CreateGEP(element_type(node.type.dtype), x[0], x[1]) : x[0];
  const size_t unmasked = gather ? 2 : 1;
  if (x.size() == unmasked)
    return gather ? static_cast<llvm::Value*>(b_.CreateMaskedGather(type, address, align))
                  : b_.CreateAlignedLoad(type, address, align);
  llvm::Value *mask = x[unmasked], *rest = x[unmasked + 1];
  if (!node.type.vector) {
    llvm::IRBuilder<> once(entry_, entry_->begin());
    auto* nothing = once.CreateAlloca(type);
    nothing->setAlignment(align);
    llvm::Value* loaded = b_.CreateAlignedLoad(type, b_.CreateSelect(mask, address, nothing), align);
    return b_.CreateSelect(mask, loaded, rest);
  }
  auto access = [&](llvm::IRBuilder<>& at, llvm::ArrayRef<llvm::Value*> x) -> llvm::Value* {
    if (gather) return at.CreateMaskedGather(type, x[0], align, x[1], x[2]);
    return at.CreateMaskedLoad(type, x[0], align, x[1], x[2]);
  };
  if (!apart(node, node.operands[unmasked], node.type.dtype)) return access(b_, {address, mask, rest});
  return call_apart(fmt::format("tenon.{}.{}.{}", gather ? "gather" : "load", node.type.str(), align.value()), type,
                    {address, mask, rest}, access);
}

void Emitter::store(const loop::Node& node) {
  const Values x = values(node.operands);
  const loop::ValueType stored = this->node(node.operands[0]).type;
  const llvm::Align align = alignment(node, stored.dtype);
  const bool scatter = node.code == Code::scatter;
  llvm::Value* address = scatter ? b_.CreateGEP(element_type(stored.dtype), x[1], x[2]) : x[1];
  const size_t unmasked = scatter ? 3 : 2;
  if (x.size() == unmasked) {
    scatter ? b_.CreateMaskedScatter(x[0], address, align)
            : static_cast<llvm::Value*>(b_.CreateAlignedStore(x[0], address, align));
    return;
  }
  auto access = [&](llvm::IRBuilder<>& at, llvm::ArrayRef<llvm::Value*> x) -> llvm::Value* {
    scatter ? at.CreateMaskedScatter(x[0], x[1], align, x[2]) : at.CreateMaskedStore(x[0], x[1], align, x[2]);
    return nullptr;
  };
  llvm::Value* mask = x[unmasked];
  if (!apart(node, node.operands[unmasked], stored.dtype)) {
    access(b_, {x[0], address, mask});
    return;
  }
  call_apart(fmt::format("tenon.{}.{}.{}", scatter ? "scatter" : "store", stored.str(), align.value()), b_.getVoidTy(),
             {x[0], address, mask}, access);
}

}  // namespace tenon
