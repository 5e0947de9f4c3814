#include "compiler/kernel/kernel.h"

namespace tenon {

Touched touched_buffers(const Kernel& kernel, const KernelList& list) {
  Touched touched;
  auto in_memory = [&](BufferId id) {
    Storage storage = list.buffers[static_cast<size_t>(id)].storage;
    return storage != Storage::row && storage != Storage::tile;
  };
  auto read = [&](const Scalar& x) {
    visit(x, [&](const Scalar& node) {
      if (node->function == Scalar::load && in_memory(node->integer)) touched.read.insert(node->integer);
    });
  };
  if (kernel.check) touched.read.insert(kernel.check->index);
  if (kernel.contraction) {
    read(kernel.contraction->a);
    read(kernel.contraction->b);
  }
  for (const Statement& statement : kernel.body) {
    if (in_memory(statement.buffer)) touched.written.insert(statement.buffer);
    read(statement.value);
    for (const Scalar& index : statement.index) read(index);
  }
  return touched;
}

}  // namespace tenon
