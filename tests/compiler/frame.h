#pragma once
// Shared by the tests of math and contractions: typed memory between guard pages, and a run of an entry by several
// threads in turn.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "native.h"

namespace tenon {

// Elements between pages that fault.
template <typename T>
class Guarded {
 public:
  Guarded(size_t count, bool at_end) : pages_(static_cast<int64_t>(count * sizeof(T)), at_end), count_(count) {}

  T* begin() { return reinterpret_cast<T*>(pages_.data); }
  T* end() { return begin() + count_; }
  T& operator[](size_t i) { return begin()[i]; }
  size_t size() const { return count_; }
  std::byte* bytes() { return pages_.data; }

 private:
  native::Guarded pages_;
  size_t count_;
};

// Runs an entry without barriers as `threads` threads, one after the other, for the run-time size n.
inline void run(const NativeEntry& entry, std::vector<std::byte*> inputs, std::vector<std::byte*> states,
                std::vector<std::byte*> outputs, int64_t n = 1, int64_t threads = 1) {
  size_t bytes = static_cast<size_t>(entry.scratch_bytes);
  std::unique_ptr<std::byte, decltype(&std::free)> scratch(
      static_cast<std::byte*>(std::aligned_alloc(64, bytes + 64 - bytes % 64)), std::free);
  std::memset(scratch.get(), 0xff, bytes);
  Fault fault;
  for (int64_t thread = 0; thread < threads; ++thread) {
    Frame frame{inputs.data(), states.data(), outputs.data(), nullptr, nullptr, scratch.get(),
                thread,        threads,       nullptr,        nullptr, &fault,  {n}};
    entry.function(&frame);
  }
}

}  // namespace tenon
