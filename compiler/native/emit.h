#pragma once
// From loops to LLVM: one case per node, nothing decided but how LLVM is best told of it.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <functional>

#include "compiler/kernel/target.h"
#include "compiler/loop/loop.h"

namespace tenon {

// The machine function of a kernel: void(const Frame*, [i64 thread, i64 threads,] ptr argument..., i64 number...).
llvm::FunctionCallee declare_kernel(llvm::Module& module, const std::string& name, bool threads, size_t arguments,
                                    size_t numbers);

// Emits a kernel's function, and those that it calls unless the module has them.
void emit(llvm::Module& module, const loop::Function& function, const Target& target);

// The symbols that emitted code may call ("tenon_sin"): the references of ir/compute.h, and their addresses.
std::vector<std::pair<std::string, const void*>> reference_symbols();

// Emits the nodes of one function.
class Emitter {
 public:
  Emitter(llvm::Module& module, const loop::Function& source, llvm::Function* function, const Target& target);
  // The values that the function's body yields; the position is after it.
  std::vector<llvm::Value*> body() { return block(source_.blocks[0]); }
  llvm::IRBuilder<>& position() { return b_; }

  // Where the function finds what it is given.
  llvm::Value *frame = nullptr, *thread = nullptr, *threads = nullptr;
  std::vector<llvm::Value*> arguments, numbers, parameters;

 private:
  using Values = std::vector<llvm::Value*>;
  const loop::Node& node(loop::Id id) const { return source_.nodes[static_cast<size_t>(id)]; }
  llvm::Value* value(loop::Id id);  // made on first use if it is a leaf
  Values values(const std::vector<loop::Id>& ids);
  llvm::Type* element_type(DType dtype) const;
  llvm::Type* type(loop::ValueType type) const;

  Values block(const loop::Block& block);
  void emit_node(loop::Id id);
  void loop(loop::Id id);
  void branch(loop::Id id);
  llvm::Value* leaf(const loop::Node& node);
  llvm::Value* base(const loop::Buffer& buffer);
  llvm::Value* elementwise(const loop::Node& node);
  llvm::Value* combine(loop::Code code, DType dtype, llvm::Value* x, llvm::Value* y);
  llvm::Value* integer_arithmetic(const loop::Node& node, const Values& x);
  llvm::Value* compare(const loop::Node& node, const Values& x);
  llvm::Value* cast(llvm::Value* x, DType from, DType to);
  llvm::Value* reference(const loop::Node& node, const Values& x);
  llvm::Value* call(const loop::Node& node);
  llvm::Value* between_lanes(const loop::Node& node);
  llvm::Value* reduce(const loop::Node& node);
  llvm::Value* load(const loop::Node& node);
  void store(const loop::Node& node);
  bool apart(const loop::Node& access, loop::Id mask, DType dtype) const;
  // Calls the function `name`, which is made on first use; `body` returns its result, null for none.
  using Body = std::function<llvm::Value*(llvm::IRBuilder<>& b, llvm::ArrayRef<llvm::Value*> parameters)>;
  llvm::Value* call_apart(const std::string& name, llvm::Type* result, const Values& arguments, const Body& body);
  llvm::Function* declare_apart(const std::string& name, llvm::Type* result, llvm::ArrayRef<llvm::Type*> parameters);

  llvm::Module& module_;
  const loop::Function& source_;
  llvm::Function* function_;
  const Target& target_;
  llvm::IRBuilder<> b_;
  llvm::BasicBlock* entry_;  // what is made once stands there
  Values values_;
  std::vector<Values> results_;  // by node: of loops and branches
};

}  // namespace tenon
