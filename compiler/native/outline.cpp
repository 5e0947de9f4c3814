#include "compiler/native/outline.h"

#include <llvm/IR/Module.h>

#include <fmt/format.h>

#include <algorithm>

namespace tenon {

std::string type_name(llvm::Type* type) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return fmt::format("{}{}{}", vector ? fmt::format("v{}", vector->getNumElements()) : "",
                     type->isFPOrFPVectorTy() ? "f" : "i", type->getScalarSizeInBits());
}

llvm::CallInst* call_outlined(llvm::IRBuilderBase& b, const std::string& name, llvm::Type* result,
                              llvm::ArrayRef<llvm::Value*> arguments, const OutlinedBody& body) {
  auto* caller = b.GetInsertBlock()->getParent();
  auto* function = caller->getParent()->getFunction(name);
  if (!function) {
    llvm::SmallVector<llvm::Type*> types;
    for (llvm::Value* argument : arguments) types.push_back(argument->getType());
    function = llvm::Function::Create(llvm::FunctionType::get(result, types, false), llvm::Function::InternalLinkage,
                                      name, caller->getParent());
    // The same features as the caller: the registers of vector arguments depend on them.
    for (auto attribute : caller->getAttributes().getFnAttrs())
      if (attribute.isStringAttribute()) function->addFnAttr(attribute);
    function->addFnAttr(llvm::Attribute::NoInline);
    function->setDoesNotThrow();
    function->setWillReturn();
    llvm::IRBuilder<> inside(llvm::BasicBlock::Create(b.getContext(), "entry", function));
    llvm::SmallVector<llvm::Value*> parameters;
    for (auto& parameter : function->args()) parameters.push_back(&parameter);
    llvm::Value* value = body(inside, parameters);
    value ? inside.CreateRet(value) : inside.CreateRetVoid();
  }
  return b.CreateCall(function, arguments);
}

llvm::Value* emit_philox(llvm::IRBuilderBase& builder, llvm::ArrayRef<llvm::Value*> arguments) {
  llvm::Type* type = arguments[0]->getType();
  auto body = [&](llvm::IRBuilder<>& b, llvm::ArrayRef<llvm::Value*> parameters) -> llvm::Value* {
    llvm::Value *seed = parameters[0], *stream = parameters[1], *step = parameters[2], *index = parameters[3];
    auto constant = [&](uint64_t value) { return llvm::ConstantInt::get(type, value); };
    auto low = [&](llvm::Value* x) { return b.CreateAnd(x, constant(0xFFFFFFFF)); };
    auto high = [&](llvm::Value* x) { return b.CreateLShr(x, constant(32)); };
    llvm::Value* block = b.CreateAShr(index, constant(2));
    // Words are the low halves; what a high half holds is dropped where it would count.
    llvm::Value* first[6] = {block, stream, high(stream), step, seed,
                             b.CreateXor(b.CreateXor(high(seed), high(block)), b.CreateShl(high(step), constant(16)))};
    auto *entry = b.GetInsertBlock(), *rounds = llvm::BasicBlock::Create(b.getContext(), "rounds", entry->getParent()),
         *done = llvm::BasicBlock::Create(b.getContext(), "done", entry->getParent());
    b.CreateBr(rounds);
    b.SetInsertPoint(rounds);
    auto* round = b.CreatePHI(b.getInt32Ty(), 2);
    round->addIncoming(b.getInt32(0), entry);
    llvm::PHINode* state[6];  // four words of the counter, two of the key
    for (int i = 0; i < 6; ++i) {
      state[i] = b.CreatePHI(type, 2);
      state[i]->addIncoming(first[i], entry);
    }
    llvm::Value* x = b.CreateMul(low(state[0]), constant(0xD2511F53));
    llvm::Value* y = b.CreateMul(low(state[2]), constant(0xCD9E8D57));
    llvm::Value* next[6] = {b.CreateXor(b.CreateXor(high(y), state[1]), state[4]), y,
                            b.CreateXor(b.CreateXor(high(x), state[3]), state[5]), x,
                            b.CreateAdd(state[4], constant(0x9E3779B9)), b.CreateAdd(state[5], constant(0xBB67AE85))};
    for (int i = 0; i < 6; ++i) state[i]->addIncoming(next[i], rounds);
    llvm::Value* count = b.CreateAdd(round, b.getInt32(1));
    round->addIncoming(count, rounds);
    b.CreateCondBr(b.CreateICmpEQ(count, b.getInt32(10)), done, rounds);
    b.SetInsertPoint(done);
    llvm::Value* word = b.CreateAnd(index, constant(3));
    llvm::Value* odd = b.CreateICmpNE(b.CreateAnd(word, constant(1)), constant(0));
    return low(b.CreateSelect(b.CreateICmpULT(word, constant(2)), b.CreateSelect(odd, next[1], next[0]),
                              b.CreateSelect(odd, next[3], next[2])));
  };
  auto* call = call_outlined(builder, "tenon.philox." + type_name(type), type, arguments, body);
  call->setDoesNotAccessMemory();
  return call;
}

}  // namespace tenon
