#pragma once
// Blocks of zeroed memory straight from the kernel: aligned to 64, huge pages asked for where they pay, given
// back on destruction. A guarded block ends at a page that faults, so that a test sees a kernel writing past
// its end.
#include <cstddef>
#include <cstdint>

namespace tenon {

inline constexpr int64_t alignment = 64;  // of every buffer: one cache line, one AVX-512 vector

// The next multiple of the alignment. Throws Error on overflow.
int64_t aligned(int64_t bytes);

class Arena {
 public:
  Arena() = default;
  // `bytes` are rounded up to the alignment; 0 gives a block that must not be touched. Throws Error if there
  // is not so much.
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
