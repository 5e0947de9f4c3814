// What this machine can do, so that every other figure stands beside it: multiply-adds, bandwidth by level,
// barriers.
//   limits [--threads N] [--workload NAME] [--json] [--quick]
// Bandwidth counts what the loop reads and writes (copy two arrays, triad a = b + s c three), not what caches
// add to it. With N threads each works on arrays of its own, and the slowest counts.
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "bench.h"
#include "peak.h"

using namespace bench;

namespace {

struct Loop {
  const char* name;
  int arrays;
  void (*run)(float* a, const float* b, const float* c, int64_t n);
};

void copy(float* a, const float* b, const float*, int64_t n) { std::memcpy(a, b, static_cast<size_t>(n) * sizeof(float)); }

// One version for each width of vectors; the loader picks the widest that the CPU has.
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) void triad(float* a, const float* b,
                                                                                         const float* c, int64_t n) {
  for (int64_t i = 0; i < n; ++i) a[i] = b[i] + 3 * c[i];
}

constexpr Loop loops[] = {{"copy", 2, copy}, {"triad", 3, triad}};

struct Level {
  const char* name;
  int64_t bytes;  // of a working set that lies in it
};

// Half of the first two caches, eight times the second for the third (which may be shared, and said to be
// larger than this core's part), and what no cache holds.
std::vector<Level> levels() {
  const auto size = [](int name, int64_t otherwise) {
    const int64_t bytes = sysconf(name);
    return bytes > 0 ? bytes : otherwise;
  };
  const int64_t l2 = size(_SC_LEVEL2_CACHE_SIZE, 1 << 20);
  return {{"L1", size(_SC_LEVEL1_DCACHE_SIZE, 32 << 10) / 2}, {"L2", l2 / 2}, {"L3", 8 * l2}, {"memory", 512 << 20}};
}

// The time of one pass of the loop over a working set of `bytes` in each thread.
Timing pass(const Loop& loop, int64_t bytes, int threads, int repetitions) {
  const int64_t n = bytes / loop.arrays / 64 * 16;  // whole cache lines
  const int64_t passes = std::max<int64_t>(1, (int64_t{64} << 20) / bytes);
  std::vector<std::vector<float>> memory(static_cast<size_t>(threads));
  for (auto& arrays : memory) arrays.assign(static_cast<size_t>(n * loop.arrays + 16), 1);
  std::vector<double> samples;
  for (int i = 0; i <= repetitions; ++i) {
    const double us = together(threads, [&](int t) {
      float* a = memory[static_cast<size_t>(t)].data();
      a += (64 - reinterpret_cast<uintptr_t>(a) % 64) % 64 / 4;
      for (int64_t call = 0; call < passes; ++call) loop.run(a, a + n, a + (loop.arrays - 1) * n, n);
    });
    if (i > 0) samples.push_back(us / static_cast<double>(passes));  // the first touches the pages
  }
  return {median(samples), minimum(samples)};
}

// Two threads that meet again and again: each waits until the other has come as often as itself.
Timing barrier(int repetitions) {
  constexpr int64_t meetings = 20000;
  struct alignas(64) Count {
    std::atomic<int64_t> value = 0;
  } count[2];
  std::vector<double> samples;
  for (int i = 0; i < repetitions; ++i)
    samples.push_back(together(2,
                               [&](int t) {
                                 for (int64_t m = 0; m < meetings; ++m) {
                                   const int64_t mine = count[t].value.fetch_add(1, std::memory_order_acq_rel) + 1;
                                   while (count[1 - t].value.load(std::memory_order_acquire) < mine) __builtin_ia32_pause();
                                 }
                               }) /
                      meetings);
  return {median(samples), minimum(samples)};
}

}  // namespace

int main(int argc, char** argv) {
  const Options options(argc, argv);
  const int threads = options.threads, repetitions = options.quick ? 3 : 15;
  const Table table({{"workload"}, {"threads"}, {"median_us", 4}, {"min_us", 4}, {"value", 2}, {"unit"}}, options.json);

  const auto row = [&](const std::string& name, int n, const Timing& t, double value, const char* unit) {
    table.row({name, double(n), t.median_us, t.min_us, value, unit});
  };
  // Of what happens `rate` times a nanosecond, a thousand take 1 / rate microseconds.
  const auto thousand = [&](const std::string& name, int n, auto&& rate, const char* unit) {
    if (!options.wants(name)) return;
    std::vector<double> us;
    for (int i = 0; i < repetitions; ++i) us.push_back(1 / rate());
    row(name, n, {median(us), minimum(us)}, 1 / median(us), unit);
  };
  thousand(
      "fma " + peak_isa(), threads, [&] { return peak_gflops(threads); }, "GFLOP/s");
  thousand("clock", 1, clock_ghz, "GHz");
  for (const Level& level : levels())
    for (const Loop& loop : loops) {
      const std::string name = std::string(loop.name) + " " + level.name;
      if (!options.wants(name)) continue;
      const Timing t = pass(loop, level.bytes, threads, repetitions);
      row(name, threads, t, static_cast<double>(level.bytes * threads) / t.median_us * 1e-3, "GB/s");
    }
  if (options.wants("barrier of 2")) {
    const Timing t = barrier(repetitions);
    row("barrier of 2", 2, t, t.median_us, "us");
  }
}
