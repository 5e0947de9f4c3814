#include "peak.h"

#include <immintrin.h>

#include "bench.h"

namespace bench {
namespace {

// 16 chains cover the latency of two multiply-adds a cycle on every core so far (4 cycles x 2 = 8) and fit
// into the registers of AVX2. Each value stays near 1, whatever the number of iterations. The empty assembly
// keeps the accumulators in registers and the compiler from knowing what they are.
constexpr int chains = 16;

__attribute__((target("avx512f"))) void avx512(int64_t iterations) {
  __m512 sum[chains], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.5f);
  for (__m512& s : sum) s = _mm512_set1_ps(1);
  for (int64_t i = 0; i < iterations; ++i)
#pragma GCC unroll 16
    for (__m512& s : sum) s = _mm512_fmadd_ps(s, a, b);
#pragma GCC unroll 16
  for (__m512& s : sum) asm volatile("" : "+v"(s));
}

__attribute__((target("avx2,fma"))) void avx2(int64_t iterations) {
  __m256 sum[chains - 4], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.5f);
  for (__m256& s : sum) s = _mm256_set1_ps(1);
  for (int64_t i = 0; i < iterations; ++i)
#pragma GCC unroll 16
    for (__m256& s : sum) s = _mm256_fmadd_ps(s, a, b);
#pragma GCC unroll 16
  for (__m256& s : sum) asm volatile("" : "+x"(s));
}

void sse2(int64_t iterations) {
  __m128 sum[chains - 4], a = _mm_set1_ps(0.5f), b = _mm_set1_ps(0.5f);
  for (__m128& s : sum) s = _mm_set1_ps(1);
  for (int64_t i = 0; i < iterations; ++i)
#pragma GCC unroll 16
    for (__m128& s : sum) s = _mm_add_ps(_mm_mul_ps(s, a), b);
#pragma GCC unroll 16
  for (__m128& s : sum) asm volatile("" : "+x"(s));
}

struct Unit {
  const char* name;
  void (*run)(int64_t iterations);
  int flops;  // of one iteration
};

Unit unit() {
  if (__builtin_cpu_supports("avx512f")) return {"avx512", avx512, chains * 16 * 2};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {"avx2 with fma", avx2, (chains - 4) * 8 * 2};
  return {"sse2", sse2, (chains - 4) * 4 * 2};
}

// The median time of one of 10,000 iterations over seven runs, of all threads at once.
template <typename Function>
double nanoseconds(int threads, Function&& run) {
  constexpr int64_t iterations = 10000;
  std::vector<double> samples;
  for (int i = 0; i < 7; ++i) samples.push_back(together(threads, [&](int) { run(iterations); }) * 1e3 / iterations);
  return median(samples);
}

}  // namespace

double peak_gflops(int threads) {
  const Unit best = unit();
  return threads * best.flops / nanoseconds(threads, best.run);
}

std::string peak_isa() { return unit().name; }

double clock_ghz() {
  return 24 / nanoseconds(1, [](int64_t iterations) {
           uint64_t x = 3;
           for (int64_t i = 0; i < iterations; ++i)
#pragma GCC unroll 8
             for (int j = 0; j < 8; ++j) asm volatile("imul %0, %0" : "+r"(x));
         });
}

}  // namespace bench
