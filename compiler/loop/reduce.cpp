// Reductions, but for sums over leading axes, which are contractions. A float sum (or product) keeps its ChainOrder, whose
// chains are the lanes of a vector; each starts from the identity, so that an inactive lane changes nothing.
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>

#include "compiler/loop/lowering.h"

namespace tenon::loop {
namespace {

struct Fold {
  Lowering& low;
  const Statement& statement;
  ValueType type;  // of the result
  Reduction reduction = statement.reduction;
  Builder& b = low.b;

  bool ordered() const { return statement.ordered(); }
  Value identity(ValueType type) const {
    if (reduction == Reduction::sum) return b.zero(type);
    if (reduction == Reduction::product) return b.number(type, 1);
    const bool max = reduction == Reduction::max || reduction == Reduction::argmax;
    if (is_float(type.dtype)) return b.number(type, max ? -INFINITY : INFINITY);
    if (type.dtype == u8 || type.dtype == boolean) return b.bit_pattern(type, max ? 0 : ~uint64_t{0});
    const uint64_t least = type.dtype == i64 ? uint64_t{1} << 63 : uint64_t{1} << 31;
    return b.bit_pattern(type, max ? least : least - 1);
  }
  Code code() const {
    switch (reduction) {
      case Reduction::sum: return Code::add;
      case Reduction::product: return Code::mul;
      case Reduction::max: return Code::max;
      default: return Code::min;
    }
  }
  Value operator()(Value x, Value y) const { return b.elementwise(code(), x, y); }

  Value pairwise(Values chains) const {
    for (size_t half = chains.size() / 2; half > 0; half /= 2)
      for (size_t i = 0; i < half; ++i) chains[i] = (*this)(chains[i], chains[i + half]);
    return chains[0];
  }
  Value in_order(const Values& chains, int64_t count) const {
    Value sum = identity(chains[0].type);
    for (int64_t i = 0; i < count; ++i) sum = (*this)(sum, chains[static_cast<size_t>(i)]);
    return sum;
  }
  // Combines the 16 chains of a block of a reduction over `points` points.
  Value combine(const std::function<Value()>& pairs, const std::function<Values()>& chains, Extent points) const {
    int64_t least = points.count, most = points.at(low.list.sizes);
    if (!ordered() || least > lanes) return pairs();
    if (most <= lanes) return in_order(chains(), most);
    // Only the run decides. Dead chains hold the identity, so that as many as there may be are added in order.
    Value count = b.extent(points);
    auto few = [&](int64_t bound) { return b.le(count, b.integer(bound)); };
    auto ordered = [&](int64_t count) { return [&, count] { return Values{in_order(chains(), count)}; }; };
    auto more = [&] { return b.branch(few(lanes), ordered(lanes), [&] { return Values{pairs()}; }); };
    return b.branch(few(lanes / 4), ordered(lanes / 4), more)[0];
  }
};

// The partial results of blocks, combined as a binary counter counts: partial[l] holds 2^l blocks.
class BlockTree {
 public:
  BlockTree(const Fold& fold, int64_t most_points)
      : fold_(fold),
        width_(fold.type.vector ? lanes : 1),
        levels_(
            std::bit_width(static_cast<uint64_t>((most_points + fold.statement.order.block - 1) / fold.statement.order.block))),
        partial_(fold.low.stack(fold.type.dtype, levels_ * width_)) {
    for (int64_t l = 0; l < levels_; ++l) fold.b.store(fold.identity(fold.type), slot(l), alignment());
  }
  void push(Value block, Value count) {  // `count` blocks are in it
    Builder& b = fold_.b;
    Value carry = b.boolean(true);
    for (int64_t l = 0; l < levels_; ++l) {
      Value old = load(l), full = bit(count, l);
      Value take = b.bit_and(carry, full), put = b.bit_and(carry, b.bit_not(full));
      b.store(b.select(put, block, old), slot(l), alignment());
      block = b.select(take, fold_(old, block), block);
      carry = take;
    }
  }
  Value finish(Value count) {
    Builder& b = fold_.b;
    Value sum = fold_.identity(fold_.type), begun = b.boolean(false);
    for (int64_t l = 0; l < levels_; ++l) {
      Value old = load(l), full = bit(count, l);
      Value joined = b.select(begun, fold_(old, sum), old);
      sum = b.select(full, joined, sum);
      begun = b.bit_or(begun, full);
    }
    return sum;
  }

 private:
  int64_t alignment() const { return std::min<int64_t>(width_ * byte_size(fold_.type.dtype), 64); }
  Value slot(int64_t l) { return fold_.b.at(partial_, fold_.b.integer(l * width_)); }
  Value load(int64_t l) { return fold_.b.load(slot(l), fold_.type.vector, alignment()); }
  Value bit(Value count, int64_t l) {
    Builder& b = fold_.b;
    return b.ne(b.bit_and(count, b.integer(int64_t{1} << l)), b.integer(0));
  }

  const Fold& fold_;
  int64_t width_, levels_;
  Value partial_;
};

// Runs `block(begin, end)` over the blocks of the axis and combines what it returns.
Value over_blocks(const Fold& fold, Extent points, const std::function<Value(Value, Value)>& block) {
  Lowering& low = fold.low;
  Builder& b = low.b;
  const int64_t most = points.at(low.list.sizes), block_points = fold.statement.order.block;
  Value total = b.extent(points);
  if (!fold.ordered() || most <= block_points) return block(b.integer(0), total);
  BlockTree tree(fold, most);
  low.loop(b.integer(0), total, block_points, [&](Value begin) {
    Value end = b.min(b.add(begin, b.integer(block_points)), total);
    tree.push(block(begin, end), b.udiv(begin, b.integer(block_points)));
  });
  return tree.finish(b.udiv(b.add(total, b.integer(block_points - 1)), b.integer(block_points)));
}

Values lanes_of(Builder& b, Value vector) {
  Values result;
  for (int lane = 0; lane < lanes; ++lane) result.push_back(b.extract(vector, lane));
  return result;
}

// carried = step(carried, mask) over [begin, end) with the lanes along the axis: whole vectors, then the rest.
Values along_lanes(Lowering& low, const Axis& axis, Value begin, Value end, Values carried,
                   const std::function<Values(const Values&)>& step) {
  Builder& b = low.b;
  Value whole = b.add(begin, b.bit_and(b.sub(end, begin), b.integer(-int64_t{lanes})));
  carried = low.loop(begin, whole, lanes, carried, [&](Value i, const Values& now) {
    low.bind_vector(axis.variable, i, {});
    return step(now);
  });
  if (axis.extent.count % lanes == 0) return carried;
  low.open();
  Value mask = low.first_lanes(b.sub(end, whole));
  low.bind_vector(axis.variable, whole, mask);
  Values last = step(carried);
  for (size_t i = 0; i < last.size(); ++i) last[i] = b.select(mask, last[i], carried[i]);
  low.close();
  return last;
}

// Where any order will do, a short expression is folded into four accumulators, since max takes long for its result: returns
// what they hold together, and how far they came.
std::pair<Value, Value> four_at_a_time(const Fold& fold, const Statement& s, Value begin, Value end) {
  constexpr int64_t stride = 4 * lanes, longest = 16;
  Lowering& low = fold.low;
  Builder& b = low.b;
  const Axis& axis = s.reduced[0];
  Value identity = fold.identity({fold.type.dtype, true});
  int64_t nodes = 0;
  visit(s.value, [&](const Scalar&) { ++nodes; });
  if (nodes > longest || axis.extent.at(low.list.sizes) < 2 * stride) return {identity, begin};
  Value whole = b.add(begin, b.bit_and(b.sub(end, begin), b.integer(-stride)));
  auto chains = low.loop(begin, whole, stride, Values(4, identity), [&](Value i, Values now) {
    for (size_t u = 0; u < 4; ++u) {
      low.open();
      low.bind_vector(axis.variable, b.add(i, b.integer(static_cast<int64_t>(u) * lanes)), {});
      now[u] = fold(now[u], low.vector(s.value));
      low.close();
    }
    return now;
  });
  return {fold.pairwise(chains), whole};
}

// argmax: the greatest value so far and its position, from the least value at the first position on.
struct Best {
  Builder& b;

  // Whether a later y takes the place of x: a NaN is the maximum, and the first of equals stays.
  Value wins(Value y, Value x) const {
    if (is_float(x.type.dtype)) return b.bit_and(b.bit_not(b.le(y, x)), b.eq(x, x));
    return b.gt(y, x);
  }
  Values choose(Value take, const Values& y, const Values& x) const {
    return {b.select(take, y[0], x[0]), b.select(take, y[1], x[1])};
  }
  // Of two that may stand in either order.
  Values either(const Values& y, const Values& x) const {
    Value earlier = b.lt(y[1], x[1]);
    return choose(b.select(earlier, b.bit_not(wins(x[0], y[0])), wins(y[0], x[0])), y, x);
  }
};

Value argmax_lanes(Lowering& low, const Statement& s, const Fold& fold) {
  Builder& b = low.b;
  const Axis& axis = s.reduced[0];
  const Best best{b};
  const DType position = axis.extent.at(low.list.sizes) <= std::numeric_limits<int32_t>::max() ? i32 : i64;
  // A lane without a point keeps its number, which is after that of every point.
  Values now = {fold.identity({s.value->dtype, true}), b.lane_numbers(position)};
  now = along_lanes(low, axis, b.integer(0), b.extent(axis.extent), now, [&](const Values& x) {
    Value y = low.vector(s.value), j = low.vector(Scalar::index(axis.variable));
    return best.choose(best.wins(y, x[0]), {y, b.cast(j, position)}, x);
  });
  for (int half = lanes / 2; half > 0; half /= 2) {
    std::vector<int> upper(lanes);
    for (int lane = 0; lane < lanes; ++lane) upper[static_cast<size_t>(lane)] = (lane + half) % lanes;
    Values second;
    for (Value x : now) second.push_back(b.shuffle(x, x, upper));
    now = best.either(second, now);
  }
  return b.cast(b.extract(now[1], 0), i64);
}

Value argmax_serial(Lowering& low, const Statement& s, const Fold& fold) {
  Builder& b = low.b;
  const Axis& axis = s.reduced[0];
  const Best best{b};
  const bool wide = fold.type.vector;
  const Values start = {fold.identity(fold.type), b.zero({i64, wide})};
  return low.loop(b.integer(0), b.extent(axis.extent), 1, start, [&](Value i, const Values& x) {
    low.bind(axis.variable, i);
    Value y = wide ? low.vector(s.value) : low.scalar(s.value);
    return best.choose(best.wins(y, x[0]), {y, wide ? b.splat(i) : i}, x);
  })[1];
}

}  // namespace

Value reduce_lanes(Lowering& low, const Statement& s) {
  Builder& b = low.b;
  const Axis& axis = s.reduced[0];
  const Fold fold{.low = low, .statement = s, .type = {s.value->dtype}};
  if (s.reduction == Reduction::argmax) return argmax_lanes(low, s, fold);
  return over_blocks(fold, axis.extent, [&](Value begin, Value end) {
    Value start = fold.identity({s.value->dtype, true});
    if (!fold.ordered()) std::tie(start, begin) = four_at_a_time(fold, s, begin, end);
    Value chains = along_lanes(low, axis, begin, end, {start},
                               [&](const Values& now) { return Values{fold(now[0], low.vector(s.value))}; })[0];
    auto pairs = [&] { return b.reduce(fold.code(), chains); };
    return fold.combine(
        pairs, [&] { return lanes_of(b, chains); }, axis.extent);
  });
}

Value reduce_serial(Lowering& low, const Statement& s, bool wide) {
  Builder& b = low.b;
  const Axis& axis = s.reduced[0];
  const ValueType type{s.value->dtype, wide};
  const Fold fold{.low = low, .statement = s, .type = type};
  if (s.reduction == Reduction::argmax) return argmax_serial(low, s, fold);
  auto element = [&] { return wide ? low.vector(s.value) : low.scalar(s.value); };
  if (!fold.ordered() || axis.extent.at(low.list.sizes) <= lanes)
    return low.loop(b.integer(0), b.extent(axis.extent), 1, {fold.identity(type)}, [&](Value k, const Values& now) {
      low.bind(axis.variable, k);
      return Values{fold(now[0], element())};
    })[0];
  const int64_t width = wide ? lanes : 1, alignment = std::min<int64_t>(width * byte_size(type.dtype), 64);
  Value memory = low.stack(type.dtype, lanes * width);
  auto chain = [&](Value k) { return b.at(memory, b.mul(k, b.integer(width))); };
  return over_blocks(fold, axis.extent, [&](Value begin, Value end) {
    for (int c = 0; c < lanes; ++c) b.store(fold.identity(type), chain(b.integer(c)), alignment);
    low.loop(begin, end, 1, [&](Value k) {
      low.bind(axis.variable, k);
      Value x = element();
      Value at = chain(b.bit_and(k, b.integer(lanes - 1)));
      b.store(fold(b.load(at, wide, alignment), x), at, alignment);
    });
    auto chains = [&] {
      Values result;
      for (int c = 0; c < lanes; ++c) result.push_back(b.load(chain(b.integer(c)), wide, alignment));
      return result;
    };
    return fold.combine([&] { return fold.pairwise(chains()); }, chains, axis.extent);
  });
}

}  // namespace tenon::loop
