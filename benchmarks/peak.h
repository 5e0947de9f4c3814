#pragma once
// What the cores of this machine can do at this moment, so that every other figure stands beside it.
#include <string>

namespace bench {

// f32 multiply-adds from registers, counted as two operations, on the widest vectors the CPU has, by so many
// threads at once (which may find that their CPUs share a core): the median of short runs, a few ms in all.
double peak_gflops(int threads = 1);
std::string peak_isa();  // "avx512", "avx2 with fma", "sse2"

// The core's clock, by a chain of dependent multiplications of 3 cycles each.
double clock_ghz();

}  // namespace bench
