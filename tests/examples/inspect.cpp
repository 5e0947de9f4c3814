// Looks at one small graph at every stage, from the text it is saved as to the assembly it becomes; then
// edits the text, reads it back, and runs what it says now.
#include <fmt/core.h>
#include <tenon/tenon.h>

using namespace tenon;

namespace {

void show(std::string_view title, std::string_view text) { fmt::print("---- {} ----\n{}\n", title, text); }

float first_output(const Graph& g) {
  Session session(compile(g));
  session.init(1);
  const Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  return session.run("predict", {{"x", x}})["y"].read<float>()[0];
}

}  // namespace

int main() try {
  Graph g;
  const Extent n = g.size("n", 4);
  const Value x = g.input("x", f32, {n, 3}), target = g.input("target", f32, {n, 2});
  const Value y = relu(dense(g, x, 2, {.weight = constant(0.5)}));
  const Value loss = mse(y, target);
  g.entry("predict", {{"y", y}});
  g.entry("train", {{"loss", loss}}, minimize(loss, sgd(0.1)));

  show("the graph, gradient and update included", print(g));
  show("the same as a picture, for Graphviz", dot(g));
  const Program program = compile(g, {.native_listings = true});
  show("the optimised graph", program.listing(Stage::graph));
  show("the kernels", program.listing(Stage::kernels));
  show("LLVM IR", program.listing(Stage::llvm, "predict"));
  show("assembly", program.listing(Stage::assembly, "predict"));
  show("memory", program.memory());

  std::string text = print(g, {.origins = false});
  const std::string weight = "value=f32[]{0.5}";
  text.replace(text.find(weight), weight.size(), "value=f32[]{0.25}");
  const Graph edited = parse(text, "edited");
  const float before = first_output(g), after = first_output(edited);
  fmt::print("predict gives {} with weights of 0.5, and {} after the text was edited to say 0.25\n", before, after);
  return before == 3.1f && after == 1.6f ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
