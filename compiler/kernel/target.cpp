// What this machine is, from CPUID and the operating system. LLVM is not asked: the features listed for an
// ISA are all that emitted code may use, so that equal ISAs give equal code.
#include "compiler/kernel/target.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "ir/check.h"

namespace tenon {
namespace {

bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
}

Isa best_isa() { return has_avx512() ? Isa::avx512 : has_avx2() ? Isa::avx2 : Isa::sse2; }

constexpr int64_t page_bytes = 4096;

constexpr const char* sse2_features = "+sse,+sse2,+cx8,+cmov,+fxsr,+mmx";
constexpr const char* avx2_features =
    "+sse,+sse2,+cx8,+cmov,+fxsr,+mmx,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+"
    "lzcnt,"
    "+movbe";
constexpr const char* avx512_features =
    "+sse,+sse2,+cx8,+cmov,+fxsr,+mmx,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+"
    "lzcnt,"
    "+movbe,+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512cd,-prefer-256-bit";

int64_t cache_bytes(int name, int64_t otherwise) {
  long bytes = sysconf(name);
  return bytes > 0 ? bytes : otherwise;
}

int64_t allowed_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

Target Target::host(Isa at_most) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("sse2")) fail({}, "this machine has no SSE2, which compiled programs need");
  Target t = of(best_isa(), at_most);
  t.l1_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, t.l1_bytes);
  t.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, t.l2_bytes);
  t.threads = allowed_cpus();
  return t;
}

Target Target::of(Isa found, Isa at_most) {
  Target t;
  t.isa = std::min(found, at_most);
  if (found < at_most) t.note = fmt::format("this machine has no {}", at_most == Isa::avx512 ? "AVX-512" : "AVX2");
  switch (t.isa) {
    case Isa::sse2: t.features = sse2_features; break;
    case Isa::avx2: t.features = avx2_features; break;
    case Isa::avx512: t.features = avx512_features; break;
  }
  t.registers = t.isa == Isa::avx512 ? 32 : 16;
  t.register_bytes = t.isa == Isa::avx512 ? 64 : t.isa == Isa::avx2 ? 32 : 16;
  return t;
}

const Target& Target::checked() const {
  if (isa > best_isa()) fail({}, "target: {} code does not run on this machine, whose best is {}", name(isa), name(best_isa()));
  if (features != of(isa, isa).features) fail({}, "target: its features are not those of {}", name(isa));
  auto power_of_two = [](int64_t x) { return x > 0 && (x & (x - 1)) == 0; };
  if (lanes != 16) fail({}, "target: {} lanes, valid is 16", lanes);
  if (registers < 8) fail({}, "target: {} vector registers, valid is 8 or more", registers);
  if (!power_of_two(register_bytes) || register_bytes < 16 || register_bytes > 64)
    fail({}, "target: registers of {} bytes, valid are 16, 32 and 64", register_bytes);
  if (l1_bytes < page_bytes || l2_bytes < l1_bytes)
    fail({}, "target: caches of {} and {} bytes, valid is {} <= L1 <= L2", l1_bytes, l2_bytes, page_bytes);
  if (threads < 1) fail({}, "target: {} threads, valid is 1 or more", threads);
  if (!(grain > 0)) fail({}, "target: a grain of {} ns, valid is more than 0", grain);
  return *this;
}

std::string_view name(Isa isa) {
  constexpr std::string_view names[] = {"sse2", "avx2", "avx512"};
  return names[static_cast<size_t>(isa)];
}

std::string Target::str() const {
  std::string text = fmt::format("{} ({} lanes)", name(isa), lanes);
  return note.empty() ? text : text + "; " + note;
}

}  // namespace tenon
