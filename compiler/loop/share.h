#pragma once
// Before: loops. After: a value that depends on no memory is made once where it is needed: a later node that would make it
// again, in the same block or inside of it, is the first one.
#include "compiler/loop/loop.h"

namespace tenon::loop {

Function share(const Function& f);

}  // namespace tenon::loop
