// The machine in numbers.
#include "compiler/kernel/target.h"

#include <doctest/doctest.h>

using namespace tenon;

TEST_CASE("a lesser ISA can be asked for, and never a better one than the machine has") {
  Target best = Target::host();
  CHECK(best.threads >= 1);
  CHECK(best.lanes == 16);
  for (Isa isa : {Isa::sse2, Isa::avx2, Isa::avx512}) {
    Target t = Target::host(isa);
    CHECK(t.isa <= isa);
    CHECK(t.isa <= best.isa);
    CHECK(t.note.empty() == (t.isa == isa));
    CHECK(t.registers == (t.isa == Isa::avx512 ? 32 : 16));
    CHECK((t.features.find("avx512f") != std::string::npos) == (t.isa == Isa::avx512));
    CHECK((t.features.find("+fma") != std::string::npos) == (t.isa >= Isa::avx2));
  }
  CHECK(Target::host(Isa::sse2).str() == "sse2 (16 lanes)");
}

TEST_CASE("a machine without AVX-512 or AVX2 gets what it has, and the summary's line says so") {
  CHECK(Target::of(Isa::avx512, Isa::avx512).str() == "avx512 (16 lanes)");
  CHECK(Target::of(Isa::avx2, Isa::avx512).str() == "avx2 (16 lanes); this machine has no AVX-512");
  CHECK(Target::of(Isa::avx2, Isa::avx2).str() == "avx2 (16 lanes)");
  CHECK(Target::of(Isa::sse2, Isa::avx512).str() == "sse2 (16 lanes); this machine has no AVX-512");
  CHECK(Target::of(Isa::sse2, Isa::avx2).str() == "sse2 (16 lanes); this machine has no AVX2");
  CHECK(Target::of(Isa::sse2, Isa::avx512).features.find("avx") == std::string::npos);
}
