#include "runtime/step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/memory.h"

namespace tenon {

namespace {

// What the run-time sizes must be for `given` to have the declared type, as far as extents of one size say so; the others are
// 0.
void match(std::string_view entry, const Binding& declared, const Tensor& given, Sizes& sizes) {
  const Type& type = declared.type;
  auto differ = [&](std::string_view what) {
    fail(declared.line, "{}: input {}: {}: declared {}, given {}", entry, declared.name, what, type.str(), given.str());
  };
  if (given.dtype() != type.dtype) differ("element types differ");
  if (given.rank() != type.rank()) differ("ranks differ");
  for (const auto& [size, value] : sizes) sizes.set(size, 0);
  for (size_t axis = 0; axis < type.shape.size(); ++axis) {
    const Extent& extent = type.shape[axis];
    const int64_t actual = given.extents()[axis];
    if (!extent.symbolic() && actual != extent.count) differ(fmt::format("extents differ at axis {}", axis));
    if (!extent.symbolic()) continue;
    if (actual % extent.count != 0) differ(fmt::format("axis {} is not a multiple of {}", axis, extent.count));
    const int64_t value = actual / extent.count;
    if (value == 0) differ(fmt::format("{} is 0", extent.sizes->text));
    if (extent.names().size() > 1) continue;
    const std::string_view size = extent.names()[0];
    if (const int64_t other = sizes.at(size); other != 0 && other != value)
      differ(fmt::format("{} is {} and {}", size, other, value));
    sizes.set(size, value);
  }
}

// The only size that a value of the product leaves open, if it says what that is; else 0.
int64_t root(int64_t value, const SizeProduct& product, const Sizes& known, std::string_view& size) {
  int64_t power = 0;
  for (std::string_view name : product.names)
    if (const int64_t other = known.at(name); other != 0) {
      if (value % other != 0) return 0;
      value /= other;
    } else {
      if (power++ > 0 && name != size) return 0;
      size = name;
    }
  if (power == 0) return 0;
  auto result = static_cast<int64_t>(std::llround(std::pow(static_cast<double>(value), 1.0 / static_cast<double>(power))));
  int64_t back = 1;
  for (int64_t i = 0; i < power; ++i)
    if (__builtin_mul_overflow(back, result, &back)) return 0;
  return back == value ? result : 0;
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
    case i32: return first_outside<uint32_t>(index.data(), index.elements(), std::min(extent, int64_t{1} << 31));
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
      inputs_(entry.inputs.size()),
      sizes_(memory_->program->sizes),
      size_from_(sizes_.size()),
      initial_(entry.name == "init") {
  for (const auto& [size, maximum] : memory_->program->sizes) sizes_.set(size, 0);
  bound_sizes_ = sizes_;
  slots_.resize(entry.inputs.size(), Slot{Tensor(), sizes_});
  for (const Binding& input : entry.inputs) numbers_.push_back(input.type.scalar() ? Tensor(input.type.dtype, {}) : Tensor());
  const auto number = static_cast<size_t>(&entry - memory_->program->entries.data());
  const int64_t threads = std::clamp<int64_t>(entry.threads, 1, memory_->threads);
  for (int64_t thread = 0; thread < threads; ++thread)
    frames_.push_back({.inputs = inputs_.data(),
                       .states = memory_->states.data(),
                       .outputs = memory_->outputs[number].data(),
                       .constants = memory_->constants[number].data(),
                       .arena = memory_->arena.data(),
                       .scratch = memory_->scratch[static_cast<size_t>(thread)],
                       .thread = thread,
                       .threads = threads,
                       .barrier = &Team::barrier,
                       .team = memory_->team ? &*memory_->team : nullptr,
                       .fault = &memory_->fault});
}

size_t Step::index(std::string_view input) const {
  const int64_t i = find(entry_->inputs, input);
  if (i < 0) throw Error(fmt::format("{}: no input is called {}; inputs: {}", entry_->name, input, list(entry_->inputs)));
  return static_cast<size_t>(i);
}

Step& Step::bind(std::string_view name, const Tensor& tensor) {
  const size_t i = index(name);
  Slot& slot = slots_[i];
  match(entry_->name, entry_->inputs[i], tensor, slot.sizes);
  for (size_t o = 0; o < entry_->outputs.size(); ++o) {
    const std::byte* from = frames_[0].outputs[o];
    const std::byte* past = from + entry_->outputs[o].type.bytes(memory_->program->sizes);
    if (tensor.data() < past && from < tensor.data() + tensor.byte_count())
      fail(entry_->inputs[i].line, "{}: input {}: lies in output {}, which the run overwrites; bind its clone()", entry_->name,
           name, entry_->outputs[o].name);
  }
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
    fail(declared.line, "{}: input {}: declared {}, given a number", entry_->name, declared.name, declared.type.str());
  store_number(numbers_[i], number, declared, entry_->name);
  Slot& slot = slots_[i];
  if (slot.number) return;
  slot.tensor = numbers_[i];
  slot.bound = slot.number = true;
  inputs_[i] = numbers_[i].writable_data();
  settled_ = false;
}

Step& Step::bind(std::string_view name, double number) { return bind_number(index(name), number), *this; }

Step& Step::bind(std::string_view name, int64_t number) {
  const Program& program = *memory_->program;
  if (!program.sizes.contains(name) || find(entry_->inputs, name) >= 0) return bind_number(index(name), number), *this;
  if (const int64_t maximum = program.sizes.at(name); number < 1 || number > maximum)
    throw Error(fmt::format("{}: {} is {}, valid is 1 <= {} <= {}", entry_->name, name, number, name, maximum));
  bound_sizes_.set(name, number);
  settled_ = false;
  return *this;
}

void Step::unbind() {
  for (const auto& [size, value] : bound_sizes_) bound_sizes_.set(size, 0);
  for (Slot& slot : slots_) slot.tensor = {}, slot.sizes = bound_sizes_, slot.bound = slot.number = false;
  settled_ = false;
}

// All inputs are there and agree on the sizes.
void Step::settle() {
  sizes_ = bound_sizes_;
  std::ranges::fill(size_from_, -1);
  const Sizes& maxima = memory_->program->sizes;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Binding& declared = entry_->inputs[i];
    if (!slots_[i].bound) fail(declared.line, "{}: input {}: {} is missing", entry_->name, declared.name, declared.type.str());
    for (const auto& [size, value] : slots_[i].sizes) {
      if (value == 0) continue;
      if (value > maxima.at(size))
        fail(declared.line, "{}: input {}: {} is {}, valid is 1 <= {} <= {}: declared {}, given {}", entry_->name,
             declared.name, size, value, size, maxima.at(size), declared.type.str(), slots_[i].tensor.str());
      int& from = size_from_[static_cast<size_t>(maxima.index(size))];
      if (const int64_t known = sizes_.at(size); known != 0 && known != value)
        fail(declared.line, "{}: input {}: {} is {}, but {} by {}", entry_->name, declared.name, size, value, known,
             from < 0 ? "its own binding" : fmt::format("input {}", entry_->inputs[static_cast<size_t>(from)].name));
      sizes_.set(size, value);
      from = static_cast<int>(i);
    }
  }
  solve();
  size_t next = 0;
  for (const auto& [size, maximum] : maxima) {
    if (sizes_.at(size) == 0) sizes_.set(size, maximum);
    for (Frame& frame : frames_) frame.sizes[next] = sizes_.at(size);
    ++next;
  }
  settled_ = true;
}

// Extents that are products of sizes: what they say of those not known yet, and that they agree with the others.
void Step::solve() {
  const Sizes& maxima = memory_->program->sizes;
  bool open = false;
  auto each_product = [&](auto visit) {
    for (size_t i = 0; i < slots_.size(); ++i) {
      const Binding& declared = entry_->inputs[i];
      for (size_t axis = 0; axis < declared.type.shape.size(); ++axis)
        if (const Extent extent = declared.type.shape[axis]; extent.names().size() > 1)
          visit(declared, slots_[i].tensor, extent, slots_[i].tensor.extents()[axis]);
    }
  };
  do {
    open = false;
    each_product([&](const Binding&, const Tensor&, Extent extent, int64_t actual) {
      std::string_view size;
      const int64_t value = root(actual / extent.count, *extent.sizes, sizes_, size);
      if (value < 1 || value > maxima.at(size)) return;
      sizes_.set(size, value);
      open = true;
    });
  } while (open);
  each_product([&](const Binding& declared, const Tensor& given, Extent extent, int64_t actual) {
    const bool known = std::ranges::all_of(extent.names(), [&](auto size) { return sizes_.at(size) != 0; });
    if (known && extent.at(sizes_) == actual) return;
    fail(declared.line, "{}: input {}: {} is {}{}: declared {}, given {}", entry_->name, declared.name, extent.str(), actual,
         known ? fmt::format(", but {}", sizes_.str()) : ", which does not say what each size is", declared.type.str(),
         given.str());
  });
}

void Step::raise(const IndexRange& range, int64_t element, int64_t value) const {
  const size_t colon = range.what.find(": ");
  const std::string operation = range.what.substr(0, colon);
  const std::string index = range.input >= 0             ? entry_->inputs[static_cast<size_t>(range.input)].name
                            : colon == std::string::npos ? "index"
                                                         : range.what.substr(colon + 2);
  Extents extents;
  for (const Extent& extent : range.type.shape) extents.push_back(extent.at(sizes_));
  fail(range.line, "{}: {}{} is {}, valid is 0 <= {} < {}", operation, index, position(element, extents), value, index,
       range.extent.at(sizes_));
}

void Step::check_indices() const {
  for (const IndexRange& range : entry_->checks) {
    if (range.input < 0) continue;
    const Tensor& index = slots_[static_cast<size_t>(range.input)].tensor;
    const int64_t bad = first_outside(index, range.extent.at(sizes_));
    if (bad >= 0) raise(range, bad, index.integer_at(bad));
  }
}

void Step::check_supports() const {
  for (const auto& [input, support] : entry_->supports) {
    const Tensor& tensor = slots_[static_cast<size_t>(input)].tensor;
    const int64_t bad = first_outside(tensor, support);
    if (bad < 0) continue;
    const Binding& declared = entry_->inputs[static_cast<size_t>(input)];
    fail(declared.line, "{}: input {}{} is {}, valid is {}", entry_->name, declared.name, position(bad, tensor.extents()),
         tensor.at(bad), valid(support, declared.name));
  }
}

void Step::run() {
  if (!settled_) settle();
  SessionMemory& memory = *memory_;
  if (memory.unset > 0 && !initial_)
    throw Error(fmt::format("{}: {} of {} states have no value yet: call init(seed) or load a checkpoint first", entry_->name,
                            memory.unset, memory.states.size()));
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
  for (Extent extent : type.shape) extents.push_back(extent.at(sizes_));
  return Tensor::view(type.dtype, std::move(extents), frames_[0].outputs[output], memory_, false);
}

Tensor Step::output(std::string_view name) const {
  const int64_t i = find(entry_->outputs, name);
  if (i < 0) throw Error(fmt::format("{}: no output is called {}; outputs: {}", entry_->name, name, list(entry_->outputs)));
  return view(static_cast<size_t>(i));
}

Outputs Step::outputs() const {
  Outputs outputs;
  outputs.entry_ = entry_;
  for (size_t i = 0; i < entry_->outputs.size(); ++i) outputs.tensors_.push_back(view(i));
  return outputs;
}

}  // namespace tenon
