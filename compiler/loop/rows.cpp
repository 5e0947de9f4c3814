// Row kernels: the rows are divided between the threads; inside a row each statement is a loop nest with 16 lanes along
// one of its axes, or, if the plan says so, along the rows.
#include <algorithm>

#include "compiler/loop/lowering.h"
#include "compiler/loop/plan.h"

namespace tenon::loop {
namespace {

// Unrolled when it is short: 16 lanes of rows over a few classes become straight-line code.
constexpr int64_t unroll_limit = 16;

void scalar_loop(Lowering& low, const Axis& axis, const std::function<void()>& body) {
  Builder& b = low.b;
  if (!axis.extent.symbolic() && axis.extent.count <= unroll_limit && low.row_lanes) {
    for (int64_t i = 0; i < axis.extent.count; ++i) {
      low.open();
      low.bind(axis.variable, b.integer(i));
      body();
      low.close();
    }
    return;
  }
  low.loop(b.integer(0), b.extent(axis.extent), 1, [&](Value i) {
    low.bind(axis.variable, i);
    body();
  });
}

// A nest over the axes: all scalar if the lanes run along the rows, else the last one a vector.
void nest(Lowering& low, std::span<const Axis> axes, const std::function<void()>& body) {
  Builder& b = low.b;
  if (axes.empty()) return body();
  if (axes.size() == 1 && !low.row_lanes)
    return vector_loop(low, b.integer(0), b.extent(axes[0].extent), axes[0].variable, body);
  scalar_loop(low, axes[0], [&] { nest(low, axes.subspan(1), body); });
}

void store_value(Lowering& low, const Statement& s, bool wide) {
  if (wide)
    low.store_vector(s.buffer, s.index, low.vector(s.value));
  else
    low.store(s.buffer, s.index, low.scalar(s.value));
}

// Whether the lanes of a sum should run along the reduced axis rather than the last axis of the result: where most
// loads are contiguous.
bool lanes_reduce(Lowering& low, const Statement& s) {
  int64_t reduced = s.reduced[0].variable, kept = s.axes.back().variable;
  int64_t balance = 0;
  visit(s.value, [&](const Scalar& x) {
    if (x->function != Scalar::load) return;
    auto cost = [&](int64_t variable) {
      auto step = low.stride(x->integer, x->indices(), variable);
      return step && !step->symbolic() && step->count <= 1 ? 0 : 1;
    };
    balance += cost(kept) - cost(reduced);
  });
  const Sizes& most = low.list.sizes;
  if (balance == 0) return s.reduced[0].extent.at(most) > lanes && s.axes.back().extent.at(most) < lanes;
  return balance > 0;
}

void reduction(Lowering& low, const Statement& s) {
  if (low.row_lanes) return nest(low, s.axes, [&] { low.store_vector(s.buffer, s.index, reduce_serial(low, s, true)); });
  if (!s.axes.empty() && !lanes_reduce(low, s))
    return nest(low, s.axes, [&] { low.store_vector(s.buffer, s.index, reduce_serial(low, s, true)); });
  auto body = [&] { low.store(s.buffer, s.index, reduce_lanes(low, s)); };
  std::function<void(std::span<const Axis>)> outer = [&](std::span<const Axis> axes) {
    if (axes.empty()) return body();
    scalar_loop(low, axes[0], [&] { outer(axes.subspan(1)); });
  };
  outer(s.axes);
}

// buffer = 0, then buffer[index] += value in ascending order of the reduced points. A point outside the buffer adds to
// nothing.
void scatter(Lowering& low, const Statement& s) {
  Builder& b = low.b;
  const tenon::Type& type = low.list.buffers[static_cast<size_t>(s.buffer)].type;
  Axis first{int64_t{1} << 40, type.shape[0]};
  low.forms().bound(first.variable, first.extent);
  std::vector<Axis> all = s.axes;
  all.insert(all.begin(), first);
  std::vector<Scalar> index = s.index;
  index[0] = Scalar::index(first.variable);
  Scalar zero = Scalar::number(type.dtype, 0);
  nest(low, all, [&] { low.store_vector(s.buffer, index, low.vector(zero)); });

  Scalar sum = Scalar::call(Scalar::add, {Scalar::read(s.buffer, type.dtype, s.index), s.value});
  std::function<void(std::span<const Axis>)> points = [&](std::span<const Axis> reduced) {
    if (!reduced.empty()) return scalar_loop(low, reduced[0], [&] { points(reduced.subspan(1)); });
    Value at = low.scalar(Scalar::to(i64, s.index[0]));
    low.when(b.ult(at, b.extent(type.shape[0])), [&] {
      nest(low, s.axes, [&] {
        if (s.axes.empty())
          low.store(s.buffer, s.index, low.scalar(sum));
        else
          low.store_vector(s.buffer, s.index, low.vector(sum));
      });
    });
  };
  points(s.reduced);
}

void lower_group(Lowering& low, const StatementGroup& group) {
  low.open();
  std::vector<BufferId> written;
  for (const Statement& s : group.statements) written.push_back(s.buffer);
  low.settle(written);
  const Statement& first = group.statements[0];
  if (first.scatter) {
    scatter(low, first);
  } else if (!group.reduced.empty()) {
    Statement merged = first;
    merged.axes = group.axes, merged.reduced = group.reduced;
    reduction(low, merged);
  } else {
    nest(low, group.axes, [&] {
      for (const Statement& s : group.statements) store_value(low, s, low.row_lanes || !group.axes.empty());
    });
  }
  low.close();
}

// Binds the row variables of flattened row r.
void bind_rows(Lowering& low, std::span<const Axis> rows, Value r) {
  Builder& b = low.b;
  for (size_t i = rows.size(); i-- > 0;) {
    if (i == 0) return low.bind(rows[0].variable, r);
    Value extent = b.extent(rows[i].extent);
    low.bind(rows[i].variable, b.urem(r, extent));
    r = b.udiv(r, extent);
  }
}

Value total(Lowering& low, std::span<const Axis> rows) {
  Shape shape;
  for (const Axis& axis : rows) shape.push_back(axis.extent);
  return low.b.extent(elements(shape));
}

// Sets the fault to the least element outside [0, extent), unless an earlier check has failed.
void check_indices(Lowering& low, const IndexCheck& checked) {
  Builder& b = low.b;
  const tenon::Buffer& buffer = low.list.buffers[static_cast<size_t>(checked.index)];
  Axis axis{0, buffer.type.elements()};
  low.forms().bound(axis.variable, axis.extent);
  // The elements, flattened, as a reading of the buffer.
  std::vector<Scalar> index;
  Scalar rest = Scalar::index(axis.variable);
  for (size_t i = buffer.type.shape.size(); i-- > 0;) {
    Scalar extent = Scalar::extent(buffer.type.shape[i]);
    index.insert(index.begin(), i == 0 ? rest : mod(rest, extent));
    rest = floordiv(rest, extent);
  }
  Scalar value = Scalar::to(i64, Scalar::read(checked.index, buffer.type.dtype, index));
  Value none = b.integer(std::numeric_limits<int64_t>::max());
  Value found = low.stack(i64, lanes);
  b.store(b.splat(none), found);
  vector_loop(low, b.integer(0), b.extent(axis.extent), axis.variable, [&] {
    Value bad = b.bit_not(b.ult(low.vector(value), b.splat(b.extent(checked.extent))));
    if (low.mask()) bad = b.bit_and(bad, low.mask());
    Value before = b.load(found, true);
    Value where = b.select(bad, low.vector(Scalar::index(axis.variable)), before);
    b.store(b.min(before, where), found);
  });
  Value element = b.reduce(Code::min, b.load(found, true));
  Value fault = b.base(b.buffer({Buffer::Place::fault, i64, 3, 0}));  // check, element, value
  Value first = b.lt(b.load(fault, false), b.integer(0));
  low.when(b.bit_and(first, b.ne(element, none)), [&] {
    low.bind(axis.variable, element);
    b.store(low.scalar(Scalar::index(first_given)), fault);
    b.store(element, b.at(fault, b.integer(1)));
    b.store(low.scalar(value), b.at(fault, b.integer(2)));
  });
}

}  // namespace

void vector_loop(Lowering& low, Value begin, Value end, int64_t variable, const std::function<void()>& body, bool once) {
  Builder& b = low.b;
  if (once)
    return low.loop(begin, end, lanes, [&](Value i) {
      low.bind_vector(variable, i, low.first_lanes(b.sub(end, i)));
      body();
    });
  Value whole = b.add(begin, b.bit_and(b.sub(end, begin), b.integer(-int64_t{lanes})));
  low.loop(begin, whole, lanes, [&](Value i) {
    low.bind_vector(variable, i, {});
    body();
  });
  low.when(b.lt(whole, end), [&] {
    low.bind_vector(variable, whole, low.first_lanes(b.sub(end, whole)));
    body();
  });
}

void lower_rows(Lowering& low) {
  Builder& b = low.b;
  if (low.kernel.check) return check_indices(low, *low.kernel.check);
  RowPlan plan = plan_rows(low.kernel, low.list, low.forms());
  low.row_lanes = plan.row_lanes;
  auto groups = [&] {
    for (const StatementGroup& group : plan.groups) lower_group(low, group);
  };
  std::span<const Axis> rows = plan.rows;
  if (rows.empty()) return low.when(b.eq(b.thread(), b.integer(0)), groups);
  if (!plan.row_lanes) {
    auto [begin, end] = part(low, total(low, rows), 1);
    return low.loop(begin, end, 1, [&](Value r) {
      bind_rows(low, rows, r);
      groups();
    });
  }
  const Axis& last = rows.back();
  // A long body is made once, for any mask.
  bool once = std::any_of(plan.groups.begin(), plan.groups.end(),
                          [](const StatementGroup& group) { return !group.axes.empty() || !group.reduced.empty(); });
  if (rows.size() == 1) {
    auto [begin, end] = part(low, b.extent(last.extent), lanes);
    return vector_loop(low, begin, end, last.variable, groups, once);
  }
  auto [begin, end] = part(low, total(low, rows.first(rows.size() - 1)), 1);
  low.loop(begin, end, 1, [&](Value r) {
    bind_rows(low, rows.first(rows.size() - 1), r);
    vector_loop(low, b.integer(0), b.extent(last.extent), last.variable, groups, once);
  });
}

}  // namespace tenon::loop
