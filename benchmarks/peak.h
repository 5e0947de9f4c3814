#pragma once
// What one core can do at most, measured for about half a millisecond: f32 multiply-adds on registers, in GFLOP/s.
#include <chrono>

// Twelve independent chains: two multiply-adds start per cycle, and a link takes four cycles or five.
#define FMA_LINK(v, sum) "vfmadd231ps %%" v "14, %%" v "15, %%" v sum "\n"
#define FMA_LINKS(v)                                                                              \
  FMA_LINK(v, "0") FMA_LINK(v, "1") FMA_LINK(v, "2") FMA_LINK(v, "3") FMA_LINK(v, "4")            \
  FMA_LINK(v, "5") FMA_LINK(v, "6") FMA_LINK(v, "7") FMA_LINK(v, "8") FMA_LINK(v, "9")            \
  FMA_LINK(v, "10") FMA_LINK(v, "11")

inline double peak_gflops() {
  const bool wide = __builtin_cpu_supports("avx512f");
  const int links = 40000;
  asm volatile("vzeroall" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
               "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < links; ++i) {
    if (wide)
      asm volatile(FMA_LINKS("zmm") ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                   "xmm10", "xmm11");
    else
      asm volatile(FMA_LINKS("ymm") ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                   "xmm10", "xmm11");
  }
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  asm volatile("vzeroupper");
  return 2.0 * 12 * (wide ? 16 : 8) * links / time.count();
}
#undef FMA_LINKS
#undef FMA_LINK
