// Every operation and its gradient, by the samples of tests/ops_samples, compiled in f32 and in f64: the
// evaluator's value within the evaluator's bound.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <cstring>

#include "tests/ops_samples.h"

using namespace tenon;
using namespace tenon::testing;

namespace {

Tensor tensor(const ReferenceArray& array) {
  Extents extents;
  for (Extent extent : array.type.shape) extents.push_back(extent.count);
  Tensor result(array.type.dtype, extents);
  Literal literal = array.literal();
  std::memcpy(result.writable_data(), literal.bytes->data(), literal.bytes->size());
  return result;
}

void check_compiled(const Sample& sample, DType floating) {
  Graph graph;
  std::vector<Value> leaves, wrt;
  Value y = sample.apply(graph, floating, leaves);
  std::vector<std::pair<std::string, Value>> outputs{{"y", y}};
  if (sample.orders > 0 && is_float(y.dtype())) {
    for (const Value& leaf : leaves)
      if (is_float(leaf.dtype())) wrt.push_back(leaf);
    std::vector<std::string> unreached;
    const Value real = cast(y, arithmetic_of(y.dtype()));
    std::vector<Value> found = reachable_gradients(sum(real * real), wrt, "test", {}, unreached);
    for (const Value& gradient : found)
      if (gradient) outputs.emplace_back("d" + std::to_string(outputs.size() - 1), gradient);
  }
  graph.entry("sample", outputs);
  Program program = compile(graph, {.listings = false});
  Session session(program);
  session.init(1);
  Bindings bindings = sample.bind(floating);
  Step step = session.prepare("sample");
  std::map<std::string, Tensor> held;
  bool sized = false;
  for (size_t i = 0; i < leaves.size(); ++i) {
    std::string name = "x" + std::to_string(i);
    Tensor& value = held[name] = tensor(bindings.at(name));
    if (sample.inputs[i].leaf != &input_op) {
      session.write(name, value);
      continue;
    }
    for (const Binding& binding : program.entry("sample").inputs)
      if (binding.name == name) step.bind(name, value);
    for (Extent extent : sample.inputs[i].type.shape) sized |= extent.symbolic();
  }
  if (!program.sizes.empty() && !sized) step.bind(program.sizes.begin()->name, Sample::n);
  step.run();
  EntryResult expected = evaluate_entry(graph.body(), "sample", bindings, Sample::n);
  for (const auto& [name, value] : outputs) {
    Tensor actual = step.output(name);
    Comparison comparison = compare(expected.outputs.at(name), {actual.data(), static_cast<size_t>(actual.byte_count())}, 2);
    CHECK_MESSAGE(comparison.agree(), name << ": " << comparison.str());
  }
}

void check_all(DType floating) {
  for (const Sample& sample : ops_samples()) {
    CAPTURE(sample.title);
    if (is_storage(floating) && (!sample.op->moves || sample.op == &cast_op || sample.op == &stop_gradient_op))
      continue;  // which compute, or whose samples do
    CHECK_NOTHROW(check_compiled(sample, floating));
  }
}

}  // namespace

TEST_CASE("every operation compiled in f32 agrees with the evaluator") { check_all(f32); }
TEST_CASE("every operation compiled in f64 agrees with the evaluator") { check_all(f64); }
TEST_CASE("every operation that moves f16 and bf16 agrees with the evaluator") { check_all(f16), check_all(bf16); }
