#pragma once
// The pipeline as data, and what runs it: every row of every level is timed, verified, dumped, counted and skipped in one
// way. pass.cpp is the only reader of the environment:
//   TENON_DEBUG=1 passes with counts and milliseconds, 2 + the graph after each pass that changed it, 3 + the kernels,
//   4 + the loops and LLVM IR, 5 + assembly (to stderr) · TENON_DUMP=dir writes NN_pass.ir, .kernels, .loops, .ll, .s
//   · TENON_SKIP=simplify,fold · TENON_CACHE=dir keeps compiled code · TENON_ISA=avx2 uses no better instructions
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/kernel/calls.h"
#include "compiler/loop/loop.h"
#include "compiler/native/jit.h"
#include "ir/graph.h"

namespace tenon {

// What a pass reads and what it makes; each is a language of its own.
enum class Level : uint8_t { graph, kernels, loops, machine };

// All that a compilation has made so far. A pass goes from a level to the same or the next one; `reuse` looks ahead.
struct Compilation {
  Target target;
  NativeOptions native = {};
  Graph graph = {};
  std::vector<KernelList> entries = {};        // the kernels of each
  Calls calls = {};                            // the different kernels among them, and who calls which
  std::vector<loop::Function> functions = {};  // of each different kernel
  MachineCode code = {};                       // of all of them
  std::string cache = {};                      // folder; empty: none
  bool reused = false;                         // the code was found there: nothing has to be lowered
};

// The text of what stands at that level: of all entries, one after the other.
std::string text(const Compilation& c, Level level);

// One row of the pipeline. `needs` and `gives` say what is true before and after.
struct Pass {
  std::string_view name;
  Level level;  // of what it gives
  void (*run)(Compilation& c);
  bool optional;  // TENON_SKIP may leave it out and the program still means the same
  std::string_view needs;
  std::string_view gives;
};

// From the user's graph to machine code.
std::span<const Pass> passes();

// Why one pass stands before another; a test holds the list against it.
struct PassOrder {
  std::string_view first, then, reason;
};
std::span<const PassOrder> pass_orders();

// What the environment asks to see.
struct Inspection {
  int level = 0;
  std::string dump = {};               // folder; empty: none
  std::vector<std::string> skip = {};  // names of optional passes
  std::string cache = {};              // folder; empty: none
  Isa isa = Isa::avx512;               // at most

  static Inspection from_environment();
  bool skips(std::string_view pass) const;
  void report(std::string_view line) const;  // level 1, to stderr
  void stage(int level, std::string_view name, std::string_view extension, const std::function<std::string()>& text);
  // Runs a pass and verifies what it gives; returns the milliseconds. An InternalError inside is thrown again with the
  // pass's name and the file that holds the graph before it, or the kernels or loops as they are.
  double run(const Pass& pass, Compilation& c);

 private:
  bool shows() const { return level >= 1 || !dump.empty(); }
  void show(const Pass& pass, const Compilation& c);
  [[noreturn]] void broken(const Pass& pass, const InternalError& error, const std::string& text) const;
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
