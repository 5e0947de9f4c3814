#pragma once
// One entry of a Session, prepared to run: its inputs, the check at the door, the call, its outputs.
#include <concepts>
#include <memory>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "runtime/program.h"
#include "runtime/tensor.h"

namespace tenon {

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
  // Error if the entry has no such input, its type differs, or the tensor lies in an output of this entry. The name of a
  // run-time size may be bound to a number: needed only where no input says what it is (otherwise it is its maximum). A number
  // is exact in its input's type or rounded to it; an integer input takes no fraction.
  Step& bind(std::string_view name, const Tensor& tensor);
  Step& bind(std::string_view name, double number);
  Step& bind(std::string_view name, int64_t number);
  template <typename T>
  requires std::is_arithmetic_v<T> Step& bind(std::string_view name, T number) {
    return bind(name, static_cast<std::conditional_t<std::is_floating_point_v<T>, double, int64_t>>(number));
  }

  // Error if an input is missing, sizes disagree, a size is not in 1..maximum, an index is out of
  // range, or an element of an input is outside of its support.
  void run();

  Tensor output(std::string_view name) const;  // a view of the last run's result, valid until the next; same address
  Outputs outputs() const;
  const Sizes& sizes() const { return sizes_; }  // of the last run

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
  void solve();
  void check_indices() const;
  void check_supports() const;
  [[noreturn]] void raise(const IndexRange& range, int64_t element, int64_t value) const;
  Tensor view(size_t output) const;

  struct Slot {
    Tensor tensor;
    Sizes sizes = {};  // what its extents say the run-time sizes are; 0: nothing
    bool bound = false;
    bool number = false;
  };
  std::shared_ptr<SessionMemory> memory_;
  const ProgramEntry* entry_;
  std::vector<Slot> slots_;
  std::vector<Tensor> numbers_;     // per input: where a bound number lives, if it is a scalar
  std::vector<std::byte*> inputs_;  // what the frames point at
  std::vector<Frame> frames_;       // one per thread
  Sizes sizes_;
  Sizes bound_sizes_;           // by name; 0: not
  std::vector<int> size_from_;  // the input that says what the size is
  bool settled_ = false;
  bool initial_ = false;  // the entry init, which runs before the states have values
};

}  // namespace tenon
