#pragma once
// From kernels to loops. Before: an isolated kernel, tiled. After: a function of the loop language that does the same to its
// arguments, the share of one thread at a call.
#include "compiler/kernel/isolate.h"
#include "compiler/kernel/target.h"
#include "compiler/loop/loop.h"

namespace tenon {

loop::Function lower(std::string name, const IsolatedKernel& kernel, const Target& target);

}  // namespace tenon
