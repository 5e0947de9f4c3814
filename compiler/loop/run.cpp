#include "compiler/loop/run.h"

#include <algorithm>
#include <array>

#include "compiler/loop/interpret.h"
#include "compiler/loop/lower.h"
#include "compiler/loop/share.h"
#include "compiler/loop/verify.h"

namespace tenon {
namespace {

class Runner {
 public:
  Runner(const KernelList& list, KernelMemory& memory, const Sizes& sizes, int64_t threads)
      : list_(list), memory_(memory), sizes_(sizes), threads_(threads) {
    memory.complete(list, sizes);
  }

  IndexFault run(const Target& target) {
    for (const Kernel& kernel : list_.kernels) {
      isolated_.push_back(isolate(list_, kernel));
      functions_.push_back(loop::share(lower(kernel.name, isolated_.back(), target)));
      verify(functions_.back());
    }
    const std::vector<Kernel>& kernels = list_.kernels;
    for (size_t first = 0, next; first < kernels.size(); first = next) {
      next = first + 1;
      while (next < kernels.size() && !kernels[next].barrier && !kernels[next].check) ++next;
      for (int64_t thread = threads_; thread-- > 0;)
        for (size_t k = first; k < next; ++k) call(k, thread);
      if (fault_[0] >= 0 && (next == kernels.size() || !kernels[next].check)) break;
    }
    return {fault_[0], fault_[1], fault_[2]};
  }

 private:
  void call(size_t k, int64_t thread) {
    const int64_t threads = std::min(threads_, list_.kernels[k].threads);
    if (thread >= threads) return;
    loop::Call call{
        .numbers = isolated_[k].numbers, .sizes = sizes_, .thread = thread, .threads = threads, .fault = fault_.data()};
    for (BufferId id : isolated_[k].arguments) call.arguments.push_back(memory_.bytes(list_, id, sizes_));
    loop::interpret(functions_[k], call);
  }

  const KernelList& list_;
  KernelMemory& memory_;
  const Sizes& sizes_;
  int64_t threads_;
  std::vector<IsolatedKernel> isolated_;  // by kernel
  std::vector<loop::Function> functions_;
  std::array<int64_t, 3> fault_{-1, 0, 0};
};

}  // namespace

IndexFault run_loops(const KernelList& list, KernelMemory& memory, const Sizes& sizes, const Target& target, int64_t threads) {
  return Runner(list, memory, sizes, threads).run(target);
}

}  // namespace tenon
