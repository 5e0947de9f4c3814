// The kernels of all entries, each different one once; modules of about equal work, compiled on two threads;
// and their objects, linked into one code handle.
#include "compiler/native/jit.h"

#include <llvm-c/Core.h>
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

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "compiler/native/cache.h"
#include "compiler/native/calls.h"
#include "compiler/native/emit.h"
#include "compiler/native/module.h"

namespace tenon {
namespace {

constexpr int64_t module_weight = 800;  // a module costs more than a millisecond beside its kernels

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

// About how long it takes to compile, in hundredths of a millisecond or so (fitted to the benchmarks' kernels): tiles are
// emitted several times, and with them the functions of their epilogues.
int64_t weight(const Kernel& kernel) {
  int64_t nodes = 0, functions = 0;
  for (const Statement& statement : kernel.body)
    visit(statement.value, [&](const Scalar& x) { ++nodes, functions += x->function >= Scalar::exp; });
  int64_t result = 12 * nodes;
  if (!kernel.contraction) return result;
  const Tile& tile = kernel.tile;
  return result + 16 * tile.rows * tile.vectors * (1 + 4 * functions) + (tile.pack_a || tile.pack_b ? 360 : 0);
}

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
  for (size_t list = 0; list < calls.calls.size(); ++list) {
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

constexpr size_t stack_bytes = 8 << 20;  // of a thread that emits: it recurses in the depth of a kernel's expressions

// A thread with a stack of that size. Where the system gives no thread, the caller does the work at once.
class Worker {
 public:
  explicit Worker(std::function<void()> work) : work_(std::move(work)) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    auto start = [](void* worker) -> void* {
      static_cast<Worker*>(worker)->work_();
      return nullptr;
    };
    started_ = pthread_create(&thread_, &attributes, start, this) == 0;
    pthread_attr_destroy(&attributes);
    if (!started_) work_();
  }
  ~Worker() {
    if (started_) pthread_join(thread_, nullptr);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  std::function<void()> work_;
  pthread_t thread_ = {};
  bool started_ = false;
};

// Runs work(0), ..., work(count - 1) on two threads, each with a worker of its own; the first exception is
// thrown here. The caller's own stack may be small.
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
  {
    Worker one(run);
    if (count > 1 && std::thread::hardware_concurrency() > 1) Worker other(run);
  }
  if (failure) std::rethrow_exception(failure);
}

// Objects of all modules and, as bytes, the scratch that each different kernel needs.
struct Objects {
  std::vector<std::string> modules;
  std::vector<int64_t> scratch_bytes;
};

std::string llvm_version() {
  unsigned major = 0, minor = 0, patch = 0;
  LLVMGetVersion(&major, &minor, &patch);
  return fmt::format("{}.{}.{}", major, minor, patch);
}

std::vector<std::string> parts(const Objects& objects) {
  std::vector<std::string> result = objects.modules;
  result.emplace_back(reinterpret_cast<const char*>(objects.scratch_bytes.data()),
                      objects.scratch_bytes.size() * sizeof(int64_t));
  return result;
}
std::optional<Objects> objects(std::optional<std::vector<std::string>> parts, size_t kernels) {
  if (!parts || parts->empty() || parts->back().size() != kernels * sizeof(int64_t)) return {};
  Objects result;
  result.scratch_bytes.resize(kernels);
  std::memcpy(result.scratch_bytes.data(), parts->back().data(), parts->back().size());
  parts->pop_back();
  result.modules = std::move(*parts);
  return result;
}

// Compiles all modules; the listings go to the entries of `listed`.
Objects compile(const std::vector<KernelList>& lists, const Calls& calls,
                const llvm::orc::JITTargetMachineBuilder& builder, const Target& target,
                const NativeOptions& options, NativeCode& listed) {
  std::vector<Job> jobs = divide(calls);
  Objects result{{}, std::vector<int64_t>(calls.made.size())};
  in_parallel(jobs.size(), [&] {
    std::shared_ptr machine = valid(llvm::orc::JITTargetMachineBuilder(builder).createTargetMachine());
    return [&, machine](size_t i) {
      Job& job = jobs[i];
      const KernelList& list = lists[job.list];
      ModuleSource source;
      source.name = list.entry;
      for (size_t k : job.kernels)
        source.kernels.emplace_back(calls.made[k].name, calls.made[k].kernel.get());
      if (job.entry)
        source.entry = &list, source.entry_name = calls.entry_names[job.list],
        source.calls = calls.calls[job.list];
      job.code = compile_module(source, target, options, *machine);
      for (size_t k = 0; k < job.kernels.size(); ++k)
        result.scratch_bytes[job.kernels[k]] = job.code.scratch_bytes[k];
    };
  });
  for (Job& job : jobs) {
    result.modules.push_back(std::move(job.code.object));
    listed.entries[job.list].loops += job.code.loops;
    listed.entries[job.list].llvm += job.code.llvm;
    listed.entries[job.list].assembly += job.code.assembly;
  }
  return result;
}

std::shared_ptr<llvm::orc::LLJIT> link(const std::vector<std::string>& objects,
                                       const llvm::orc::JITTargetMachineBuilder& builder) {
  std::shared_ptr<llvm::orc::LLJIT> code =
      valid(llvm::orc::LLJITBuilder().setJITTargetMachineBuilder(builder).create());
  llvm::orc::JITDylib& library = code->getMainJITDylib();
  llvm::orc::SymbolMap symbols;
  for (const auto& [name, address] : reference_symbols())
    symbols[code->mangleAndIntern(name)] = {llvm::orc::ExecutorAddr::fromPtr(address),
                                            llvm::JITSymbolFlags::Exported};
  if (!symbols.empty()) valid(library.define(llvm::orc::absoluteSymbols(std::move(symbols))));
  // What LLVM itself calls: memset, and on a machine without the instruction fmaf, floorf, roundevenf.
  library.addGenerator(valid(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      code->getDataLayout().getGlobalPrefix())));
  for (const std::string& object : objects)
    valid(code->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object)));
  return code;
}

}  // namespace

NativeCode jit(const std::vector<KernelList>& lists, const Target& target, const NativeOptions& options) {
  const auto builder = machine_builder(target);
  const Calls calls(lists);
  NativeCode result{
      .handle = {}, .entries = std::vector<NativeEntry>(lists.size()), .kernels = calls.made.size()};

  const bool cached = !options.cache.empty() && !options.llvm && !options.assembly;
  const std::string key = cached ? code_key(lists, calls, target, llvm_version()) : "";
  std::optional<Objects> found =
      cached ? objects(load_code(options.cache, key), calls.made.size()) : std::nullopt;
  if (cached) result.cache = found ? "found in the cache" : "added to the cache";
  if (!found) {
    found = compile(lists, calls, builder, target, options, result);
    if (cached) try {
        store_code(options.cache, key, parts(*found));
      } catch (const Error& error) {
        result.cache = fmt::format("not added to the cache: {}", error.what());
      }
  }

  std::shared_ptr<llvm::orc::LLJIT> code = link(found->modules, builder);
  for (size_t i = 0; i < lists.size(); ++i) {
    NativeEntry& entry = result.entries[i];
    entry.function = valid(code->lookup(calls.entry_names[i])).toPtr<EntryFunction>();
    for (const KernelCall& call : calls.calls[i])
      entry.scratch_bytes = std::max(entry.scratch_bytes, found->scratch_bytes[call.index]);
  }
  result.handle = std::move(code);
  return result;
}

}  // namespace tenon
