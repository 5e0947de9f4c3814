#include "compiler/describe.h"

#include <algorithm>

#include "compiler/graph/rewrite.h"
#include "ir/ops.h"
#include "ir/text.h"

namespace tenon {
namespace {

// The identity of a model: a hash of its text without lines and scopes.
std::string hash_text(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return fmt::format("{:016x}", hash);
}

Line line_of(const Node& node) { return node.origin.lines.empty() ? Line{} : node.origin.lines.front(); }

Binding binding(const Node& node) { return {node.attributes.get<std::string>("name"), node.type, line_of(node)}; }

// Inputs that the user's entry reads and the kernels do not, because a pass found them without effect: they are bound
// and checked all the same, so that no pass changes what a program asks for.
void bind_unread(const Body& source, ProgramEntry& entry) {
  const Entry* written = source.entry(entry.name);
  if (!written) return;
  std::vector<NodeId> roots;
  for (const auto& [name, id] : written->outputs) roots.push_back(id);
  for (const auto& [state, value] : written->updates) roots.push_back(value);
  std::vector<bool> reads = ancestors(source, roots);
  for (NodeId id = 0; id < source.size(); ++id) {
    const Node& node = source.node(id);
    if (!reads[static_cast<size_t>(id)] || node.op != &input_op) continue;
    Binding unread = binding(node);
    if (std::ranges::none_of(entry.inputs, [&](const Binding& read) { return read.name == unread.name; }))
      entry.inputs.push_back(std::move(unread));
  }
}

// The data of an entry besides its code: what is bound, what is checked, what the reports show.
ProgramEntry describe(const KernelList& list, std::vector<Literal>& constants) {
  ProgramEntry entry;
  entry.name = list.entry;
  auto bindings = [](const std::vector<Named>& from, std::vector<Binding>& to) {
    for (const auto& [name, type, line] : from) to.push_back({name, type, line});
  };
  bindings(list.inputs, entry.inputs);
  bindings(list.outputs, entry.outputs);
  entry.updated.assign(list.updated.begin(), list.updated.end());
  auto range = [&](const IndexCheck& check, bool door) {
    const Buffer& buffer = list.buffers[static_cast<size_t>(check.index)];
    entry.checks.push_back({check.message, door ? static_cast<int>(buffer.slot) : -1, buffer.type, check.extent, check.line});
  };
  for (const Kernel& kernel : list.kernels) {
    if (kernel.check) range(*kernel.check, false);
    entry.threads = std::max(entry.threads, kernel.threads);
  }
  for (const IndexCheck& check : list.door) range(check, true);
  for (const Buffer& buffer : list.buffers)
    if (buffer.storage == Storage::arena)
      entry.buffers.push_back(
          {buffer.name, buffer.type, buffer.type.bytes(list.sizes), buffer.offset, buffer.first, buffer.last});
  for (const Literal& literal : list.constants) {  // equal ones of all entries are stored once
    const auto known = std::ranges::find(constants, literal);
    entry.constants.push_back(static_cast<int>(known - constants.begin()));
    if (known == constants.end()) constants.push_back(literal);
  }
  entry.arena_bytes = list.arena_bytes;
  entry.arena_lower_bound = list.lower_bound;
  return entry;
}

// "mnist.cpp:19: softmax with cross-entropy: fused": what was done with a loss, or why not; what layers say of their
// parameters apart.
std::vector<std::string> receipts(const Body& body, bool of_parameters) {
  std::vector<std::string> lines;
  for (const Receipt& receipt : body.receipts) {
    if ((receipt.pass == "parameters") != of_parameters) continue;
    std::string line = receipt.line.str() + ": " + receipt.text;
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

Program describe(const Graph& source, const Compilation& c, const NativeCode& code) {
  const Body& body = c.graph.body();
  Program program;
  program.sizes = body.sizes;
  for (const State& state : body.states) {
    const Node& node = body.node(state.node);
    program.states.push_back({{node.attributes.get<std::string>("name"), node.type, line_of(node)}, state.trainable});
  }
  std::vector<Literal> constants;
  for (size_t i = 0; i < c.entries.size(); ++i) {
    ProgramEntry entry = describe(c.entries[i], constants);
    bind_unread(source.body(), entry);
    for (const auto& [id, support] : body.supports)
      for (size_t slot = 0; slot < entry.inputs.size(); ++slot)
        if (entry.inputs[slot].name == body.node(id).attributes.get<std::string>("name"))
          entry.supports.push_back({static_cast<int>(slot), support});
    entry.function = code.entries[i].function;
    entry.scratch_bytes = code.entries[i].scratch_bytes;
    program.entries.push_back(std::move(entry));
  }
  for (const Literal& literal : constants) program.constants.push_back(*literal.bytes);
  program.graph = print(c.graph);
  program.graph_hash = hash_text(print(c.graph, {.origins = false}));
  program.receipts = receipts(body, false);
  for (const KernelList& list : c.entries)
    program.receipts.insert(program.receipts.end(), list.receipts.begin(), list.receipts.end());
  program.target = c.target.str();
  program.code = code.handle;
  for (const std::string& line : receipts(body, true)) program.summary_text += line + "\n";
  return program;
}

}  // namespace tenon
