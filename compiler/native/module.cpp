// Modules of about equal work, each emitted, verified, optimised and compiled on one of two threads. LLVM's pass list is
// short because the loops are already hoisted and vectorised.

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/OptBisect.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <algorithm>

#include "compiler/native/emit.h"
#include "compiler/native/entry.h"
#include "compiler/native/jit.h"
#include "compiler/native/machine.h"
#include "compiler/parallel.h"

namespace tenon {
namespace {

// Addresses are hoisted already: this pass takes its time and changes nothing.
class Gate : public llvm::OptPassGate {
 public:
  bool isEnabled() const override { return true; }
  bool shouldRunPass(llvm::StringRef pass, llvm::StringRef) const { return pass != "Loop Strength Reduction"; }
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
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& function : module)
    if (!function.isDeclaration()) passes.run(function, functions);
}

// Some kernels of an entry, those with the longest code first, and with the last of them the entry's own function.
struct Job {
  size_t list;
  std::vector<size_t> kernels = {};
  bool entry = false;
  size_t nodes = 0;
  std::string object = {}, llvm = {}, assembly = {};
};

constexpr size_t module_nodes = 600;  // LLVM takes some 80 us a node; a module costs about 2 ms besides

// Of a function and those that it calls, of which a module emits its own.
size_t nodes_of(const loop::Function& function) {
  size_t sum = function.nodes.size();
  for (const auto& called : function.functions) sum += nodes_of(*called);
  return sum;
}

std::vector<Job> divide(const Calls& calls, const std::vector<loop::Function>& functions) {
  std::vector<Job> jobs;
  for (size_t list = 0; list < calls.calls.size(); ++list) {
    std::vector<size_t> mine;
    for (size_t i = 0; i < calls.made.size(); ++i)
      if (calls.made[i].list == list) mine.push_back(i);
    auto nodes = [&](size_t i) { return nodes_of(functions[i]); };
    std::ranges::stable_sort(mine, std::greater(), nodes);
    jobs.push_back({.list = list});
    for (size_t kernel : mine) {
      if (!jobs.back().kernels.empty() && jobs.back().nodes + nodes(kernel) > module_nodes) jobs.push_back({.list = list});
      jobs.back().kernels.push_back(kernel);
      jobs.back().nodes += nodes(kernel);
    }
    jobs.back().entry = true;
  }
  std::ranges::stable_sort(jobs, std::greater(), &Job::nodes);
  return jobs;
}

std::string generate(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  bool refused = machine.addPassesToEmitFile(passes, out, nullptr, type, true);
  check(!refused, "the target writes objects and assembly");
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}

// Fills in what the job makes.
void compile(Job& job, const std::vector<KernelList>& lists, const Calls& calls, const std::vector<loop::Function>& functions,
             const Target& target, const NativeOptions& options, llvm::TargetMachine& machine) {
  llvm::LLVMContext context;
  Gate gate;
  context.setOptPassGate(gate);
  llvm::Module module(lists[job.list].entry, context);
  module.setDataLayout(machine.createDataLayout());
#if LLVM_VERSION_MAJOR >= 21
  module.setTargetTriple(machine.getTargetTriple());
#else
  module.setTargetTriple(machine.getTargetTriple().str());
#endif
  for (size_t kernel : job.kernels) emit(module, functions[kernel], target);
  if (job.entry) emit_entry(module, calls.entry_names[job.list], lists[job.list], calls.calls[job.list]);
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (llvm::verifyModule(module, &stream)) throw InternalError("emitted code is not valid: " + message);
  optimise(module, machine);
  if (options.llvm) {
    llvm::raw_string_ostream text(job.llvm);
    module.print(text, nullptr);
  }
  if (options.assembly) job.assembly = generate(*llvm::CloneModule(module), machine, llvm::CodeGenFileType::AssemblyFile);
  job.object = generate(module, machine, llvm::CodeGenFileType::ObjectFile);
}

}  // namespace

MachineCode emit(const std::vector<KernelList>& lists, const Calls& calls, const std::vector<loop::Function>& functions,
                 const Target& target, const NativeOptions& options) {
  const auto builder = machine_builder(target);
  std::vector<Job> jobs = divide(calls, functions);
  in_parallel(jobs.size(), [&]() -> std::function<void(size_t)> {
    std::shared_ptr machine = valid(llvm::orc::JITTargetMachineBuilder(builder).createTargetMachine());
    return [&, machine](size_t i) { compile(jobs[i], lists, calls, functions, target, options, *machine); };
  });
  MachineCode result;
  for (const loop::Function& function : functions) result.scratch_bytes.push_back(function.scratch_bytes());
  result.llvm.resize(lists.size()), result.assembly.resize(lists.size());
  for (Job& job : jobs) {
    result.objects.push_back(std::move(job.object));
    result.llvm[job.list] += job.llvm;
    result.assembly[job.list] += job.assembly;
  }
  return result;
}

}  // namespace tenon
