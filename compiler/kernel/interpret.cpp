#include "compiler/kernel/interpret.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <unordered_map>

#include "compiler/kernel/number.h"

namespace tenon {
namespace {

constexpr std::byte unwritten{0xff};

// An expression as a list of steps, arguments first.
struct Steps {
  struct Step {
    Scalar scalar;
    std::vector<size_t> arguments;
  };
  std::vector<Step> list;

  explicit Steps(const Scalar& x) {
    std::unordered_map<const ScalarNode*, size_t> known;
    visit(x, [&](const Scalar& node) {
      Step step{node, {}};
      for (const Scalar& argument : node->arguments) step.arguments.push_back(known.at(&*argument));
      known[&*node] = list.size();
      list.push_back(std::move(step));
    });
  }
};

class Interpreter {
 public:
  Interpreter(const KernelList& list, KernelMemory& memory, const Sizes& sizes, RunOrder order)
      : list_(list), memory_(memory), sizes_(sizes), adverse_(order == RunOrder::adverse) {
    own_.resize(list.buffers.size());
    memory.complete(list, sizes);
  }

  IndexFault run() {
    const std::vector<Kernel>& kernels = list_.kernels;
    int64_t checks = std::count_if(kernels.begin(), kernels.end(), [](const Kernel& k) { return k.check.has_value(); });
    for (const IndexCheck& check : list_.door)
      if (IndexFault fault = out_of_range(check, checks++); fault.check >= 0) return fault;
    checks = 0;
    for (size_t first = 0, next; first < kernels.size(); first = next) {
      next = first + 1;
      if (kernels[first].check) {
        if (IndexFault fault = out_of_range(*kernels[first].check, checks++); fault.check >= 0) return fault;
        continue;
      }
      while (next < kernels.size() && !kernels[next].barrier && !kernels[next].check) ++next;
      for (int64_t thread = adverse_ ? 1 : 0; thread >= 0; --thread)
        for (size_t k = first; k < next; ++k)
          if (thread == 0 || kernels[k].threads > 1) part(kernels[k], thread);
    }
    return {};
  }

 private:
  using Body = std::function<void()>;

  // ---- memory ----

  std::span<std::byte> bytes(BufferId id) {
    const Buffer& b = list_.buffers.at(static_cast<size_t>(id));
    if (in_memory(b.storage)) return memory_.bytes(list_, id, sizes_);
    std::vector<std::byte>& own = own_[static_cast<size_t>(id)];
    if (own.empty()) own.assign(static_cast<size_t>(b.type.bytes(sizes_)), unwritten);
    return std::span(own);
  }

  int64_t position(BufferId id, std::span<const int64_t> index) const {
    const Buffer& b = list_.buffers.at(static_cast<size_t>(id));
    check(index.size() == b.type.shape.size(), "an index per axis");
    int64_t result = 0;
    for (size_t axis = 0; axis < index.size(); ++axis) {
      const int64_t extent = b.type.shape[axis].at(sizes_);
      if (index[axis] < 0 || index[axis] >= extent)
        throw InternalError(fmt::format("{}: index {} of axis {} is outside of '{}', {} with {}", kernel_->name, index[axis],
                                        axis, b.name, b.type.str(), sizes_.str()));
      result = result * extent + index[axis];
    }
    return result;
  }

  // ---- expressions ----

  Number value(const Scalar& x) {
    auto [it, fresh] = steps_.try_emplace(&*x, x);
    const Steps& steps = it->second;
    std::vector<Number> values(steps.list.size());
    for (size_t i = 0; i < values.size(); ++i) {
      std::vector<Number> arguments;
      for (size_t argument : steps.list[i].arguments) arguments.push_back(values[argument]);
      values[i] = step(*steps.list[i].scalar, arguments);
    }
    return values.back();
  }

  Number step(const ScalarNode& x, std::span<const Number> arguments) {
    switch (x.function) {
      case Scalar::constant: return is_float(x.dtype) ? Number{x.dtype, x.number, 0} : Number{x.dtype, 0, x.integer};
      case Scalar::variable: return {i64, 0, variables_.at(x.integer)};
      case Scalar::size: return {i64, 0, checked_product(x.integer, sizes_.at(x.size))};
      case Scalar::select: return arguments[0].whole ? arguments[1] : arguments[2];
      case Scalar::cast: return convert(arguments[0], x.dtype);
      case Scalar::load: {
        const size_t rank = x.indices().size();
        if (x.guarded && !arguments[rank].whole) return arguments[rank + 1];
        std::vector<int64_t> index;
        for (size_t i = 0; i < rank; ++i) index.push_back(arguments[i].whole);
        return load_number(bytes(x.integer).data(), x.dtype, position(x.integer, index));
      }
      default: return apply(x.function, x.dtype, arguments);
    }
  }

  void store(BufferId id, std::span<const Scalar> index, const Number& x) {
    std::vector<int64_t> place;
    for (const Scalar& i : index) place.push_back(value(i).whole);
    check(x.dtype == list_.buffers.at(static_cast<size_t>(id)).type.dtype, "a value has the type of its buffer");
    store_number(bytes(id).data(), position(id, place), x);
  }

  // ---- loops ----

  void loop(std::span<const Axis> axes, bool backwards, const Body& body) {
    if (axes.empty()) return body();
    const int64_t extent = axes[0].extent.at(sizes_);
    for (int64_t i = 0; i < extent; ++i) {
      variables_[axes[0].variable] = backwards ? extent - 1 - i : i;
      loop(axes.subspan(1), backwards, body);
    }
  }

  // The share of one of two threads.
  void part(const Kernel& kernel, int64_t thread) {
    kernel_ = &kernel;
    const bool shared = adverse_ && kernel.threads > 1;
    const Contraction* c = kernel.contraction ? &*kernel.contraction : nullptr;
    int64_t row = 0;
    loop(kernel.loops(), adverse_, [&] {
      if (shared && row++ % 2 != thread) return;
      for (const Statement& s : kernel.body)
        if (list_.buffers[static_cast<size_t>(s.buffer)].storage == Storage::row) own_[static_cast<size_t>(s.buffer)].clear();
      if (!c) {
        for (const Statement& s : kernel.body) run(s);
        return;
      }
      accumulate(*c);
      for (const Statement& s : kernel.body) store(s.buffer, s.index, value(s.value));
    });
  }

  void accumulate(const Contraction& c) {
    const Number zero = real_number(c.a->dtype, 0), nothing = real_number(c.a->dtype, -0.0);  // to add to
    Number chain = zero, block_sum = nothing, group_sum = nothing;
    int64_t points = 0;
    auto end = [](Number& from, Number& to, const Number& start) {
      to = joined(Scalar::add, to, from);
      from = start;
    };
    loop(c.k, false, [&] {
      const Number terms[] = {value(c.a), value(c.b), chain};
      chain = apply(Scalar::fma, chain.dtype, terms);
      if (++points % c.order.block == 0) end(chain, block_sum, zero);
      if (points % (c.order.block * c.order.group) == 0) end(block_sum, group_sum, nothing);
    });
    if (points % c.order.block != 0) end(chain, block_sum, zero);
    std::vector<Scalar> place;
    for (const Axis& axis : c.axes()) place.push_back(Scalar::index(axis.variable));
    store(c.accumulator, place, points ? joined(Scalar::add, group_sum, block_sum) : zero);
  }

  void run(const Statement& s) {
    if (s.scatter) return scatter(s);
    loop(s.axes, false, [&] { store(s.buffer, s.index, s.reduction == Reduction::none ? value(s.value) : reduce(s)); });
  }

  void scatter(const Statement& s) {
    const Buffer& target = list_.buffers.at(static_cast<size_t>(s.buffer));
    std::fill(bytes(s.buffer).begin(), bytes(s.buffer).end(), std::byte{0});
    const int64_t extent = target.type.shape[0].at(sizes_);
    loop(s.reduced, false, [&] {
      const int64_t at = value(s.index[0]).whole;
      if (at < 0 || at >= extent) return;
      loop(s.axes, false, [&] {
        std::vector<int64_t> place;
        for (const Scalar& i : s.index) place.push_back(value(i).whole);
        const int64_t where = position(s.buffer, place);
        const Number terms[] = {load_number(bytes(s.buffer).data(), target.type.dtype, where), value(s.value)};
        store_number(bytes(s.buffer).data(), where, apply(Scalar::add, target.type.dtype, terms));
      });
    });
  }

  // ---- reductions ----

  Number reduce(const Statement& s) {
    std::vector<Number> points;
    loop(s.reduced, false, [&] { points.push_back(value(s.value)); });
    if (s.reduction == Reduction::argmax) return argmax(points);
    if (s.reduction == Reduction::sum) return in_blocks(s, points, Scalar::add, 0);
    if (s.reduction == Reduction::product) return in_blocks(s, points, Scalar::mul, 1);
    const Scalar::Function f = s.reduction == Reduction::max ? Scalar::max : Scalar::min;
    check(!points.empty(), "a maximum is one of something");
    Number result = points[0];
    for (const Number& point : points) result = joined(f, result, point);
    return result;
  }

  static Number joined(Scalar::Function f, const Number& a, const Number& b) {
    const Number both[] = {a, b};
    return apply(f, a.dtype, both);
  }

  static Number argmax(const std::vector<Number>& points) {
    size_t best = 0;
    for (size_t i = 1; i < points.size(); ++i) {
      const Number &x = points[i], &y = points[best];
      const bool more = is_float(x.dtype) ? x.real > y.real || (std::isnan(x.real) && !std::isnan(y.real)) : x.whole > y.whole;
      if (more) best = i;
    }
    return {i64, 0, static_cast<int64_t>(best)};
  }

  // See ChainOrder.
  static Number in_blocks(const Statement& s, const std::vector<Number>& points, Scalar::Function f, int64_t identity) {
    const DType dtype = s.value->dtype;
    const auto chains = static_cast<size_t>(s.order.chains), block_points = static_cast<size_t>(s.order.block);
    const Number start = is_float(dtype) ? real_number(dtype, static_cast<double>(identity)) : Number{dtype, 0, identity};
    Number sum = start;
    if (points.size() <= chains) {
      for (const Number& point : points) sum = joined(f, sum, point);
      return sum;
    }
    std::vector<std::pair<Number, int>> stack;  // of 2^level blocks each
    auto merge = [&] {
      auto last = stack.back();
      stack.pop_back();
      stack.back() = {joined(f, stack.back().first, last.first), stack.back().second + 1};
    };
    for (size_t begin = 0; begin < points.size(); begin += block_points) {
      std::vector<Number> chain(chains, start);
      for (size_t k = begin; k < std::min(points.size(), begin + block_points); ++k)
        chain[k % chains] = joined(f, chain[k % chains], points[k]);
      for (size_t half = chains / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; ++i) chain[i] = joined(f, chain[i], chain[i + half]);
      stack.push_back({chain[0], 0});
      while (stack.size() > 1 && stack[stack.size() - 2].second == stack.back().second) merge();
    }
    while (stack.size() > 1) merge();
    return stack[0].first;
  }

  IndexFault out_of_range(const IndexCheck& checked, int64_t number) {
    const Buffer& b = list_.buffers.at(static_cast<size_t>(checked.index));
    for (int64_t i = 0; i < b.type.elements().at(sizes_); ++i) {
      const int64_t x = load_number(bytes(checked.index).data(), b.type.dtype, i).whole;
      if (x < 0 || x >= checked.extent.at(sizes_)) return {number, i, x};
    }
    return {};
  }

  const KernelList& list_;
  KernelMemory& memory_;
  const Sizes& sizes_;
  bool adverse_;
  const Kernel* kernel_ = nullptr;
  std::vector<std::vector<std::byte>> own_;  // row and tile buffers
  std::map<int64_t, int64_t> variables_;
  std::unordered_map<const ScalarNode*, Steps> steps_;
};

}  // namespace

IndexFault interpret(const KernelList& list, KernelMemory& memory, const Sizes& sizes, RunOrder order) {
  return Interpreter(list, memory, sizes, order).run();
}

void KernelMemory::complete(const KernelList& list, const Sizes& sizes) {
  if (arena.empty()) arena.assign(static_cast<size_t>(list.arena_bytes), unwritten);
  if (constants.empty())
    for (const Literal& literal : list.constants) constants.push_back(*literal.bytes);
  outputs.resize(std::max(outputs.size(), list.outputs.size()));
  for (const Buffer& b : list.buffers)
    if (b.storage == Storage::output)
      if (auto& output = outputs.at(static_cast<size_t>(b.slot)); output.empty())
        output.assign(static_cast<size_t>(b.type.bytes(sizes)), unwritten);
}

std::span<std::byte> KernelMemory::bytes(const KernelList& list, BufferId id, const Sizes& sizes) {
  const Buffer& b = list.buffers.at(static_cast<size_t>(id));
  const size_t size = static_cast<size_t>(b.type.bytes(sizes)), slot = static_cast<size_t>(b.slot);
  auto whole = [&](std::vector<std::byte>& of) {
    check(of.size() == size, "memory of a buffer has its bytes");
    return std::span(of);
  };
  switch (b.storage) {
    case Storage::input: return whole(inputs.at(slot));
    case Storage::state: return whole(states.at(slot));
    case Storage::output: return whole(outputs.at(slot));
    case Storage::constant: return whole(constants.at(slot));
    case Storage::arena:
      check(b.offset >= 0 && b.offset % 64 == 0 && static_cast<size_t>(b.offset) + size <= arena.size(),
            "an arena buffer lies in the arena");
      return std::span(arena).subspan(static_cast<size_t>(b.offset), size);
    case Storage::row:
    case Storage::tile:
    case Storage::argument: break;
  }
  throw InternalError(fmt::format("'{}' has no memory of its own in an entry", b.name));
}

}  // namespace tenon
