#pragma once
// What a Session and its Steps share. Private to the runtime.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/arena.h"
#include "runtime/program.h"
#include "runtime/team.h"

namespace tenon {

struct SessionMemory {
  std::shared_ptr<const Program> program;
  std::vector<Arena> blocks;  // states, outputs, scratch; guarded: one block per buffer
  Arena arena;
  std::vector<std::byte*> states;
  std::vector<std::vector<std::byte*>> outputs;          // by entry
  std::vector<std::vector<const std::byte*>> constants;  // by entry
  std::vector<std::byte*> scratch;                       // by thread
  std::optional<Team> team;
  int threads = 1;
  std::vector<bool> set;  // states that have a value
  int64_t unset = 0;
  Fault fault;
};

// The place of a binding in its table, or -1.
template <typename Bindings>
int64_t find(const Bindings& bindings, std::string_view name) {
  for (size_t i = 0; i < bindings.size(); ++i)
    if (bindings[i].name == name) return static_cast<int64_t>(i);
  return -1;
}

// "x: u8[n,3], rate: f32[]", for messages.
template <typename Bindings>
std::string list(const Bindings& bindings) {
  std::string text;
  for (const Binding& b : bindings) text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", b.name, b.type.str());
  return text.empty() ? "none" : text;
}

}  // namespace tenon
