// Programs with several run-time sizes: one artifact runs at all of them, and gives what the evaluator says, in bits that no
// maximum changes. How a run learns what its sizes are, and what it says if they cannot be.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <cmath>

#include "ir/evaluate.h"
#include "ir/text.h"
#include "tests/message.h"

using namespace tenon;

namespace {

// Self-attention over a batch of sequences, its mean over the sequence, and a loss that trains it.
Graph attention(int64_t batch, int64_t length) {
  Graph g;
  const Extent n = g.size("n", batch), t = g.size("t", length);
  const Value x = g.input("x", f32, {n, t, 6}), label = g.input("label", u8, {n});
  const auto weights = [&](const char* name, int64_t in, int64_t out) {
    return g.parameter(name, f32, {in, out},
                       [](Graph& graph, const Type& type) { return (uniform(graph, type.dtype, type.shape) - 0.5) * 2; });
  };
  const Value flat = reshape(x, {n * t, 6});
  const auto heads = [&](const char* name) { return reshape(matmul(flat, weights(name, 6, 8)), {n, t, 8}); };
  const Value q = heads("q"), k = heads("k"), v = heads("v");
  const Value scores = softmax(contract(q, k, "nik,njk->nij") / std::sqrt(8.0));
  const Value mixed = contract(scores, v, "nij,njk->nik");
  const Value classes = matmul(mean(tanh(mixed), {1}), weights("out", 8, 3));
  const Value loss = mean(softmax_cross_entropy(classes, label));
  g.entry("predict", {{"scores", scores}, {"classes", classes}});
  g.entry("train", {{"loss", loss}}, minimize(loss, sgd(0.5)));
  return g;
}

Tensor filled(DType dtype, Extents extents, int64_t classes = 3) {
  Tensor tensor(dtype, std::move(extents));
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if (dtype == u8)
      tensor.write<uint8_t>()[static_cast<size_t>(i)] = static_cast<uint8_t>(i * 5 % classes);
    else
      tensor.write<float>()[static_cast<size_t>(i)] = static_cast<float>(std::sin(static_cast<double>(i * i % 97)));
  }
  return tensor;
}

ReferenceArray reference(const Tensor& tensor) {
  Type type{tensor.dtype(), {}};
  for (int64_t extent : tensor.extents()) type.shape.push_back(extent);
  return ReferenceArray::of(type, std::span(tensor.data(), static_cast<size_t>(tensor.byte_count())));
}

void check_agrees(const ReferenceArray& expected, const Tensor& actual) {
  const Comparison found = compare(expected, std::span(actual.data(), static_cast<size_t>(actual.byte_count())), 4);
  CHECK_MESSAGE(found.agree(), found.str());
  CHECK(found.undecided == 0);
}

}  // namespace

TEST_CASE("one program attends over every batch and every length") {
  const Graph g = attention(9, 40);
  const Program program = compile(g);
  CHECK(program.sizes == Sizes{{"n", 9}, {"t", 40}});
  for (int threads : {1, 2}) {
    Session session(program, {.threads = threads, .guarded = true});
    session.init(7);
    for (auto [n, t] : {std::pair(9, 40), {1, 1}, {9, 1}, {1, 40}, {4, 17}, {3, 33}}) {
      CAPTURE(n);
      CAPTURE(t);
      const Tensor x = filled(f32, {n, t, 6}), label = filled(u8, {n});
      Bindings bindings{{"x", reference(x)}, {"label", reference(label)}};
      for (const StateBinding& state : program.states) bindings[state.name] = reference(session.read(state.name));
      const Sizes sizes{{"n", n}, {"t", t}};
      const EntryResult predicted = evaluate_entry(g.body(), "predict", bindings, sizes);
      const Outputs outputs = session.run("predict", {{"x", x}});
      CHECK(outputs["scores"].extents() == Extents{n, t, t});
      for (const char* name : {"scores", "classes"}) check_agrees(predicted.outputs.at(name), outputs[name]);
      const EntryResult trained = evaluate_entry(g.body(), "train", bindings, sizes);
      check_agrees(trained.outputs.at("loss"), session.run("train", {{"x", x}, {"label", label}})["loss"]);
      for (const StateBinding& state : program.states) check_agrees(trained.states.at(state.name), session.read(state.name));
    }
  }
}

TEST_CASE("no maximum of a size changes a bit") {
  std::vector<Tensor> expected;
  for (auto [batch, length] : {std::pair(5, 19), {64, 19}, {5, 300}, {64, 300}}) {
    CAPTURE(batch);
    CAPTURE(length);
    const Program program = compile(attention(batch, length));
    Session session(program, {.threads = 1 + batch % 2});
    session.init(3);
    std::vector<Tensor> found;
    for (auto [n, t] : {std::pair(5, 19), {2, 7}}) {
      const Tensor x = filled(f32, {n, t, 6});
      session.run("train", {{"x", x}, {"label", filled(u8, {n})}});
      found.push_back(session.run("predict", {{"x", x}})["scores"].clone());
    }
    for (const StateBinding& state : program.states) found.push_back(session.read(state.name));
    if (expected.empty()) expected = found;
    for (size_t i = 0; i < found.size(); ++i) CHECK(found[i].same_bits(expected[i]));
  }
}

TEST_CASE("several sizes, and products of them, read back from their text") {
  const Graph g = attention(9, 40);
  const std::string text = print(g);
  CHECK(text.starts_with("tenon 1\nsize n <= 9\nsize t <= 40\n"));
  CHECK(text.find("f32[n*t,6]") != text.npos);
  CHECK(parse(text) == g);
  CHECK(compile(parse(text)).graph_hash == compile(g).graph_hash);
  auto flaw = [](const std::string& lines) {
    const std::string message = test::message([&] { parse("tenon 1\n" + lines, "a"); });
    return message.substr(0, message.find('\n'));
  };
  const std::string input = "%0 = input() name=\"x\" dtype=f32 shape=[4t*n] : f32[4t*n]";
  CHECK(flaw("size n <= 4\nsize t <= 5\n" + input) == "no error");
  CHECK(flaw("size t <= 5\n" + input) == "a:3:43: there is no run-time size 'n'");
  CHECK(flaw("size n <= 4\nsize t <= 4294967296\nsize u <= 4294967296\n%0 = input() name=\"x\" dtype=f32 shape=[t*u] : "
             "f32[t*u]") ==
        "a:5:6: input: f32[t*u] is not a possible type: extents overflow: 4294967296 * 4294967296; "
        "its bytes must fit 63 bits");
  CHECK(flaw("size n <= 4\n%0 = input() name=\"x\" dtype=f32 shape=[n*n*n*n*n*n*n*n*n] : f32[4]") ==
        "a:3:40: an extent is a product of 8 run-time sizes at most, not n*n*n*n*n*n*n*n*n");
  CHECK(flaw("size n <= 4\n%0 = input() name=\"x\" dtype=f32 shape=[n*n*n*n*n,n*n*n*n] : f32[n*n*n*n*n,n*n*n*n]") ==
        "a:3:6: input: f32[n*n*n*n*n,n*n*n*n] is not a possible type: it has more than 8 run-time sizes");
  std::string nine;
  for (char name = 'a'; name <= 'i'; ++name) nine += std::string("size ") + name + " <= 4\n";
  CHECK(flaw(nine) == "a:10:1: size: 'i' would be one more than 8, the most run-time sizes of a graph");
  CHECK(flaw("size n <= 4\n%0 = input() name=\"x\" dtype=f32 shape=[n*] : f32[4]") ==
        "a:3:42: expected the name of a run-time size");
}

TEST_CASE("an extent says what a size is, and a product what is left of it") {
  Graph g;
  const Extent n = g.size("n", 8), t = g.size("t", 8), u = g.size("u", 8);
  const Value pairs = g.input("pairs", f32, {n * t * 2}), square = g.input("square", f32, {t * t});
  g.entry("sums", {{"pairs", sum(reshape(pairs, {n, t, 2}), {1})}, {"square", sum(reshape(square, {t, t}), {0})}});
  g.entry("one", {{"sum", sum(g.input("free", f32, {n * u}))}, {"n", size_of(g.body(), n)}, {"u", size_of(g.body(), u)}});
  const Program program = compile(g);
  Session session(program);
  auto run = [&](int64_t pairs, int64_t square) {
    return session.run("sums", {{"pairs", filled(f32, {pairs})}, {"square", filled(f32, {square})}});
  };
  CHECK(run(24, 16)["pairs"].extents() == Extents{3, 2});
  CHECK(run(24, 16)["square"].extents() == Extents{4});
  CHECK(run(6, 1)["pairs"].extents() == Extents{3, 2});
  CHECK(session.run("one", {{"free", filled(f32, {10})}, {"n", 5}})["u"].read<int64_t>()[0] == 2);
  CHECK(session.run("one", {{"free", filled(f32, {10})}, {"u", 2}})["n"].read<int64_t>()[0] == 5);

  auto said = [&](int64_t pairs, int64_t square) {
    const std::string message = test::message([&] { run(pairs, square); });
    return message.substr(message.find(": ") + 2);  // after the line
  };
  CHECK(said(24, 15) ==
        "sums: input pairs: 2n*t is 24, which does not say what each size is: declared f32[2n*t], given f32[24]");
  CHECK(said(20, 16) ==
        "sums: input pairs: 2n*t is 20, which does not say what each size is: declared f32[2n*t], given f32[20]");
  CHECK(said(23, 16) == "sums: input pairs: axis 0 is not a multiple of 2: declared f32[2n*t], given f32[23]");
  CHECK(said(0, 16) == "sums: input pairs: n*t is 0: declared f32[2n*t], given f32[0]");
  CHECK(said(128, 16) ==
        "sums: input pairs: 2n*t is 128, which does not say what each size is: declared f32[2n*t], given f32[128]");
  const std::string both = test::message([&] { session.run("one", {{"free", filled(f32, {10})}, {"u", 2}, {"n", 4}}); });
  CHECK(both.substr(both.find(": ") + 2) ==
        "one: input free: n*u is 10, but n = 4, t = 0, u = 2: declared f32[n*u], given f32[10]");
  CHECK(test::message([&] {
          session.run("one", {{"free", filled(f32, {10})}, {"u", 9}});
        }) == "one: u is 9, valid is 1 <= u <= 8");
}

TEST_CASE("inputs that differ about a size are named") {
  const Program program = compile(attention(9, 40));
  Session session(program);
  session.init(1);
  auto said = [&](Extents x, int64_t label) {
    const std::string message = test::message([&] {
      session.run("train", {{"x", filled(f32, x)}, {"label", filled(u8, {label})}});
    });
    return message.substr(message.find(": ") + 2);
  };
  CHECK(said({4, 10, 6}, 3) == "train: input label: n is 3, but 4 by input x");
  CHECK(said({4, 41, 6}, 4) == "train: input x: t is 41, valid is 1 <= t <= 40: declared f32[n,t,6], given f32[4,41,6]");
  CHECK(said({4, 0, 6}, 4) == "train: input x: t is 0: declared f32[n,t,6], given f32[4,0,6]");
}
