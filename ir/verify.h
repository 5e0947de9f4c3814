#pragma once
// What holds of every graph, whoever made it: a builder, a pass or the parser.
//   Operands are earlier nodes of the right number; types re-derive; every attribute that the definition or
//   expansion reads is there; every type fits 63 bits of bytes at the largest size; inputs have distinct
//   names, states too; a state is a parameter or state leaf, its initial value has its type; outputs, updates
//   and marks refer to nodes, an update to a state of its type, once.
#include <optional>

#include "ir/graph.h"

namespace tenon {

// The first thing that does not hold; node is -1 where the flaw is no node's.
struct Flaw {
  NodeId node;
  std::string text;
};

// `gradients` also asks each operation's gradient rule whether it finds the attributes it reads: for graphs
// from a text.
std::optional<Flaw> find_flaw(const Body& body, bool gradients = false);

// Throws InternalError "verify: %7 contract: ..." for the first flaw.
void verify(const Body& body);

}  // namespace tenon
