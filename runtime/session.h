#pragma once
// A Program with values: its parameters and states, an arena, the outputs and a team of threads. A run checks
// its inputs once at the door and calls one native function; it allocates nothing, and if it throws it has
// changed nothing.
//
//   Session session(program, {.threads = 2});
//   session.init(1);
//   double loss = session.run("train", {{"x", images}, {"label", labels}, {"rate", 0.1}})["loss"].number();
//
// Many Sessions may share one Program on many threads; one Session is used by one thread at a time.
#include <memory>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/program.h"
#include "runtime/tensor.h"

namespace tenon {

struct SessionOptions {
  int threads = 1;  // 1 starts no thread; 0: as many as there are CPUs. Never more than the Program can use
  bool guarded =
      false;  // a page that faults behind the arena and every state and output: for finding wild writes
};

// A tensor, bound without a copy, or a number for a scalar input.
struct Input {
  std::string_view name;
  std::variant<Tensor, double, int64_t> value;

  Input(std::string_view name, Tensor tensor) : name(name), value(std::move(tensor)) {}
  template <std::integral T>
  Input(std::string_view name, T number) : name(name), value(static_cast<int64_t>(number)) {}
  template <std::floating_point T>
  Input(std::string_view name, T number) : name(name), value(static_cast<double>(number)) {}
};

// The results of one run, by name: views of the Session's buffers, overwritten by the next run of the same
// entry.
class Outputs {
 public:
  const Tensor& operator[](std::string_view name) const;  // Error naming the outputs there are
  size_t size() const { return tensors_.size(); }

 private:
  friend class Step;
  const ProgramEntry* entry_ = nullptr;
  std::vector<Tensor> tensors_;
};

// What a Session owns; its address is stable while any Session or Step of it lives.
struct SessionMemory;

// One entry, prepared: inputs stay bound between runs, so a run is a check of flags and one call.
class Step {
 public:
  // Binds an input, again if it was bound before. The elements may change between runs and must outlive them.
  // Error if the entry has no such input, or its type differs. The name of the run-time size may be bound to
  // a number: needed only where no input has it. A number is exact in its input's type or rounded to it; an
  // integer input takes no fraction.
  Step& bind(std::string_view name, const Tensor& tensor);
  Step& bind(std::string_view name, double number);
  Step& bind(std::string_view name, int64_t number);
  template <typename T>
  requires std::is_arithmetic_v<T> Step& bind(std::string_view name, T number) {
    return bind(name, static_cast<std::conditional_t<std::is_floating_point_v<T>, double, int64_t>>(number));
  }

  // Error if an input is missing, sizes disagree, the size is not in 1..maximum, or an index is out of range.
  void run();

  Tensor output(
      std::string_view name) const;  // a view of the last run's result, valid until the next; same address
  Outputs outputs() const;
  int64_t size() const { return size_; }  // n of the last run

  Step(Step&&) noexcept = default;
  Step& operator=(Step&&) noexcept = default;

 private:
  friend class Session;
  Step(std::shared_ptr<SessionMemory> memory, const ProgramEntry& entry);
  size_t index(std::string_view input) const;
  template <typename Number>
  void bind_number(size_t input, Number number);
  void unbind();
  void settle();
  void check_indices() const;
  [[noreturn]] void raise(const IndexRange& range, int64_t element, int64_t value) const;
  Tensor view(size_t output) const;

  struct Slot {
    Tensor tensor;
    int64_t size = 0;  // what its extents say n is; 0: nothing
    bool bound = false;
    bool number = false;
  };
  std::shared_ptr<SessionMemory> memory_;
  const ProgramEntry* entry_;
  std::vector<Slot> slots_;
  std::vector<Tensor> numbers_;     // per input: where a bound number lives, if it is a scalar
  std::vector<std::byte*> inputs_;  // what the frames point at
  std::vector<Frame> frames_;       // one per thread
  int64_t size_ = 0;
  int64_t bound_size_ = 0;  // bound by name; 0: not
  bool settled_ = false;
  bool initial_ = false;  // the entry init, which runs before the states have values
};

class Session {
 public:
  // A Program given as an lvalue is not copied and must outlive the Session and its Steps.
  explicit Session(const Program& program, const SessionOptions& options = {});
  explicit Session(Program&& program, const SessionOptions& options = {});
  explicit Session(std::shared_ptr<const Program> program, const SessionOptions& options = {});

  const Program& program() const;
  int threads() const;
  bool initialised() const;  // all states have values

  // All states zero, "seed" = seed and "step" = 0 where there are such states, then the entry "init" if there
  // is one.
  void init(int64_t seed);

  Step prepare(std::string_view entry);
  // The slow form: looks names up, allocates the views. Error also for an input given twice.
  Outputs run(std::string_view entry, std::span<const Input> inputs);
  Outputs run(std::string_view entry, std::initializer_list<Input> inputs = {}) {
    return run(entry, std::span<const Input>(inputs.begin(), inputs.size()));
  }

  // A parameter or state by name, copied. Error naming the states there are.
  Tensor read(std::string_view state) const;
  // Error if the types differ.
  void write(std::string_view state, const Tensor& value);
  // All states at once, in the Program's order, after all were checked.
  void write_all(std::span<const Tensor> values);

 private:
  std::shared_ptr<SessionMemory> memory_;
  std::vector<std::unique_ptr<Step>> steps_;  // of run(), by entry, made when first used
};

}  // namespace tenon
