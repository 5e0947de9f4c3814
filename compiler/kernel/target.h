#pragma once
// The machine, in numbers: the only place that knows vector registers, caches and ISA features.
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon {

enum class Isa : uint8_t { sse2, avx2, avx512 };
inline constexpr Isa isas[] = {Isa::sse2, Isa::avx2, Isa::avx512};
std::string_view name(Isa isa);  // "avx512"

struct Target {
  Isa isa = Isa::sse2;
  std::string features;    // what LLVM is given: "+avx512f,+avx512vl,..."
  int64_t lanes = 16;      // elements of an emitted vector, on every ISA
  int64_t registers = 16;  // vector registers
  int64_t register_bytes = 16;
  int64_t l1_bytes = 48 << 10, l2_bytes = 1 << 20;
  int64_t threads = 1;  // CPUs this process may use
  double grain = 12e3;  // nanoseconds of work for which one more thread pays, on CPUs that may share a core
  std::string note;     // "this machine has no AVX-512", empty if nothing is missing

  // This machine, or a lesser ISA of it when `at_most` says so. Error if the machine lacks SSE2.
  static Target host(Isa at_most = Isa::avx512);
  // A machine whose best is `found`, with middling caches and one CPU; the fields may be set to those of any machine.
  static Target of(Isa found, Isa at_most);
  // This target, if there can be such a machine and this one runs its code; else an Error that says why not.
  const Target& checked() const;
  std::string str() const;
};

}  // namespace tenon
