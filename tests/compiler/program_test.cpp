// What compile() gives and refuses: the four listings, the memory report, the ISA it says, required fusions, and the
// mistakes it names.
#include "runtime/program.h"

#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include "tests/runtime/program.h"

using namespace tenon;
using tenon::test::message;

namespace {

constexpr int model_line = __LINE__ + 1;  // what its members are made at
struct Model {
  Graph g;
  Extent n = g.size("n", 16);
  Value x = g.input("x", f32, {n, 6}), label = g.input("label", u8, {n});
  Value z = dense(g, relu(dense(g, x, 5)), 4);
};

std::string line(int number) { return fmt::format("program_test.cpp:{}: ", number); }
bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("a program lists its graph, kernels, loops, LLVM IR and assembly, of all entries or of one") {
  Model m;
  m.g.entry("train", {}, minimize(nll(m.z, m.label), sgd(0.1)));
  m.g.entry("predict", {{"p", softmax(m.z)}});
  const Program program = compile(m.g, {.native_listings = true});
  const std::string graph = program.listing(Stage::graph);
  CHECK(print(parse(graph), {.origins = false}) == print(parse(program.graph), {.origins = false}));
  CHECK(has(graph, "program_test.cpp:"));
  CHECK(has(program.listing(Stage::kernels, "train"), "program_test.cpp:"));
  CHECK(program.listing(Stage::kernels).size() > program.listing(Stage::kernels, "train").size());
  CHECK(has(program.listing(Stage::loops), "function \"train.0\""));
  CHECK(has(program.listing(Stage::llvm, "predict"), "define "));
  CHECK(has(program.listing(Stage::assembly, "predict"), "\t.text"));
  const Program plain = compile(m.g);
  CHECK(message([&] { plain.listing(Stage::llvm, "train"); }) ==
        "program: no llvm listing of entry train was kept: see CompileOptions");
  CHECK(message([&] { plain.listing(Stage::kernels, "tran"); }) ==
        "program: no entry is called tran; entries: train, predict, init");
}

TEST_CASE("the memory report shows each entry's arena beside its lower bound, and each buffer with its life") {
  Model m;
  m.g.entry("train", {}, minimize(nll(m.z, m.label), sgd(0.1)));
  const Program program = compile(m.g);
  const ProgramEntry& train = program.entry("train");
  REQUIRE(train.buffers.size() > 1);
  CHECK(train.arena_lower_bound > 0);
  CHECK(train.arena_bytes >= train.arena_lower_bound);
  const std::string text = program.memory();
  CHECK(has(text, fmt::format("train: arena {} bytes, lower bound {} bytes", train.arena_bytes, train.arena_lower_bound)));
  for (const BufferReport& buffer : train.buffers) {
    CHECK(buffer.offset + buffer.bytes <= train.arena_bytes);
    CHECK(buffer.first_kernel <= buffer.last_kernel);
    CHECK(
        has(text, fmt::format("k{}..k{}  {}: {}\n", buffer.first_kernel, buffer.last_kernel, buffer.name, buffer.type.str())));
  }
}

TEST_CASE("a program says for which ISA it is") {
  Model m;
  m.g.entry("predict", {{"p", softmax(m.z)}});
  CHECK(compile(m.g, {.isa = Isa::sse2}).target == "sse2 (16 lanes)");
  CHECK(has(compile(m.g, {.isa = Isa::sse2}).summary(), "n <= 16, sse2 (16 lanes)\n"));
  CHECK(compile(m.g, {.target = Target::host()}).target == Target::host().str());
}

TEST_CASE("compile() fails when a required fusion did not happen, with its reason, and not when it did") {
  Model hit;
  const Value good = mean(-log(pick(softmax(hit.z), hit.label)));
  hit.g.require_fused(good);
  hit.g.entry("train", {{"loss", good}}, minimize(good, sgd(0.1)));
  const int at = __LINE__ - 3;
  std::string updates;
  for (const char* name : {"dense1/W", "dense1/b", "dense2/W", "dense2/b"})
    updates += line(model_line) + name + ": update fused with its gradient\n";
  CHECK(compile(hit.g).receipt() ==
        line(at) + "log of softmax: made stable; as written it is -inf where the probability underflows\n" + line(at) +
            "softmax with cross-entropy: fused\n" + updates);

  Model miss;
  const Value bad = mean(-log(pick(softmax(miss.z), miss.label) + 1e-8));
  miss.g.require_fused(bad);
  miss.g.entry("train", {{"loss", bad}}, minimize(bad, sgd(0.1)));
  const std::string here = line(__LINE__ - 3);
  CHECK(message([&] { compile(miss.g); }) ==
        here + "require_fused: the loss was not fused: at " + here +
            "1e-08 is added to the softmax before the logarithm; leave that out, the fused form is finite without it");
}

// a mistake stands on one line, which its message names
// clang-format off
TEST_CASE("what cannot be compiled or declared is an error that names the line") {
  Graph empty;
  CHECK(message([&] { compile(empty); }) == "compile: the graph has no entry; add one with entry(name, outputs)");
  Graph g;
  const int64_t big = int64_t{1} << 40;
  CHECK(message([&] { g.input("x", f32, {big, big}); }) ==
        line(__LINE__ - 1) +
            fmt::format("input 'x': f32[{0},{0}] is not a possible type: extents overflow: {0} * {0}; its bytes must "
                        "fit 63 bits",
                        big));
  CHECK(message([&] { g.input("x", f32, {-1}); }) ==
        line(__LINE__ - 1) + "input 'x': f32[-1] is not a possible type: extent -1 is negative; it must be 0 or more");
  CHECK(message([&] { g.size("n", 0); }) ==
        line(__LINE__ - 1) + "size: the maximum of 'n' is 0; it must be at least 1");
  const Extent n = g.size("n", big);
  CHECK(message([&] { g.input("y", f32, {n, big}); }) != "no error");
  const Value small = g.input("small", f32, {1});
  CHECK(message([&] { broadcast_to(broadcast_to(small, {big}), {big, big}); }) ==
        line(__LINE__ - 1) +
            fmt::format("broadcast: f32[{0},{0}] is not a possible type: extents overflow: {0} * {0}; its bytes must fit "
                        "63 bits",
                        big));
  const int made = __LINE__ + 1;
  const Value w = g.parameter("w", f32, {3}, zeros());
  CHECK(g.parameter("w", f32, {3}, zeros()) == w);
  CHECK(message([&] { g.parameter("w", f32, {4}, zeros()); }) ==
        line(__LINE__ - 1) + fmt::format("parameter 'w': is f32[4] here and parameter f32[3] at program_test.cpp:{}; a tied "
                                         "parameter has one type", made));
  CHECK(message([&] { g.state("seed", f32, {2}, zeros()); }) ==
        line(__LINE__ - 1) + "state 'seed': this name is taken by the key of all random numbers; see Graph::seed");
}
// clang-format on
