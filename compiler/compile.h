#pragma once
// The only door of the compiler: a Graph goes in, a Program comes out.
#include <optional>

#include "compiler/kernel/target.h"
#include "ir/graph.h"
#include "runtime/program.h"

namespace tenon {

struct CompileOptions {
  Isa isa = Isa::avx512;  // at most; lowered to what the machine has, and to the environment's TENON_ISA
  // The machine to compile for, instead of this one: other caches, another number of CPUs, so that the choices of the
  // cost models can be repeated elsewhere. No choice changes a bit. An ISA that this machine lacks is an Error.
  std::optional<Target> target = {};
  bool listings = true;  // keep graph and kernel listings (those of loops, llvm and assembly are made by `native_listings`)
  bool native_listings = false;
  // A folder that keeps compiled code, so that a program that was compiled before, by this Tenon for this machine's
  // instructions, only has to be linked. Empty: the environment's TENON_CACHE; if that is not set either, none. Code from
  // there is run: let nobody else write to it.
  std::string cache = {};
};

// Compiles all entries of the graph, and `init`, which sets every state to its initial value. The graph is not changed.
// Throws Error for a mistake of the user: no entry, a required fusion that did not happen, a type that cannot be.
Program compile(const Graph& graph, const CompileOptions& options = {});

}  // namespace tenon
