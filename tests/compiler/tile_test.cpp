// Micro-kernels, cuts and threads for the shapes that matter.
#include "compiler/kernel/tile.h"
#include "compiler/kernel/microkernel.h"

#include <doctest/doctest.h>

#include "tests/compiler/kernels.h"

using namespace tenon;

namespace {

Target machine(Isa isa) {
  Target t;
  t.isa = isa;
  t.registers = isa == Isa::avx512 ? 32 : 16;
  t.register_bytes = isa == Isa::avx512 ? 64 : isa == Isa::avx2 ? 32 : 16;
  t.threads = 2;
  return t;
}

Kernel product(int64_t m, int64_t n, int64_t k, Isa isa = Isa::avx512, bool a = false, bool b = false) {
  Graph g;
  Value x = g.input("x", f32, a ? Shape{k, m} : Shape{m, k}), y = g.input("y", f32, b ? Shape{n, k} : Shape{k, n});
  g.entry("e", {{"z", matmul(x, y, a, b)}});
  KernelList list = group(g, *g.body().entry("e"));
  tile(list, machine(isa));
  return list.kernels[0];
}

}  // namespace

TEST_CASE("a register tile fits the registers, and fills them where the extents allow") {
  for (Isa isa : {Isa::sse2, Isa::avx2, Isa::avx512})
    for (int64_t m : {1, 2, 7, 32, 128, 512})
      for (int64_t n : {1, 10, 16, 100, 512}) {
        Target t = machine(isa);
        Tile tile = product(m, n, 64, isa).tile;
        int64_t registers = t.registers * t.register_bytes / (16 * 4);
        CHECK(tile.rows >= 1);
        CHECK(tile.rows <= m);
        // With a single row (or a single column, which changes places) vectors of b are operands of the multiply-adds.
        const bool single = m == 1 || n == 1;
        if (tile.rows * tile.vectors > 1) CHECK(tile.vectors * (single ? 1 : tile.rows + 1) + 1 <= registers);
        CHECK(tile.k_block >= 1);
        CHECK(tile.group >= 1);
      }
  Tile large = product(512, 512, 512).tile;
  CHECK(large.rows * large.vectors >= 24);
  CHECK(large.vectors >= 2);
  CHECK(product(4, 512, 512).tile.rows == 4);
}

TEST_CASE("each ISA has micro-kernels for f32 and f64, whose largest tile fits its registers and the next larger does not") {
  for (Isa isa : isas) {
    const Target target = Target::of(isa, isa);
    for (DType dtype : {f32, f64}) {
      int usable = 0;
      for (const MicroKernel& kernel : micro_kernels()) {
        if (kernel.isa != isa || kernel.operand != dtype) continue;
        CHECK(kernel.accumulator == dtype);
        CHECK(kernel.runs_on(target));
        CHECK(usable++ < 10);
        const bool most = kernel.registers(kernel.rows + 1, kernel.vectors, target) > target.registers;
        CHECK((most || kernel.b_in_place));
      }
      CHECK(usable >= 1);
    }
    Target less = target;
    less.registers = 1;
    for (const MicroKernel& kernel : micro_kernels())
      if (kernel.rows * kernel.vectors > 1) CHECK_FALSE(kernel.runs_on(less));
  }
}

TEST_CASE("operands are packed where their strides ask for it") {
  CHECK(product(128, 512, 128).tile.b == Layout::in_place);
  CHECK(product(128, 512, 784).tile.b == Layout::by_k);  // rows 2 KiB apart, together more than the second cache keeps
  CHECK(product(512, 10, 128).tile.b == Layout::by_k);   // rows that cross cache lines
  CHECK(product(4, 10, 128).tile.b == Layout::in_place);
  CHECK(product(128, 512, 784, Isa::avx512, false, true).tile.b == Layout::by_k);
  CHECK(product(512, 2048, 2048).tile.b == Layout::by_k);
  CHECK(product(512, 512, 784).tile.b == Layout::by_k);
  CHECK(product(784, 128, 32, Isa::avx512, true).tile.a == Layout::in_place);
  CHECK(product(784, 512, 512, Isa::avx512, true).tile.a == Layout::in_place);
  CHECK(product(1024, 1024, 1024, Isa::avx512, true).tile.a == Layout::by_k);
}

TEST_CASE("what waits for its next use fits the second cache, and an outer product is written row by row") {
  Tile tile = product(2048, 2048, 2048).tile;
  const int64_t l2 = machine(Isa::avx512).l2_bytes, width = tile.vectors * 16 * 4;
  CHECK(tile.k_block < 2048);
  CHECK(tile.k_block * width + tile.group * tile.rows * width <= l2 / 2);
  CHECK(product(784, 512, 1, Isa::avx512, true).tile.group == 1);
  CHECK(product(512, 512, 512).tile.group > 1);
}

TEST_CASE("threads share only what is worth a barrier") {
  CHECK(product(4, 8, 2).threads == 1);
  CHECK(product(512, 512, 512).threads == 2);
}

TEST_CASE("elements of one axis are divided like rows, and so are the columns of a sum") {
  for (bool reduced : {false, true}) {
    Graph g;
    Value x = g.input("x", f32, reduced ? Shape{512, 4096} : Shape{1 << 18});
    g.entry("e", {{"y", reduced ? sum(x, {0}) : exp(x) + 1}});
    KernelList list = group(g, *g.body().entry("e"));
    tile(list, machine(Isa::avx512));
    REQUIRE(list.kernels.size() == 1);
    CHECK(list.kernels[0].threads == 2);
  }
}

TEST_CASE("kernels of one thread need no barrier between them") {
  Graph g;
  Value x = g.input("x", f32, {4, 2}), w = g.parameter("W", f32, {2, 8}, zeros());
  Value y = matmul(x, w);
  g.entry("small", {{"y", matmul(y, y, true)}});
  Value a = g.input("a", f32, {512, 512});
  Value b = matmul(a, a);
  g.entry("large", {{"c", matmul(b, b)}});
  for (bool large : {false, true}) {
    KernelList list = group(g, *g.body().entry(large ? "large" : "small"));
    tile(list, machine(Isa::avx512));
    REQUIRE(list.kernels.size() == 2);
    CHECK_FALSE(list.kernels[0].barrier);
    CHECK(list.kernels[1].barrier == large);
  }
}

TEST_CASE("a later check waits until all threads have read the flag of the earlier ones") {
  Graph g;
  Value table = g.input("table", i64, {8}), first = g.input("first", i64, {4});
  Value second = gather(table, gather(table, first) + 1);
  g.entry("e", {{"y", gather(table, second + 1)}});
  KernelList list = group(g, *g.body().entry("e"));
  tile(list, machine(Isa::avx512));
  int groups = 0;
  for (size_t k = 0; k < list.kernels.size(); ++k) {
    if (!list.kernels[k].check || (k > 0 && list.kernels[k - 1].check)) continue;
    CHECK(list.kernels[k].barrier == (++groups > 1));
  }
  CHECK(groups == 2);
}
