#include "compiler/kernel/microkernel.h"

namespace tenon {
namespace {

// Two multiply-adds and two loads of a register start in a cycle; a multiply-add takes four.
// clang-format off
constexpr MicroKernel table[] = {
    // ISA         a, b  sum rows vectors  only b in place  cycles
    {Isa::avx512, f32, f32, 30, 1, false, 0.5, 0.5, 4},
    {Isa::avx512, f32, f32, 14, 2, false, 0.5, 0.5, 4},
    {Isa::avx512, f32, f32, 9, 3, false, 0.5, 0.5, 4},
    {Isa::avx512, f32, f32, 6, 4, false, 0.5, 0.5, 4},
    {Isa::avx512, f32, f32, 1, 16, true, 0.5, 0.5, 4},
    {Isa::avx512, f64, f64, 14, 1, false, 0.5, 0.5, 4},
    {Isa::avx512, f64, f64, 6, 2, false, 0.5, 0.5, 4},
    {Isa::avx512, f64, f64, 4, 3, false, 0.5, 0.5, 4},
    {Isa::avx512, f64, f64, 2, 4, false, 0.5, 0.5, 4},
    {Isa::avx512, f64, f64, 1, 15, true, 0.5, 0.5, 4},
    {Isa::avx2, f32, f32, 6, 1, false, 0.5, 0.5, 4},
    {Isa::avx2, f32, f32, 2, 2, false, 0.5, 0.5, 4},
    {Isa::avx2, f32, f32, 1, 3, false, 0.5, 0.5, 4},
    {Isa::avx2, f32, f32, 1, 7, true, 0.5, 0.5, 4},
    {Isa::avx2, f64, f64, 2, 1, false, 0.5, 0.5, 4},
    {Isa::avx2, f64, f64, 1, 3, true, 0.5, 0.5, 4},
    {Isa::sse2, f32, f32, 2, 1, false, 0.5, 0.5, 4},
    {Isa::sse2, f32, f32, 1, 3, true, 0.5, 0.5, 4},
    {Isa::sse2, f64, f64, 1, 1, false, 0.5, 0.5, 4},
};
// clang-format on

}  // namespace

int64_t MicroKernel::registers(int64_t rows, int64_t vectors, const Target& target) const {
  const int64_t of_a_vector = target.lanes * byte_size(accumulator) / target.register_bytes;
  return (rows * vectors + (b_in_place ? 0 : vectors) + 1) * of_a_vector;
}

bool MicroKernel::runs_on(const Target& target) const {
  return isa == target.isa && (rows * vectors == 1 || registers(rows, vectors, target) <= target.registers);
}

std::span<const MicroKernel> micro_kernels() { return table; }

}  // namespace tenon
