// One function per entry: kernels in order, a barrier where the list asks for one, and the way out after a check that
// found a bad index. A kernel for T threads runs on the first T of the team.
#include <cstddef>

#include "compiler/native/emit.h"

namespace tenon {

void emit_entry(llvm::Module& module, const std::string& name, const KernelList& list,
                const std::vector<std::string>& kernels) {
  auto& context = module.getContext();
  llvm::IRBuilder<> b(context);
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy()}, false);
  auto* function = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  auto block = [&](const char* label) { return llvm::BasicBlock::Create(context, label, function); };
  b.SetInsertPoint(block("entry"));
  llvm::Value* frame = function->getArg(0);
  auto field = [&](llvm::Value* record, size_t offset, llvm::Type* of) {
    return b.CreateLoad(of, b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), record, offset));
  };
  llvm::Value* thread = field(frame, offsetof(Frame, thread), b.getInt64Ty());
  llvm::Value* threads = field(frame, offsetof(Frame, threads), b.getInt64Ty());
  llvm::Value* alone = b.CreateICmpEQ(threads, b.getInt64(1));
  auto when = [&](llvm::Value* condition, const std::function<void()>& body) {
    auto *then = block("then"), *after = block("after");
    b.CreateCondBr(condition, then, after);
    b.SetInsertPoint(then);
    body();
    b.CreateBr(after);
    b.SetInsertPoint(after);
  };
  auto barrier = [&] {
    when(b.CreateNot(alone), [&] {
      auto* meet = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy()}, false);
      llvm::Value* team = field(frame, offsetof(Frame, team), b.getPtrTy());
      b.CreateCall(meet, field(frame, offsetof(Frame, barrier), b.getPtrTy()), {team});
    });
  };

  auto* kernel_type = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy(), b.getInt64Ty(), b.getInt64Ty()}, false);
  for (size_t i = 0; i < list.kernels.size(); ++i) {
    const Kernel& kernel = list.kernels[i];
    if (kernel.barrier) barrier();
    auto callee = module.getOrInsertFunction(kernels[i], kernel_type);
    llvm::Value* most = b.getInt64(static_cast<uint64_t>(kernel.threads));
    llvm::Value* count = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, threads, most);
    when(b.CreateICmpSLT(thread, count), [&] { b.CreateCall(callee, {frame, thread, count}); });
    bool last_check = kernel.check && (i + 1 == list.kernels.size() || !list.kernels[i + 1].check);
    if (!last_check) continue;
    barrier();
    llvm::Value* fault = field(frame, offsetof(Frame, fault), b.getPtrTy());
    auto *out = block("fault"), *on = block("checked");
    b.CreateCondBr(b.CreateICmpSGE(field(fault, offsetof(Fault, check), b.getInt64Ty()), b.getInt64(0)), out, on);
    b.SetInsertPoint(out);
    b.CreateRetVoid();
    b.SetInsertPoint(on);
  }
  b.CreateRetVoid();
}

}  // namespace tenon
