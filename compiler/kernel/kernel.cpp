#include "compiler/kernel/kernel.h"

namespace tenon {

Touched touched_buffers(const Kernel& kernel, const KernelList& list) {
  Touched touched;
  auto outside = [&](BufferId id) { return in_memory(list.buffers[static_cast<size_t>(id)].storage); };
  auto read = [&](const Scalar& x) {
    visit(x, [&](const Scalar& node) {
      if (node->function == Scalar::load && outside(node->integer)) touched.read.insert(node->integer);
    });
  };
  if (kernel.check) touched.read.insert(kernel.check->index);
  if (kernel.contraction) {
    read(kernel.contraction->a);
    read(kernel.contraction->b);
  }
  for (const Statement& statement : kernel.body) {
    if (outside(statement.buffer)) touched.written.insert(statement.buffer);
    read(statement.value);
    for (const Scalar& index : statement.index) read(index);
  }
  return touched;
}

bool share_bytes(const KernelList& list, BufferId a, BufferId b) {
  if (a == b) return true;
  const Buffer &x = list.buffers[static_cast<size_t>(a)], &y = list.buffers[static_cast<size_t>(b)];
  if (x.storage != y.storage || !in_memory(x.storage)) return false;
  if (x.storage == Storage::argument) return x.offset == y.offset;
  if (x.storage != Storage::arena) return x.slot == y.slot;
  return x.offset < y.offset + y.type.bytes(list.maximum) && y.offset < x.offset + x.type.bytes(list.maximum);
}

}  // namespace tenon
