#pragma once
// The function of an entry, `void(const Frame*)`, which every thread of the team enters.
#include <llvm/IR/Module.h>

#include <span>

#include "compiler/kernel/calls.h"

namespace tenon {

// It calls the kernels of the list between their barriers.
void emit_entry(llvm::Module& module, const std::string& name, const KernelList& list, std::span<const KernelCall> calls);

}  // namespace tenon
