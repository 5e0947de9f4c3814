// The frame around the expressions: function, buffers, loops and levels.
#include "compiler/native/emit.h"

#include <algorithm>
#include <cstddef>

namespace tenon {
namespace {

constexpr int64_t stack_limit = 4 << 10;  // a row buffer beyond it lives in the thread's scratch

llvm::Value* field(llvm::IRBuilder<>& b, llvm::Value* frame, size_t offset, llvm::Type* type) {
  return b.CreateLoad(type, b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), frame, offset));
}

}  // namespace

llvm::FunctionCallee declare_kernel(llvm::Module& module, const std::string& name, const IsolatedKernel& isolated) {
  const Kernel& kernel = isolated.list.kernels[0];
  auto& context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::get(context, 0), *number = llvm::Type::getInt64Ty(context);
  std::vector<llvm::Type*> types{pointer};
  if (kernel.threads > 1) types.insert(types.end(), {number, number});
  types.insert(types.end(), isolated.arguments.size(), pointer);
  types.insert(types.end(), isolated.numbers.size(), number);
  return module.getOrInsertFunction(name, llvm::FunctionType::get(llvm::Type::getVoidTy(context), types, false));
}

Emitter::Emitter(llvm::Module& module, const std::string& name, const IsolatedKernel& isolated, const Target& target)
    : list(isolated.list),
      kernel(isolated.list.kernels[0]),
      target(target),
      b(module.getContext()),
      function(llvm::cast<llvm::Function>(declare_kernel(module, name, isolated).getCallee())),
      forms_(list.maximum) {
  function->addFnAttr(llvm::Attribute::NoUnwind);
  if (target.isa == Isa::avx512) function->addFnAttr("prefer-vector-width", "512");
  frame = function->getArg(0);
  function->addParamAttr(0, llvm::Attribute::ReadOnly);
  function->addParamAttr(0, llvm::Attribute::NoAlias);
  auto* entry = llvm::BasicBlock::Create(b.getContext(), "entry", function);
  auto* start = llvm::BasicBlock::Create(b.getContext(), "start", function);
  b.SetInsertPoint(entry);
  const bool several = kernel.threads > 1;
  thread = several ? function->getArg(1) : integer(0);
  threads = several ? function->getArg(2) : integer(1);
  b.CreateBr(start);
  b.SetInsertPoint(start);
  levels_.emplace_back();
  const size_t numbers = isolated.numbers.size(), before = function->arg_size() - numbers;
  for (size_t i = 0; i < numbers; ++i)
    bind(first_given + static_cast<int64_t>(i), function->getArg(static_cast<unsigned>(before + i)));

  bases_.resize(list.buffers.size());
  written_.resize(list.buffers.size());
  for (const Statement& statement : kernel.body)
    for (size_t i = 0; i < list.buffers.size(); ++i)
      if (share_bytes(list, static_cast<BufferId>(i), statement.buffer)) written_[i] = true;
  for (const Axis& axis : kernel.rows) forms_.bound(axis);
  for (const Statement& statement : kernel.body) {
    for (const Axis& axis : statement.axes) forms_.bound(axis);
    for (const Axis& axis : statement.reduced) forms_.bound(axis);
  }
  if (kernel.contraction) {
    forms_.bound(kernel.contraction->m);
    forms_.bound(kernel.contraction->n);
    for (const Axis& axis : kernel.contraction->k) forms_.bound(axis);
  }
}

llvm::Type* Emitter::type(DType dtype) const {
  auto& context = const_cast<llvm::IRBuilder<>&>(b).getContext();
  switch (dtype) {
    case DType::f64: return llvm::Type::getDoubleTy(context);
    case DType::f32: return llvm::Type::getFloatTy(context);
    case DType::i64: return llvm::Type::getInt64Ty(context);
    case DType::i32: return llvm::Type::getInt32Ty(context);
    case DType::u8: return llvm::Type::getInt8Ty(context);
    case DType::boolean: return llvm::Type::getInt1Ty(context);
  }
  return nullptr;
}
llvm::VectorType* Emitter::vector_type(DType dtype) const { return llvm::FixedVectorType::get(type(dtype), lanes); }
llvm::Type* Emitter::stored_type(DType dtype) const { return type(dtype == boolean ? u8 : dtype); }

llvm::Value* Emitter::extent(Extent extent) {
  if (!extent.symbolic()) return integer(extent.count);
  llvm::IRBuilder<>::InsertPointGuard guard(b);
  b.SetInsertPoint(function->getEntryBlock().getTerminator());
  if (!size_) size_ = field(b, frame, offsetof(Frame, size), b.getInt64Ty());
  return extent.count == 1 ? size_ : b.CreateNSWMul(size_, integer(extent.count));
}

llvm::Value* Emitter::base(BufferId id) {
  llvm::Value*& result = bases_[static_cast<size_t>(id)];
  if (result) return result;
  const Buffer& buffer = list.buffers[static_cast<size_t>(id)];
  if (buffer.storage == Storage::argument)
    return result = function->getArg((kernel.threads > 1 ? 3 : 1) + static_cast<unsigned>(buffer.slot));
  check(buffer.storage == Storage::row, "the accumulator of a contraction has no address");
  int64_t bytes = checked_product(buffer.type.bytes(list.maximum), row_lanes ? lanes : 1);
  return result = bytes <= stack_limit ? stack(b.getInt8Ty(), bytes) : scratch(bytes);
}

llvm::Value* Emitter::scratch(int64_t bytes) {
  llvm::IRBuilder<>::InsertPointGuard guard(b);
  b.SetInsertPoint(function->getEntryBlock().getTerminator());
  llvm::Value* start = field(b, frame, offsetof(Frame, scratch), b.getPtrTy());
  llvm::Value* result = b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), start, static_cast<uint64_t>(scratch_bytes_));
  scratch_bytes_ += (bytes + 63) / 64 * 64;
  return result;
}

llvm::Value* Emitter::stack(llvm::Type* type, int64_t count) {
  llvm::IRBuilder<>::InsertPointGuard guard(b);
  b.SetInsertPoint(&function->getEntryBlock(), function->getEntryBlock().begin());
  auto* result = b.CreateAlloca(type, integer(count));
  result->setAlignment(llvm::Align(64));
  return result;
}

Emitter::Values Emitter::loop(llvm::Value* begin, llvm::Value* end, int64_t step, Values carried,
                              const std::function<Values(llvm::Value* i, const Values& carried)>& body) {
  auto *first = llvm::dyn_cast<llvm::ConstantInt>(begin), *last = llvm::dyn_cast<llvm::ConstantInt>(end);
  if (first && last && first->getSExtValue() >= last->getSExtValue()) return carried;
  if (first && last && first->getSExtValue() + step >= last->getSExtValue()) {
    open();
    carried = body(begin, carried);
    close();
    return carried;
  }
  auto* before = b.GetInsertBlock();
  auto* head = llvm::BasicBlock::Create(b.getContext(), "loop", function);
  auto* exit = llvm::BasicBlock::Create(b.getContext(), "done", function);
  Level& inside = levels_.emplace_back();
  inside.outside = first && last ? b.CreateBr(head) : b.CreateCondBr(b.CreateICmpSLT(begin, end), head, exit);
  b.SetInsertPoint(head);
  auto* i = b.CreatePHI(b.getInt64Ty(), 2, "i");
  i->addIncoming(begin, before);
  std::vector<llvm::PHINode*> phis;
  for (llvm::Value* value : carried) {
    phis.push_back(b.CreatePHI(value->getType(), 2));
    phis.back()->addIncoming(value, before);
  }
  Values next = body(i, Values(phis.begin(), phis.end()));
  check(next.size() == carried.size(), "a loop's body returns as many values as it is given");
  levels_.pop_back();
  auto* latch = b.GetInsertBlock();
  llvm::Value* advanced = b.CreateNSWAdd(i, integer(step));
  b.CreateCondBr(b.CreateICmpSLT(advanced, end), head, exit);
  i->addIncoming(advanced, latch);
  for (size_t n = 0; n < next.size(); ++n) phis[n]->addIncoming(next[n], latch);
  b.SetInsertPoint(exit);
  if (first && last) return next;
  for (size_t n = 0; n < next.size(); ++n) {
    auto* phi = b.CreatePHI(next[n]->getType(), 2);
    phi->addIncoming(carried[n], before);
    phi->addIncoming(next[n], latch);
    next[n] = phi;
  }
  return next;
}

void Emitter::loop(llvm::Value* begin, llvm::Value* end, int64_t step,
                   const std::function<void(llvm::Value* i)>& body) {
  loop(begin, end, step, {}, [&](llvm::Value* i, const Values&) {
    body(i);
    return Values();
  });
}

void Emitter::when(llvm::Value* condition, const std::function<void()>& body) {
  auto* then = llvm::BasicBlock::Create(b.getContext(), "then", function);
  auto* after = llvm::BasicBlock::Create(b.getContext(), "after", function);
  levels_.emplace_back().outside = b.CreateCondBr(condition, then, after);
  b.SetInsertPoint(then);
  body();
  levels_.pop_back();
  b.CreateBr(after);
  b.SetInsertPoint(after);
}

void Emitter::open() {
  auto* inside = llvm::BasicBlock::Create(b.getContext(), "open", function);
  levels_.emplace_back().outside = b.CreateBr(inside);
  b.SetInsertPoint(inside);
}
void Emitter::close() { levels_.pop_back(); }

void Emitter::bind(int64_t variable, llvm::Value* value) {
  check(levels_.back().bound.emplace(variable, value).second, "a variable is bound once in a level");
}
void Emitter::bind_vector(int64_t variable, llvm::Value* value, llvm::Value* mask) {
  bind(variable, value);
  levels_.back().vector_variable = variable;
  levels_.back().mask = mask;
}

const Emitter::Level* Emitter::vector_level() const {
  for (auto it = levels_.rbegin(); it != levels_.rend(); ++it)
    if (it->vector_variable >= 0) return &*it;
  return nullptr;
}
llvm::Value* Emitter::mask() const { return vector_level() ? vector_level()->mask : nullptr; }

llvm::Value* Emitter::lane_numbers(llvm::Type* element) {
  llvm::SmallVector<llvm::Constant*, lanes> numbers;
  for (unsigned lane = 0; lane < lanes; ++lane) numbers.push_back(llvm::ConstantInt::get(element, lane));
  return llvm::ConstantVector::get(numbers);
}
llvm::Value* Emitter::first_lanes(llvm::Value* count) {
  if (auto* known = llvm::dyn_cast<llvm::ConstantInt>(count); known && known->getSExtValue() >= lanes) return nullptr;
  llvm::Value* small = b.CreateTrunc(b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, count, integer(lanes)), b.getInt32Ty());
  return b.CreateICmpSLT(lane_numbers(b.getInt32Ty()), splat(small));
}

void Emitter::settle(std::vector<BufferId> written) {
  levels_.back().settled = true;
  levels_.back().written = std::move(written);
}

std::pair<llvm::Value*, llvm::Value*> part(Emitter& e, llvm::Value* total, int64_t grain) {
  if (auto* threads = llvm::dyn_cast<llvm::ConstantInt>(e.threads); threads && threads->isOne())
    return {e.integer(0), total};
  auto& b = e.b;
  llvm::Value* units = b.CreateUDiv(b.CreateAdd(total, e.integer(grain - 1)), e.integer(grain));
  auto bound = [&](llvm::Value* t) {
    llvm::Value* unit = b.CreateUDiv(b.CreateMul(units, t), e.threads);
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b.CreateMul(unit, e.integer(grain)), total);
  };
  return {bound(e.thread), bound(b.CreateAdd(e.thread, e.integer(1)))};
}

}  // namespace tenon
