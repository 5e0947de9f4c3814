#pragma once
// Functions of the module beside the kernels, made once per name and never inlined: what is long or full of branches
// stays out of the loops, and is compiled once.
#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <string>

namespace tenon {

using OutlinedBody = std::function<llvm::Value*(llvm::IRBuilder<>& b, llvm::ArrayRef<llvm::Value*> parameters)>;

// Calls the function `name` of these arguments; the body returns its result, null for none.
llvm::CallInst* call_outlined(llvm::IRBuilderBase& b, const std::string& name, llvm::Type* result,
                              llvm::ArrayRef<llvm::Value*> arguments, const OutlinedBody& body);

// "v16f32", "f64", "v16i8": of names.
std::string type_name(llvm::Type* type);

// Philox4x32-10, as philox_bits(): 32 bits as an i64, for scalars or for vectors of i64.
llvm::Value* emit_philox(llvm::IRBuilderBase& b, llvm::ArrayRef<llvm::Value*> arguments);

}  // namespace tenon
