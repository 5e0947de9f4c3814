#pragma once
// What loop.h promises in words, checked: a pass that breaks it is stopped before wrong code runs.
#include "compiler/loop/loop.h"

namespace tenon::loop {

// Throws InternalError that names function, node and both sides unless
// - every node has operands and a result of the types of its code, and nothing in fields that the code does
//   not use;
// - blocks are a tree, at most 100 deep; each node stands in one of them, once, and in the order of its
// number,
//   and uses what is made before it in the blocks around it; leaves are distinct, in the order of first use;
// - loops and branches yield what they carry and give;
// - buffers lie apart, and an unmasked access at a constant distance from its buffer's first element is
// inside
//   of it: at every size if it surely runs, else if the buffer has a fixed extent;
// - functions that are called, which are those whose body yields a value, depend on their parameters alone.
void verify(const Function& function);

// The parts of it that look at one node, whose operands are nodes that make values, or at what stands before
// the nodes.
void verify_types(const Function& function, Id id);
void verify_leaf(const Function& function, Id id);
void verify_buffers(const Function& function);

template <typename... Args>
[[noreturn]] void broken(const Function& f, fmt::format_string<Args...> format, Args&&... args) {
  throw InternalError(f.name + ": " + fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
[[noreturn]] void broken(const Function& f, Id id, fmt::format_string<Args...> format, Args&&... args) {
  throw InternalError(fmt::format("{}: %{} {}: {}", f.name, id, name(f.nodes[static_cast<size_t>(id)].code),
                                  fmt::format(format, std::forward<Args>(args)...)));
}
std::string str(const std::vector<ValueType>& types);  // "(f32, i64x16)"

}  // namespace tenon::loop
