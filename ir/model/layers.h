#pragma once
// Layers: functions of Values that own their parameters. Each opens a scope, so that parameters and nodes are
// called "dense1/W", "dense1/add", and everything it adds carries the line of the user who called it.
#include "ir/graph.h"
#include "ir/model/initializers.h"

namespace tenon {

enum class Mode : uint8_t { train, predict };

// The first of layer1, layer2, ... under the open scopes that does not have the parameter yet.
std::string numbered(const Body& body, std::string_view layer, std::string_view parameter);

struct DenseOptions {
  Initializer weight = he();
  // 0.1 lets rectifiers begin active (Goodfellow, Bengio, Courville 2016, section 6.3.1) and a softmax does
  // not see it, being blind to a shift of all classes. zeros() suits an output without either. Null: no bias.
  Initializer bias = constant(0.1);
  std::string name = {};  // empty: "dense1", "dense2", ... in the order of creation
};

// y = x W + b over the last axis: x [..., in], W [in, units], b [units], y [..., units]. Applying it again
// shares W and b. Error if x has another width or another element type.
struct Dense {
  std::string name;
  Value W, b;  // b is null without a bias

  // Makes the parameters; a name that is in use already gives that layer's parameters again (tied), if the
  // types agree.
  Dense(Graph& graph, DType dtype, int64_t inputs, int64_t units, DenseOptions options = {},
        std::source_location at = std::source_location::current());
  Value operator()(Value x, std::source_location at = std::source_location::current()) const;
};

// A new Dense of the width and element type of x, applied to x. Error unless x is f32 or f64 with a constant
// last axis.
Value dense(Graph& graph, Value x, int64_t units, DenseOptions options = {},
            std::source_location at = std::source_location::current());

// y = (x U) V + b with U [in, rank] and V [rank, units]: a linear layer without an activation in between, which
// has (in + units) rank parameters in place of in * units; Program::summary() shows both. V begins as the
// options say for a weight of `rank` inputs, U by lecun(). Error unless 1 <= rank <= min(in, units). Goodfellow,
// Bengio, Courville 2016, section 6.3.
Value low_rank(Graph& graph, Value x, int64_t units, int64_t rank, DenseOptions options = {},
               std::source_location at = std::source_location::current());

// Srivastava et al. 2014: in training each element is 0 with probability `rate` and else x / (1 - rate),
// drawn anew in each step; x itself in prediction. Error unless 0 <= rate < 1.
Value dropout(Graph& graph, Value x, double rate, Mode mode, std::source_location at = std::source_location::current());

}  // namespace tenon
