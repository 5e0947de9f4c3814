#pragma once
// Softmax inside a model, where it chooses between things instead of being the output. Its gradient is the
// true one: a softmax that no logarithm reads is never merged with a loss.
#include "ir/graph.h"

namespace tenon {

// softmax(z / temperature) over the last axis: close to one-hot for a low temperature, to uniform for a high
// one. Error unless it is above 0.
Value softmax_at(Value z, double temperature, std::source_location at = std::source_location::current());

// The one-hot row of the first largest element on the last axis, in the type of z: the limit of softmax_at
// for temperature 0. For prediction; its gradient is zero everywhere.
Value hard_softargmax(Value z, std::source_location at = std::source_location::current());

// A gate between k experts: sum over k of softmax(scores)_k outputs_k, scores [..., k], outputs [..., k, d]
// ->
// [..., d]. Jacobs et al. 1991.
Value mixture_of_experts(Value scores, Value outputs, std::source_location at = std::source_location::current());

// Single-head attention, softmax over the keys: softmax(query key^T / sqrt(d)) value, with query [..., q, d],
// key [..., m, d], value [..., m, e] -> [..., q, e]; constant or equal leading axes. Vaswani et al. 2017.
Value attention(Value query, Value key, Value value, std::source_location at = std::source_location::current());

}  // namespace tenon
