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
