// Functions, leaves and control.
#include "compiler/native/emit.h"

#include <algorithm>
#include <cstddef>

#include "runtime/program.h"

namespace tenon {

llvm::FunctionCallee declare_kernel(llvm::Module& module, const std::string& name, bool threads, size_t arguments,
                                    size_t numbers) {
  auto& context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::get(context, 0), *number = llvm::Type::getInt64Ty(context);
  std::vector<llvm::Type*> types{pointer};
  if (threads) types.insert(types.end(), {number, number});
  types.insert(types.end(), arguments, pointer);
  types.insert(types.end(), numbers, number);
  return module.getOrInsertFunction(name, llvm::FunctionType::get(llvm::Type::getVoidTy(context), types, false));
}

void emit(llvm::Module& module, const loop::Function& source, const Target& target) {
  size_t arguments = 0;
  for (const loop::Buffer& buffer : source.buffers)
    if (buffer.place == loop::Buffer::Place::argument) arguments = std::max(arguments, static_cast<size_t>(buffer.slot) + 1);
  const auto numbers = static_cast<size_t>(source.numbers);
  auto* function =
      llvm::cast<llvm::Function>(declare_kernel(module, source.name, source.threads, arguments, numbers).getCallee());
  function->addFnAttr(llvm::Attribute::NoUnwind);
  if (target.isa == Isa::avx512) function->addFnAttr("prefer-vector-width", "512");
  function->addParamAttr(0, llvm::Attribute::ReadOnly);
  function->addParamAttr(0, llvm::Attribute::NoAlias);
  Emitter emitter(module, source, function, target);
  auto* next = function->arg_begin();
  emitter.frame = next++;
  if (source.threads) emitter.thread = next++, emitter.threads = next++;
  for (size_t i = 0; i < arguments; ++i) emitter.arguments.push_back(next++);
  for (size_t i = 0; i < numbers; ++i) emitter.numbers.push_back(next++);
  emitter.body();
  emitter.position().CreateRetVoid();
}

Emitter::Emitter(llvm::Module& module, const loop::Function& source, llvm::Function* function, const Target& target)
    : module_(module),
      source_(source),
      function_(function),
      target_(target),
      b_(module.getContext()),
      entry_(llvm::BasicBlock::Create(module.getContext(), "entry", function)),
      values_(source.nodes.size()),
      results_(source.nodes.size()) {
  b_.SetInsertPoint(entry_);
  auto* start = llvm::BasicBlock::Create(b_.getContext(), "start", function);
  b_.CreateBr(start);
  b_.SetInsertPoint(start);
}

llvm::Type* Emitter::element_type(DType dtype) const {
  auto& context = module_.getContext();
  if (dtype == f64) return llvm::Type::getDoubleTy(context);
  if (dtype == f32) return llvm::Type::getFloatTy(context);
  return llvm::Type::getIntNTy(context, dtype == boolean ? 1 : static_cast<unsigned>(8 * byte_size(dtype)));
}
llvm::Type* Emitter::type(loop::ValueType type) const {
  if (type.address) return llvm::PointerType::get(module_.getContext(), 0);
  llvm::Type* element = element_type(type.dtype);
  return type.vector ? llvm::FixedVectorType::get(element, loop::lanes) : element;
}

llvm::Value* Emitter::value(loop::Id id) {
  llvm::Value*& value = values_[static_cast<size_t>(id)];
  if (!value) value = leaf(node(id));
  return value;
}
Emitter::Values Emitter::values(const std::vector<loop::Id>& ids) {
  Values result;
  for (loop::Id id : ids) result.push_back(value(id));
  return result;
}

// ---- leaves ----

llvm::Value* Emitter::leaf(const loop::Node& node) {
  switch (node.code) {
    case loop::Code::constant: {
      llvm::APInt bits(static_cast<unsigned>(element_type(node.type.dtype)->getScalarSizeInBits()),
                       static_cast<uint64_t>(node.integer));
      if (!element_type(node.type.dtype)->isFloatingPointTy()) return llvm::ConstantInt::get(type(node.type), bits);
      const auto& semantics = element_type(node.type.dtype)->getFltSemantics();
      return llvm::ConstantFP::get(type(node.type), llvm::APFloat(semantics, bits));
    }
    case loop::Code::lane_numbers: {
      llvm::SmallVector<llvm::Constant*> numbers;
      for (unsigned lane = 0; lane < loop::lanes; ++lane)
        numbers.push_back(llvm::ConstantInt::get(element_type(node.type.dtype), lane));
      return llvm::ConstantVector::get(numbers);
    }
    case loop::Code::size: {
      llvm::IRBuilder<> once(entry_->getTerminator());
      const size_t offset = offsetof(Frame, sizes) + sizeof(int64_t) * static_cast<size_t>(node.integer);
      return once.CreateLoad(once.getInt64Ty(), once.CreateConstInBoundsGEP1_64(once.getInt8Ty(), frame, offset));
    }
    case loop::Code::thread: return thread;
    case loop::Code::threads: return threads;
    case loop::Code::number: return numbers[static_cast<size_t>(node.integer)];
    case loop::Code::parameter: return parameters[static_cast<size_t>(node.integer)];
    case loop::Code::base: return base(source_.buffers[static_cast<size_t>(node.integer)]);
    default: break;
  }
  check(false, "a value of the loops is emitted before it is used");
  return nullptr;
}

llvm::Value* Emitter::base(const loop::Buffer& buffer) {
  static_assert(offsetof(Fault, check) == 0 && offsetof(Fault, element) == 8 && offsetof(Fault, value) == 16);
  llvm::IRBuilder<> once(entry_->getTerminator());
  auto field = [&](size_t offset) {
    return once.CreateLoad(once.getPtrTy(), once.CreateConstInBoundsGEP1_64(once.getInt8Ty(), frame, offset));
  };
  switch (buffer.place) {
    case loop::Buffer::Place::argument: return arguments[static_cast<size_t>(buffer.slot)];
    case loop::Buffer::Place::fault: return field(offsetof(Frame, fault));
    case loop::Buffer::Place::scratch:
      return once.CreateConstInBoundsGEP1_64(once.getInt8Ty(), field(offsetof(Frame, scratch)),
                                             static_cast<uint64_t>(buffer.slot));
    case loop::Buffer::Place::stack: {
      once.SetInsertPoint(entry_, entry_->begin());
      auto* memory = once.CreateAlloca(element_type(buffer.dtype), once.getInt64(static_cast<uint64_t>(buffer.count.count)));
      memory->setAlignment(llvm::Align(64));
      return memory;
    }
  }
  return nullptr;
}

// ---- control ----

Emitter::Values Emitter::block(const loop::Block& block) {
  for (loop::Id id : block.nodes) emit_node(id);
  return values(block.yields);
}

void Emitter::emit_node(loop::Id id) {
  const loop::Node& made = node(id);
  llvm::Value*& value = values_[static_cast<size_t>(id)];
  switch (made.code) {
    case loop::Code::result: value = results_[static_cast<size_t>(made.operands[0])][static_cast<size_t>(made.integer)]; return;
    case loop::Code::call: value = call(made); return;
    case loop::Code::splat:
    case loop::Code::extract:
    case loop::Code::shuffle:
    case loop::Code::any: value = between_lanes(made); return;
    case loop::Code::reduce: value = reduce(made); return;
    case loop::Code::at: {
      const Values x = values(made.operands);
      value = b_.CreateGEP(element_type(made.type.dtype), x[0], x[1]);
      return;
    }
    case loop::Code::load:
    case loop::Code::gather: value = load(made); return;
    case loop::Code::store:
    case loop::Code::scatter: return store(made);
    case loop::Code::prefetch:  // to read, into all caches, data
      b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                         {this->value(made.operands[0]), b_.getInt32(0), b_.getInt32(3), b_.getInt32(1)});
      return;
    case loop::Code::loop: return loop(id);
    case loop::Code::branch: return branch(id);
    default: value = elementwise(made);
  }
}

void Emitter::loop(loop::Id id) {
  const loop::Node& made = node(id);
  const loop::Block& inside = source_.blocks[static_cast<size_t>(made.blocks[0])];
  const Values operands = values(made.operands);
  llvm::Value *begin = operands[0], *end = operands[1];
  auto *first = llvm::dyn_cast<llvm::ConstantInt>(begin), *last = llvm::dyn_cast<llvm::ConstantInt>(end);
  const bool runs = first && last && first->getSExtValue() < last->getSExtValue();
  auto* before = b_.GetInsertBlock();
  auto* head = llvm::BasicBlock::Create(b_.getContext(), "loop", function_);
  auto* exit = llvm::BasicBlock::Create(b_.getContext(), "done", function_);
  runs ? b_.CreateBr(head) : b_.CreateCondBr(b_.CreateICmpSLT(begin, end), head, exit);
  b_.SetInsertPoint(head);
  std::vector<llvm::PHINode*> phis;
  for (size_t i = 0; i < inside.arguments.size(); ++i) {
    llvm::Value* start = i == 0 ? begin : operands[i + 1];
    phis.push_back(b_.CreatePHI(start->getType(), 2, i == 0 ? "i" : ""));
    phis.back()->addIncoming(start, before);
    values_[static_cast<size_t>(inside.arguments[i])] = phis.back();
  }
  Values next = block(inside);
  auto* latch = b_.GetInsertBlock();
  llvm::Value* advanced = b_.CreateNSWAdd(phis[0], b_.getInt64(static_cast<uint64_t>(made.integer)));
  b_.CreateCondBr(b_.CreateICmpSLT(advanced, end), head, exit);
  phis[0]->addIncoming(advanced, latch);
  for (size_t i = 0; i < next.size(); ++i) phis[i + 1]->addIncoming(next[i], latch);
  b_.SetInsertPoint(exit);
  for (size_t i = 0; !runs && i < next.size(); ++i) {
    auto* phi = b_.CreatePHI(next[i]->getType(), 2);
    phi->addIncoming(operands[i + 2], before);
    phi->addIncoming(next[i], latch);
    next[i] = phi;
  }
  results_[static_cast<size_t>(id)] = std::move(next);
}

void Emitter::branch(loop::Id id) {
  const loop::Node& made = node(id);
  auto inside = [&](size_t i) -> const loop::Block& { return source_.blocks[static_cast<size_t>(made.blocks[i])]; };
  const bool both = made.blocks.size() > 1;
  auto* then = llvm::BasicBlock::Create(b_.getContext(), "then", function_);
  auto* otherwise = both ? llvm::BasicBlock::Create(b_.getContext(), "else", function_) : nullptr;
  auto* after = llvm::BasicBlock::Create(b_.getContext(), "after", function_);
  b_.CreateCondBr(value(made.operands[0]), then, both ? otherwise : after);
  b_.SetInsertPoint(then);
  Values results = block(inside(0));
  auto* end = b_.GetInsertBlock();
  b_.CreateBr(after);
  if (both) {
    b_.SetInsertPoint(otherwise);
    const Values others = block(inside(1));
    auto* other_end = b_.GetInsertBlock();
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
    for (size_t i = 0; i < results.size(); ++i) {
      auto* phi = b_.CreatePHI(results[i]->getType(), 2);
      phi->addIncoming(results[i], end);
      phi->addIncoming(others[i], other_end);
      results[i] = phi;
    }
  }
  b_.SetInsertPoint(after);
  results_[static_cast<size_t>(id)] = std::move(results);
}

}  // namespace tenon
