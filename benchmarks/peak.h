#pragma once
// What one core of this machine can do at this moment, so that every other figure stands beside it.
#include <string>

namespace bench {

// f32 multiply-add throughput from registers, counted as two operations: the median of short runs, about 1 ms
// in all. On the widest vectors the CPU has.
double peak_gflops();
std::string peak_isa();  // "avx512", "avx2 with fma", "sse2"

// The core's clock, by a chain of dependent multiplications of 3 cycles each.
double clock_ghz();

}  // namespace bench
