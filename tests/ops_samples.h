#pragma once
// Sample applications of every operation, shared by the tests of all rooms: how to apply it, and the same
// thing as a plain loop over doubles that knows nothing of compute definitions. An operation is tested by
// being in this table, and a test fails if one is not.
#include <functional>
#include <string>
#include <vector>

#include "ir/evaluate.h"
#include "ir/ops.h"

namespace tenon::testing {

struct SampleInput {
  Type type;                   // f64 stands for the float type under test; the run-time size is "n"
  std::vector<double> values;  // row-major, for n = Sample::n
  const Op* leaf = &input_op;  // or parameter_op, state_op
};

using Arrays = std::vector<std::vector<double>>;

struct Sample {
  static constexpr int64_t n = 3, maximum = 5;

  const Op* op;
  std::string title;
  std::vector<SampleInput> inputs;
  std::function<Value(Graph&, std::span<const Value>)> build;
  std::function<std::vector<double>(const Arrays&)> loop;
  int orders = 2;  // how often it is differentiable at these inputs: 0 for integers, predicates, random numbers

  // The graph's run-time size, the inputs as leaves named x0, x1, ... with `floating` for f64, and the
  // application.
  Value apply(Graph& graph, DType floating, std::vector<Value>& leaves) const;
  Bindings bind(DType floating = f64) const;  // of the leaves, for n
};

std::vector<Sample> ops_samples();

Type at_size(Type type);  // with n put in

// The families, each in its file.
void elementwise_samples(std::vector<Sample>& samples);
void shape_samples(std::vector<Sample>& samples);
void row_samples(std::vector<Sample>& samples);

// `count` fixed values of moderate size, none equal or close to zero or an integer.
std::vector<double> spread_values(int64_t count, double low = -2, double high = 2);

}  // namespace tenon::testing
