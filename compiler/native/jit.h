#pragma once
// The door of the native room: loops in, machine code out. No LLVM type is visible here.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/kernel/calls.h"
#include "compiler/kernel/target.h"
#include "compiler/loop/loop.h"
#include "runtime/program.h"

namespace tenon {

// Compiled, not yet linked.
struct MachineCode {
  std::vector<std::string> objects = {};              // of modules
  std::vector<int64_t> scratch_bytes = {};            // by different kernel, per thread
  std::vector<std::string> llvm = {}, assembly = {};  // by entry, if wanted
};

struct NativeEntry {
  EntryFunction function = nullptr;
  int64_t scratch_bytes = 0;  // per thread
};

struct NativeCode {
  std::shared_ptr<const void> handle = {};  // owns the code of all entries
  std::vector<NativeEntry> entries = {};    // in the order of the lists
};

struct NativeOptions {
  bool llvm = false, assembly = false;  // keep the listings
};

// Functions of the different kernels and of the entries that call them. Throws InternalError if LLVM refuses a module.
MachineCode emit(const std::vector<KernelList>& lists, const Calls& calls, const std::vector<loop::Function>& functions,
                 const Target& target, const NativeOptions& options);

NativeCode link(const MachineCode& code, const Calls& calls, const Target& target);

// Tenon's sources and LLVM's version, on which emitted code depends.
std::string compiler_version();

}  // namespace tenon
