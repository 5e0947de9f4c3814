// One function per entry: kernels in order, a barrier where the list asks for one, and the way out after a
// check that found a bad index. A kernel for T threads runs on the first T of the team. Only here is it known
// where a buffer lies.
#include <cstddef>

#include "compiler/native/entry.h"

#include <llvm/IR/IRBuilder.h>

#include "compiler/native/emit.h"
#include "runtime/program.h"

namespace tenon {
namespace {

constexpr size_t most_calls = 64;  // of a function: LLVM schedules a block in a time that grows with the square of its length

class EntryEmitter {
 public:
  EntryEmitter(llvm::Module& module, const KernelList& list) : module_(module), list_(list), b_(module.getContext()) {}

  void emit(const std::string& name, std::span<const KernelCall> calls) {
    if (calls.size() <= most_calls) {
      begin(name, b_.getVoidTy(), llvm::Function::ExternalLinkage);
      emit_calls(0, calls.size(), calls);
      b_.CreateRetVoid();
      return;
    }
    std::vector<llvm::Function*> parts;  // each tells whether a check failed
    for (size_t first = 0; first < calls.size(); first += most_calls) {
      begin(fmt::format("{}.{}", name, parts.size()), b_.getInt1Ty(), llvm::Function::InternalLinkage);
      function_->addFnAttr(llvm::Attribute::NoInline);
      parts.push_back(function_);
      emit_calls(first, std::min(first + most_calls, calls.size()), calls);
      b_.CreateRet(b_.getFalse());
    }
    begin(name, b_.getVoidTy(), llvm::Function::ExternalLinkage);
    for (llvm::Function* part : parts) leave_if(b_.CreateCall(part, {frame_}));
    b_.CreateRetVoid();
  }

 private:
  void begin(const std::string& name, llvm::Type* result, llvm::Function::LinkageTypes linkage) {
    auto* type = llvm::FunctionType::get(result, {b_.getPtrTy()}, false);
    function_ = llvm::Function::Create(type, linkage, name, module_);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    frame_ = function_->getArg(0);
    b_.SetInsertPoint(block("entry"));
    thread_ = field(frame_, offsetof(Frame, thread), b_.getInt64Ty());
    threads_ = field(frame_, offsetof(Frame, threads), b_.getInt64Ty());
  }

  void emit_calls(size_t first, size_t end, std::span<const KernelCall> calls) {
    const std::vector<Kernel>& kernels = list_.kernels;
    for (size_t i = first, next; i < end; i = next) {
      if (kernels[i].barrier) barrier();
      // Kernels of one thread that follow each other share the question which thread this is.
      next = i + 1;
      while (kernels[i].threads == 1 && next < end && kernels[next].threads == 1 && !kernels[next].barrier &&
             !last_check(next - 1))
        ++next;
      llvm::Value* count = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, threads_, integer(kernels[i].threads));
      when(b_.CreateICmpSLT(thread_, count), [&] {
        for (size_t k = i; k < next; ++k) call(calls[k], kernels[k], count);
      });
      if (last_check(next - 1)) leave_on_fault();
    }
  }

  llvm::BasicBlock* block(const char* label) { return llvm::BasicBlock::Create(b_.getContext(), label, function_); }
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
    b_.CreateCall(declare_kernel(module_, call.name, kernel.threads > 1, call.arguments.size(), call.numbers.size()),
                  arguments);
  }

  bool last_check(size_t k) const {
    return list_.kernels[k].check && (k + 1 == list_.kernels.size() || !list_.kernels[k + 1].check);
  }
  void leave_on_fault() {
    barrier();
    llvm::Value* fault = field(frame_, offsetof(Frame, fault), b_.getPtrTy());
    leave_if(b_.CreateICmpSGE(field(fault, offsetof(Fault, check), b_.getInt64Ty()), integer(0)));
  }
  void leave_if(llvm::Value* failed) {
    auto *out = block("fault"), *on = block("checked");
    b_.CreateCondBr(failed, out, on);
    b_.SetInsertPoint(out);
    function_->getReturnType()->isVoidTy() ? b_.CreateRetVoid() : b_.CreateRet(b_.getTrue());
    b_.SetInsertPoint(on);
  }

  llvm::Module& module_;
  const KernelList& list_;
  llvm::IRBuilder<> b_;
  llvm::Function* function_;
  llvm::Value *frame_, *thread_, *threads_;
};

}  // namespace

void emit_entry(llvm::Module& module, const std::string& name, const KernelList& list, std::span<const KernelCall> calls) {
  EntryEmitter(module, list).emit(name, calls);
}

}  // namespace tenon
