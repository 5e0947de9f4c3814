#pragma once
// Runs the list of passes: times, verifies, dumps and skips them, all generically. The only reader of the environment:
//   TENON_DEBUG=1 passes with node counts and milliseconds, 2 + graph after each pass that changed it, 3 + kernels and
//   buffers, 4 + loops and LLVM IR, 5 + assembly (to stderr) · TENON_DUMP=dir writes NN_pass.ir · TENON_SKIP=simplify,fold
//   · TENON_CACHE=dir keeps compiled code
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/kernel/kernel.h"
#include "ir/graph.h"

namespace tenon {

// One row of the pipeline. `needs` and `gives` say what is true of the graph before and after.
struct GraphPass {
  std::string_view name;
  Graph (*run)(const Graph&);
  bool optional;  // TENON_SKIP may leave it out and the program still means the same
  std::string_view needs;
  std::string_view gives;
};

// The graph passes in order, from the user's graph to one that holds only compute definitions.
std::span<const GraphPass> graph_passes();

// Why one pass stands before another; a test holds the list against it.
struct PassOrder {
  std::string_view first, then, reason;
};
std::span<const PassOrder> pass_orders();

// What the environment asks to see.
struct Inspection {
  int level = 0;
  std::string dump;               // folder; empty: none
  std::vector<std::string> skip;  // names of optional passes
  std::string cache;              // folder; empty: none

  static Inspection from_environment();
  bool skips(std::string_view pass) const;
  void report(std::string_view line) const;                         // level 1, to stderr
  void stage(int level, std::string_view name, std::string_view extension,
             const std::function<std::string()>& text);
  // Runs a pass: verified after, dumped; an InternalError inside is thrown again with the pass's name and the file that
  // holds the graph before it.
  Graph run(const GraphPass& pass, Graph graph);
  // The same for a pass that makes or changes the kernels of an entry.
  void run(std::string_view pass, KernelList& list, const std::function<void()>& change);

 private:
  // Throws the error again with the pass and the file of this name, in which it leaves the text.
  [[noreturn]] void broken(std::string_view pass, const InternalError& error, std::string_view what,
                           std::string_view file, const std::string& text) const;
  int written_ = 0;  // files so far, for their numbers
};

// Milliseconds since it was made.
class Stopwatch {
 public:
  double ms() const { return std::chrono::duration<double, std::milli>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace tenon
