#pragma once
// From kernels to an object file: what one thread compiles at a time.
#include <span>

#include "compiler/kernel/target.h"
#include "compiler/native/calls.h"
#include "compiler/native/jit.h"

namespace llvm {
class TargetMachine;
}

namespace tenon {

struct ModuleSource {
  std::string name;
  std::vector<std::pair<std::string, const IsolatedKernel*>> kernels;  // with the names of their functions
  // Optionally, the function of an entry.
  const KernelList* entry = nullptr;
  std::string entry_name;
  std::span<const KernelCall> calls;
};

struct ModuleCode {
  std::string object;
  std::vector<int64_t> scratch_bytes;  // by kernel, per thread
  std::string loops, llvm, assembly;   // if wanted
};

// Throws InternalError if LLVM refuses the module.
ModuleCode compile_module(const ModuleSource& source, const Target& target, const NativeOptions& options,
                          llvm::TargetMachine& machine);

}  // namespace tenon
