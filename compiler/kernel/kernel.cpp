#include "compiler/kernel/kernel.h"

#include <algorithm>

namespace tenon {

std::vector<Axis> Contraction::axes() const {
  std::vector<Axis> result = m;
  result.insert(result.end(), n.begin(), n.end());
  return result;
}

std::vector<Axis> Kernel::loops() const {
  std::vector<Axis> result = rows;
  if (!contraction) return result;
  const std::vector<Axis> tile = contraction->axes();
  result.insert(result.end(), tile.begin(), tile.end());
  return result;
}

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
  return x.offset < y.offset + y.type.bytes(list.sizes) && y.offset < x.offset + x.type.bytes(list.sizes);
}

// Each takes its struct apart, so that a new field cannot be left out.
bool operator==(const IndexCheck& a, const IndexCheck& b) {
  const auto& [index, extent, line, message] = a;
  return index == b.index && extent == b.extent && message == b.message;
}

bool operator==(const Kernel& a, const Kernel& b) {
  const auto& [name, rows, body, contraction, check, tile, threads, barrier, lines] = a;
  return name == b.name && rows == b.rows && body == b.body && contraction == b.contraction && check == b.check &&
         tile == b.tile && threads == b.threads && barrier == b.barrier;
}

bool operator==(const KernelList& a, const KernelList& b) {
  const auto& [entry, buffers, kernels, inputs, outputs, states, updated, constants, door, receipts, notes, arena_bytes,
               lower_bound, sizes, numbers] = a;
  auto same = [](const std::vector<Named>& x, const std::vector<Named>& y) {
    return std::ranges::equal(x, y, [](const Named& p, const Named& q) { return p.name == q.name && p.type == q.type; });
  };
  return entry == b.entry && buffers == b.buffers && kernels == b.kernels && same(inputs, b.inputs) &&
         same(outputs, b.outputs) && same(states, b.states) && updated == b.updated && constants == b.constants &&
         door == b.door && receipts == b.receipts && notes == b.notes && arena_bytes == b.arena_bytes &&
         lower_bound == b.lower_bound && sizes == b.sizes && numbers == b.numbers;
}

}  // namespace tenon
