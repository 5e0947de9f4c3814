// The pipeline: a table of passes from the user's graph to machine code, then linking.
#include "compiler/compile.h"

#include "compiler/describe.h"
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
#include "compiler/loop/lower.h"
#include "compiler/loop/share.h"
#include "compiler/native/cache.h"
#include "compiler/parallel.h"
#include "compiler/pass.h"
#include "ir/text.h"
#include "ir/verify.h"

namespace tenon {
namespace {

// Verified before it takes the place of the graph before it, which a failure leaves to be looked at.
template <Graph (*pass)(const Graph&)>
void on_graph(Compilation& c) {
  Graph made = pass(c.graph);
  verify(made.body());
  c.graph = std::move(made);
}

void group(Compilation& c) {
  for (const Entry& entry : c.graph.body().entries) c.entries.push_back(group(c.graph, entry));
}
void tile(Compilation& c) {
  for (KernelList& list : c.entries) tile(list, c.target);
}
void place(Compilation& c) {
  for (KernelList& list : c.entries) place(list);
}
void isolate(Compilation& c) { c.calls = Calls(c.entries); }

// The code of the same kernels, compiled before for the same machine.
void reuse(Compilation& c) {
  if (c.cache.empty()) return;
  auto found = find_code(c.cache, code_key(c.entries, c.calls, c.target, compiler_version()), c.calls.made.size());
  if (found) c.code = std::move(*found), c.reused = true;
}

void lower(Compilation& c) {
  c.functions.resize(c.calls.made.size());
  in_parallel(c.functions.size(), [&](size_t i) {
    const Calls::Made& made = c.calls.made[i];
    c.functions[i] = lower(made.name, *made.kernel, c.target);
  });
}
void share(Compilation& c) {
  in_parallel(c.functions.size(), [&](size_t i) { c.functions[i] = loop::share(c.functions[i]); });
}
void emit(Compilation& c) { c.code = emit(c.entries, c.calls, c.functions, c.target, c.native); }

constexpr Pass table[] = {
    {"canonicalise", Level::graph, on_graph<canonicalise>, false, "the user's graph",
     "one spelling for each meaning that later passes read"},
    {"stabilise", Level::graph, on_graph<stabilise>, true, "canonical spellings",
     "no logarithm of an exponential is left that could overflow"},
    {"fuse_loss", Level::graph, on_graph<fuse_loss>, false, "log-probabilities",
     "softmax and sigmoid cross-entropy as one operation; receipts"},
    {"simplify", Level::graph, on_graph<simplify>, true, "any graph", "no identity, no dead node"},
    {"fold", Level::graph, on_graph<fold>, true, "any graph", "no small operation on constants alone"},
    {"expand", Level::graph, on_graph<expand>, false, "fused losses", "only compute definitions, none of them over nothing"},
    {"simplify", Level::graph, on_graph<simplify>, true, "any graph", "no identity that the expansions made"},
    // From here on an operation has no name.
    {"group", Level::kernels, group, false, "compute definitions", "kernels: one loop tree each"},
    {"tile", Level::kernels, tile, false, "kernels", "register tiles, threads, barriers"},
    {"place", Level::kernels, place, false, "kernels in order", "byte offsets in one arena"},
    // From here on there are only kernels.
    {"isolate", Level::kernels, isolate, false, "placed kernels", "each different kernel once, addresses as its arguments"},
    {"reuse", Level::machine, reuse, true, "isolated kernels", "their code, if a cache has it"},
    {"lower", Level::loops, lower, false, "isolated kernels", "a function of the loop language each"},
    {"share", Level::loops, share, true, "loops", "every value that depends on no memory made once"},
    {"emit", Level::machine, emit, false, "loops", "machine code of all kernels and entries"},
};

constexpr PassOrder orders[] = {
    {"canonicalise", "stabilise", "the stabilising rules match canonical spellings only"},
    {"stabilise", "fuse_loss", "a loss is recognised by its log-probabilities, which stabilise makes"},
    {"fuse_loss", "expand", "an expanded softmax is no longer recognised"},
    {"expand", "group", "a kernel is made of compute definitions alone"},
    {"group", "tile", "the cost of a kernel is that of all its statements"},
    {"tile", "place", "buffers live until the next barrier, and tile sets the barriers"},
    {"place", "isolate", "which arguments may share bytes is known once they have a place"},
    {"isolate", "reuse", "code is looked up by the kernels it is made from"},
    {"reuse", "lower", "code that is there need not be made"},
    {"lower", "share", "only loops repeat the arithmetic of addresses and masks"},
    {"share", "emit", "LLVM is printed from loops"},
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

// What became of the code in the cache.
std::string keep(const Compilation& c) {
  if (c.cache.empty()) return "";
  if (c.reused) return "the code was found in the cache\n";
  try {
    keep_code(c.cache, code_key(c.entries, c.calls, c.target, compiler_version()), c.code);
  } catch (const Error& error) {
    return fmt::format("the code was not added to the cache: {}\n", error.what());
  }
  return "the code was added to the cache\n";
}

}  // namespace

std::span<const Pass> passes() { return table; }
std::span<const PassOrder> pass_orders() { return orders; }

Program compile(const Graph& source, const CompileOptions& options) {
  if (source.body().entries.empty()) throw Error("compile: the graph has no entry; add one with entry(name, outputs)");
  Stopwatch watch;
  Inspection inspection = Inspection::from_environment();
  Compilation c{.target = options.target ? options.target->checked() : Target::host(std::min(options.isa, inspection.isa)),
                .graph = add_init(source)};
  const bool listings = options.native_listings || !inspection.dump.empty();
  c.native = {.llvm = listings || inspection.level >= 4, .assembly = listings || inspection.level >= 5};
  if (!c.native.llvm) c.cache = options.cache.empty() ? inspection.cache : options.cache;
  inspection.stage(2, "graph", "ir", [&] { return print(c.graph); });
  double native_ms = 0;
  for (const Pass& pass : passes()) {
    const double ms = inspection.run(pass, c);
    if (pass.level >= Level::loops) native_ms += ms;
  }
  Stopwatch link_watch;
  const NativeCode code = link(c.code, c.calls, c.target);
  const std::string cache = keep(c);
  native_ms += link_watch.ms();

  Program program = describe(source, c, code);
  if (!options.listings) program.graph.clear();
  for (size_t i = 0; i < c.entries.size(); ++i) {
    std::map<Stage, std::string>& listing = program.entries[i].listings;
    if (options.listings) listing[Stage::kernels] = str(c.entries[i]);
    if (!options.native_listings) continue;
    for (size_t k = 0; k < c.functions.size(); ++k)
      if (c.calls.made[k].list == i) listing[Stage::loops] += str(c.functions[k]);
    listing[Stage::llvm] = std::move(c.code.llvm[i]);
    listing[Stage::assembly] = std::move(c.code.assembly[i]);
  }
  size_t kernels = 0;
  for (const KernelList& list : c.entries) kernels += list.kernels.size();
  program.summary_text +=
      fmt::format("compiled {} nodes into {} kernels, {} of them different, in {:.0f} ms, {:.0f} of them in LLVM\n{}",
                  c.graph.body().size(), kernels, c.calls.made.size(), watch.ms(), native_ms, cache);
  inspection.report(program.summary_text);
  return program;
}

}  // namespace tenon
