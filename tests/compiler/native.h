#pragma once
// Shared by the tests of the native room: kernels are run on guarded memory (any access before or behind a buffer
// faults) and beside a plain interpreter of the loop language, with which they must agree in every bit.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <atomic>
#include <thread>
#include <utility>

#include "compiler/native/jit.h"

namespace tenon::native {

// Bytes between two pages that may not be touched, at the end of their pages or at the beginning.
class Guarded {
 public:
  Guarded(int64_t bytes, bool at_end) {
    int64_t page = sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
    size_ = static_cast<size_t>(inner + 2 * page);
    start_ = static_cast<std::byte*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (inner > 0) mprotect(start_ + page, static_cast<size_t>(inner), PROT_READ | PROT_WRITE);
    data = start_ + page + (at_end ? inner - bytes : 0);
  }
  Guarded(Guarded&& other) noexcept : data(other.data), start_(std::exchange(other.start_, nullptr)), size_(other.size_) {}
  ~Guarded() {
    if (start_) munmap(start_, size_);
  }
  std::byte* data;

 private:
  std::byte* start_;
  size_t size_;
};

struct Number {
  DType dtype = i64;
  double real = 0;
  int64_t integer = 0;
  double as_double() const { return is_float(dtype) ? real : static_cast<double>(integer); }
};

inline Number load(const std::byte* base, DType dtype, int64_t i) {
  auto get = [&](auto zero) {
    std::memcpy(&zero, base + i * static_cast<int64_t>(sizeof zero), sizeof zero);
    return zero;
  };
  switch (dtype) {
    case DType::f64: return {dtype, get(double{}), 0};
    case DType::f32: return {dtype, get(float{}), 0};
    case DType::i64: return {dtype, 0, get(int64_t{})};
    case DType::i32: return {dtype, 0, get(int32_t{})};
    default: return {dtype, 0, get(uint8_t{})};
  }
}
inline void store(std::byte* base, int64_t i, const Number& x) {
  auto put = [&](auto value) { std::memcpy(base + i * static_cast<int64_t>(sizeof value), &value, sizeof value); };
  switch (x.dtype) {
    case DType::f64: return put(x.real);
    case DType::f32: return put(static_cast<float>(x.real));
    case DType::i64: return put(x.integer);
    case DType::i32: return put(static_cast<int32_t>(x.integer));
    default: return put(static_cast<uint8_t>(x.integer));
  }
}

// Memory of all buffers of a list for one run, by BufferId.
struct Memory {
  std::vector<std::vector<std::byte>> bytes;
};

inline Memory fill(const KernelList& list, int64_t n, const std::function<double(BufferId, int64_t)>& element) {
  Memory memory;
  for (size_t id = 0; id < list.buffers.size(); ++id) {
    const Type& type = list.buffers[id].type;
    memory.bytes.emplace_back(static_cast<size_t>(type.bytes(n)));
    for (int64_t i = 0; i < type.elements().at(n); ++i) {
      double x = element(static_cast<BufferId>(id), i);
      store(memory.bytes.back().data(), i, {type.dtype, x, is_float(type.dtype) ? 0 : static_cast<int64_t>(x)});
    }
  }
  return memory;
}

// The loop language, one element at a time.
class Interpreter {
 public:
  Interpreter(const KernelList& list, int64_t n, Memory& memory) : list_(list), n_(n), memory_(memory) {}
  void run() {
    for (const Kernel& kernel : list_.kernels)
      if (!kernel.check) nest(kernel.rows, [&] { body(kernel); });
  }

 private:
  void nest(std::span<const Axis> axes, const std::function<void()>& inner) {
    if (axes.empty()) return inner();
    for (int64_t i = 0; i < axes[0].extent.at(n_); ++i) {
      variables_[axes[0].variable] = i;
      nest(axes.subspan(1), inner);
    }
  }
  void body(const Kernel& kernel) {
    if (!kernel.contraction) {
      for (const Statement& statement : kernel.body) run(statement);
      return;
    }
    const Contraction& c = *kernel.contraction;
    const Buffer& tile = list_.buffers[static_cast<size_t>(c.accumulator)];
    std::map<std::pair<int64_t, int64_t>, Number> sums;
    nest(std::vector{c.m, c.n}, [&] {
      Number sum{tile.type.dtype, 0, 0};
      nest(c.k, [&] { sum = apply(Scalar::fma, sum.dtype, {value(c.a), value(c.b), sum}); });
      sums[{variables_[c.m.variable], variables_[c.n.variable]}] = sum;
    });
    int64_t columns = c.n.extent.at(n_);
    for (auto& [place, sum] : sums) {
      variables_[c.m.variable] = place.first, variables_[c.n.variable] = place.second;
      store(bytes(c.accumulator), place.first * columns + place.second, sum);
      for (const Statement& s : kernel.body) {
        variables_[s.axes[0].variable] = place.first, variables_[s.axes[1].variable] = place.second;
        store(bytes(s.buffer), flat(s.buffer, s.index), value(s.value));
      }
    }
  }
  void run(const Statement& s) {
    DType dtype = list_.buffers[static_cast<size_t>(s.buffer)].type.dtype;
    if (s.scatter) {
      const Type& type = list_.buffers[static_cast<size_t>(s.buffer)].type;
      std::vector<Scalar> index = s.index;
      for (int64_t i = 0; i < type.shape[0].at(n_); ++i) {
        index[0] = Scalar::integer(i);
        nest(s.axes, [&] { store(bytes(s.buffer), flat(s.buffer, index), {dtype, 0, 0}); });
      }
      nest(s.reduced, [&] {
        int64_t at = value(s.index[0]).integer;
        if (at < 0 || at >= type.shape[0].at(n_)) return;
        nest(s.axes, [&] {
          int64_t place = flat(s.buffer, s.index);
          store(bytes(s.buffer), place, apply(Scalar::add, dtype, {load(bytes(s.buffer), dtype, place), value(s.value)}));
        });
      });
      return;
    }
    nest(s.axes, [&] {
      Number result = s.reduction == Reduction::none ? value(s.value) : reduce(s);
      store(bytes(s.buffer), flat(s.buffer, s.index), result);
    });
  }
  Number reduce(const Statement& s) {
    std::vector<Number> points;
    nest(s.reduced, [&] { points.push_back(value(s.value)); });
    DType dtype = s.value->dtype;
    if (s.reduction == Reduction::argmax) {
      size_t best = 0;
      for (size_t i = 1; i < points.size(); ++i)
        if (points[i].as_double() > points[best].as_double() ||
            (std::isnan(points[i].real) && !std::isnan(points[best].real)))
          best = i;
      return {i64, 0, static_cast<int64_t>(best)};
    }
    Scalar::Function f = s.reduction == Reduction::sum       ? Scalar::add
                         : s.reduction == Reduction::product ? Scalar::mul
                         : s.reduction == Reduction::max     ? Scalar::max
                                                             : Scalar::min;
    bool sum = f == Scalar::add || f == Scalar::mul;
    if (!sum) {
      Number result = points[0];
      for (const Number& point : points) result = apply(f, dtype, {result, point});
      return result;
    }
    Number identity{dtype, f == Scalar::add ? 0.0 : 1.0, f == Scalar::add ? 0 : 1};
    if (points.size() <= 16) {
      for (const Number& point : points) identity = apply(f, dtype, {identity, point});
      return identity;
    }
    std::vector<std::pair<Number, int>> stack;  // partial results and how many blocks they hold, as powers of two
    for (size_t begin = 0; begin < points.size(); begin += 4096) {
      std::vector<Number> chains(16, identity);
      for (size_t k = begin; k < std::min(points.size(), begin + 4096); ++k)
        chains[k % 16] = apply(f, dtype, {chains[k % 16], points[k]});
      for (size_t half = 8; half > 0; half /= 2)
        for (size_t i = 0; i < half; ++i) chains[i] = apply(f, dtype, {chains[i], chains[i + half]});
      stack.push_back({chains[0], 0});
      while (stack.size() > 1 && stack[stack.size() - 2].second == stack.back().second) merge(stack, f, dtype);
    }
    while (stack.size() > 1) merge(stack, f, dtype);
    return stack[0].first;
  }
  void merge(std::vector<std::pair<Number, int>>& stack, Scalar::Function f, DType dtype) {
    auto last = stack.back();
    stack.pop_back();
    stack.back() = {apply(f, dtype, {stack.back().first, last.first}), stack.back().second + 1};
  }

  std::byte* bytes(BufferId id) { return memory_.bytes[static_cast<size_t>(id)].data(); }
  int64_t flat(BufferId id, std::span<const Scalar> index) {
    int64_t result = 0;
    const Shape& shape = list_.buffers[static_cast<size_t>(id)].type.shape;
    for (size_t i = 0; i < index.size(); ++i) result = result * shape[i].at(n_) + value(index[i]).integer;
    return result;
  }

  Number value(const Scalar& x) {
    switch (x->function) {
      case Scalar::constant: return {x->dtype, x->number, x->integer};
      case Scalar::variable: return {i64, 0, variables_.at(x->integer)};
      case Scalar::size: return {i64, 0, x->integer * n_};
      case Scalar::load:
        if (x->guarded && !value(x->guard()).integer) return value(x->otherwise());
        return load(bytes(x->integer), x->dtype, flat(x->integer, x->indices()));
      case Scalar::select: return value(x->arguments[0]).integer ? value(x->arguments[1]) : value(x->arguments[2]);
      case Scalar::cast: return cast(value(x->arguments[0]), x->dtype);
      case Scalar::philox: {
        auto a = [&](size_t i) { return value(x->arguments[i]).integer; };
        return {i64, 0, philox_bits(a(0), a(1), a(2), a(3))};
      }
      default: break;
    }
    std::vector<Number> arguments;
    for (const Scalar& argument : x->arguments) arguments.push_back(value(argument));
    return apply(x->function, x->dtype, arguments);
  }

  static Number cast(const Number& x, DType to) {
    if (to == boolean) return {to, 0, x.as_double() != 0};
    if (is_float(to)) {
      if (is_float(x.dtype)) return {to, to == f32 ? static_cast<float>(x.real) : x.real, 0};
      return {to, to == f32 ? static_cast<float>(x.integer) : static_cast<double>(x.integer), 0};
    }
    int64_t integer = x.integer;
    if (is_float(x.dtype)) {
      double least = to == i64 ? -0x1p63 : to == i32 ? -0x1p31 : 0, greatest = to == i64 ? 0x1p63 : to == i32 ? 0x1p31 - 1 : 255;
      if (std::isnan(x.real))
        integer = 0;
      else if (to == i64 && x.real >= greatest)
        integer = INT64_MAX;
      else
        integer = static_cast<int64_t>(std::clamp(x.real, least, greatest));
    }
    return wrapped(to, integer);
  }
  static Number wrapped(DType dtype, int64_t x) {
    if (dtype == i32) x = static_cast<int32_t>(x);
    if (dtype == u8) x = static_cast<uint8_t>(x);
    return {dtype, 0, x};
  }

  static Number apply(Scalar::Function f, DType result, const std::vector<Number>& a) {
    DType dtype = a[0].dtype;
    if (dtype == f32 || dtype == f64) {
      double value = function(f).reference(a[0].real, a.size() > 1 ? a[1].real : 0, a.size() > 2 ? a[2].real : 0);
      if (dtype == f32 && f == Scalar::fma)
        value = std::fmaf(static_cast<float>(a[0].real), static_cast<float>(a[1].real), static_cast<float>(a[2].real));
      if (result == boolean) return {boolean, 0, value != 0};
      return {dtype, dtype == f32 ? static_cast<float>(value) : value, 0};
    }
    int64_t x = a[0].integer, y = a.size() > 1 ? a[1].integer : 0;
    auto of = [&](auto zero) -> int64_t {
      using T = decltype(zero);
      using U = std::make_unsigned_t<T>;
      T p = static_cast<T>(x), q = static_cast<T>(y);
      T least = std::numeric_limits<T>::min();
      switch (f) {
        case Scalar::add: return static_cast<T>(static_cast<U>(p) + static_cast<U>(q));
        case Scalar::sub: return static_cast<T>(static_cast<U>(p) - static_cast<U>(q));
        case Scalar::mul: return static_cast<T>(static_cast<uint64_t>(p) * static_cast<uint64_t>(q));
        case Scalar::div: return q == 0 ? 0 : std::is_signed_v<T> && q == static_cast<T>(-1) ? static_cast<T>(U{0} - static_cast<U>(p)) : p / q;
        case Scalar::floordiv: return p / q - (p % q < 0);
        case Scalar::mod: return p % q + (p % q < 0 ? q : 0);
        case Scalar::neg: return static_cast<T>(U{0} - static_cast<U>(p));
        case Scalar::abs: return p < 0 && p != least ? -p : p;
        case Scalar::sign: return (p > 0) - (p < 0);
        case Scalar::eq: return p == q;
        case Scalar::ne: return p != q;
        case Scalar::lt: return p < q;
        case Scalar::le: return p <= q;
        case Scalar::max: return std::max(p, q);
        case Scalar::min: return std::min(p, q);
        case Scalar::logical_and: return p && q;
        case Scalar::logical_or: return p || q;
        case Scalar::logical_not: return !p;
        default: throw std::logic_error("the interpreter lacks an integer function");
      }
    };
    if (dtype == i64) return {result, 0, of(int64_t{})};
    if (dtype == i32) return {result, 0, of(int32_t{})};
    return {result, 0, of(uint8_t{})};
  }

  const KernelList& list_;
  int64_t n_;
  Memory& memory_;
  std::map<int64_t, int64_t> variables_;
};

class SpinBarrier {
 public:
  explicit SpinBarrier(int64_t threads) : threads_(threads) {}
  static void meet(void* self) {
    auto& b = *static_cast<SpinBarrier*>(self);
    int64_t round = b.round_.load();
    if (b.arrived_.fetch_add(1) + 1 == b.threads_) {
      b.arrived_ = 0;
      ++b.round_;
    } else {
      while (b.round_.load() == round) std::this_thread::yield();
    }
  }

 private:
  int64_t threads_;
  std::atomic<int64_t> arrived_ = 0, round_ = 0;
};

// Runs the one entry of the list over the memory; buffers lie at the end of their pages or at the beginning.
inline Fault run(const KernelList& list, const NativeCode& code, int64_t n, int64_t threads, bool at_end, Memory& memory) {
  std::map<Storage, std::vector<std::byte*>> tables;
  std::vector<Guarded> guarded;
  std::vector<std::byte*> places(list.buffers.size());
  Guarded arena(list.arena_bytes, false);
  for (size_t id = 0; id < list.buffers.size(); ++id) {
    const Buffer& buffer = list.buffers[id];
    if (buffer.storage == Storage::row || buffer.storage == Storage::tile) continue;
    if (buffer.storage == Storage::arena) {
      places[id] = arena.data + buffer.offset;
    } else {
      auto& table = tables[buffer.storage];
      if (table.size() <= static_cast<size_t>(buffer.slot)) table.resize(static_cast<size_t>(buffer.slot) + 1);
      std::byte*& place = table[static_cast<size_t>(buffer.slot)];
      if (!place) place = guarded.emplace_back(static_cast<int64_t>(memory.bytes[id].size()), at_end).data;
      places[id] = place;
    }
    std::memcpy(places[id], memory.bytes[id].data(), memory.bytes[id].size());
  }
  Fault fault;
  SpinBarrier barrier(threads);
  std::vector<Guarded> scratch;
  for (int64_t t = 0; t < threads; ++t) scratch.emplace_back((code.entries[0].scratch_bytes + 63) / 64 * 64, false);
  auto thread = [&](int64_t t) {
    Frame frame{tables[Storage::input].data(), tables[Storage::state].data(), tables[Storage::output].data(),
                tables[Storage::constant].data(), arena.data, scratch[static_cast<size_t>(t)].data, n, t, threads,
                SpinBarrier::meet, &barrier, &fault};
    code.entries[0].function(&frame);
  };
  for (Storage storage : {Storage::input, Storage::state, Storage::output, Storage::constant}) tables[storage];
  std::vector<std::thread> team;
  for (int64_t t = 1; t < threads; ++t) team.emplace_back(thread, t);
  thread(0);
  for (std::thread& member : team) member.join();
  for (size_t id = 0; id < list.buffers.size(); ++id)
    if (places[id]) std::memcpy(memory.bytes[id].data(), places[id], memory.bytes[id].size());
  return fault;
}

// The name of the first buffer (and its element) in which two runs differ, NaNs being equal; empty if none.
inline std::string difference(const KernelList& list, int64_t n, const Memory& a, const Memory& b) {
  for (size_t id = 0; id < list.buffers.size(); ++id) {
    const Buffer& buffer = list.buffers[id];
    if (buffer.storage == Storage::row || buffer.storage == Storage::tile) continue;
    for (int64_t i = 0; i < buffer.type.elements().at(n); ++i) {
      Number x = load(a.bytes[id].data(), buffer.type.dtype, i), y = load(b.bytes[id].data(), buffer.type.dtype, i);
      if (std::isnan(x.real) && std::isnan(y.real)) continue;
      if (x.integer != y.integer || std::bit_cast<uint64_t>(x.real) != std::bit_cast<uint64_t>(y.real))
        return fmt::format("{}[{}]: {} against {}", buffer.name, i, x.as_double(), y.as_double());
    }
  }
  return {};
}

// Kernels by hand: buffers get their slots in order; scalars and statements are written directly.
struct Sketch {
  KernelList list;
  Sketch() { list.entry = "f"; }

  BufferId buffer(Storage storage, DType dtype, Shape shape) {
    int64_t slot = -1;
    bool has_slot = storage != Storage::arena && storage != Storage::row && storage != Storage::tile;
    if (has_slot) slot = std::count_if(list.buffers.begin(), list.buffers.end(), [&](auto& b) { return b.storage == storage; });
    Buffer buffer{.name = fmt::format("b{}", list.buffers.size()), .type = {dtype, std::move(shape)}, .storage = storage, .slot = slot};
    if (storage == Storage::arena) {
      buffer.offset = list.arena_bytes;
      list.arena_bytes += (buffer.type.bytes(list.maximum) + 63) / 64 * 64;
    }
    list.buffers.push_back(buffer);
    return static_cast<BufferId>(list.buffers.size()) - 1;
  }
  Extent n(int64_t maximum) {
    list.maximum = maximum;
    Extent n(1, "n");
    list.size = n.size;
    return n;
  }
  Scalar at(BufferId id, std::vector<Scalar> index) {
    return Scalar::read(id, list.buffers[static_cast<size_t>(id)].type.dtype, std::move(index));
  }
  Kernel& kernel(std::vector<Axis> rows, std::vector<Statement> body, int64_t threads = 1, bool barrier = false) {
    Kernel k;
    k.name = fmt::format("k{}", list.kernels.size() + 1);
    k.rows = std::move(rows), k.body = std::move(body), k.threads = threads, k.barrier = barrier;
    list.kernels.push_back(std::move(k));
    return list.kernels.back();
  }
};

inline Scalar i() { return Scalar::index(0); }
inline Scalar j() { return Scalar::index(1); }
inline Scalar k() { return Scalar::index(2); }
inline Scalar l() { return Scalar::index(3); }
inline Scalar call(Scalar::Function f, std::vector<Scalar> a) { return Scalar::call(f, std::move(a)); }

}  // namespace tenon::native
