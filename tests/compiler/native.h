#pragma once
// Shared by the tests of the native room: kernels are run on guarded memory (any access before or behind a buffer
// faults) and beside the interpreters of kernels and of loops, with which they must agree in every bit.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <thread>
#include <utility>

#include "compiler/kernel/interpret.h"
#include "compiler/kernel/number.h"
#include "compiler/loop/run.h"
#include "compiler/pass.h"

namespace tenon::native {

// Bytes between two pages that may not be touched, at the end of their pages or at the beginning.
class Guarded {
 public:
  Guarded(int64_t bytes, bool at_end) {
    int64_t page = sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
    size_ = static_cast<size_t>(inner + 2 * page);
    start_ = static_cast<std::byte*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (inner > 0) mprotect(start_ + page, static_cast<size_t>(inner), PROT_READ | PROT_WRITE);
    data = start_ + page + (at_end ? inner - bytes : 0);
  }
  Guarded(Guarded&& other) noexcept : data(other.data), start_(std::exchange(other.start_, nullptr)), size_(other.size_) {}
  ~Guarded() {
    if (start_) munmap(start_, size_);
  }
  std::byte* data;

 private:
  std::byte* start_;
  size_t size_;
};

// Memory of all buffers of a list for one run, by BufferId.
struct Memory {
  std::vector<std::vector<std::byte>> bytes;
};

inline Memory fill(const KernelList& list, const Sizes& sizes, const std::function<double(BufferId, int64_t)>& element) {
  Memory memory;
  for (size_t id = 0; id < list.buffers.size(); ++id) {
    const Type& type = list.buffers[id].type;
    memory.bytes.emplace_back(static_cast<size_t>(type.bytes(sizes)));
    for (int64_t i = 0; i < type.elements().at(sizes); ++i) {
      double x = element(static_cast<BufferId>(id), i);
      store_number(memory.bytes.back().data(), i, {type.dtype, x, is_float(type.dtype) ? 0 : static_cast<int64_t>(x)});
    }
  }
  return memory;
}

// Runs `action` over the memory as a KernelMemory.
inline void by_slot(const KernelList& list, const Sizes& sizes, Memory& memory,
                    const std::function<void(KernelMemory&)>& action) {
  KernelMemory slots;
  slots.arena.resize(static_cast<size_t>(list.arena_bytes));
  auto table = [&](Storage storage) -> std::vector<std::vector<std::byte>>& {
    switch (storage) {
      case Storage::input: return slots.inputs;
      case Storage::state: return slots.states;
      case Storage::output: return slots.outputs;
      default: return slots.constants;
    }
  };
  for (const Buffer& b : list.buffers) {
    if (!in_memory(b.storage) || b.storage == Storage::arena) continue;
    auto& tables = table(b.storage);
    tables.resize(std::max(tables.size(), static_cast<size_t>(b.slot) + 1));
    tables[static_cast<size_t>(b.slot)].resize(static_cast<size_t>(b.type.bytes(sizes)));
  }
  auto each = [&](auto copy) {
    for (size_t id = 0; id < list.buffers.size(); ++id)
      if (in_memory(list.buffers[id].storage))
        copy(memory.bytes[id], slots.bytes(list, static_cast<BufferId>(id), sizes).data());
  };
  each([](const auto& from, std::byte* to) { std::memcpy(to, from.data(), from.size()); });
  action(slots);
  each([](auto& to, const std::byte* from) { std::memcpy(to.data(), from, to.size()); });
}

// What the kernels mean: the interpreter's run over the memory.
inline void expect(const KernelList& list, const Sizes& sizes, Memory& memory) {
  by_slot(list, sizes, memory, [&](KernelMemory& slots) { interpret(list, slots, sizes); });
}
// What their loops do, for any machine.
inline void run_loops(const KernelList& list, const Target& target, const Sizes& sizes, int64_t threads, Memory& memory) {
  by_slot(list, sizes, memory, [&](KernelMemory& slots) { tenon::run_loops(list, slots, sizes, target, threads); });
}

class SpinBarrier {
 public:
  explicit SpinBarrier(int64_t threads) : threads_(threads) {}
  static void meet(void* self) {
    auto& b = *static_cast<SpinBarrier*>(self);
    int64_t round = b.round_.load();
    if (b.arrived_.fetch_add(1) + 1 == b.threads_) {
      b.arrived_ = 0;
      ++b.round_;
    } else {
      while (b.round_.load() == round) std::this_thread::yield();
    }
  }

 private:
  int64_t threads_;
  std::atomic<int64_t> arrived_ = 0, round_ = 0;
};

// What compile() makes of placed kernels: the passes from isolate on.
inline Compilation machine_code(std::vector<KernelList> entries, const Target& target, NativeOptions options = {}) {
  Compilation c{.target = target, .native = options};
  c.entries = std::move(entries);
  bool begun = false;
  for (const Pass& pass : passes())
    if (begun = begun || pass.name == "isolate"; begun) pass.run(c);
  return c;
}
inline NativeCode linked(const Compilation& c) { return link(c.code, c.calls, c.target); }
inline NativeCode linked(std::vector<KernelList> entries, const Target& target) {
  return linked(machine_code(std::move(entries), target));
}

// Runs the one entry of the list over the memory; buffers lie at the end of their pages or at the beginning.
inline Fault run(const KernelList& list, const NativeCode& code, const Sizes& sizes, int64_t threads, bool at_end,
                 Memory& memory) {
  std::map<Storage, std::vector<std::byte*>> tables;
  std::vector<Guarded> guarded;
  std::vector<std::byte*> places(list.buffers.size());
  Guarded arena(list.arena_bytes, false);
  for (size_t id = 0; id < list.buffers.size(); ++id) {
    const Buffer& buffer = list.buffers[id];
    if (buffer.storage == Storage::row || buffer.storage == Storage::tile) continue;
    if (buffer.storage == Storage::arena) {
      places[id] = arena.data + buffer.offset;
    } else {
      auto& table = tables[buffer.storage];
      if (table.size() <= static_cast<size_t>(buffer.slot)) table.resize(static_cast<size_t>(buffer.slot) + 1);
      std::byte*& place = table[static_cast<size_t>(buffer.slot)];
      if (!place) place = guarded.emplace_back(static_cast<int64_t>(memory.bytes[id].size()), at_end).data;
      places[id] = place;
    }
    std::memcpy(places[id], memory.bytes[id].data(), memory.bytes[id].size());
  }
  Fault fault;
  SpinBarrier barrier(threads);
  std::vector<Guarded> scratch;
  for (int64_t t = 0; t < threads; ++t) scratch.emplace_back((code.entries[0].scratch_bytes + 63) / 64 * 64, false);
  std::array<int64_t, Sizes::largest> values{};
  for (size_t next = 0; const auto& [size, maximum] : list.sizes) values[next++] = sizes.at(size);
  auto thread = [&](int64_t t) {
    Frame frame{tables[Storage::input].data(),
                tables[Storage::state].data(),
                tables[Storage::output].data(),
                tables[Storage::constant].data(),
                arena.data,
                scratch[static_cast<size_t>(t)].data,
                t,
                threads,
                SpinBarrier::meet,
                &barrier,
                &fault,
                values};
    code.entries[0].function(&frame);
  };
  for (Storage storage : {Storage::input, Storage::state, Storage::output, Storage::constant}) tables[storage];
  std::vector<std::thread> team;
  for (int64_t t = 1; t < threads; ++t) team.emplace_back(thread, t);
  thread(0);
  for (std::thread& member : team) member.join();
  for (size_t id = 0; id < list.buffers.size(); ++id)
    if (places[id]) std::memcpy(memory.bytes[id].data(), places[id], memory.bytes[id].size());
  return fault;
}

// The name of the first buffer (and its element) in which two runs differ, NaNs being equal; empty if none.
inline std::string difference(const KernelList& list, const Sizes& sizes, const Memory& a, const Memory& b) {
  for (size_t id = 0; id < list.buffers.size(); ++id) {
    const Buffer& buffer = list.buffers[id];
    if (buffer.storage == Storage::row || buffer.storage == Storage::tile) continue;
    for (int64_t i = 0; i < buffer.type.elements().at(sizes); ++i) {
      Number x = load_number(a.bytes[id].data(), buffer.type.dtype, i),
             y = load_number(b.bytes[id].data(), buffer.type.dtype, i);
      if (std::isnan(x.real) && std::isnan(y.real)) continue;
      if (x.whole != y.whole || std::bit_cast<uint64_t>(x.real) != std::bit_cast<uint64_t>(y.real))
        return fmt::format("{}[{}]: {} against {}", buffer.name, i, x.as_double(), y.as_double());
    }
  }
  return {};
}

// Kernels by hand: buffers get their slots in order; scalars and statements are written directly.
struct Sketch {
  KernelList list;
  Sketch() { list.entry = "f"; }

  BufferId buffer(Storage storage, DType dtype, Shape shape) {
    int64_t slot = -1;
    bool has_slot = storage != Storage::arena && storage != Storage::row && storage != Storage::tile;
    if (has_slot) slot = std::count_if(list.buffers.begin(), list.buffers.end(), [&](auto& b) { return b.storage == storage; });
    Buffer buffer{
        .name = fmt::format("b{}", list.buffers.size()), .type = {dtype, std::move(shape)}, .storage = storage, .slot = slot};
    if (storage == Storage::arena) {
      buffer.offset = list.arena_bytes;
      list.arena_bytes += (buffer.type.bytes(list.sizes) + 63) / 64 * 64;
    }
    list.buffers.push_back(buffer);
    return static_cast<BufferId>(list.buffers.size()) - 1;
  }
  Extent n(int64_t maximum) {
    list.sizes.set("n", maximum);
    return Extent(1, "n");
  }
  Scalar at(BufferId id, std::vector<Scalar> index) {
    return Scalar::read(id, list.buffers[static_cast<size_t>(id)].type.dtype, std::move(index));
  }
  Kernel& kernel(std::vector<Axis> rows, std::vector<Statement> body, int64_t threads = 1, bool barrier = false) {
    Kernel k;
    k.name = fmt::format("k{}", list.kernels.size() + 1);
    k.rows = std::move(rows), k.body = std::move(body), k.threads = threads, k.barrier = barrier;
    list.kernels.push_back(std::move(k));
    return list.kernels.back();
  }
};

inline Scalar i() { return Scalar::index(0); }
inline Scalar j() { return Scalar::index(1); }
inline Scalar k() { return Scalar::index(2); }
inline Scalar l() { return Scalar::index(3); }
inline Scalar call(Scalar::Function f, std::vector<Scalar> a) { return Scalar::call(f, std::move(a)); }

}  // namespace tenon::native
