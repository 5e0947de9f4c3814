#pragma once
// Before: a canonical, stabilised graph. After: a log-softmax that is weighted by a target and summed over
// the classes, or picked by a label, is one softmax_cross_entropy of the logits; the two terms of a Bernoulli
// log-likelihood are one sigmoid_cross_entropy. Works on meaning: whatever is linear in the log-probabilities
// counts, so labels, one-hot rows, soft labels, smoothing, class weights, masks and temperatures need no
// patterns of their own. A receipt says, for every logarithm of a probability, that it was fused or why not.
#include "ir/graph.h"

namespace tenon {

// Throws Error if a loss marked with require_fused was not fused, with the reason and the loss's line.
Graph fuse_loss(const Graph& graph);

}  // namespace tenon
