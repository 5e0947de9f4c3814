#pragma once
// Blocks of zeroed memory straight from the kernel: aligned to 64, huge pages requested where they pay, given
// back on destruction. A guarded block ends at a page that faults, so that a test sees a kernel writing past
// its end.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "ir/check.h"

namespace tenon {

// There is not enough memory. Readers of files catch it and name the file.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

// The most that this process can have: RAM and swap, or what its container is limited to.
int64_t memory_bytes(const std::filesystem::path& limits = "/sys/fs/cgroup");

// OutOfMemory if this process can never have so much. For what is going to be written in full: an Arena may
// be larger than the memory, as pages that nobody touches cost nothing.
void require_memory(int64_t bytes, std::string_view what);

inline constexpr int64_t alignment = 64;  // of every buffer: one cache line, one AVX-512 vector

// The next multiple of the alignment. Throws Error on overflow.
int64_t aligned(int64_t bytes);

class Arena {
 public:
  Arena() = default;
  // `bytes` are rounded up to the alignment; 0 gives a block that must not be touched. Throws
  // OutOfMemory if there is not so much.
  explicit Arena(int64_t bytes, bool guarded = false);
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  std::byte* mapping_ = nullptr;
  size_t mapped_ = 0;
};

}  // namespace tenon
