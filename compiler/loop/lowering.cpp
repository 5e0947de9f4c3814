// The frame around the expressions: function, buffers, loops and levels.
#include "compiler/loop/lowering.h"

#include <algorithm>

#include "compiler/kernel/flatten.h"
#include "compiler/loop/lower.h"

namespace tenon {

loop::Function lower(std::string name, const IsolatedKernel& kernel, const Target& target) {
  IsolatedKernel flat;
  const Kernel& whole = kernel.list.kernels[0];
  if (whole.contraction) flat = kernel, flat.list.kernels[0] = flattened(whole, kernel.list);
  loop::Lowering low(std::move(name), whole.contraction ? flat : kernel, target);
  whole.contraction ? lower_contraction(low) : lower_rows(low);
  return low.b.finish();
}

}  // namespace tenon

namespace tenon::loop {
namespace {

constexpr int64_t stack_limit = 4 << 10;  // a row buffer beyond it lives in the thread's scratch

}  // namespace

Lowering::Lowering(std::string name, const IsolatedKernel& isolated, const Target& target)
    : list(isolated.list), kernel(isolated.list.kernels[0]), target(target), b(std::move(name)) {
  b.function().threads = kernel.threads > 1;
  b.function().numbers = static_cast<int64_t>(isolated.numbers.size());
  for (const auto& [size, maximum] : list.sizes) b.function().sizes.push_back(size);
  levels_.emplace_back();
  for (int64_t i = 0; i < b.function().numbers; ++i) bind(first_given + i, b.given(i));

  bases_.resize(list.buffers.size());
  for (size_t i = 0; i < list.buffers.size(); ++i) {
    const tenon::Buffer& buffer = list.buffers[i];
    if (buffer.storage == Storage::argument)
      bases_[i] = b.base(b.buffer({Buffer::Place::argument, stored(buffer.type.dtype), buffer.type.elements(), buffer.slot}));
  }
  written_.resize(list.buffers.size());
  for (const Statement& statement : kernel.body)
    for (size_t i = 0; i < list.buffers.size(); ++i)
      if (share_bytes(list, static_cast<BufferId>(i), statement.buffer)) written_[i] = true;
  bound_axes();
}

void Lowering::bound_axes() {
  auto bound = [&](const Axis& axis) { forms_.bound(axis.variable, axis.extent); };
  std::ranges::for_each(kernel.loops(), bound);
  for (const Statement& statement : kernel.body) {
    std::ranges::for_each(statement.axes, bound);
    std::ranges::for_each(statement.reduced, bound);
  }
  if (kernel.contraction) std::ranges::for_each(kernel.contraction->k, bound);
}

Value Lowering::base(BufferId id) {
  Value& result = bases_[static_cast<size_t>(id)];
  if (result) return result;
  const tenon::Buffer& buffer = list.buffers[static_cast<size_t>(id)];
  check(buffer.storage == Storage::row, "the accumulator of a contraction has no address");
  const DType dtype = stored(buffer.type.dtype);
  const int64_t count = checked_product(buffer.type.elements().at(list.sizes), row_lanes ? lanes : 1);
  const bool little = checked_product(count, byte_size(dtype)) <= stack_limit;
  return result = little ? stack(dtype, count) : scratch(dtype, count);
}

Value Lowering::scratch(DType dtype, int64_t count) {
  const int64_t slot = scratch_bytes_;
  scratch_bytes_ += (checked_product(count, byte_size(dtype)) + 63) / 64 * 64;
  return b.base(b.buffer({Buffer::Place::scratch, dtype, count, slot}));
}

Value Lowering::stack(DType dtype, int64_t count) { return b.base(b.buffer({Buffer::Place::stack, dtype, count, 0})); }

Values Lowering::loop(Value begin, Value end, int64_t step, Values carried,
                      const std::function<Values(Value i, const Values& carried)>& body) {
  return b.loop(begin, end, step, std::move(carried), [&](Value i, const Values& inside) {
    levels_.emplace_back();
    Values next = body(i, inside);
    levels_.pop_back();
    return next;
  });
}

void Lowering::loop(Value begin, Value end, int64_t step, const std::function<void(Value i)>& body) {
  loop(begin, end, step, {}, [&](Value i, const Values&) {
    body(i);
    return Values();
  });
}

void Lowering::when(Value condition, const std::function<void()>& body) {
  if (constant(condition, false)) return;
  if (b.known(condition)) {
    open();
    body();
    return close();
  }
  b.branch(condition, [&] {
    levels_.emplace_back();
    body();
    levels_.pop_back();
    return Values();
  });
}

void Lowering::open() {
  b.open();
  levels_.emplace_back();
}
void Lowering::close() {
  levels_.pop_back();
  b.close();
}

void Lowering::bind(int64_t variable, Value value) {
  check(levels_.back().bound.emplace(variable, value).second, "a variable is bound once in a level");
}
void Lowering::bind_vector(int64_t variable, Value value, Value mask) {
  bind(variable, value);
  levels_.back().vector_variable = variable;
  levels_.back().mask = mask;
}

const Lowering::Level* Lowering::vector_level() const {
  for (auto it = levels_.rbegin(); it != levels_.rend(); ++it)
    if (it->vector_variable >= 0) return &*it;
  return nullptr;
}
Value Lowering::mask() const { return vector_level() ? vector_level()->mask : Value(); }

Value Lowering::first_lanes(Value count) {
  if (auto known = b.known(count); known && *known >= lanes) return {};
  return b.lt(b.lane_numbers(i32), b.splat(b.cast(b.min(count, b.integer(lanes)), i32)));
}

void Lowering::settle(std::vector<BufferId> written) {
  levels_.back().settled = true;
  levels_.back().written = std::move(written);
}

std::pair<Value, Value> part(Lowering& low, Value total, int64_t grain) {
  Builder& b = low.b;
  if (low.constant(b.threads(), 1)) return {b.integer(0), total};
  Value units = b.udiv(b.add(total, b.integer(grain - 1)), b.integer(grain));
  auto bound = [&](Value t) { return b.min(b.mul(b.udiv(b.mul(units, t), b.threads()), b.integer(grain)), total); };
  return {bound(b.thread()), bound(b.add(b.thread(), b.integer(1)))};
}

}  // namespace tenon::loop
