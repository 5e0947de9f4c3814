// Contractions over lists of axes: which axes are one tile, and that it is the same numbers whether or not they lie in a row.
#include "compiler/kernel/flatten.h"

#include <doctest/doctest.h>

#include <random>

#include "compiler/kernel/flatten.h"
#include "compiler/kernel/tile.h"
#include "compiler/kernel/verify.h"
#include "frame.h"
#include "kernels.h"

using namespace tenon;

namespace {

std::string product(const char* spec, Shape a, Shape b) {
  Graph g;
  g.size("n", 64);
  Value x = g.input("x", f32, std::move(a)), y = g.input("y", f32, std::move(b));
  g.entry("e", {{"z", contract(x, y, spec)}});
  return kernels(g, "e");
}

// x[a,b,c,d] and y[c,d,e,f] give z in the order of its axes; the run-time size is 3.
KernelList list(const std::string& x, const std::string& y, const std::string& z, const std::string& sum) {
  return parse_kernels(fmt::format(R"(kernels 1
size n <= 5
entry "e"
arena 0 bytes, at least 0
input "x" f32[{0}]
input "y" f32[{1}]
output "z" f32[{2}]
buffer x input f32[{0}] slot 0
buffer y input f32[{1}] slot 1
buffer z output f32[{2}] slot 0
buffer acc tile f32[n,3,4,5]
k1: {3})",
                                   x, y, z, sum))[0];
}

std::vector<std::byte> noise(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& x : values) x = uniform(random);
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

void same_bits_at_every_level(KernelList list, Tile tile, int64_t threads) {
  constexpr int64_t n = 3;
  list.kernels[0].tile = tile, list.kernels[0].threads = threads;
  verify(list);
  KernelMemory memory;
  for (const Named& input : list.inputs)
    memory.inputs.push_back(noise(input.type.elements().at(n), static_cast<unsigned>(memory.inputs.size())));
  KernelMemory meant = memory;
  interpret(list, meant, n);
  for (Isa isa : isas) {
    KernelMemory loops = memory;
    run_loops(list, loops, n, Target::of(isa, isa), threads);
    CHECK(loops.outputs == meant.outputs);
  }
  KernelMemory machine = memory;
  machine.complete(list, n);
  const NativeCode code = native::linked({list}, Target::host());
  run(code.entries[0], {machine.inputs[0].data(), machine.inputs[1].data()}, {}, {machine.outputs[0].data()}, n, threads);
  CHECK(machine.outputs == meant.outputs);
}

}  // namespace

TEST_CASE("neighbours that are one axis in memory are one tile; others are rows around it") {
  const Extent n(1, "n");
  CHECK(product("btk,kj->btj", {n, 7, 8}, {8, 4}) == R"(
k1: acc[i<n, j<7; k<4] = sum over l<8 of x[i,j,l] * y[l,k]
  z[i,j,k] for i<n, j<7, k<4 = acc[i,j,k]
)");
  CHECK(product("btk,kpj->btpj", {n, 7, 8}, {8, 3, 4}) == R"(
k1: acc[i<n, j<7; k<3, l<4] = sum over m<8 of x[i,j,m] * y[m,k,l]
  z[i,j,k,l] for i<n, j<7, k<3, l<4 = acc[i,j,k,l]
)");
  CHECK(product("bkt,kj->btj", {n, 8, 7}, {8, 4}) == R"(
k1 for j<7: acc[i<n; k<4] = sum over l<8 of x[i,l,j] * y[l,k]
  z[i,j,k] for i<n, k<4 = acc[i,k]
)");
  CHECK(product("btk,bkj->btj", {n, 7, 8}, {n, 8, 4}) == R"(
k1 for i<n: acc[j<7; k<4] = sum over l<8 of x[i,j,l] * y[i,l,k]
  z[i,j,k] for j<7, k<4 = acc[j,k]
)");
}

TEST_CASE("lists of axes mean the same at every level, in a row or not, in place or packed") {
  const std::string forms[] = {
      "acc[i<n, j<3; k<4, l<5] = sum over m<6, o<7 of x[i,j,m,o] * y[m,o,k,l]\n"
      "  z[i,j,k,l] for i<n, j<3, k<4, l<5 = acc[i,j,k,l] * 2.0\n",
      "acc[i<n, j<3; k<4, l<5] = sum over m<6, o<7 of x[m,j,o,i] * y[m,k,o,l]\n"
      "  z[j,l,i,k] for i<n, j<3, k<4, l<5 = acc[i,j,k,l] + x[0,j,1,i]\n",
      "acc[i<n, j<3; k<4, l<5] = sum over m<6, o<7 of x[i,j,o,m] * y[l,k,o,m]\n"
      "  z[i,j,k,l] for i<n, j<3, k<4, l<5 = acc[i,j,k,l]\n"};
  const std::string shapes[][3] = {
      {"n,3,6,7", "6,7,4,5", "n,3,4,5"}, {"6,3,7,n", "6,4,7,5", "3,5,n,4"}, {"n,3,7,6", "5,4,7,6", "n,3,4,5"}};
  const bool a_in_place[] = {true, false, true}, b_in_place[] = {true, false, false};
  for (size_t form = 0; form < 3; ++form) {
    CAPTURE(form);
    const KernelList whole = list(shapes[form][0], shapes[form][1], shapes[form][2], forms[form]);
    CHECK(parse_kernels(str(whole))[0] == whole);
    for (Layout a : {Layout::in_place, Layout::by_k, Layout::by_row})
      for (Layout b : {Layout::in_place, Layout::by_k})
        for (int64_t rows : {1, 4, 6}) {
          if ((a == Layout::in_place && !a_in_place[form]) || (b == Layout::in_place && !b_in_place[form])) continue;
          same_bits_at_every_level(whole, {.rows = rows, .vectors = rows % 2 + 1, .k_block = 512, .group = 2, .a = a, .b = b},
                                   rows % 3 + 1);
        }
    for (Isa isa : isas) {
      Target target = Target::of(isa, isa);
      target.threads = 2;
      same_bits_at_every_level(whole, cut(whole.kernels[0], whole, target), 2);
    }
  }
}

TEST_CASE("k axes that lie in a row in both factors become one, and the order of the sum is that of their points") {
  const KernelList whole = list("n,3,6,7", "6,7,4,5", "n,3,4,5",
                                "acc[i<n, j<3; k<4, l<5] = sum over m<6, o<7 by 5 by 2 of x[i,j,m,o] * y[m,o,k,l]\n"
                                "  z[i,j,k,l] for i<n, j<3, k<4, l<5 = acc[i,j,k,l]\n");
  const Kernel flat = flattened(whole.kernels[0], whole);
  CHECK(flat.contraction->k.size() == 1);
  CHECK(flat.contraction->k[0].extent == Extent(42));
  CHECK(flat.contraction->m[0].extent == Extent(3, "n"));
  CHECK(flat.contraction->n[0].extent == Extent(20));
  for (int64_t k_block : {5, 10, 25, 512})
    same_bits_at_every_level(whole, {.rows = 4, .vectors = 2, .k_block = k_block, .group = 1}, 1);
  KernelList apart = whole;
  apart.buffers[0].type.shape = apart.inputs[0].type.shape = {Extent(1, "n"), 3, 7, 6};
  Contraction& c = *apart.kernels[0].contraction;
  c.a = Scalar::read(0, f32, {c.a->indices()[0], c.a->indices()[1], c.a->indices()[3], c.a->indices()[2]});
  CHECK(flattened(apart.kernels[0], apart).contraction->k.size() == 2);
  for (int64_t k_block : {1, 2, 6})
    same_bits_at_every_level(apart, {.rows = 4, .vectors = 2, .k_block = k_block, .group = 1}, 2);
}
