#pragma once
// A kernel by itself: what code is made from, once for all kernels that are alike. It knows neither its entry
// nor where its buffers lie: their addresses are arguments, and so are numbers that differ between kernels
// otherwise alike.
#include "compiler/kernel/kernel.h"

namespace tenon {

struct IsolatedKernel {
  KernelList list;                  // of this kernel alone; variables and buffers are numbered as they appear
  std::vector<BufferId> arguments;  // by slot: the buffers of the entry that it is given
  std::vector<int64_t> numbers;     // given besides: the streams of its random numbers; the number of its check
  std::string key;                  // all that is said in `list`: kernels with equal keys do the same to their arguments
};

IsolatedKernel isolate(const KernelList& list, const Kernel& kernel);

}  // namespace tenon
