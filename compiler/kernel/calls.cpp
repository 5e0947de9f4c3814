#include "compiler/kernel/calls.h"

#include <map>

namespace tenon {

Calls::Calls(const std::vector<KernelList>& lists) {
  std::map<std::string_view, size_t> known;
  for (const KernelList& list : lists) {
    std::vector<KernelCall>& here = calls.emplace_back();
    for (const Kernel& kernel : list.kernels) {
      auto isolated = std::make_unique<IsolatedKernel>(isolate(list, kernel));
      KernelCall call{made.size(), nullptr, {}, isolated->arguments, isolated->numbers};
      auto [it, fresh] = known.try_emplace(isolated->key, call.index);
      if (fresh) {
        std::string name = fmt::format("{}.{}", list.entry, here.size());
        isolated->list.entry = name;
        made.push_back({std::move(isolated), std::move(name), entry_names.size()});
      }
      call.index = it->second;
      call.kernel = made[call.index].kernel.get();
      call.name = made[call.index].name;
      here.push_back(std::move(call));
    }
    entry_names.push_back(list.entry + ".entry");
  }
}

std::string code_key(const std::vector<KernelList>& lists, const Calls& calls, const Target& target, std::string_view version) {
  std::string key;
  auto write = [&]<typename... Parts>(fmt::format_string<Parts...> format, Parts&&... parts) {
    fmt::format_to(std::back_inserter(key), format, std::forward<Parts>(parts)...);
  };
  // All of the machine; how many threads a kernel is worth is in the kernels.
  const auto& [isa, features, lanes, registers, register_bytes, l1_bytes, l2_bytes, threads, grain, note] = target;
  write("{}\n{} {} lanes {} registers {} of {} caches {} {}\n", version, name(isa), features, lanes, registers, register_bytes,
        l1_bytes, l2_bytes);
  for (const Calls::Made& made : calls.made) write("kernel {} {}\n{}", made.name.size(), made.name, made.kernel->key);
  for (size_t i = 0; i < lists.size(); ++i) {
    write("entry {} {}\n", calls.entry_names[i].size(), calls.entry_names[i]);
    for (size_t k = 0; k < calls.calls[i].size(); ++k) {
      const Kernel& kernel = lists[i].kernels[k];
      const KernelCall& call = calls.calls[i][k];
      write("call {} threads {} barrier {} check {} of", call.index, kernel.threads, kernel.barrier, kernel.check.has_value());
      for (BufferId id : call.arguments) {
        const Buffer& buffer = lists[i].buffers[static_cast<size_t>(id)];
        write(" {}.{}.{}", static_cast<int>(buffer.storage), buffer.slot, buffer.offset);
      }
      for (int64_t number : call.numbers) write(" {}", number);
      key += '\n';
    }
  }
  return key;
}

}  // namespace tenon
