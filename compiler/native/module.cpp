// One module: emits, verifies, optimises and generates code. The pass list is short because the loops are
// already hoisted and vectorised.
#include "compiler/native/module.h"

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/OptBisect.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include "compiler/loop/lower.h"
#include "compiler/loop/verify.h"
#include "compiler/native/emit.h"
#include "compiler/native/entry.h"

namespace tenon {
namespace {

// Addresses are hoisted already: this pass takes its time and changes nothing.
class Gate : public llvm::OptPassGate {
 public:
  bool isEnabled() const override { return true; }
  bool shouldRunPass(llvm::StringRef pass, llvm::StringRef) const {
    return pass != "Loop Strength Reduction";
  }
  bool shouldRunPass(llvm::StringRef pass, llvm::StringRef unit) {  // LLVM 19's is not const
    return static_cast<const Gate*>(this)->shouldRunPass(pass, unit);
  }
};

void optimise(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass(true));
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& function : module)
    if (!function.isDeclaration()) passes.run(function, functions);
}

}  // namespace

ModuleCode compile_module(const ModuleSource& source, const Target& target, const NativeOptions& options,
                          llvm::TargetMachine& machine) {
  ModuleCode code;
  llvm::LLVMContext context;
  Gate gate;
  context.setOptPassGate(gate);
  llvm::Module module(source.name, context);
  module.setDataLayout(machine.createDataLayout());
#if LLVM_VERSION_MAJOR >= 21
  module.setTargetTriple(machine.getTargetTriple());
#else
  module.setTargetTriple(machine.getTargetTriple().str());
#endif
  for (const auto& [name, kernel] : source.kernels) {
    const loop::Function function = lower(name, *kernel, target);
    verify(function);
    if (options.llvm) code.loops += loop::str(function);
    emit(module, function, target);
    code.scratch_bytes.push_back(function.scratch_bytes());
  }
  if (source.entry) emit_entry(module, source.entry_name, *source.entry, source.calls);
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (llvm::verifyModule(module, &stream)) throw InternalError("emitted code is not valid: " + message);
  optimise(module, machine);
  if (options.llvm) {
    llvm::raw_string_ostream text(code.llvm);
    module.print(text, nullptr);
  }
  auto generate = [&](llvm::Module& from, llvm::CodeGenFileType type) {
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream out(bytes);
    llvm::legacy::PassManager passes;
    bool refused = machine.addPassesToEmitFile(passes, out, nullptr, type, true);
    check(!refused, "the target writes objects and assembly");
    passes.run(from);
    return std::string(bytes.begin(), bytes.end());
  };
  if (options.assembly)
    code.assembly = generate(*llvm::CloneModule(module), llvm::CodeGenFileType::AssemblyFile);
  code.object = generate(module, llvm::CodeGenFileType::ObjectFile);
  return code;
}

}  // namespace tenon
