#pragma once
// The compiler's own threads. A caller's stack may be small, while passes recurse in the depth of an expression.
#include <cstddef>
#include <functional>

namespace tenon {

// Runs work(0), ..., work(count - 1) on up to two threads with 8 MB of stack each; the first exception is thrown here.
void in_parallel(size_t count, const std::function<void(size_t)>& work);
// The same, each thread with a worker of its own.
void in_parallel(size_t count, const std::function<std::function<void(size_t)>()>& worker);

}  // namespace tenon
