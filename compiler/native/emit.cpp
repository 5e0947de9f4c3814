// Row kernels: the rows are divided between the threads; inside a row each statement is a loop nest with 16 lanes along
// one of its axes, or, if the plan says so, along the rows.
#include <algorithm>
#include <cstddef>

#include "compiler/native/emit.h"
#include "compiler/native/plan.h"

namespace tenon {
namespace {

// Unrolled when it is short: 16 lanes of rows over a few classes become straight-line code.
constexpr int64_t unroll_limit = 16;

void scalar_loop(Emitter& e, const Axis& axis, const std::function<void()>& body) {
  if (!axis.extent.symbolic() && axis.extent.count <= unroll_limit && e.row_lanes) {
    for (int64_t i = 0; i < axis.extent.count; ++i) {
      e.open();
      e.bind(axis.variable, e.integer(i));
      body();
      e.close();
    }
    return;
  }
  e.loop(e.integer(0), e.extent(axis.extent), 1, [&](llvm::Value* i) {
    e.bind(axis.variable, i);
    body();
  });
}

// A nest over the axes: all scalar if the lanes run along the rows, else the last one a vector.
void nest(Emitter& e, std::span<const Axis> axes, const std::function<void()>& body) {
  if (axes.empty()) return body();
  if (axes.size() == 1 && !e.row_lanes)
    return vector_loop(e, e.integer(0), e.extent(axes[0].extent), axes[0].variable, body);
  scalar_loop(e, axes[0], [&] { nest(e, axes.subspan(1), body); });
}

void store_value(Emitter& e, const Statement& s, bool wide) {
  if (wide)
    e.store_vector(s.buffer, s.index, e.vector(s.value));
  else
    e.store(s.buffer, s.index, e.scalar(s.value));
}

// Whether the lanes of a sum should run along the reduced axis rather than the last axis of the result: where most
// loads are contiguous.
bool lanes_reduce(Emitter& e, const Statement& s) {
  int64_t reduced = s.reduced[0].variable, kept = s.axes.back().variable;
  int64_t balance = 0;
  visit(s.value, [&](const Scalar& x) {
    if (x->function != Scalar::load) return;
    auto cost = [&](int64_t variable) {
      auto step = e.stride(x->integer, x->indices(), variable);
      return step && !step->symbolic() && step->count <= 1 ? 0 : 1;
    };
    balance += cost(kept) - cost(reduced);
  });
  int64_t most = e.list.maximum;
  if (balance == 0) return s.reduced[0].extent.at(most) > lanes && s.axes.back().extent.at(most) < lanes;
  return balance > 0;
}

void reduction(Emitter& e, const Statement& s) {
  if (e.row_lanes)
    return nest(e, s.axes, [&] { e.store_vector(s.buffer, s.index, reduce_serial(e, s, true)); });
  if (!s.axes.empty() && !lanes_reduce(e, s))
    return nest(e, s.axes, [&] { e.store_vector(s.buffer, s.index, reduce_serial(e, s, true)); });
  auto body = [&] { e.store(s.buffer, s.index, reduce_lanes(e, s)); };
  std::function<void(std::span<const Axis>)> outer = [&](std::span<const Axis> axes) {
    if (axes.empty()) return body();
    scalar_loop(e, axes[0], [&] { outer(axes.subspan(1)); });
  };
  outer(s.axes);
}

// buffer = 0, then buffer[index] += value in ascending order of the reduced points. A point outside the buffer adds to
// nothing.
void scatter(Emitter& e, const Statement& s) {
  const Type& type = e.list.buffers[static_cast<size_t>(s.buffer)].type;
  Axis first{int64_t{1} << 40, type.shape[0]};
  e.forms().bound(first);
  std::vector<Axis> all = s.axes;
  all.insert(all.begin(), first);
  std::vector<Scalar> index = s.index;
  index[0] = Scalar::index(first.variable);
  Scalar zero = Scalar::number(type.dtype, 0);
  nest(e, all, [&] { e.store_vector(s.buffer, index, e.vector(zero)); });

  Scalar sum = Scalar::call(Scalar::add, {Scalar::read(s.buffer, type.dtype, s.index), s.value});
  std::function<void(std::span<const Axis>)> points = [&](std::span<const Axis> reduced) {
    if (!reduced.empty()) return scalar_loop(e, reduced[0], [&] { points(reduced.subspan(1)); });
    llvm::Value* at = e.scalar(Scalar::to(i64, s.index[0]));
    e.when(e.b.CreateICmpULT(at, e.extent(type.shape[0])), [&] {
      nest(e, s.axes, [&] {
        if (s.axes.empty())
          e.store(s.buffer, s.index, e.scalar(sum));
        else
          e.store_vector(s.buffer, s.index, e.vector(sum));
      });
    });
  };
  points(s.reduced);
}

void emit_group(Emitter& e, const StatementGroup& group) {
  e.open();
  std::vector<BufferId> written;
  for (const Statement& s : group.statements) written.push_back(s.buffer);
  e.settle(written);
  const Statement& first = group.statements[0];
  if (first.scatter) {
    scatter(e, first);
  } else if (!group.reduced.empty()) {
    Statement merged = first;
    merged.axes = group.axes, merged.reduced = group.reduced;
    reduction(e, merged);
  } else {
    nest(e, group.axes, [&] {
      for (const Statement& s : group.statements) store_value(e, s, e.row_lanes || !group.axes.empty());
    });
  }
  e.close();
}

// Binds the row variables of flattened row r.
void bind_rows(Emitter& e, std::span<const Axis> rows, llvm::Value* r) {
  for (size_t i = rows.size(); i-- > 0;) {
    if (i == 0) return e.bind(rows[0].variable, r);
    llvm::Value* extent = e.extent(rows[i].extent);
    e.bind(rows[i].variable, e.b.CreateURem(r, extent));
    r = e.b.CreateUDiv(r, extent);
  }
}

llvm::Value* total(Emitter& e, std::span<const Axis> rows) {
  Shape shape;
  for (const Axis& axis : rows) shape.push_back(axis.extent);
  return e.extent(elements(shape));
}

// Sets the fault to the least element outside [0, extent), unless an earlier check has failed.
void check_indices(Emitter& e, const IndexCheck& checked) {
  auto& b = e.b;
  const Buffer& buffer = e.list.buffers[static_cast<size_t>(checked.index)];
  Axis axis{0, buffer.type.elements()};
  e.forms().bound(axis);
  // The elements, flattened, as a reading of the buffer.
  std::vector<Scalar> index;
  Scalar rest = Scalar::index(axis.variable);
  for (size_t i = buffer.type.shape.size(); i-- > 0;) {
    Scalar extent = Scalar::extent(buffer.type.shape[i]);
    index.insert(index.begin(), i == 0 ? rest : mod(rest, extent));
    rest = floordiv(rest, extent);
  }
  Scalar value = Scalar::to(i64, Scalar::read(checked.index, buffer.type.dtype, index));
  llvm::Value* none = e.integer(std::numeric_limits<int64_t>::max());
  llvm::Value* found = e.stack(e.vector_type(i64));
  b.CreateStore(e.splat(none), found);
  vector_loop(e, e.integer(0), e.extent(axis.extent), axis.variable, [&] {
    llvm::Value* bad = b.CreateICmpUGE(e.vector(value), e.splat(e.extent(checked.extent)));
    if (e.mask()) bad = b.CreateAnd(bad, e.mask());
    llvm::Value* before = b.CreateLoad(e.vector_type(i64), found);
    llvm::Value* where = b.CreateSelect(bad, e.vector(Scalar::index(axis.variable)), before);
    b.CreateStore(b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, before, where), found);
  });
  llvm::Value* element = b.CreateIntMinReduce(b.CreateLoad(e.vector_type(i64), found), true);
  auto field = [&](llvm::Value* record, size_t offset) {
    return b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), record, offset);
  };
  llvm::Value* fault = b.CreateLoad(b.getPtrTy(), field(e.frame, offsetof(Frame, fault)));
  llvm::Value* first = b.CreateICmpSLT(b.CreateLoad(b.getInt64Ty(), field(fault, offsetof(Fault, check))), e.integer(0));
  e.when(b.CreateAnd(first, b.CreateICmpNE(element, none)), [&] {
    e.bind(axis.variable, element);
    b.CreateStore(e.scalar(Scalar::index(first_given)), field(fault, offsetof(Fault, check)));
    b.CreateStore(element, field(fault, offsetof(Fault, element)));
    b.CreateStore(e.scalar(value), field(fault, offsetof(Fault, value)));
  });
}

}  // namespace

void vector_loop(Emitter& e, llvm::Value* begin, llvm::Value* end, int64_t variable, const std::function<void()>& body,
                 bool once) {
  auto& b = e.b;
  if (once)
    return e.loop(begin, end, lanes, [&](llvm::Value* i) {
      e.bind_vector(variable, i, e.first_lanes(b.CreateSub(end, i)));
      body();
    });
  llvm::Value* whole = b.CreateAdd(begin, b.CreateAnd(b.CreateSub(end, begin), e.integer(-int64_t{lanes})));
  e.loop(begin, whole, lanes, [&](llvm::Value* i) {
    e.bind_vector(variable, i, nullptr);
    body();
  });
  llvm::Value* rest = b.CreateICmpSLT(whole, end);
  if (auto* known = llvm::dyn_cast<llvm::ConstantInt>(rest); known && known->isZero()) return;
  e.when(rest, [&] {
    e.bind_vector(variable, whole, e.first_lanes(b.CreateSub(end, whole)));
    body();
  });
}

void emit_rows(Emitter& e) {
  if (e.kernel.check) return check_indices(e, *e.kernel.check);
  RowPlan plan = plan_rows(e.kernel, e.list, e.forms());
  e.row_lanes = plan.row_lanes;
  auto groups = [&] {
    for (const StatementGroup& group : plan.groups) emit_group(e, group);
  };
  std::span<const Axis> rows = plan.rows;
  if (rows.empty()) return e.when(e.b.CreateICmpEQ(e.thread, e.integer(0)), groups);
  if (!plan.row_lanes) {
    auto [begin, end] = part(e, total(e, rows), 1);
    return e.loop(begin, end, 1, [&](llvm::Value* r) {
      bind_rows(e, rows, r);
      groups();
    });
  }
  const Axis& last = rows.back();
  // A long body is emitted once, for any mask.
  bool once = std::any_of(plan.groups.begin(), plan.groups.end(), [](const StatementGroup& group) {
    return !group.axes.empty() || !group.reduced.empty();
  });
  if (rows.size() == 1) {
    auto [begin, end] = part(e, e.extent(last.extent), lanes);
    return vector_loop(e, begin, end, last.variable, groups, once);
  }
  auto [begin, end] = part(e, total(e, rows.first(rows.size() - 1)), 1);
  e.loop(begin, end, 1, [&](llvm::Value* r) {
    bind_rows(e, rows.first(rows.size() - 1), r);
    vector_loop(e, e.integer(0), e.extent(last.extent), last.variable, groups, once);
  });
}

}  // namespace tenon
