#include "runtime/program.h"

#include <doctest/doctest.h>

#include "tests/runtime/program.h"

using namespace tenon;
using namespace tenon::test;

TEST_CASE("a program tells its listings, receipts, parameters and memory") {
  Program program = linear_program();
  for (ProgramEntry& entry : program.entries) entry.listings[Stage::graph] = "graph of " + entry.name;
  program.receipts = {"train.cpp:12: softmax with cross-entropy: fused"};
  program.target = "avx512";
  program.entries[1].arena_bytes = 128;
  program.entries[1].arena_lower_bound = 100;
  program.entries[1].buffers = {{"h", {f32, {Extent(1, "n")}}, 256, 64, 1, 3}};
  CHECK(program.listing(Stage::graph) == "graph of init\ngraph of train\ngraph of gather\n");
  CHECK(program.listing(Stage::graph, "train") == "graph of train\n");
  CHECK(message([&] { program.listing(Stage::llvm); }) ==
        "program: no llvm listing of entry init was kept: see CompileOptions");
  CHECK(message([&] { program.listing(Stage::graph, "trian"); }) ==
        "program: no entry is called trian; entries: init, train, gather");
  CHECK(program.receipt() == "train.cpp:12: softmax with cross-entropy: fused\n");
  CHECK(program.summary() ==
        "parameters 3 (12 bytes), other state 16 bytes, n <= 64, avx512\n"
        "init       inputs 0, outputs 0, updates 1, arena 0 bytes\n"
        "train      inputs 3, outputs 2, updates 2, arena 128 bytes\n"
        "gather     inputs 1, outputs 1, updates 1, arena 0 bytes\n");
  CHECK(program.memory() ==
        "states 28 bytes\n"
        "init: arena 0 bytes, lower bound 0 bytes, scratch 0 bytes a thread\n"
        "train: arena 128 bytes, lower bound 100 bytes, scratch 0 bytes a thread\n"
        "          64 +256        k1..k3  h: f32[n]\n"
        "gather: arena 0 bytes, lower bound 0 bytes, scratch 0 bytes a thread\n"
        "one arena for all entries: 128 bytes\n");
}
