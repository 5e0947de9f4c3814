// Links the objects of a program into one code handle.
#include "compiler/native/jit.h"

#include <llvm-c/Core.h>
#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#if __has_include(<llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>)
#include <llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>
#endif

#include <algorithm>

#include "compiler/native/cache.h"
#include "compiler/native/emit.h"
#include "compiler/native/machine.h"

namespace tenon {

std::string compiler_version() {
  unsigned major = 0, minor = 0, patch = 0;
  LLVMGetVersion(&major, &minor, &patch);
  return fmt::format("tenon {} llvm {}.{}.{}", source_hash, major, minor, patch);
}

NativeCode link(const MachineCode& machine, const Calls& calls, const Target& target) {
  std::shared_ptr<llvm::orc::LLJIT> code =
      valid(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(machine_builder(target)).create());
  llvm::orc::JITDylib& library = code->getMainJITDylib();
  llvm::orc::SymbolMap symbols;
  for (const auto& [name, address] : reference_symbols())
    symbols[code->mangleAndIntern(name)] = {llvm::orc::ExecutorAddr::fromPtr(address), llvm::JITSymbolFlags::Exported};
  if (!symbols.empty()) valid(library.define(llvm::orc::absoluteSymbols(std::move(symbols))));
  // What LLVM itself calls: memset, and on a machine without the instruction fmaf, floorf, roundevenf.
  library.addGenerator(
      valid(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(code->getDataLayout().getGlobalPrefix())));
  for (const std::string& object : machine.objects) valid(code->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object)));

  NativeCode result;
  for (size_t i = 0; i < calls.entry_names.size(); ++i) {
    NativeEntry& entry = result.entries.emplace_back();
    entry.function = valid(code->lookup(calls.entry_names[i])).toPtr<EntryFunction>();
    for (const KernelCall& call : calls.calls[i])
      entry.scratch_bytes = std::max(entry.scratch_bytes, machine.scratch_bytes[call.index]);
  }
  result.handle = std::move(code);
  return result;
}

}  // namespace tenon
