#pragma once
// The door of the native room: placed kernels in, machine code out. No LLVM type is visible here.
#include <memory>
#include <vector>

#include "compiler/kernel/kernel.h"
#include "compiler/kernel/target.h"
#include "runtime/program.h"

namespace tenon {

struct NativeEntry {
  EntryFunction function = nullptr;
  int64_t scratch_bytes = 0;  // per thread
  std::string loops;          // of the kernels that are made for this entry, if wanted, as with `llvm`
  std::string llvm;           // the module as compiled, if wanted
  std::string assembly;
};

struct NativeCode {
  std::shared_ptr<const void> handle;  // owns the code of all entries
  std::vector<NativeEntry> entries;    // in the order of the lists
  size_t kernels = 0;                  // that differ: equal ones are one
  std::string cache = {};              // what became of it there, empty without a cache
};

struct NativeOptions {
  bool llvm = false, assembly = false;  // keep the listings
  std::string cache = {};               // folder of compiled code; empty, or with listings: none
};

// Throws InternalError if LLVM refuses a module.
NativeCode jit(const std::vector<KernelList>& lists, const Target& target, const NativeOptions& options);

}  // namespace tenon
