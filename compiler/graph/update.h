#pragma once
// From a loss to the updates of a training entry: gradients() of the loss, clipped, through an optimiser.
#include <optional>

#include "compiler/graph/differentiate.h"
#include "ir/model/optimizers.h"

namespace tenon {

// Parameters that are trained in their own way. A parameter belongs to the first group that includes its
// name.
struct ParameterGroup {
  std::function<bool(std::string_view name)> includes;
  std::optional<Operand> rate = {};  // in place of the optimiser's
  std::optional<Operand> decay = {};
  bool frozen = false;  // not trained at all
};

struct MinimizeOptions {
  std::vector<Value> parameters = {};  // those to train; none named: all of the graph
  std::vector<ParameterGroup> groups = {};
  std::optional<double> clip_value = {};  // every gradient element into [-clip_value, clip_value]
  // All gradients times min(1, clip_norm / norm), norm over all their elements. Pascanu, Mikolov, Bengio
  // 2013.
  std::optional<double> clip_norm = {};
};

// The parameters whose last name is "b" or "bias": a group {.includes = is_bias, .decay = 0} has no decay on
// them.
bool is_bias(std::string_view name);

// The updates of one step: every trained parameter, its optimiser states, and step := step + 1. A parameter of f16 or
// bf16 is updated in f32, with optimiser states of f32, and the new value rounded to nearest even. Entries that
// train the same parameters with the same optimiser share its states.
// Error: those of gradients(); a parameter that no gradient reaches, unless graph.allow_unreached(p); a rate
// or decay that is no scalar; no parameter to train.
std::vector<Update> minimize(Value loss, const Optimizer& optimizer, const MinimizeOptions& options = {},
                             std::source_location at = std::source_location::current());

}  // namespace tenon
