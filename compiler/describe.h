#pragma once
// What a Program says of itself besides its listings: what is bound, checked and updated, memory, receipts.
#include "compiler/pass.h"
#include "runtime/program.h"

namespace tenon {

// Of a compilation that has gone through all passes, and its code linked.
Program describe(const Graph& source, const Compilation& c, const NativeCode& code);

}  // namespace tenon
