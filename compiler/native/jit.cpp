// Emits, verifies, optimises and compiles modules of a few kernels each, on two threads, and links their objects into
// one code handle. The pass list is short because the emitter has already hoisted and vectorised.
#include "compiler/native/jit.h"

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/OptBisect.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/Cloning.h>
#if __has_include(<llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>)
#include <llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>
#endif

#include <atomic>
#include <mutex>
#include <thread>

#include "compiler/native/contract.h"
#include "compiler/native/emit.h"
#include "compiler/native/math.h"

namespace tenon {
namespace {

constexpr int64_t module_weight = 256;  // a module costs about a millisecond beside its kernels

template <typename T>
T valid(llvm::Expected<T> value) {
  if (!value) throw InternalError("LLVM: " + llvm::toString(value.takeError()));
  return std::move(*value);
}
void valid(llvm::Error error) {
  if (error) throw InternalError("LLVM: " + llvm::toString(std::move(error)));
}

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

// A module to be compiled: some kernels of a list, and after the last of them the entry.
struct Job {
  size_t list, begin, end;
  llvm::SmallVector<char, 0> object = {};
  int64_t scratch_bytes = 0;
  std::string llvm = {}, assembly = {};
};

// About how long its code is.
int64_t weight(const Kernel& kernel) {
  int64_t result = kernel.contraction ? 16 * kernel.tile.rows * kernel.tile.vectors : 0;
  for (const Statement& statement : kernel.body) visit(statement.value, [&](const Scalar&) { ++result; });
  return result;
}

// Passes that take a quarter of the time of code generation and change nothing here: the emitter has hoisted addresses
// and ordered instructions already (measured on the benchmarks' steps: within the noise).
class Gate : public llvm::OptPassGate {
 public:
  bool isEnabled() const override { return true; }
  bool shouldRunPass(llvm::StringRef pass, llvm::StringRef) const {
    return pass != "Loop Strength Reduction" && pass != "Machine Instruction Scheduler";
  }
  bool shouldRunPass(llvm::StringRef pass, llvm::StringRef unit) {  // LLVM 19's is not const
    return static_cast<const Gate*>(this)->shouldRunPass(pass, unit);
  }
};

// Symbols that meet neither those of another entry nor a function of the C library.
std::string kernel_name(const KernelList& list, size_t kernel) { return fmt::format("{}.{}", list.entry, kernel); }
std::string entry_name(const KernelList& list) { return list.entry + ".entry"; }

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

void compile(Job& job, const KernelList& list, const Target& target, const NativeOptions& options,
             llvm::TargetMachine& machine) {
  llvm::LLVMContext context;
  Gate gate;
  context.setOptPassGate(gate);
  llvm::Module module(fmt::format("{}.{}", list.entry, job.begin), context);
  module.setDataLayout(machine.createDataLayout());
#if LLVM_VERSION_MAJOR >= 21
  module.setTargetTriple(machine.getTargetTriple());
#else
  module.setTargetTriple(machine.getTargetTriple().str());
#endif
  for (size_t i = job.begin; i < job.end; ++i) {
    Emitter emitter(module, kernel_name(list, i), list, list.kernels[i], target);
    list.kernels[i].contraction ? emit_contraction(emitter) : emit_rows(emitter);
    emitter.b.CreateRetVoid();
    job.scratch_bytes = std::max(job.scratch_bytes, emitter.scratch_bytes());
  }
  if (job.end == list.kernels.size()) {
    std::vector<std::string> names;
    for (size_t i = 0; i < list.kernels.size(); ++i) names.push_back(kernel_name(list, i));
    emit_entry(module, entry_name(list), list, names);
  }
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (llvm::verifyModule(module, &stream)) throw InternalError("emitted code is not valid: " + message);
  optimise(module, machine);
  if (options.llvm) {
    llvm::raw_string_ostream text(job.llvm);
    module.print(text, nullptr);
  }
  auto generate = [&](llvm::Module& from, llvm::CodeGenFileType type, llvm::raw_pwrite_stream& out) {
    llvm::legacy::PassManager passes;
    bool refused = machine.addPassesToEmitFile(passes, out, nullptr, type, true);
    check(!refused, "the target writes objects and assembly");
    passes.run(from);
  };
  if (options.assembly) {
    llvm::SmallVector<char, 0> text;
    llvm::raw_svector_ostream out(text);
    generate(*llvm::CloneModule(module), llvm::CodeGenFileType::AssemblyFile, out);
    job.assembly.assign(text.begin(), text.end());
  }
  llvm::raw_svector_ostream out(job.object);
  generate(module, llvm::CodeGenFileType::ObjectFile, out);
}

// Runs work(0), ..., work(count - 1) on two threads; the first exception is thrown here.
void in_parallel(size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  auto run = [&] {
    try {
      for (size_t i; (i = next++) < count;) work(i);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  if (count > 1 && std::thread::hardware_concurrency() > 1) {
    std::thread other(run);
    run();
    other.join();
  } else {
    run();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

NativeCode jit(const std::vector<KernelList>& lists, const Target& target, const NativeOptions& options) {
  auto builder = machine_builder(target);
  std::vector<Job> jobs;
  for (size_t i = 0; i < lists.size(); ++i) {
    const std::vector<Kernel>& kernels = lists[i].kernels;
    size_t begin = 0;
    do {
      size_t end = begin;
      for (int64_t sum = 0; end < kernels.size(); ++end) {
        sum += weight(kernels[end]);
        if (end > begin && sum > module_weight) break;
      }
      jobs.push_back({.list = i, .begin = begin, .end = end});
      begin = end;
    } while (begin < kernels.size());
  }
  in_parallel(jobs.size(), [&](size_t i) {
    auto machine = valid(llvm::orc::JITTargetMachineBuilder(builder).createTargetMachine());
    compile(jobs[i], lists[jobs[i].list], target, options, *machine);
  });

  std::shared_ptr<llvm::orc::LLJIT> code =
      valid(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(builder).create());
  llvm::orc::JITDylib& library = code->getMainJITDylib();
  llvm::orc::SymbolMap symbols;
  for (const auto& [name, address] : math_symbols())
    symbols[code->mangleAndIntern(name)] = {llvm::orc::ExecutorAddr::fromPtr(address), llvm::JITSymbolFlags::Exported};
  if (!symbols.empty()) valid(library.define(llvm::orc::absoluteSymbols(std::move(symbols))));
  // What LLVM itself calls: memset, and on a machine without the instruction fmaf, floorf, roundevenf.
  library.addGenerator(valid(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      code->getDataLayout().getGlobalPrefix())));
  for (const Job& job : jobs)
    valid(code->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy({job.object.data(), job.object.size()})));

  NativeCode result{.handle = code, .entries = std::vector<NativeEntry>(lists.size())};
  for (const Job& job : jobs) {
    NativeEntry& entry = result.entries[job.list];
    entry.scratch_bytes = std::max(entry.scratch_bytes, job.scratch_bytes);
    entry.llvm += job.llvm;
    entry.assembly += job.assembly;
  }
  for (size_t i = 0; i < lists.size(); ++i)
    result.entries[i].function = valid(code->lookup(entry_name(lists[i]))).toPtr<EntryFunction>();
  return result;
}

}  // namespace tenon
