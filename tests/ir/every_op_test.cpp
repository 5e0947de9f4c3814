// Every operation of the vocabulary, by the samples of tests/ops_samples: evaluated against a plain loop, and
// back from text unchanged.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "ir/text.h"
#include "ir/verify.h"
#include "tests/ops_samples.h"

using namespace tenon;
using namespace tenon::testing;

TEST_CASE("every operation has a sample that applies it") {
  std::set<const Op*> seen;
  for (const Sample& sample : ops_samples()) {
    Graph graph;
    std::vector<Value> leaves;
    sample.apply(graph, f64, leaves);
    bool applied = false;
    for (const Node& node : graph.body().nodes) applied |= node.op == sample.op;
    CHECK_MESSAGE(applied, sample.title);
    seen.insert(sample.op);
  }
  for (const Op* op : vocabulary()) CHECK_MESSAGE(seen.contains(op), std::string(op->name));
}

TEST_CASE("every record has exactly one meaning") {
  for (const Op* op : vocabulary()) {
    CAPTURE(std::string(op->name));
    CHECK((op->compute != nullptr || op->expand != nullptr) == !op->leaf);
    if (op != &concat_op) CHECK((op->compute == nullptr || op->expand == nullptr));  // of which few parts are one definition
    CHECK(bool(op->type));
    if (!op->leaf && op != &trigamma_op) CHECK(bool(op->gradient));
  }
}

TEST_CASE("every operation evaluates to what a plain loop gives") {
  for (const Sample& sample : ops_samples()) {
    CAPTURE(sample.title);
    Graph graph;
    std::vector<Value> leaves;
    Value y = sample.apply(graph, f64, leaves);
    ReferenceArray actual = evaluate(y, sample.bind(), Sample::n);
    Arrays arrays;
    for (const SampleInput& input : sample.inputs) arrays.push_back(input.values);
    std::vector<double> expected = sample.loop(arrays);
    REQUIRE(actual.elements() == static_cast<int64_t>(expected.size()));
    double tolerance = y.dtype() == f32 ? 1e-7 : 1e-10;  // constants of an f32 expansion are rounded to f32
    CHECK(actual.type == at_size(y.type()));
    for (size_t i = 0; i < expected.size(); ++i) {
      double got = actual.at(static_cast<int64_t>(i));
      CAPTURE(i);
      CAPTURE(got);
      CAPTURE(expected[i]);
      if (std::isnan(expected[i]) || std::isinf(expected[i]))
        CHECK((std::isnan(expected[i]) ? std::isnan(got) : got == expected[i]));
      else
        CHECK(std::fabs(got - expected[i]) <= tolerance * std::max(std::fabs(expected[i]), 1e-3));
    }
  }
}

TEST_CASE("every operation is printed, parsed and verified") {
  for (const Sample& sample : ops_samples()) {
    CAPTURE(sample.title);
    Graph graph;
    std::vector<Value> leaves;
    Value y = sample.apply(graph, f32, leaves);
    graph.entry("sample", {{"y", y}});
    verify(graph.body());
    std::string text = print(graph);
    CAPTURE(text);
    CHECK(parse(text) == graph);
  }
}
