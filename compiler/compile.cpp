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
#include "ir/op.h"
#include "ir/text.h"

namespace tenon {
namespace {

constexpr GraphPass passes[] = {
    {"canonicalise", canonicalise, false, "the user's graph", "one spelling for each meaning that later passes read"},
    {"stabilise", stabilise, true, "canonical spellings", "no logarithm of an exponential is left that could overflow"},
    {"fuse_loss", fuse_loss, false, "log-probabilities", "softmax and sigmoid cross-entropy as one operation; receipts"},
    {"simplify", simplify, true, "any graph", "no identity, no dead node"},
    {"fold", fold, true, "any graph", "no small operation on constants alone"},
    {"expand", expand, false, "fused losses", "only operations with a compute definition"},
    {"simplify", simplify, true, "any graph", "no identity that the expansions made"},
};

constexpr PassOrder orders[] = {
    {"canonicalise", "stabilise", "the stabilising rules match canonical spellings only"},
    {"stabilise", "fuse_loss", "a loss is recognised by its log-probabilities, which stabilise makes"},
    {"fuse_loss", "expand", "an expanded softmax is no longer recognised"},
};

// `init` is an entry like the others: every state := its initial value.
Graph add_init(const Graph& graph) {
  Graph result = rebuild(graph);
  Body& body = result.body();
  Entry init{"init", {}, {}};
  for (const State& state : body.states)
    if (state.initial != state.node) init.updates.emplace_back(state.node, state.initial);
  body.entries.push_back(std::move(init));
  return result;
}

// A hash of the program's text, in which lines are comments: the identity of a model.
std::string hash_text(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  bool comment = false;
  for (char c : text) {
    comment = c == '#' || (comment && c != '\n');
    if (!comment && c != ' ') hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  return fmt::format("{:016x}", hash);
}

Line line_of(const Node& node) { return node.origin.lines.empty() ? Line{} : node.origin.lines.front(); }

// The data of the program besides its code: what is bound, what is checked, what the reports show.
ProgramEntry describe(const Body& body, const KernelList& list) {
  ProgramEntry entry{.name = list.entry};
  for (NodeId id : list.inputs) {
    const Node& node = body.node(id);
    entry.inputs.push_back({node.attributes.get<std::string>("name"), node.type, line_of(node)});
  }
  const Entry& source = *body.entry(list.entry);
  for (const auto& [name, id] : source.outputs)
    entry.outputs.push_back({name, body.node(id).type, line_of(body.node(id))});
  for (const auto& [state, value] : source.updates)
    for (size_t i = 0; i < body.states.size(); ++i)
      if (body.states[i].node == state) entry.updated.push_back(static_cast<int>(i));
  auto range = [&](const IndexCheck& check, int input) {
    const Buffer& buffer = list.buffers[static_cast<size_t>(check.index)];
    entry.checks.push_back({check.message, input, buffer.type, check.extent, check.line});
  };
  for (const Kernel& kernel : list.kernels) {
    if (kernel.check) range(*kernel.check, -1);
    entry.threads = std::max(entry.threads, kernel.threads);
  }
  for (const IndexCheck& check : list.door)
    range(check, static_cast<int>(list.buffers[static_cast<size_t>(check.index)].slot));
  for (const Buffer& buffer : list.buffers)
    if (buffer.storage == Storage::arena)
      entry.buffers.push_back({buffer.name, buffer.type, buffer.type.bytes(list.maximum), buffer.offset, buffer.first,
                               buffer.last});
  entry.arena_bytes = list.arena_bytes;
  entry.arena_lower_bound = list.lower_bound;
  return entry;
}

}  // namespace

std::span<const GraphPass> graph_passes() { return passes; }
std::span<const PassOrder> pass_orders() { return orders; }

Program compile(const Graph& source, const CompileOptions& options) {
  if (source.body().entries.empty()) throw Error("compile: the graph has no entry; add one with entry(name, outputs)");
  Stopwatch watch;
  Inspection inspection = Inspection::from_environment();
  Target target = Target::host(options.isa);

  Graph graph = add_init(source);
  inspection.stage(2, "graph", "ir", print(graph));
  for (const GraphPass& pass : passes) graph = inspection.run(pass, std::move(graph));
  check_required(graph);
  // Beyond this point no operation is known by name.
  const Body& body = graph.body();
  std::vector<KernelList> lists;
  for (const Entry& entry : body.entries) {
    KernelList list = group(graph, entry, target);
    tile(list, target);
    place(list);
    inspection.stage(3, entry.name, "kernels", str(list));
    lists.push_back(std::move(list));
  }
  // Beyond this point there are only kernels.
  bool show_llvm = options.native_listings || inspection.level >= 4 || !inspection.dump.empty();
  bool show_assembly = options.native_listings || inspection.level >= 5 || !inspection.dump.empty();
  Stopwatch native_watch;
  NativeCode code = jit(lists, target, {show_llvm, show_assembly, options.debug_lines});
  double native_ms = native_watch.ms();

  Program program;
  if (!body.sizes.empty()) std::tie(program.size, program.maximum) = *body.sizes.begin();
  for (const State& state : body.states) {
    const Node& node = body.node(state.node);
    program.states.push_back({{node.attributes.get<std::string>("name"), node.type, line_of(node)}, state.trainable});
  }
  size_t kernels = 0;
  for (size_t i = 0; i < lists.size(); ++i) {
    ProgramEntry entry = describe(body, lists[i]);
    NativeEntry& native = code.entries[i];
    entry.function = native.function;
    entry.scratch_bytes = native.scratch_bytes;
    if (options.listings) {
      entry.listings[Stage::graph] = print_entry(body, entry.name);
      entry.listings[Stage::kernels] = str(lists[i]);
    }
    if (show_llvm) inspection.stage(4, entry.name, "ll", native.llvm);
    if (show_assembly) inspection.stage(5, entry.name, "s", native.assembly);
    entry.listings[Stage::llvm] = std::move(native.llvm);
    entry.listings[Stage::assembly] = std::move(native.assembly);
    kernels += lists[i].kernels.size();
    program.entries.push_back(std::move(entry));
  }
  program.graph_hash = hash_text(print(graph));
  program.target = target.str();
  program.code = code.handle;
  inspection.report(fmt::format("compiled {} entries, {} kernels for {} in {:.1f} ms (native code {:.1f} ms)",
                                lists.size(), kernels, program.target, watch.ms(), native_ms));
  return program;
}

}  // namespace tenon
