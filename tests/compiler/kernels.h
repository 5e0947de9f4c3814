#pragma once
// Shared by the tests of the kernel room: the kernels of an entry as text.
#include <string>

#include "compiler/kernel/group.h"
#include "ir/model/initializers.h"
#include "ir/ops.h"

namespace tenon {

// The kernels of the entry without what is behind "#" (the user's lines, the choices of tile), and the notes.
inline std::string kernels(const Graph& graph, std::string_view entry) {
  KernelList list = group(graph, *graph.body().entry(entry));
  std::string text, result;
  for (const IndexCheck& check : list.door)
    text += fmt::format("door {} < {}\n", list.buffers[static_cast<size_t>(check.index)].name, check.extent.str());
  for (const Kernel& kernel : list.kernels) text += str(kernel, list);
  for (const std::string& note : list.notes) text += "note: " + note + "\n";
  bool comment = false;
  for (size_t i = 0; i < text.size(); ++i) {
    comment = text[i] != '\n' && (comment || text.compare(i, 3, "  #") == 0 || text.compare(i, 3, "  |") == 0);
    if (!comment) result += text[i];
  }
  return "\n" + result;
}

}  // namespace tenon
