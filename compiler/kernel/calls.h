#pragma once
// The functions of a program: of its entries, and of the kernels they call, equal kernels being one.
#include <memory>

#include "compiler/kernel/isolate.h"
#include "compiler/kernel/target.h"

namespace tenon {

// A kernel where an entry calls it.
struct KernelCall {
  size_t index;                     // in Calls::made
  const IsolatedKernel* kernel;     // the first one with its key
  std::string name;                 // of the function made from that
  std::vector<BufferId> arguments;  // of this call
  std::vector<int64_t> numbers;
};

struct Calls {
  struct Made {
    std::unique_ptr<IsolatedKernel> kernel;
    std::string name;  // meets neither another symbol nor a function of the C library
    size_t list;       // the first entry that calls it
  };
  std::vector<Made> made;
  std::vector<std::vector<KernelCall>> calls;  // by list and kernel
  std::vector<std::string> entry_names;        // by list: of their functions

  Calls() = default;
  explicit Calls(const std::vector<KernelList>& lists);
};

// All that the code of the entries is made from, by a compiler of that version: equal keys, equal code.
std::string code_key(const std::vector<KernelList>& lists, const Calls& calls, const Target& target, std::string_view version);

}  // namespace tenon
