// The text of a placed kernel list: what a dump shows.
#include <doctest/doctest.h>

#include "compiler/kernel/place.h"
#include "compiler/kernel/tile.h"
#include "tests/compiler/kernels.h"

using namespace tenon;

TEST_CASE("a kernel list prints kernels with their cuts and lines, and buffers with offsets and lives") {
  Graph g;
  Extent n = g.size("n", 512);
  Target target;
  target.isa = Isa::avx512, target.registers = 32, target.register_bytes = 64, target.threads = 2;
#line 100 "model.cpp"
  Value x = g.input("x", f32, {n, 784}), y = g.input("y", u8, {n});
  Value w = g.parameter("W", f32, {784, 512}, zeros());
  Value h = relu(matmul(x, w));
  Value score = pick(h, y);
  g.entry("score", {{"score", score - reduce_max(h, {1})}});
  KernelList list = group(g, *g.body().entry("score"));
  tile(list, target);
  place(list);
  list.kernels[0].tile = {.rows = 14, .vectors = 2, .k_block = 512};  // whatever is best of today's
  CHECK("\n" + str(list) == R"(
entry score for n<=512  # arena 1048576 bytes, at least 1048576
door: check 0 <= y < 512 (pick: index)
k1 for i<n, j<512: acc = sum over k<784 of x[i,k] * W[k,j]  # tile 14x32 k 512, 2 threads, model.cpp:102
  relu[i,j] for i<n, j<512 = max(acc[i,j],0)
k2 for i<n  # 2 threads, barrier, model.cpp:103, model.cpp:104
  reduce_max[] = max over j<512 of relu[i,j]
  score[i] = relu[i,i64(y[i])] - reduce_max[]
input x f32[n,784] slot 0
state W f32[784,512] slot 0
tile acc f32[n,512]
arena relu f32[n,512] at 0 alive k1..k2
row reduce_max f32[]
input y u8[n] slot 1
output score f32[n] slot 0
)");
}
