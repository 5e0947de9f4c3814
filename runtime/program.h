#pragma once
// A compiled program: plain data that the compiler fills in and any number of Sessions run. It knows no graph and no
// LLVM; `code` keeps the native code alive.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/type.h"

namespace tenon {

// A bad index that emitted code found: the first check, in order, that fails, at its least element.
struct Fault {
  int64_t check = -1;   // index in ProgramEntry::checks; -1: none
  int64_t element = 0;  // flat position in the index tensor
  int64_t value = 0;
};

// What emitted code sees of one run: base pointers, the run-time sizes, and who executes. One per thread of the team.
// Its layout is known to compiler/native.
struct Frame {
  std::byte* const* inputs;           // by ProgramEntry::inputs
  std::byte* const* states;           // by Program::states
  std::byte* const* outputs;          // by ProgramEntry::outputs
  const std::byte* const* constants;  // by ProgramEntry::constants
  std::byte* arena;                   // ProgramEntry::arena_bytes, aligned to 64
  std::byte* scratch;                 // this thread's ProgramEntry::scratch_bytes, aligned to 64
  int64_t thread;                     // 0 <= thread < threads
  int64_t threads;
  void (*barrier)(void* team);  // all threads meet; not called when threads is 1
  void* team;
  Fault* fault;  // shared; check kernels run on thread 0 and return from the entry on all threads
  std::array<int64_t, Sizes::largest> sizes = {};  // by Program::sizes
};

// Every thread of the team enters it once. It returns early, before any state is written, if it sets the fault.
using EntryFunction = void (*)(const Frame*);

struct Binding {
  std::string name;
  Type type;
  Line line;  // where the user made it
};

struct StateBinding : Binding {
  bool trainable = false;
};

// What an index must satisfy at run time: 0 <= index < extent.
struct IndexRange {
  std::string what;  // "pick: index"
  int input = -1;    // an input of the entry that the door checks; -1: computed, checked by emitted code
  Type type;         // of the index tensor
  Extent extent;
  Line line;
};

// An input whose elements the door checks.
struct InputSupport {
  int input;
  Support support;
};

// A placed buffer, for the memory report.
struct BufferReport {
  std::string name;
  Type type;
  int64_t bytes;
  int64_t offset;
  int first_kernel, last_kernel;
};

enum class Stage : uint8_t { graph, kernels, loops, llvm, assembly };

struct ProgramEntry {
  std::string name;
  std::vector<Binding> inputs;
  std::vector<Binding> outputs;
  std::vector<int> updated;    // indices in Program::states that a run writes
  std::vector<int> constants;  // indices in Program::constants that its code reads
  std::vector<IndexRange> checks;
  std::vector<InputSupport> supports;
  int64_t arena_bytes = 0;
  int64_t arena_lower_bound = 0;  // the largest set of bytes alive at once
  int64_t scratch_bytes = 0;      // per thread
  int64_t threads = 1;            // more threads are never useful
  std::vector<BufferReport> buffers;
  std::map<Stage, std::string> listings;
  EntryFunction function = nullptr;
};

struct Program {
  Sizes sizes;  // the run-time sizes and their maxima
  std::vector<StateBinding> states;
  std::vector<std::vector<std::byte>> constants;
  std::vector<ProgramEntry> entries;
  std::vector<std::string> receipts;
  std::string graph;       // optimised, of all entries, as text
  std::string graph_hash;  // of the program's text without comments
  std::string target;      // "avx512 (16 lanes)": the ISA it was compiled for, and why if it is not the best
  std::string summary_text;
  std::shared_ptr<const void> code;

  const ProgramEntry& entry(std::string_view name) const;  // Error naming the entries there are
  // The optimised graph (one for all entries); the kernels, the LLVM IR or the assembly of all entries, or of one.
  std::string listing(Stage stage, std::string_view entry = {}) const;
  std::string receipt() const;  // a line per fused or missed loss, and per trained parameter how it is updated
  std::string summary() const;  // parameters, kernels, bytes
  std::string memory() const;   // arena beside its lower bound; each buffer and its life
};

}  // namespace tenon
