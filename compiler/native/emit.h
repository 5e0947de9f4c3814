#pragma once
// The inside of the native room: one isolated kernel becomes one LLVM function (see declare_kernel).
// Emitter turns Scalars into instructions at the current position. Its bindings (loop variable -> i64) live in
// levels, one per open loop; an expression is emitted once, at the outermost level that binds all its variables, so
// invariant work leaves the loops by itself. Every point of a kernel's loops is a valid address and no emitted loop
// is empty over the whole kernel, so hoisting a load is safe; a load of a buffer that the kernel writes stays put.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <functional>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "compiler/kernel/target.h"
#include "compiler/native/calls.h"
#include "compiler/native/linear.h"
#include "runtime/program.h"

namespace tenon {

inline constexpr unsigned lanes = 16;  // of an emitted vector, on every ISA

// void(const Frame*, [i64 thread, i64 threads,] ptr argument..., i64 number...): the share of a thread is given to kernels
// that run on several threads.
llvm::FunctionCallee declare_kernel(llvm::Module& module, const std::string& name, const IsolatedKernel& kernel);

class Emitter {
 public:
  // Creates the function `name` in the module, with the position at the end of its entry block.
  Emitter(llvm::Module& module, const std::string& name, const IsolatedKernel& kernel, const Target& target);
  Emitter(const Emitter&) = delete;
  Emitter& operator=(const Emitter&) = delete;

  const KernelList& list;
  const Kernel& kernel;
  const Target& target;
  llvm::IRBuilder<> b;
  llvm::Function* function;
  llvm::Value* frame;    // const Frame*
  llvm::Value* thread;   // 0 <= thread < threads: the share of the work this call does
  llvm::Value* threads;

  // Types. In registers a bool is i1, in memory a byte 0 or 1.
  llvm::Type* type(DType dtype) const;
  llvm::VectorType* vector_type(DType dtype) const;  // 16 of them
  llvm::Type* stored_type(DType dtype) const;
  llvm::Value* integer(int64_t value) { return b.getInt64(static_cast<uint64_t>(value)); }
  llvm::Value* splat(llvm::Value* x) { return b.CreateVectorSplat(lanes, x); }

  llvm::Value* extent(Extent extent);    // its run-time value, an i64
  llvm::Value* base(BufferId buffer);    // its first byte
  llvm::Value* scratch(int64_t bytes);   // thread-private memory aligned to 64, for the whole call
  int64_t scratch_bytes() const { return scratch_bytes_; }
  llvm::Value* stack(llvm::Type* type, int64_t count = 1);  // an alloca in the entry block, aligned to 64

  // for (i = begin; i < end; i += step) body(i, carried); opens a level for the body. Returns the carried values after
  // the loop. The body returns the next carried values.
  using Values = std::vector<llvm::Value*>;
  Values loop(llvm::Value* begin, llvm::Value* end, int64_t step, Values carried,
              const std::function<Values(llvm::Value* i, const Values& carried)>& body);
  void loop(llvm::Value* begin, llvm::Value* end, int64_t step, const std::function<void(llvm::Value* i)>& body);
  // if (condition) body(); opens a level.
  void when(llvm::Value* condition, const std::function<void()>& body);

  // A level without a loop: to bind variables for one copy of unrolled code.
  void open();
  void close();

  // Binds a loop variable in the innermost level; not twice in one level.
  void bind(int64_t variable, llvm::Value* value);
  // Also makes it the vector variable: vector() means lanes value, value + 1, ... value + 15, of which only those of the
  // mask (null: all) exist. Memory of the others is not touched.
  void bind_vector(int64_t variable, llvm::Value* value, llvm::Value* mask);
  llvm::Value* mask() const;  // of the vector variable; null: all lanes

  // The value of an expression for the bound variables (of the vector variable: its first lane), and for the 16 lanes of
  // the vector variable. A value that does not depend on it is emitted as a scalar and splatted.
  llvm::Value* scalar(const Scalar& x);
  llvm::Value* vector(const Scalar& x);

  // buffer[index] = value, of one element or of the 16 lanes. Bool values are i1.
  void store(BufferId buffer, std::span<const Scalar> index, llvm::Value* value);
  void store_vector(BufferId buffer, std::span<const Scalar> index, llvm::Value* value);

  // The vector variable is a row axis: a row buffer holds 16 lanes per element.
  bool row_lanes = false;

  // The lanes of the mask at an address, or at 16 addresses; the others are `rest`, their memory is not touched.
  llvm::Value* masked_load(llvm::Value* address, llvm::Value* mask, llvm::Value* rest);
  void masked_store(llvm::Value* value, llvm::Value* address, llvm::Value* mask);

  // The value of a load of a tile buffer (second argument: as 16 lanes). Set by the emitter of contractions.
  std::function<llvm::Value*(const Scalar& load, bool vector)> tile;

  // The factor of a variable in the flattened address of buffer[index], in elements; null if it is not affine in it.
  std::optional<Extent> stride(BufferId buffer, std::span<const Scalar> index, int64_t variable) const;
  // The address of buffer[index] for the bound variables.
  llvm::Value* address(BufferId buffer, std::span<const Scalar> index);

  LinearForms& forms() { return forms_; }

  // The lanes i < count as a mask, null if that is known to be all of them; count is an i64.
  llvm::Value* first_lanes(llvm::Value* count);
  llvm::Value* lane_numbers(llvm::Type* element);  // <0, 1, ..., 15>

  // From here to the end of the innermost level, a load of a buffer that the kernel writes but `written` does not name may
  // be emitted once, at the level that is innermost now (otherwise such loads stay in the innermost level).
  void settle(std::vector<BufferId> written);

 private:
  // What is open: a loop, a branch or a copy of code, with the variables bound there and the values emitted there.
  struct Level {
    llvm::Instruction* outside = nullptr;  // the branch into it: the code of the level around it ends before it
    std::map<int64_t, llvm::Value*> bound;
    std::unordered_map<const ScalarNode*, llvm::Value*> scalars, vectors;
    int64_t vector_variable = -1;
    llvm::Value* mask = nullptr;
    bool settled = false;
    std::vector<BufferId> written;  // if settled: the buffers that are not
  };
  // What the value of an expression depends on.
  struct Facts {
    Scalar expression;                // keeps the key of the table alive
    std::vector<int64_t> variables;
    std::vector<BufferId> reads;      // of the buffers that change while the kernel runs
    bool reads_row = false;
  };
  const Facts& facts(const Scalar& x);
  size_t level(const Facts& facts) const;
  const Level* vector_level() const;
  bool varies(const Facts& facts) const;  // between the lanes
  llvm::Value* value(const Scalar& x, bool wide);
  llvm::Value* make(const Scalar& x, bool wide);
  llvm::Value* load(const Scalar& x, bool wide);
  llvm::Value* linear(const Linear& form, bool varying, bool wide, bool narrow);
  llvm::Value* all(const Linear& form);
  llvm::Value* lane_offsets(const Linear& form, const Type& type);
  llvm::Value* element(BufferId buffer, const Linear& form);
  void forget(BufferId stored);

  LinearForms forms_;
  std::vector<Level> levels_;
  std::vector<llvm::Value*> bases_;
  std::vector<char> written_;  // by buffer: the kernel stores to these bytes
  std::unordered_map<const ScalarNode*, Facts> facts_;
  llvm::Value* size_ = nullptr;
  int64_t scratch_bytes_ = 0;
};

// Divides [0, total) into `threads` contiguous parts, multiples of `grain` (but for the last): the part of `thread`.
std::pair<llvm::Value*, llvm::Value*> part(Emitter& e, llvm::Value* total, int64_t grain);

// for (i = begin; i < end; i += 16): body with the vector variable bound to i, first for whole vectors, then masked; or
// emitted only once, always masked.
void vector_loop(Emitter& e, llvm::Value* begin, llvm::Value* end, int64_t variable, const std::function<void()>& body,
                 bool once = false);

// max or min of two values or vectors: floats propagate NaN, and -0 is less than +0.
llvm::Value* extreme(llvm::IRBuilderBase& b, bool max, DType dtype, llvm::Value* x, llvm::Value* y);

// The reduction of a statement over its one reduced axis (any other variable it uses is bound): with the lanes along
// that axis, giving a scalar, or element after element, giving a scalar or one value per lane. Equal bits.
llvm::Value* reduce_lanes(Emitter& e, const Statement& statement);
llvm::Value* reduce_serial(Emitter& e, const Statement& statement, bool wide);

// The function of an entry, `void(const Frame*)`, which every thread of the team enters: calls the kernels of the list
// between their barriers.
void emit_entry(llvm::Module& module, const std::string& name, const KernelList& list, std::span<const KernelCall> calls);

// The body of a kernel without contraction; ends with the position at the end of an open block (no return).
void emit_rows(Emitter& e);

}  // namespace tenon
