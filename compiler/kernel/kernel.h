#pragma once
// The language of kernels: what `group` produces and `lower` consumes. A kernel is one loop tree: parallel row loops around
// a list of statements, or a contraction with its epilogue. Statements are Scalars whose loads name buffers. Here an
// operation has no name any more, and a buffer has no address yet (`place` gives it one).
//
// A kernel reads as
//   k2 for i<n
//     m[] = max over j<10 of z[i,j]
//     s[] = sum over j<10 of exp(z[i,j] - m[])
//     p[i,j] for j<10 = exp(z[i,j] - m[]) / s[]
// and a contraction as
//   k1: acc[i<n; j<128] = sum over k<784 by 512 by 64 of x[i,k] * W[k,j]
//     h[i,j] = max(acc + b[j], 0)
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ir/compute.h"
#include "ir/graph.h"

namespace tenon {

using BufferId = int64_t;  // the `source` of a load

// Where the bytes of a buffer are.
enum class Storage : uint8_t {
  input,     // bound by the user for one run
  state,     // parameters and state of the Session, updated in place
  output,    // the Session's buffer for a result of the entry
  constant,  // read-only data of the Program
  arena,     // lives between kernels of one run
  row,       // one row of values, private to a thread, dead when the row ends; index: the inner axes only
  tile,      // the accumulator of a contraction, in registers; index: the m axes, then the n axes
  argument,  // of an isolated kernel: memory that its caller names
};
std::string_view name(Storage storage);  // "arena"
inline bool in_memory(Storage storage) { return storage != Storage::row && storage != Storage::tile; }

struct Buffer {
  std::string name;  // "dense1/relu", unique within the entry
  Type type;         // of a row buffer: without the row axes
  Storage storage;
  int64_t slot = -1;          // input, state, output, constant: the index in the Program's table of that kind; argument: which
  int64_t offset = -1;        // arena: bytes from its start, multiple of 64, filled in by place; argument: equal for
                              // those that may share bytes
  int first = -1, last = -1;  // arena: the first and last kernel that touch it

  bool operator==(const Buffer&) const = default;
};

struct Axis {
  int64_t variable;  // its number in Scalars; unique within a kernel
  Extent extent;
  bool operator==(const Axis&) const = default;
};

// The order of a float sum or product that is not a contraction, which no lane count, target or maximum changes. Up to
// `chains` points are added in order. Of more, point k of those of its block goes to chain k mod `chains`; the chains of a
// block, which begin with the identity, are combined pairwise (the first half with the second, and so on), and the blocks
// pairwise in ascending order, as a binary counter counts.
struct ChainOrder {
  int64_t chains = 16, block = 4096;
  bool operator==(const ChainOrder&) const = default;
};

// for axes: buffer[index] = reduction over `reduced` of value. A scatter (buffer[scatter, ...] += value, see Definition)
// first clears the buffer. Several stores of one value are several statements.
struct Statement {
  std::vector<Axis> axes = {};  // loops inside the kernel's rows, outermost first; the last one is the vector axis
  std::vector<Axis> reduced = {};
  Reduction reduction = Reduction::none;
  Scalar value;
  BufferId buffer = -1;
  std::vector<Scalar> index = {};  // one per axis of the buffer; of a row buffer: per inner axis
  bool scatter = false;            // index[0] is data: the statement adds
  ChainOrder order = {};           // of a reduction that is ordered()

  // Whether the order of the points can change the result.
  bool ordered() const { return is_float(value->dtype) && (reduction == Reduction::sum || reduction == Reduction::product); }

  bool operator==(const Statement&) const = default;
};

// The order of a contraction's sum, which no tile, target or maximum changes. Points in row-major order are cut into blocks
// at multiples of `block`; a block is one chain of FMAs from zero, and blocks are added in order. Of more than `group`
// blocks, so many at a time are added in order, and then these in order.
struct SumOrder {
  int64_t block = 512, group = 64;
  bool operator==(const SumOrder&) const = default;
};

// acc[m; n] = sum over the k axes of a * b, where a does not depend on n nor b on m; a sum over leading axes is one whose a
// is the constant 1. Each of m, n and k is a list of axes, outermost first; no axis is one point. The epilogue is the kernel's
// body: statements over the axes of m and n and without a reduction, which read acc as the tile buffer.
struct Contraction {
  std::vector<Axis> m, n, k;
  Scalar a, b;           // of one float type
  BufferId accumulator;  // a buffer with Storage::tile
  SumOrder order = {};

  std::vector<Axis> axes() const;  // of m, then of n

  bool operator==(const Contraction&) const = default;
};

// Where the inner loop of a contraction reads an operand. A panel holds the values of the operand's expression.
enum class Layout : uint8_t {
  in_place,  // in its buffer: a plain load, whose neighbours along k (and m, of a) are equally far apart, along n one element
  by_k,      // in a panel: the rows of a tile of a, or the columns of b, side by side for each point of k
  by_row,    // in a panel: the points of k side by side for each row of a
};

// How a contraction is cut: register tiles of rows x (16 * vectors) elements; the tiles of a group come one after the
// other for each panel of 16 * vectors columns; so many points of the outermost k axis at a time, which of a single one are
// whole blocks of the sum (or all). The axes are those of the flattened contraction (flatten.h). No choice changes a bit.
struct Tile {
  int64_t rows = 8;
  int64_t vectors = 2;
  int64_t k_block = 512;
  int64_t group = 64;
  Layout a = Layout::in_place, b = Layout::in_place;

  bool operator==(const Tile&) const = default;
};

// An index operand that must lie in [0, extent) before anything persistent is written.
struct IndexCheck {
  BufferId index;  // i32, i64 or u8
  Extent extent;
  Line line;
  std::string message;  // "pick: the index" ...
};
bool operator==(const IndexCheck& a, const IndexCheck& b);  // but for the line

struct Kernel {
  std::string name;        // "k3"
  std::vector<Axis> rows;  // parallel loops around everything, outermost first; may be empty
  std::vector<Statement> body;
  std::optional<Contraction> contraction;
  std::optional<IndexCheck> check;  // then body is empty: the kernel scans an index buffer and sets the flag
  Tile tile;                        // of a contraction; filled in by tile
  int64_t threads = 1;              // at most so many threads share it; filled in by tile
  bool barrier = false;             // all threads meet before it starts; filled in by tile. Besides, they meet
                                    // after the last of several checks in a row, to learn whether one failed
  std::vector<Line> lines;          // the user's lines it computes

  std::vector<Axis> loops() const;  // the parallel ones: rows, and the m and n of a contraction
};
bool operator==(const Kernel& a, const Kernel& b);  // but for the lines

// What the user binds, reads or updates under a name, and the line that made it.
struct Named {
  std::string name;
  Type type;
  Line line;
};

// The variables that stand for the numbers given to an isolated kernel are this one and the next ones; no axis has one.
constexpr int64_t first_given = int64_t{1} << 41;

// All kernels of one entry in execution order.
struct KernelList {
  std::string entry;
  std::vector<Buffer> buffers;
  std::vector<Kernel> kernels;
  std::vector<Named> inputs;          // by slot: those that the entry reads, in the order of the graph
  std::vector<Named> outputs;         // by slot
  std::vector<Named> states;          // by slot: all of the program
  std::vector<int64_t> updated;       // slots of the states that the entry writes, ascending
  std::vector<Literal> constants;     // by slot
  std::vector<IndexCheck> door;       // indices that are inputs: to be checked before the entry is called
  std::vector<std::string> receipts;  // what became of each parameter's update
  std::vector<std::string> notes;     // where an update could not be made in place, and why
  int64_t arena_bytes = 0;            // filled in by place, at the maxima of the sizes
  int64_t lower_bound = 0;            // the largest live set
  Sizes sizes;                        // the program's run-time sizes and their maxima
  int64_t numbers = 0;                // of an isolated kernel: given besides, as the variables from first_given on
};
bool operator==(const KernelList& a, const KernelList& b);  // but for lines

// The buffers in memory that a kernel reads and writes: not those in registers or private to a thread.
struct Touched {
  std::set<BufferId> read, written;
};
Touched touched_buffers(const Kernel& kernel, const KernelList& list);

// Whether some byte may belong to both buffers.
bool share_bytes(const KernelList& list, BufferId a, BufferId b);

// The text form, parse_kernels(str(list))[0] == list; the grammar stands in compiler/README.md.
std::string str(const KernelList& list);
std::string str(const Kernel& kernel, const KernelList& list);
// The lists of a text, one after the other. Error "file:line:column: message" with the line and a caret, for any text that
// str() could not have written from kernels that verify() accepts.
std::vector<KernelList> parse_kernels(std::string_view text, std::string_view file = "<text>");

}  // namespace tenon
