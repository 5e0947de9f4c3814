// The machine in numbers.
#include "compiler/kernel/target.h"

#include <doctest/doctest.h>

#include "compiler/compile.h"
#include "ir/ops.h"
#include "tests/message.h"

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

TEST_CASE("a target may be made by hand; one that cannot be, or whose code would not run here, is an Error") {
  Graph g;
  g.entry("f", {{"y", g.input("x", f32, {4}) + 1}});
  auto message = [&](auto change) {
    Target target = Target::of(Isa::sse2, Isa::sse2);
    change(target);
    return test::message([&] { compile(g, {.target = target}); });
  };
  CHECK(message([](Target& t) { t.threads = 3, t.l2_bytes = 256 << 10; }) == "no error");
  CHECK(message([](Target& t) { t.lanes = 12; }) == "target: 12 lanes, valid is 16");
  CHECK(message([](Target& t) { t.registers = 0; }) == "target: 0 vector registers, valid is 8 or more");
  CHECK(message([](Target& t) { t.register_bytes = 24; }) == "target: registers of 24 bytes, valid are 16, 32 and 64");
  CHECK(message([](Target& t) { t.l1_bytes = 0; }) == "target: caches of 0 and 1048576 bytes, valid is 4096 <= L1 <= L2");
  CHECK(message([](Target& t) { t.l2_bytes = 1 << 14; }) ==
        "target: caches of 49152 and 16384 bytes, valid is 4096 <= L1 <= L2");
  CHECK(message([](Target& t) { t.threads = 0; }) == "target: 0 threads, valid is 1 or more");
  CHECK(message([](Target& t) { t.grain = 0; }) == "target: a grain of 0 ns, valid is more than 0");
  CHECK(message([](Target& t) { t.features += ",+avx"; }) == "target: its features are not those of sse2");
  if (Target::host().isa < Isa::avx512)
    CHECK(message([](Target& t) {
            t = Target::of(Isa::avx512, Isa::avx512);
          }).starts_with("target: avx512 code does not run on this machine, whose best is "));
}
