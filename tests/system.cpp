#include "tests/system.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

namespace tenon::test {

constinit Machine machine;
constinit Seen seen;

namespace {
Watch current;

int refusal(std::string_view call, int descriptor) {
  if (!current) return 0;
  std::error_code unknown;
  return current(call, std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), unknown));
}

// The next definition of this function after the test's own.
template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void raise_to(std::atomic<int64_t>& most, int64_t value) {
  for (int64_t old = most; old < value && !most.compare_exchange_weak(old, value);) continue;
}

bool refused(size_t bytes) {
  raise_to(seen.largest, static_cast<int64_t>(bytes));
  return static_cast<int64_t>(bytes) > machine.largest_block;
}

void count(int64_t bytes) { raise_to(seen.peak, seen.live += bytes); }

void* allocate(size_t bytes, size_t alignment) {
  ++seen.allocations;
  void* block = nullptr;
  if (!refused(bytes))
    block = alignment <= alignof(std::max_align_t) ? std::malloc(bytes) : std::aligned_alloc(alignment, bytes);
  if (!block) throw std::bad_alloc();
  count(static_cast<int64_t>(malloc_usable_size(block)));
  return block;
}

void release(void* block) {
  if (block) count(-static_cast<int64_t>(malloc_usable_size(block)));
  std::free(block);
}

struct Start {
  void* (*function)(void*);
  void* argument;
};

void* run(void* given) {
  const std::unique_ptr<Start> start(static_cast<Start*>(given));
  void* result = start->function(start->argument);
  --seen.running_threads;
  return result;
}
}  // namespace

Watching::Watching(Watch watch) { current = std::move(watch); }
Watching::~Watching() { current = nullptr; }

}  // namespace tenon::test

using namespace tenon::test;

void* operator new(size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) { return allocate(bytes, static_cast<size_t>(alignment)); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept try {
  return operator new(bytes);
} catch (const std::bad_alloc&) {
  return nullptr;
}
void* operator new[](size_t bytes) { return operator new(bytes); }
void operator delete(void* block) noexcept { release(block); }
void operator delete(void* block, size_t) noexcept { release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete[](void* block, size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { release(block); }

extern "C" {

void* mmap(void* address, size_t bytes, int protection, int flags, int descriptor, off_t offset) __THROW {
  static const auto next = real<void*(void*, size_t, int, int, int, off_t)>("mmap");
  if (refused(bytes)) return errno = ENOMEM, MAP_FAILED;
  void* block = next(address, bytes, protection, flags, descriptor, offset);
  if (block != MAP_FAILED) count(static_cast<int64_t>(bytes));
  return block;
}

int munmap(void* block, size_t bytes) __THROW {
  static const auto next = real<int(void*, size_t)>("munmap");
  count(-static_cast<int64_t>(bytes));
  return next(block, bytes);
}

int sysinfo(struct sysinfo* info) __THROW {
  static const auto next = real<int(struct sysinfo*)>("sysinfo");
  const int result = next(info);
  if (machine.memory == 0) return result;
  info->totalram = static_cast<unsigned long>(machine.memory.load()) / info->mem_unit;
  info->totalswap = 0;
  return result;
}

// TEST_L1 and TEST_L2 in the environment are the bytes of the caches, as far as the code under test can tell.
long sysconf(int name) __THROW {
  static const auto next = real<long(int)>("sysconf");
  const char* set = name == _SC_LEVEL1_DCACHE_SIZE  ? std::getenv("TEST_L1")
                    : name == _SC_LEVEL2_CACHE_SIZE ? std::getenv("TEST_L2")
                                                    : nullptr;
  return set ? std::atol(set) : next(name);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*), void* argument) __THROWNL {
  static const auto next = real<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  if (machine.threads-- <= 0) return ++machine.threads, ++seen.refused_threads, EAGAIN;
  auto start = std::make_unique<Start>(Start{function, argument});
  ++seen.running_threads;
  const int error = next(thread, attributes, run, start.get());
  if (error == 0) start.release();
  if (error != 0) --seen.running_threads;
  return error;
}

int flock(int descriptor, int operation) __THROW {
  static const auto next = real<int(int, int)>("flock");
  if (const int error = refusal("flock", descriptor)) return errno = error, -1;
  return next(descriptor, operation);
}

int fsync(int descriptor) {
  static const auto next = real<int(int)>("fsync");
  if (const int error = refusal("fsync", descriptor)) return errno = error, -1;
  return next(descriptor);
}

int rename(const char* from, const char* to) __THROW {
  static const auto next = real<int(const char*, const char*)>("rename");
  if (const int error = current ? current("rename", from) : 0) return errno = error, -1;
  return next(from, to);
}
}
