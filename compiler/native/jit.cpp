// The kernels of all entries, each different one once; modules of about equal work, compiled on two threads; and their
// objects, linked into one code handle.
#include "compiler/native/jit.h"

#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#if __has_include(<llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>)
#include <llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>
#endif

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "compiler/native/math.h"
#include "compiler/native/module.h"

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

std::string entry_name(const KernelList& list) { return list.entry + ".entry"; }

// About how long its code is.
int64_t weight(const Kernel& kernel) {
  int64_t result = kernel.contraction ? 16 * kernel.tile.rows * kernel.tile.vectors : 0;
  for (const Statement& statement : kernel.body) visit(statement.value, [&](const Scalar&) { ++result; });
  return result;
}

// The calls of all entries, and the kernels they call: each different one once.
struct Calls {
  struct Made {
    std::unique_ptr<IsolatedKernel> kernel;
    std::string name;  // meets neither those of another entry nor a function of the C library
    size_t list;       // the first entry that calls it
    int64_t scratch_bytes = 0;
  };
  std::vector<Made> made;
  std::vector<std::vector<size_t>> kernels;     // by list and call: index in `made`
  std::vector<std::vector<KernelCall>> calls;   // the same

  explicit Calls(const std::vector<KernelList>& lists) {
    std::map<std::string_view, size_t> known;
    for (const KernelList& list : lists) {
      std::vector<size_t>& which = kernels.emplace_back();
      std::vector<KernelCall>& here = calls.emplace_back();
      for (const Kernel& kernel : list.kernels) {
        auto isolated = std::make_unique<IsolatedKernel>(isolate(list, kernel));
        KernelCall call{.kernel = nullptr, .name = {}, .arguments = isolated->arguments, .numbers = isolated->numbers};
        auto [it, fresh] = known.try_emplace(isolated->key, made.size());
        if (fresh)
          made.push_back({std::move(isolated), fmt::format("{}.{}", list.entry, here.size()), kernels.size() - 1});
        which.push_back(it->second);
        call.kernel = made[it->second].kernel.get();
        call.name = made[it->second].name;
        here.push_back(std::move(call));
      }
    }
  }
};

// Some kernels of a list, those with the longest code first, and with the last of them the entry.
struct Job {
  size_t list;
  std::vector<size_t> kernels;
  bool entry = false;
  int64_t weight = 0;
  ModuleCode code = {};
};

std::vector<Job> divide(const Calls& calls) {
  std::vector<Job> jobs;
  for (size_t list = 0; list < calls.kernels.size(); ++list) {
    std::vector<std::pair<int64_t, size_t>> mine;
    for (size_t i = 0; i < calls.made.size(); ++i)
      if (calls.made[i].list == list) mine.emplace_back(weight(calls.made[i].kernel->list.kernels[0]), i);
    std::ranges::stable_sort(mine, std::greater(), [](const auto& kernel) { return kernel.first; });
    jobs.push_back({.list = list, .kernels = {}});
    for (auto [weight, kernel] : mine) {
      if (!jobs.back().kernels.empty() && jobs.back().weight + weight > module_weight)
        jobs.push_back({.list = list, .kernels = {}});
      jobs.back().kernels.push_back(kernel);
      jobs.back().weight += weight;
    }
    jobs.back().entry = true;
  }
  std::ranges::stable_sort(jobs, std::greater(), &Job::weight);
  return jobs;
}

// Runs work(0), ..., work(count - 1) on two threads, each with a worker of its own; the first exception is thrown here.
void in_parallel(size_t count, const std::function<std::function<void(size_t)>()>& worker) {
  std::atomic<size_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  auto run = [&] {
    try {
      auto work = worker();
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
  Calls calls(lists);
  std::vector<Job> jobs = divide(calls);
  auto compile = [&](Job& job, llvm::TargetMachine& machine) {
    const KernelList& list = lists[job.list];
    ModuleSource source;
    source.name = list.entry;
    for (size_t i : job.kernels) source.kernels.emplace_back(calls.made[i].name, calls.made[i].kernel.get());
    if (job.entry) source.entry = &list, source.entry_name = entry_name(list), source.calls = calls.calls[job.list];
    job.code = compile_module(source, target, options, machine);
    for (size_t i = 0; i < job.kernels.size(); ++i) calls.made[job.kernels[i]].scratch_bytes = job.code.scratch_bytes[i];
  };
  in_parallel(jobs.size(), [&] {
    std::shared_ptr machine = valid(llvm::orc::JITTargetMachineBuilder(builder).createTargetMachine());
    return [&, machine](size_t i) { compile(jobs[i], *machine); };
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
    valid(code->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(job.code.object)));

  NativeCode result{.handle = code, .entries = std::vector<NativeEntry>(lists.size()), .kernels = calls.made.size()};
  for (Job& job : jobs) {
    result.entries[job.list].llvm += job.code.llvm;
    result.entries[job.list].assembly += job.code.assembly;
  }
  for (size_t i = 0; i < lists.size(); ++i) {
    NativeEntry& entry = result.entries[i];
    entry.function = valid(code->lookup(entry_name(lists[i]))).toPtr<EntryFunction>();
    for (size_t kernel : calls.kernels[i]) entry.scratch_bytes = std::max(entry.scratch_bytes, calls.made[kernel].scratch_bytes);
  }
  return result;
}

}  // namespace tenon
