// One function per entry: kernels in order, a barrier where the list asks for one, and the way out after a
// check that found a bad index. A kernel for T threads runs on the first T of the team. Only here is it known
// where a buffer lies.
#include <cstddef>

#include "compiler/native/emit.h"

namespace tenon {
namespace {

class EntryEmitter {
 public:
  EntryEmitter(llvm::Module& module, const std::string& name, const KernelList& list)
      : module_(module), list_(list), b_(module.getContext()) {
    auto* type = llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy()}, false);
    function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    frame_ = function_->getArg(0);
    b_.SetInsertPoint(block("entry"));
    thread_ = field(frame_, offsetof(Frame, thread), b_.getInt64Ty());
    threads_ = field(frame_, offsetof(Frame, threads), b_.getInt64Ty());
  }

  void emit(std::span<const KernelCall> calls) {
    const std::vector<Kernel>& kernels = list_.kernels;
    for (size_t i = 0, next; i < kernels.size(); i = next) {
      if (kernels[i].barrier) barrier();
      // Kernels of one thread that follow each other share the question which thread this is.
      next = i + 1;
      while (kernels[i].threads == 1 && next < kernels.size() && kernels[next].threads == 1 &&
             !kernels[next].barrier && !last_check(next - 1))
        ++next;
      llvm::Value* count =
          b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, threads_, integer(kernels[i].threads));
      when(b_.CreateICmpSLT(thread_, count), [&] {
        for (size_t k = i; k < next; ++k) call(calls[k], kernels[k], count);
      });
      if (last_check(next - 1)) leave_on_fault();
    }
    b_.CreateRetVoid();
  }

 private:
  llvm::BasicBlock* block(const char* label) {
    return llvm::BasicBlock::Create(b_.getContext(), label, function_);
  }
  llvm::Value* integer(int64_t value) { return b_.getInt64(static_cast<uint64_t>(value)); }
  llvm::Value* field(llvm::Value* record, size_t offset, llvm::Type* type) {
    return b_.CreateLoad(type, b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), record, offset));
  }
  // What no run of the entry changes: the tables of addresses and the frame.
  llvm::Value* address_in(llvm::Value* record, size_t offset) {
    auto* load = llvm::cast<llvm::LoadInst>(field(record, offset, b_.getPtrTy()));
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(b_.getContext(), {}));
    return load;
  }

  void when(llvm::Value* condition, const std::function<void()>& body) {
    auto *then = block("then"), *after = block("after");
    b_.CreateCondBr(condition, then, after);
    b_.SetInsertPoint(then);
    body();
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  void barrier() {
    when(b_.CreateICmpNE(threads_, integer(1)), [&] {
      auto* meet = llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy()}, false);
      llvm::Value* team = field(frame_, offsetof(Frame, team), b_.getPtrTy());
      b_.CreateCall(meet, field(frame_, offsetof(Frame, barrier), b_.getPtrTy()), {team});
    });
  }

  llvm::Value* address(BufferId id) {
    const Buffer& buffer = list_.buffers[static_cast<size_t>(id)];
    auto slot = [&](size_t table) {
      return address_in(address_in(frame_, table), static_cast<size_t>(buffer.slot) * sizeof(void*));
    };
    switch (buffer.storage) {
      case Storage::input: return slot(offsetof(Frame, inputs));
      case Storage::state: return slot(offsetof(Frame, states));
      case Storage::output: return slot(offsetof(Frame, outputs));
      case Storage::constant: return slot(offsetof(Frame, constants));
      case Storage::arena:
        check(buffer.offset >= 0, "a buffer in the arena has a place");
        return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), address_in(frame_, offsetof(Frame, arena)),
                                             static_cast<uint64_t>(buffer.offset));
      case Storage::row:
      case Storage::tile:
      case Storage::argument: break;
    }
    check(false, "what a kernel is given lies in memory");
    return nullptr;
  }

  void call(const KernelCall& call, const Kernel& kernel, llvm::Value* count) {
    std::vector<llvm::Value*> arguments{frame_};
    if (kernel.threads > 1) arguments.insert(arguments.end(), {thread_, count});
    for (BufferId id : call.arguments) arguments.push_back(address(id));
    for (int64_t number : call.numbers) arguments.push_back(integer(number));
    b_.CreateCall(declare_kernel(module_, call.name, *call.kernel), arguments);
  }

  bool last_check(size_t k) const {
    return list_.kernels[k].check && (k + 1 == list_.kernels.size() || !list_.kernels[k + 1].check);
  }
  void leave_on_fault() {
    barrier();
    llvm::Value* fault = field(frame_, offsetof(Frame, fault), b_.getPtrTy());
    auto *out = block("fault"), *on = block("checked");
    b_.CreateCondBr(b_.CreateICmpSGE(field(fault, offsetof(Fault, check), b_.getInt64Ty()), integer(0)), out,
                    on);
    b_.SetInsertPoint(out);
    b_.CreateRetVoid();
    b_.SetInsertPoint(on);
  }

  llvm::Module& module_;
  const KernelList& list_;
  llvm::IRBuilder<> b_;
  llvm::Function* function_;
  llvm::Value *frame_, *thread_, *threads_;
};

}  // namespace

void emit_entry(llvm::Module& module, const std::string& name, const KernelList& list,
                std::span<const KernelCall> calls) {
  EntryEmitter(module, name, list).emit(calls);
}

}  // namespace tenon
