#include "runtime/step.h"

#include <algorithm>
#include <limits>

#include "runtime/memory.h"

namespace tenon {

namespace {

// What n must be for `given` to have the declared type; 0 if the type does not say.
int64_t match(std::string_view entry, const Binding& declared, const Tensor& given) {
  const Type& type = declared.type;
  auto differ = [&](std::string_view what) {
    fail(declared.line, "{}: input {}: {}: declared {}, given {}", entry, declared.name, what, type.str(),
         given.str());
  };
  if (given.dtype() != type.dtype) differ("element types differ");
  if (given.rank() != type.rank()) differ("ranks differ");
  int64_t n = 0;
  for (size_t axis = 0; axis < type.shape.size(); ++axis) {
    const Extent& extent = type.shape[axis];
    const int64_t actual = given.extents()[axis];
    if (!extent.symbolic() && actual != extent.count) differ(fmt::format("extents differ at axis {}", axis));
    if (!extent.symbolic() || extent.count == 0) continue;
    if (actual % extent.count != 0)
      differ(fmt::format("axis {} is not a multiple of {}", axis, extent.count));
    const int64_t size = actual / extent.count;
    if (size == 0) differ(fmt::format("{} is 0", extent.size));
    if (n != 0 && n != size) differ(fmt::format("{} is {} and {}", extent.size, n, size));
    n = size;
  }
  return n;
}

template <typename Number>
void store_number(Tensor& to, Number number, const Binding& declared, std::string_view entry) {
  const DType dtype = declared.type.dtype;
  if (std::is_floating_point_v<Number> && !is_float(dtype))
    fail(declared.line, "{}: input {}: declared {}, given the floating-point number {}", entry, declared.name,
         declared.type.str(), number);
  if (!is_float(dtype) && !fits(number, dtype))
    fail(declared.line, "{}: input {}: {} does not fit {}", entry, declared.name, number, name(dtype));
  with_type(dtype, [&]<typename T>(T) { *reinterpret_cast<T*>(to.writable_data()) = static_cast<T>(number); });
}

// The first element that is not in [0, extent), or -1. One pass finds the largest value, where a negative one
// counts as huge.
template <typename Unsigned>
int64_t first_outside(const std::byte* data, int64_t count, int64_t extent) {
  const auto* values = reinterpret_cast<const Unsigned*>(data);
  if (static_cast<uint64_t>(extent) > std::numeric_limits<Unsigned>::max()) return -1;
  const auto limit = static_cast<Unsigned>(extent);
  Unsigned largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, values[i]);
  if (count == 0 || largest < limit) return -1;
  return std::find_if(values, values + count, [limit](Unsigned v) { return v >= limit; }) - values;
}

int64_t first_outside(const Tensor& index, int64_t extent) {
  switch (index.dtype()) {
    case u8: return first_outside<uint8_t>(index.data(), index.elements(), extent);
    // An extent above 2^31 leaves only the negative values outside.
    case i32:
      return first_outside<uint32_t>(index.data(), index.elements(), std::min(extent, int64_t{1} << 31));
    default: return first_outside<uint64_t>(index.data(), index.elements(), extent);
  }
}

// The first element outside of the support, or -1. The first loop has no branch on the data.
template <typename T>
int64_t first_outside(std::span<const T> values, Support support) {
  const auto find = [&](auto inside) -> int64_t {
    int64_t outside = 0;
    const auto holds = [&](T value) { return inside(as_number(value)); };
    for (const T value : values) outside += !holds(value);
    return outside == 0 ? -1 : std::find_if_not(values.begin(), values.end(), holds) - values.begin();
  };
  switch (support) {
    case Support::unit_interval: return find([](auto x) { return (x >= 0) & (x <= 1); });
    case Support::positive: return find([](auto x) { return x > 0; });
    case Support::count: return find([](auto x) { return contains(Support::count, static_cast<double>(x)); });
  }
  return -1;
}

int64_t first_outside(const Tensor& tensor, Support support) {
  return with_type(tensor.dtype(), [&]<typename T>(T) {
    const std::span values(reinterpret_cast<const T*>(tensor.data()), static_cast<size_t>(tensor.elements()));
    return first_outside(values, support);
  });
}

}  // namespace

const Tensor& Outputs::operator[](std::string_view name) const {
  const int64_t i = entry_ ? find(entry_->outputs, name) : -1;
  if (i < 0)
    throw Error(fmt::format("{}: no output is called {}; outputs: {}", entry_ ? entry_->name : "run", name,
                            entry_ ? list(entry_->outputs) : "none"));
  return tensors_[static_cast<size_t>(i)];
}

Step::Step(std::shared_ptr<SessionMemory> memory, const ProgramEntry& entry)
    : memory_(std::move(memory)),
      entry_(&entry),
      slots_(entry.inputs.size()),
      inputs_(entry.inputs.size()),
      initial_(entry.name == "init") {
  for (const Binding& input : entry.inputs)
    numbers_.push_back(input.type.scalar() ? Tensor(input.type.dtype, {}) : Tensor());
  const auto number = static_cast<size_t>(&entry - memory_->program->entries.data());
  const int64_t threads = std::clamp<int64_t>(entry.threads, 1, memory_->threads);
  for (int64_t thread = 0; thread < threads; ++thread)
    frames_.push_back(
        {.inputs = inputs_.data(),
         .states = memory_->states.data(),
         .outputs = memory_->outputs[number].data(),
         .constants = memory_->constants[number].data(),
         .arena = memory_->arena.data(),
         .scratch = memory_->scratch[static_cast<size_t>(thread)],
         .size = 1,
         .thread = thread,
         .threads = threads,
         .barrier = &Team::barrier,
         .team = memory_->team ? &*memory_->team : nullptr,
         .fault = &memory_->fault});
}

size_t Step::index(std::string_view input) const {
  const int64_t i = find(entry_->inputs, input);
  if (i < 0)
    throw Error(
        fmt::format("{}: no input is called {}; inputs: {}", entry_->name, input, list(entry_->inputs)));
  return static_cast<size_t>(i);
}

Step& Step::bind(std::string_view name, const Tensor& tensor) {
  const size_t i = index(name);
  Slot& slot = slots_[i];
  const int64_t size = match(entry_->name, entry_->inputs[i], tensor);
  for (size_t o = 0; o < entry_->outputs.size(); ++o) {
    const std::byte* from = frames_[0].outputs[o];
    const std::byte* past = from + entry_->outputs[o].type.bytes(memory_->program->maximum);
    if (tensor.data() < past && from < tensor.data() + tensor.byte_count())
      fail(entry_->inputs[i].line,
           "{}: input {}: lies in output {}, which the run overwrites; bind its clone()", entry_->name, name,
           entry_->outputs[o].name);
  }
  slot.size = size;
  slot.tensor = tensor;
  slot.number = false;
  slot.bound = true;
  inputs_[i] = const_cast<std::byte*>(tensor.data());  // emitted code only reads its inputs
  settled_ = false;
  return *this;
}

template <typename Number>
void Step::bind_number(size_t i, Number number) {
  const Binding& declared = entry_->inputs[i];
  if (!declared.type.scalar())
    fail(declared.line, "{}: input {}: declared {}, given a number", entry_->name, declared.name,
         declared.type.str());
  store_number(numbers_[i], number, declared, entry_->name);
  Slot& slot = slots_[i];
  if (slot.number) return;
  slot = {.tensor = numbers_[i], .bound = true, .number = true};
  inputs_[i] = numbers_[i].writable_data();
  settled_ = false;
}

Step& Step::bind(std::string_view name, double number) { return bind_number(index(name), number), *this; }

Step& Step::bind(std::string_view name, int64_t number) {
  const Program& program = *memory_->program;
  if (program.size.empty() || name != program.size || find(entry_->inputs, name) >= 0)
    return bind_number(index(name), number), *this;
  if (number < 1 || number > program.maximum)
    throw Error(fmt::format("{}: {} is {}, valid is 1 <= {} <= {}", entry_->name, name, number, name,
                            program.maximum));
  bound_size_ = number;
  settled_ = false;
  return *this;
}

void Step::unbind() {
  for (Slot& slot : slots_) slot = {};
  bound_size_ = 0;
  settled_ = false;
}

// All inputs are there and agree on n.
void Step::settle() {
  const Program& program = *memory_->program;
  int64_t n = bound_size_;
  std::string_view by;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Binding& declared = entry_->inputs[i];
    if (!slots_[i].bound)
      fail(declared.line, "{}: input {}: {} is missing", entry_->name, declared.name, declared.type.str());
    const int64_t size = slots_[i].size;
    if (size == 0) continue;
    if (size > program.maximum)
      fail(declared.line, "{}: input {}: {} is {}, valid is 1 <= {} <= {}: declared {}, given {}",
           entry_->name, declared.name, program.size, size, program.size, program.maximum,
           declared.type.str(), slots_[i].tensor.str());
    if (n != 0 && n != size)
      fail(declared.line, "{}: input {}: {} is {}, but {} by {}", entry_->name, declared.name, program.size,
           size, n, by.empty() ? "its own binding" : fmt::format("input {}", by));
    n = size;
    by = declared.name;
  }
  size_ = n == 0 ? program.maximum : n;
  for (Frame& frame : frames_) frame.size = size_;
  settled_ = true;
}

void Step::raise(const IndexRange& range, int64_t element, int64_t value) const {
  const size_t colon = range.what.find(": ");
  const std::string operation = range.what.substr(0, colon);
  const std::string index = range.input >= 0 ? entry_->inputs[static_cast<size_t>(range.input)].name
                            : colon == std::string::npos ? "index"
                                                         : range.what.substr(colon + 2);
  Extents extents;
  for (const Extent& extent : range.type.shape) extents.push_back(extent.at(size_));
  fail(range.line, "{}: {}{} is {}, valid is 0 <= {} < {}", operation, index,
       position(element, extents), value, index, range.extent.at(size_));
}

void Step::check_indices() const {
  for (const IndexRange& range : entry_->checks) {
    if (range.input < 0) continue;
    const Tensor& index = slots_[static_cast<size_t>(range.input)].tensor;
    const int64_t bad = first_outside(index, range.extent.at(size_));
    if (bad >= 0) raise(range, bad, index.integer_at(bad));
  }
}

void Step::check_supports() const {
  for (const auto& [input, support] : entry_->supports) {
    const Tensor& tensor = slots_[static_cast<size_t>(input)].tensor;
    const int64_t bad = first_outside(tensor, support);
    if (bad < 0) continue;
    const Binding& declared = entry_->inputs[static_cast<size_t>(input)];
    fail(declared.line, "{}: input {}{} is {}, valid is {}", entry_->name, declared.name,
         position(bad, tensor.extents()), tensor.at(bad), valid(support, declared.name));
  }
}

void Step::run() {
  if (!settled_) settle();
  SessionMemory& memory = *memory_;
  if (memory.unset > 0 && !initial_)
    throw Error(
        fmt::format("{}: {} of {} states have no value yet: call init(seed) or load a checkpoint first",
                    entry_->name, memory.unset, memory.states.size()));
  if (!entry_->checks.empty()) check_indices();
  if (!entry_->supports.empty()) check_supports();
  memory.fault = {};
  if (frames_.size() == 1) {
    entry_->function(frames_.data());
  } else {
    memory.team->run(
        static_cast<int>(frames_.size()),
        [](void* step, int thread) noexcept {
          const Step& self = *static_cast<Step*>(step);
          self.entry_->function(&self.frames_[static_cast<size_t>(thread)]);
        },
        this);
  }
  if (const Fault fault = memory.fault; fault.check >= 0) {
    check(fault.check < static_cast<int64_t>(entry_->checks.size()), "a fault names a check of its entry");
    raise(entry_->checks[static_cast<size_t>(fault.check)], fault.element, fault.value);
  }
}

Tensor Step::view(size_t output) const {
  const Type& type = entry_->outputs[output].type;
  Extents extents;
  for (Extent extent : type.shape) extents.push_back(extent.at(size_));
  return Tensor::view(type.dtype, std::move(extents), frames_[0].outputs[output], memory_, false);
}

Tensor Step::output(std::string_view name) const {
  const int64_t i = find(entry_->outputs, name);
  if (i < 0)
    throw Error(
        fmt::format("{}: no output is called {}; outputs: {}", entry_->name, name, list(entry_->outputs)));
  return view(static_cast<size_t>(i));
}

Outputs Step::outputs() const {
  Outputs outputs;
  outputs.entry_ = entry_;
  for (size_t i = 0; i < entry_->outputs.size(); ++i) outputs.tensors_.push_back(view(i));
  return outputs;
}

}  // namespace tenon
