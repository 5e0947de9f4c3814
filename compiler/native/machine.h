#pragma once
// From a Target to LLVM's machine, and LLVM's errors as ours.
#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/Target/TargetMachine.h>

#include "compiler/kernel/target.h"
#include "ir/check.h"

namespace tenon {

llvm::orc::JITTargetMachineBuilder machine_builder(const Target& target);

template <typename T>
T valid(llvm::Expected<T> value) {
  if (!value) throw InternalError("LLVM: " + llvm::toString(value.takeError()));
  return std::move(*value);
}
inline void valid(llvm::Error error) {
  if (error) throw InternalError("LLVM: " + llvm::toString(std::move(error)));
}

}  // namespace tenon
