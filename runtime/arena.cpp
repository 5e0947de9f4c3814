#include "runtime/arena.h"

#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <utility>

namespace tenon {

namespace {
constexpr int64_t huge_page = 2 << 20;

int64_t rounded(int64_t bytes, int64_t unit) {
  int64_t sum;
  if (bytes < 0 || __builtin_add_overflow(bytes, unit - 1, &sum))
    throw Error(fmt::format("memory: {} bytes do not fit 63 bits", bytes));
  return sum / unit * unit;
}
}  // namespace

int64_t memory_bytes(const std::filesystem::path& limits) {
  struct sysinfo info;
  if (sysinfo(&info) != 0) return INT64_MAX;
  uint64_t ram = info.totalram * uint64_t{info.mem_unit};
  for (const char* name : {"memory.max", "memory/memory.limit_in_bytes"}) {  // of cgroups 2 and 1
    uint64_t limit = 0;
    if (std::ifstream(limits / name) >> limit) ram = std::min(ram, limit);  // "max" is no number
  }
  return static_cast<int64_t>(ram + info.totalswap * uint64_t{info.mem_unit});
}

void require_memory(int64_t bytes, std::string_view what) {
  if (const int64_t most = memory_bytes(); bytes > most)
    throw OutOfMemory(fmt::format("{} bytes of memory for {}, where at most {} can be had", bytes, what, most));
}

int64_t aligned(int64_t bytes) { return rounded(bytes, alignment); }

Arena::Arena(int64_t bytes, bool guarded) : bytes_(aligned(bytes)) {
  const int64_t page = sysconf(_SC_PAGESIZE);
  // A large block begins at a huge page of its own, so that the first touch of 2 MiB costs one fault and not
  // 512.
  const bool huge = !guarded && bytes_ >= huge_page;
  const int64_t used = rounded(bytes_, page);
  mapped_ = static_cast<size_t>(rounded(used + (huge ? huge_page : page), page));
  void* mapping = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    throw OutOfMemory(fmt::format("{} bytes of memory cannot be had: {}", bytes_, std::strerror(errno)));
  mapping_ = static_cast<std::byte*>(mapping);
  data_ = mapping_;
  if (guarded) {
    mprotect(mapping_ + used, static_cast<size_t>(page), PROT_NONE);
    data_ += used - bytes_;
  } else if (huge) {
    const auto address = reinterpret_cast<uintptr_t>(mapping_);
    data_ += (address + huge_page - 1) / huge_page * huge_page - address;
    madvise(data_, static_cast<size_t>(used), MADV_HUGEPAGE);  // advice: a refusal changes only the speed
  }
}

Arena::Arena(Arena&& other) noexcept { *this = std::move(other); }

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

Arena::~Arena() {
  if (mapping_) munmap(mapping_, mapped_);
}

}  // namespace tenon
