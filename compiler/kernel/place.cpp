// Where arena buffers lie. A buffer is alive from the kernel that writes it to the last that reads it, and while kernels
// run that may overlap with these in time; two buffers alive in one kernel never share a byte. Several orders of first-fit are
// tried and the smallest arena wins.
#include "compiler/kernel/place.h"

#include <algorithm>
#include <numeric>

namespace tenon {
namespace {

int64_t aligned(int64_t bytes) { return checked_product(bytes / 64 + (bytes % 64 != 0), 64); }

// The kernels that may run at the same time as each kernel, from its first to its last: those between the same two
// barriers, if some of them run on several threads.
std::vector<std::pair<int, int>> concurrent_kernels(const KernelList& list) {
  std::vector<std::pair<int, int>> result(list.kernels.size());
  for (size_t first = 0, next; first < result.size(); first = next) {
    next = first + 1;
    while (next < result.size() && !list.kernels[next].barrier) ++next;
    for (size_t k = first; k < next; ++k) {
      bool several = list.kernels[k].threads > 1;
      result[k] = several ? std::pair(static_cast<int>(first), static_cast<int>(next) - 1)
                          : std::pair(static_cast<int>(k), static_cast<int>(k));
    }
  }
  return result;
}

struct Block {
  size_t buffer;
  int64_t bytes;
  int first, last;
  int64_t offset = 0;
};

bool meet(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

// Puts each block, in the given order, into the gap (the lowest, or the tightest) that is free over its life.
int64_t fit(std::vector<Block>& blocks, bool tightest) {
  int64_t end = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    std::vector<const Block*> neighbours;
    for (size_t j = 0; j < i; ++j)
      if (meet(blocks[i], blocks[j])) neighbours.push_back(&blocks[j]);
    std::sort(neighbours.begin(), neighbours.end(), [](const Block* a, const Block* b) { return a->offset < b->offset; });
    int64_t position = 0, best = -1, slack = INT64_MAX;
    for (const Block* neighbour : neighbours) {
      int64_t gap = neighbour->offset - position;
      if (gap >= blocks[i].bytes && gap < slack && (best < 0 || tightest)) best = position, slack = gap;
      position = std::max(position, neighbour->offset + neighbour->bytes);
    }
    blocks[i].offset = best < 0 ? position : best;
    end = std::max(end, blocks[i].offset + blocks[i].bytes);
  }
  return end;
}

}  // namespace

void place(KernelList& list) {
  std::vector<Block> blocks;
  std::vector<size_t> block_of(list.buffers.size(), SIZE_MAX);
  const auto concurrent = concurrent_kernels(list);
  for (size_t k = 0; k < list.kernels.size(); ++k) {
    Touched touched = touched_buffers(list.kernels[k], list);
    touched.read.merge(touched.written);
    for (BufferId id : touched.read) {
      const size_t i = static_cast<size_t>(id);
      Buffer& buffer = list.buffers[i];
      if (buffer.storage != Storage::arena) continue;
      if (buffer.first < 0) {
        buffer.first = static_cast<int>(k);
        block_of[i] = blocks.size();
        blocks.push_back({i, aligned(buffer.type.bytes(list.sizes)), concurrent[k].first, concurrent[k].second});
      }
      buffer.last = static_cast<int>(k);
      Block& block = blocks[block_of[i]];
      block.first = std::min(block.first, concurrent[k].first);
      block.last = std::max(block.last, concurrent[k].second);
    }
  }
  int64_t total = 0;  // no end of a buffer lies beyond it
  for (const Block& block : blocks)
    if (__builtin_add_overflow(total, block.bytes, &total))
      throw Error(fmt::format("entry '{}': its buffers overflow 63 bits of bytes", list.entry));
  list.lower_bound = 0;
  for (size_t k = 0; k < list.kernels.size(); ++k) {
    int64_t live = 0;
    for (const Block& block : blocks)
      if (block.first <= static_cast<int>(k) && static_cast<int>(k) <= block.last) live += block.bytes;
    list.lower_bound = std::max(list.lower_bound, live);
  }
  using Order = bool (*)(const Block&, const Block&);
  constexpr Order orders[] = {
      [](const Block& a, const Block& b) { return a.bytes > b.bytes; },
      [](const Block& a, const Block& b) { return a.first < b.first; },
      [](const Block& a, const Block& b) { return a.last > b.last; },
      [](const Block& a, const Block& b) { return a.last - a.first > b.last - b.first; },
      [](const Block& a, const Block& b) { return a.bytes * (a.last - a.first + 1) > b.bytes * (b.last - b.first + 1); },
  };
  std::vector<Block> best;
  list.arena_bytes = INT64_MAX;
  for (Order order : orders)
    for (bool tightest : {false, true}) {
      std::vector<Block> tried = blocks;
      std::stable_sort(tried.begin(), tried.end(), order);
      if (int64_t bytes = fit(tried, tightest); bytes < list.arena_bytes) list.arena_bytes = bytes, best = tried;
    }
  for (const Block& block : best) list.buffers[block.buffer].offset = block.offset;
}

}  // namespace tenon
