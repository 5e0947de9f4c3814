// The optimised graph and the kernels of small models, as text. A refactor must leave them as they are.
#include "golden.h"

#include <tenon/tenon.h>

using namespace tenon;

namespace {

// The same on every machine: L1 48 KB, L2 1 MB, two CPUs that do not share a core.
Target machine() {
  Target target = Target::of(Isa::sse2, Isa::sse2);
  target.l1_bytes = 48 << 10, target.l2_bytes = 1 << 20, target.threads = 2;
  return target;
}

void check_both(const std::string& name, const Graph& graph) {
  Program program = compile(graph, {.target = machine()});
  check_golden(name + ".ir", print(parse(program.listing(Stage::graph)), {.origins = false}));
  check_golden(name + ".kernels", program.listing(Stage::kernels, "train"));
}

Initializer small = [](Graph& graph, const Type& type) { return (uniform(graph, type.dtype, type.shape) - 0.5) * 0.1; };

}  // namespace

TEST_CASE("golden: the first model, with SGD") {
  Graph g;
  Extent n = g.size("n", 512);
  Value x = g.input("x", u8, {n, 784}), label = g.input("label", u8, {n}), rate = g.input("rate", f32, {});
  Value h = relu(dense(g, cast(x, f32) / 255, 128, {.weight = small}));
  Value z = dense(g, h, 10, {.weight = small});
  Value loss = mean(-log(pick(softmax(z), label)));
  g.entry("train", {{"loss", loss}}, minimize(loss, sgd(rate)));
  check_both("first_model_sgd", g);
}

TEST_CASE("golden: logistic regression, with Adam") {
  Graph g;
  Value x = g.input("x", f32, {8, 4}), t = g.input("t", f32, {8, 1});
  Value s = sigmoid(dense(g, x, 1, {.weight = small}));
  Value loss = mean(-(t * log(s) + (1 - t) * log(1 - s)));
  g.entry("train", {{"loss", loss}}, minimize(loss, adam(0.01)));
  check_both("logistic_adam", g);
}

TEST_CASE("golden: a softmax inside a model keeps its gradient") {
  Graph g;
  Value x = g.input("x", f32, {6, 5});
  Value w = g.parameter("w", f32, {5, 3}, small);
  Value gates = softmax(matmul(x, w));
  Value loss = mean(gates * gates);
  g.entry("train", {{"loss", loss}}, minimize(loss, sgd(0.1)));
  check_both("softmax_inside", g);
}
