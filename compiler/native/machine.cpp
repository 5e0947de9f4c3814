#include "compiler/native/machine.h"

#include <llvm/Support/TargetSelect.h>
#include <llvm/TargetParser/Host.h>

#include <mutex>

namespace tenon {

llvm::orc::JITTargetMachineBuilder machine_builder(const Target& target) {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
  llvm::Triple triple(llvm::sys::getProcessTriple());
  llvm::orc::JITTargetMachineBuilder builder(triple);
  builder.setCPU(triple.isX86() ? "x86-64" : "generic");
  llvm::SmallVector<llvm::StringRef> names;
  llvm::StringRef(target.features).split(names, ',', -1, false);
  for (llvm::StringRef feature : names) builder.getFeatures().AddFeature(feature);
  builder.setRelocationModel(llvm::Reloc::PIC_);
  builder.setCodeModel(llvm::CodeModel::Small);
  return builder;
}

}  // namespace tenon
