#include "runtime/program.h"

#include <algorithm>

namespace tenon {

namespace {
constexpr std::string_view stage_names[] = {"graph", "kernels", "loops", "llvm", "assembly"};
}

const ProgramEntry& Program::entry(std::string_view name) const {
  for (const ProgramEntry& entry : entries)
    if (entry.name == name) return entry;
  std::string names;
  for (const ProgramEntry& entry : entries) names += (names.empty() ? "" : ", ") + entry.name;
  throw Error(fmt::format("program: no entry is called {}; entries: {}", name, names.empty() ? "none" : names));
}

std::string Program::listing(Stage stage, std::string_view name) const {
  if (stage == Stage::graph && !graph.empty()) return graph;
  std::string text;
  for (const ProgramEntry& e : entries) {
    if (!name.empty() && e.name != name) continue;
    const auto found = e.listings.find(stage);
    if (found == e.listings.end())
      throw Error(fmt::format("program: no {} listing of entry {} was kept: see CompileOptions",
                              stage_names[static_cast<size_t>(stage)], e.name));
    text += found->second;
    if (!text.ends_with('\n')) text += '\n';
  }
  if (!name.empty()) entry(name);  // the Error for an unknown name
  return text;
}

std::string Program::receipt() const {
  std::string text;
  for (const std::string& line : receipts) text += line + "\n";
  return text;
}

std::string Program::summary() const {
  int64_t parameters = 0, parameter_bytes = 0, state_bytes = 0;
  for (const StateBinding& state : states) {
    const int64_t bytes = state.type.bytes(sizes);
    if (state.trainable)
      parameters += state.type.elements().at(sizes), parameter_bytes += bytes;
    else
      state_bytes += bytes;
  }
  std::string text = fmt::format("parameters {} ({} bytes), other state {} bytes", parameters, parameter_bytes, state_bytes);
  for (const auto& [size, maximum] : sizes) text += fmt::format(", {} <= {}", size, maximum);
  if (!target.empty()) text += ", " + target;
  text += "\n";
  for (const ProgramEntry& e : entries)
    text += fmt::format("{:<10} inputs {}, outputs {}, updates {}, arena {} bytes\n", e.name, e.inputs.size(), e.outputs.size(),
                        e.updated.size(), e.arena_bytes);
  return text + summary_text;
}

std::string Program::memory() const {
  std::string text;
  int64_t total = 0, arena = 0;
  for (const StateBinding& state : states) total += state.type.bytes(sizes);
  text += fmt::format("states {} bytes\n", total);
  for (const ProgramEntry& e : entries) {
    arena = std::max(arena, e.arena_bytes);
    text += fmt::format("{}: arena {} bytes, lower bound {} bytes, scratch {} bytes a thread\n", e.name, e.arena_bytes,
                        e.arena_lower_bound, e.scratch_bytes);
    for (const BufferReport& b : e.buffers)
      text += fmt::format("  {:>10} +{:<10} k{}..k{}  {}: {}\n", b.offset, b.bytes, b.first_kernel, b.last_kernel, b.name,
                          b.type.str());
  }
  return text + fmt::format("one arena for all entries: {} bytes\n", arena);
}

}  // namespace tenon
