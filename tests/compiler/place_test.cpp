// Lifetimes to offsets.
#include "compiler/kernel/place.h"

#include <doctest/doctest.h>

#include "tests/compiler/kernels.h"

using namespace tenon;

namespace {

// A list of empty kernels, and buffers of so many bytes alive from kernel to kernel.
struct Life {
  int64_t bytes;
  int first, last;
};

KernelList list_of(std::vector<Life> lives, int kernels) {
  KernelList list;
  list.kernels.resize(static_cast<size_t>(kernels));
  for (const Life& life : lives) {
    BufferId id = static_cast<BufferId>(list.buffers.size());
    list.buffers.push_back({.name = "b", .type = {u8, {life.bytes}}, .storage = Storage::arena});
    for (int k : {life.first, life.last})
      list.kernels[static_cast<size_t>(k)].body.push_back(
          {.axes = {}, .reduced = {}, .value = Scalar::integer(0), .buffer = id, .index = {Scalar::integer(0)}});
  }
  return list;
}

}  // namespace

TEST_CASE("buffers that are alive together never overlap, and every offset is a multiple of 64") {
  uint64_t state = 7;
  auto below = [&](int n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int>((state >> 33) % static_cast<uint64_t>(n));
  };
  for (int run = 0; run < 200; ++run) {
    std::vector<Life> lives;
    for (int i = 1 + below(20); i > 0; --i) {
      int first = below(12);
      lives.push_back({1 + below(5000), first, first + below(12 - first)});
    }
    KernelList list = list_of(lives, 12);
    place(list);
    CHECK(list.arena_bytes >= list.lower_bound);
    for (size_t i = 0; i < lives.size(); ++i) {
      const Buffer& a = list.buffers[i];
      CHECK(a.first == lives[i].first);
      CHECK(a.last == lives[i].last);
      CHECK(a.offset % 64 == 0);
      CHECK(a.offset + lives[i].bytes <= list.arena_bytes);
      for (size_t j = 0; j < i; ++j) {
        const Buffer& b = list.buffers[j];
        bool together = a.first <= b.last && b.first <= a.last;
        bool apart = a.offset + lives[i].bytes <= b.offset || b.offset + lives[j].bytes <= a.offset;
        CHECK((!together || apart));
      }
    }
  }
}

TEST_CASE("a chain of values needs two places") {
  KernelList list = list_of({{1000, 0, 1}, {1000, 1, 2}, {1000, 2, 3}, {1000, 3, 4}}, 5);
  place(list);
  CHECK(list.lower_bound == 2048);
  CHECK(list.arena_bytes == 2048);
}

TEST_CASE("buffers that depend on the run-time size are placed at its maximum") {
  Graph g;
  Extent n = g.size("n", 100);
  Value x = g.input("x", f32, {n, 16});
  Value y = matmul(x, x, true);
  g.entry("e", {{"y", matmul(matmul(x, y), y)}});
  KernelList list = group(g, *g.body().entry("e"));
  place(list);
  CHECK(list.arena_bytes == 100 * 16 * 4 + 16 * 16 * 4);
}

TEST_CASE("buffers that overflow 63 bits together are an error") {
  KernelList list = list_of({{int64_t{1} << 62, 0, 1}, {int64_t{1} << 62, 0, 1}}, 2);
  list.entry = "e";
  CHECK_THROWS_WITH_AS(place(list), "entry 'e': its buffers overflow 63 bits of bytes", Error);
}
