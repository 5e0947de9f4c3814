#pragma once
// The only door of the compiler: a Graph goes in, a Program comes out.
#include "compiler/kernel/target.h"
#include "ir/graph.h"
#include "runtime/program.h"

namespace tenon {

struct CompileOptions {
  Isa isa = Isa::avx512;      // at most; lowered to what the machine has
  bool listings = true;       // keep graph and kernel listings (llvm and assembly are made by `native_listings`)
  bool native_listings = false;
};

// Compiles all entries of the graph, and `init`, which sets every state to its initial value. The graph is not changed.
// Throws Error for a mistake of the user: no entry, a required fusion that did not happen, a type that cannot be.
Program compile(const Graph& graph, const CompileOptions& options = {});

}  // namespace tenon
