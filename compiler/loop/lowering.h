#pragma once
// The inside of the lowering: one isolated kernel becomes one function of the loop language.
// Lowering turns Scalars into nodes at the current position. Its bindings (loop variable -> i64) live in levels, one per open
// loop; an expression is made once, at the outermost level that binds all its variables, so invariant work leaves the loops
// by itself. Every point of a kernel's loops is a valid address and no loop that is made is empty over the whole kernel, so
// hoisting a load is safe; a load of a buffer that the kernel writes stays put.
#include <functional>
#include <map>
#include <span>
#include <unordered_map>

#include "compiler/kernel/index.h"
#include "compiler/kernel/isolate.h"
#include "compiler/kernel/target.h"
#include "compiler/loop/build.h"

namespace tenon::loop {

class Lowering {
 public:
  Lowering(std::string name, const IsolatedKernel& kernel, const Target& target);
  Lowering(const Lowering&) = delete;
  Lowering& operator=(const Lowering&) = delete;

  const KernelList& list;
  const Kernel& kernel;
  const Target& target;
  Builder b;

  Value base(BufferId buffer);                // its first byte
  Value scratch(DType dtype, int64_t count);  // thread-private memory aligned to 64, for the whole call
  Value stack(DType dtype, int64_t count);    // the same for little, which a back end may keep in registers
  bool constant(Value x, int64_t value) const { return b.known(x) == value; }

  // for (i = begin; i < end; i += step) body(i, carried); opens a level for the body. Returns the carried values after
  // the loop. The body returns the next carried values.
  Values loop(Value begin, Value end, int64_t step, Values carried,
              const std::function<Values(Value i, const Values& carried)>& body);
  void loop(Value begin, Value end, int64_t step, const std::function<void(Value i)>& body);
  // if (condition) body(); opens a level.
  void when(Value condition, const std::function<void()>& body);

  // A level without a loop: to bind variables for one copy of unrolled code.
  void open();
  void close();

  // Binds a loop variable in the innermost level; not twice in one level.
  void bind(int64_t variable, Value value);
  // Also makes it the vector variable: vector() means lanes value, value + 1, ... value + 15, of which only those of the
  // mask (null: all) exist. Memory of the others is not touched.
  void bind_vector(int64_t variable, Value value, Value mask);
  Value mask() const;  // of the vector variable; null: all lanes

  // The value of an expression for the bound variables (of the vector variable: its first lane), and for the 16 lanes of
  // the vector variable. A value that does not depend on it is made as a scalar and splatted.
  Value scalar(const Scalar& x);
  Value vector(const Scalar& x);

  // buffer[index] = value, of one element or of the 16 lanes.
  void store(BufferId buffer, std::span<const Scalar> index, Value value);
  void store_vector(BufferId buffer, std::span<const Scalar> index, Value value);

  // The vector variable is a row axis: a row buffer holds 16 lanes per element.
  bool row_lanes = false;

  // The value of a load of a tile buffer (second argument: as 16 lanes). Set while a contraction's epilogue is made.
  std::function<Value(const Scalar& load, bool vector)> tile;

  // The factor of a variable in the flattened address of buffer[index], in elements; null if it is not affine in it.
  std::optional<Extent> stride(BufferId buffer, std::span<const Scalar> index, int64_t variable);
  // The address of buffer[index] for the bound variables.
  Value address(BufferId buffer, std::span<const Scalar> index);

  IndexForms& forms() { return forms_; }

  Value first_lanes(Value count);  // the lanes i < count as a mask, null if that is known to be all of them

  // From here to the end of the innermost level, a load of a buffer that the kernel writes but `written` does not name may
  // be made once, at the level that is innermost now (otherwise such loads stay in the innermost level).
  void settle(std::vector<BufferId> written);

 private:
  // What is open: a loop, a branch or a copy of code, with the variables bound there and the values made there. Its depth in
  // the builder is its index plus one.
  struct Level {
    std::map<int64_t, Value> bound = {};
    std::unordered_map<const ScalarNode*, Value> scalars = {}, vectors = {};
    int64_t vector_variable = -1;
    Value mask = {};
    bool settled = false;
    std::vector<BufferId> written = {};  // if settled: the buffers that are not
  };
  // What the value of an expression depends on.
  struct Facts {
    Scalar expression;  // keeps the key of the table alive
    std::vector<int64_t> variables;
    std::vector<BufferId> reads;  // of the buffers that change while the kernel runs
    bool reads_row = false;
  };
  const Facts& facts(const Scalar& x);
  size_t level(const Facts& facts) const;
  const Level* vector_level() const;
  bool varies(const Facts& facts) const;  // between the lanes
  Value value(const Scalar& x, bool wide);
  Value make(const Scalar& x, bool wide);
  Value make_index(const Scalar& x, bool wide);
  Value make_call(const Scalar& x, ValueType type, const Values& arguments);
  Value load(const Scalar& x, bool wide);
  Value load_lanes(const Scalar& x);
  enum class Terms : uint8_t { common, of_lanes };  // the same in all lanes, or not
  Value linear(const Linear& form, Terms which, ValueType type);
  Value all(const Linear& form);
  Value lane_offsets(const Linear& form, const tenon::Type& type);
  Value element(BufferId buffer, const Linear& form);
  void forget(BufferId stored);
  void bound_axes();

  IndexForms forms_;
  std::vector<Level> levels_;
  std::vector<Value> bases_;
  std::vector<char> written_;  // by buffer: the kernel stores to these bytes
  std::unordered_map<const ScalarNode*, Facts> facts_;
  int64_t scratch_bytes_ = 0;
};

inline DType stored(DType dtype) { return dtype == boolean ? u8 : dtype; }

// Divides [0, total) into `threads` contiguous parts, multiples of `grain` (but for the last): the part of `thread`.
std::pair<Value, Value> part(Lowering& low, Value total, int64_t grain);

// for (i = begin; i < end; i += 16): body with the vector variable bound to i, first for whole vectors, then masked; or
// made only once, always masked.
void vector_loop(Lowering& low, Value begin, Value end, int64_t variable, const std::function<void()>& body, bool once = false);

// The reduction of a statement over its one reduced axis (any other variable it uses is bound): with the lanes along
// that axis, giving a scalar, or element after element, giving a scalar or one value per lane. Equal bits.
Value reduce_lanes(Lowering& low, const Statement& statement);
Value reduce_serial(Lowering& low, const Statement& statement, bool wide);

// The body of a kernel without contraction.
void lower_rows(Lowering& low);
// The body of a contraction: acc[m,n] = sum over k of a * b in its SumOrder, then the kernel's statements on the register
// tile. A thread computes a contiguous part of the tiles; an operand that is not a plain load with the strides
// the tile wants is evaluated once into a panel of the thread's scratch. Cuts, panels and parts never change a bit.
void lower_contraction(Lowering& low);

}  // namespace tenon::loop
