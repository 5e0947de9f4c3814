// The pipeline. Reads as a list of verbs: graph passes (pass table below), then per entry group, tile, place, then jit.
#include "compiler/compile.h"

#include "compiler/graph/canonicalise.h"
#include "compiler/graph/expand.h"
#include "compiler/graph/fold.h"
#include "compiler/graph/fuse_loss.h"
#include "compiler/graph/rewrite.h"
#include "compiler/graph/simplify.h"
#include "compiler/graph/stabilise.h"
#include "compiler/kernel/group.h"
#include "compiler/kernel/place.h"
#include "compiler/kernel/tile.h"
#include "compiler/native/jit.h"
#include "compiler/pass.h"
#include "ir/ops.h"
#include "ir/text.h"

#include <algorithm>

namespace tenon {
namespace {

constexpr GraphPass passes[] = {
    {"canonicalise", canonicalise, false, "the user's graph", "one spelling for each meaning that later passes read"},
    {"stabilise", stabilise, true, "canonical spellings", "no logarithm of an exponential is left that could overflow"},
    {"fuse_loss", fuse_loss, false, "log-probabilities", "softmax and sigmoid cross-entropy as one operation; receipts"},
    {"simplify", simplify, true, "any graph", "no identity, no dead node"},
    {"fold", fold, true, "any graph", "no small operation on constants alone"},
    {"expand", expand, false, "fused losses", "only compute definitions, none of them over nothing"},
    {"simplify", simplify, true, "any graph", "no identity that the expansions made"},
};

constexpr PassOrder orders[] = {
    {"canonicalise", "stabilise", "the stabilising rules match canonical spellings only"},
    {"stabilise", "fuse_loss", "a loss is recognised by its log-probabilities, which stabilise makes"},
    {"fuse_loss", "expand", "an expanded softmax is no longer recognised"},
};

// `init` is an entry like the others: every state := its initial value. The text of an optimised graph has it already.
Graph add_init(const Graph& graph) {
  Graph result = sweep(graph);
  Body& body = result.body();
  if (body.entry("init")) return result;
  Entry init{"init", {}, {}};
  for (const State& state : body.states)
    if (state.initial != state.node) init.updates.emplace_back(state.node, state.initial);
  body.entries.push_back(std::move(init));
  return result;
}

// The identity of a model: a hash of its text without lines and scopes.
std::string hash_text(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return fmt::format("{:016x}", hash);
}

Line line_of(const Node& node) { return node.origin.lines.empty() ? Line{} : node.origin.lines.front(); }

// Equal constants of all entries are stored once; the slots of the list then count in the Program's table.
void merge_constants(KernelList& list, std::vector<Literal>& all) {
  for (Buffer& buffer : list.buffers) {
    if (buffer.storage != Storage::constant) continue;
    const Literal& literal = list.constants[static_cast<size_t>(buffer.slot)];
    auto known = std::find(all.begin(), all.end(), literal);
    buffer.slot = known - all.begin();
    if (known == all.end()) all.push_back(literal);
  }
}

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
ProgramEntry describe(const KernelList& list) {
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
      entry.buffers.push_back({buffer.name, buffer.type, buffer.type.bytes(list.maximum), buffer.offset, buffer.first,
                               buffer.last});
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

std::span<const GraphPass> graph_passes() { return passes; }
std::span<const PassOrder> pass_orders() { return orders; }

Program compile(const Graph& source, const CompileOptions& options) {
  if (source.body().entries.empty()) throw Error("compile: the graph has no entry; add one with entry(name, outputs)");
  Stopwatch watch;
  Inspection inspection = Inspection::from_environment();
  const Target target = options.target ? options.target->checked() : Target::host(options.isa);

  Graph graph = add_init(source);
  inspection.stage(2, "graph", "ir", [&] { return print(graph); });
  for (const GraphPass& pass : passes) graph = inspection.run(pass, std::move(graph));
  const Body& body = graph.body();

  // Beyond this point an operation has no name.
  std::vector<KernelList> lists;
  std::vector<Literal> constants;
  for (const Entry& entry : body.entries) {
    KernelList list;
    inspection.run("group", list, [&] { list = group(graph, entry); });
    inspection.run("tile", list, [&] { tile(list, target); });
    inspection.run("place", list, [&] { place(list); });
    merge_constants(list, constants);
    inspection.stage(3, entry.name, "kernels", [&] { return str(list); });
    lists.push_back(std::move(list));
  }

  // Beyond this point there are only kernels.
  bool dumps = !inspection.dump.empty() || options.native_listings;
  NativeOptions native{dumps || inspection.level >= 4, dumps || inspection.level >= 5,
                       options.cache.empty() ? inspection.cache : options.cache};
  Stopwatch native_watch;
  NativeCode code = jit(lists, target, native);
  double native_ms = native_watch.ms();

  Program program;
  if (!body.sizes.empty()) std::tie(program.size, program.maximum) = *body.sizes.begin();
  for (const State& state : body.states) {
    const Node& node = body.node(state.node);
    program.states.push_back({{node.attributes.get<std::string>("name"), node.type, line_of(node)}, state.trainable});
  }
  for (const Literal& literal : constants) program.constants.push_back(*literal.bytes);
  size_t kernels = 0;
  for (size_t i = 0; i < lists.size(); ++i) {
    ProgramEntry entry = describe(lists[i]);
    bind_unread(source.body(), entry);
    for (const auto& [id, support] : body.supports)
      for (size_t slot = 0; slot < entry.inputs.size(); ++slot)
        if (entry.inputs[slot].name == body.node(id).attributes.get<std::string>("name"))
          entry.supports.push_back({static_cast<int>(slot), support});
    NativeEntry& made = code.entries[i];
    entry.function = made.function;
    entry.scratch_bytes = made.scratch_bytes;
    if (options.listings) entry.listings[Stage::kernels] = str(lists[i]);
    if (native.llvm) inspection.stage(4, entry.name, "loops", [&] { return made.loops; });
    if (native.llvm) inspection.stage(4, entry.name, "ll", [&] { return made.llvm; });
    if (native.assembly) inspection.stage(5, entry.name, "s", [&] { return made.assembly; });
    if (options.native_listings) {
      entry.listings[Stage::loops] = std::move(made.loops);
      entry.listings[Stage::llvm] = std::move(made.llvm);
      entry.listings[Stage::assembly] = std::move(made.assembly);
    }
    kernels += lists[i].kernels.size();
    program.entries.push_back(std::move(entry));
  }
  program.graph_hash = hash_text(print(graph, {.origins = false}));
  if (options.listings) program.graph = print(graph);
  program.receipts = receipts(body, false);
  for (const KernelList& list : lists)
    program.receipts.insert(program.receipts.end(), list.receipts.begin(), list.receipts.end());
  program.target = target.str();
  program.code = code.handle;
  for (const std::string& line : receipts(body, true)) program.summary_text += line + "\n";
  program.summary_text +=
      fmt::format("compiled {} nodes into {} kernels, {} of them different, in {:.0f} ms, {:.0f} of them in LLVM\n",
                  body.size(), kernels, code.kernels, watch.ms(), native_ms);
  if (!code.cache.empty()) program.summary_text += fmt::format("the code was {}\n", code.cache);
  inspection.report(program.summary_text);
  return program;
}

}  // namespace tenon
