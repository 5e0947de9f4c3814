// The inner loop of a contraction, and the order of its sum: blocks that are one chain of FMAs each, added in order, and
// groups of blocks likewise.
#include <algorithm>

#include "compiler/loop/contract.h"
#include "compiler/loop/prefetch.h"

namespace tenon::loop {
namespace {

constexpr int64_t unroll = 2;   // of the last k axis; more is slower to compile and no faster to run
constexpr int64_t short_k = 8;  // a last k axis so short is unrolled entirely

}  // namespace

void ContractionLowering::allocate_sums(int64_t tiles) {
  const int64_t points = all_k(c_, low_.list.sizes), elements = tiles * rows_ * vectors_ * lanes;
  blocked_ = points > c_.order.block;
  totals_ = low_.scratch(dtype_, elements);
  if (points > c_.order.block * c_.order.group) groups_of_blocks_ = low_.scratch(dtype_, elements);
  if (c_.k.size() > 1 && k_block_ > 0) chains_ = low_.scratch(dtype_, elements);
}

// -0 is what changes nothing when it is added; a sum over nothing is +0.
void ContractionLowering::begin_sums(const Rows& rows, const Columns& columns) {
  if (!blocked_) return;
  const ValueType vector{dtype_, true};
  Value nothing = b_.select(b_.eq(all_points(), b_.integer(0)), b_.zero(vector), b_.number(vector, -0.0));
  const Values start(static_cast<size_t>(rows.count * columns.vectors), nothing);
  store(rows, columns, totals_, start);
  if (groups_of_blocks_) store(rows, columns, groups_of_blocks_, start);
}

Value ContractionLowering::all_points() {
  Value points = b_.integer(1);
  for (const Axis& axis : c_.k) points = b_.mul(points, b_.extent(axis.extent));
  return points;
}

// sums[r][v] = fma(a[r], b[v], sums[r][v]) in ascending k; what is left of them when blocks that end are added to the
// totals.
Values ContractionLowering::accumulate(const Rows& rows, const Columns& columns, Values sums, Value begin, Value end) {
  low_.open();
  low_.bind(c_.m[0].variable, rows.m);
  low_.bind(c_.n[0].variable, columns.n);
  Value a_panel, b_panel = packed_b(columns, begin);
  if (!a_.in_place()) {
    Value tile = b_.mul(b_.sub(rows.tile, first_tile_), b_.integer(a_tile_));
    a_panel = b_.at(a_.panel, b_.add(tile, b_.mul(rows.offset, b_.extent(a_.across))));
  }
  const Axis& last = c_.k.back();
  const bool is_short = !last.extent.symbolic() && last.extent.count <= short_k;
  const int64_t by = is_short ? std::max<int64_t>(last.extent.count, 1) : unroll;
  auto body = [&](int64_t count) {
    return [&, count](Value i, const Values& inside) {
      low_.bind(last.variable, i);
      return step(rows, columns, a_panel, b_panel, count, inside);
    };
  };
  Stretch stretch = [&](Value from, Value to, Values values) {
    Value rest = b_.urem(b_.sub(to, from), b_.integer(by)), main = b_.sub(to, rest);
    Value share = b_.udiv(b_.sub(main, from), b_.integer(by * rows.count));
    if (epilogue_loads_.empty() || low_.constant(share, 0)) {
      values = low_.loop(from, main, by, values, body(by));
    } else {
      share = b_.mul(share, b_.integer(by));
      values = low_.loop(b_.integer(0), b_.integer(rows.count), 1, values, [&](Value r, const Values& inside) {
        prefetch(low_, epilogue_loads_, b_.add(rows.m, r), columns);
        Value low = b_.add(from, b_.mul(r, share));
        Value ends = b_.eq(r, b_.integer(rows.count - 1));
        return low_.loop(low, b_.select(ends, main, b_.add(low, share)), by, inside, body(by));
      });
    }
    const auto known = b_.known(rest);
    if (!known) return low_.loop(main, to, 1, values, body(1));
    return *known ? low_.loop(main, to, by, values, body(*known)) : values;
  };
  sums = loop_k(low_, begin, end, sums, [&](Value from, Value to, Values values) {
    return blocked_ ? in_blocks(rows, columns, from, to, values, stretch) : stretch(from, to, values);
  });
  low_.close();
  return sums;
}

// `count` steps along the last k axis, from the bound one on.
Values ContractionLowering::step(const Rows& rows, const Columns& columns, Value a_panel, Value b_panel, int64_t count,
                                 Values sums) {
  const Extent b_along = b_operand_.in_place() ? b_operand_.along : Extent(columns.vectors * lanes);
  const bool constant = c_.a->function == Scalar::constant;
  auto start = [&](const Access& operand, const Scalar& x, Value panel, Extent along) {
    if (operand.in_place()) return low_.address(x->integer, x->indices());
    return b_.at(panel, b_.mul(low_.scalar(k_position(c_)), b_.extent(along)));
  };
  Value a = constant ? Value() : start(a_, c_.a, a_panel, a_.along);
  Value b = start(b_operand_, c_.b, b_panel, b_along);
  for (int64_t u = 0; u < count; ++u) {
    Value a_row = constant ? Value() : b_.at(a, times(a_.along, u)), b_row = b_.at(b, times(b_along, u));
    Values row;
    for (int64_t v = 0; v < columns.vectors; ++v) {
      Value address = b_.at(b_row, b_.integer(v * lanes)), mask = columns.masks[static_cast<size_t>(v)];
      const bool masked = mask && b_operand_.in_place();
      row.push_back(masked ? b_.load_masked(address, mask, b_.zero({dtype_, true})) : b_.load(address, true));
    }
    for (int64_t r = 0; r < rows.count; ++r) {
      Value x = constant ? low_.vector(c_.a) : b_.splat(b_.load(b_.at(a_row, times(a_.across, r)), false));
      for (int64_t v = 0; v < columns.vectors; ++v) {
        Value& sum = sums[static_cast<size_t>(r * columns.vectors + v)];
        sum = b_.fma(x, row[static_cast<size_t>(v)], sum);
      }
    }
  }
  return sums;
}

// A stretch of the last k axis, cut where a block of the sum ends. Of one k axis, it begins where a block does and its end
// is the end of a block or of all.
Values ContractionLowering::in_blocks(const Rows& rows, const Columns& columns, Value from, Value to, Values sums,
                                      const Stretch& stretch) {
  Value block = b_.integer(c_.order.block), before = b_.integer(0);
  const bool one = c_.k.size() == 1;
  low_.open();
  if (!one) {
    low_.bind(c_.k.back().variable, from);
    before = b_.sub(low_.scalar(k_position(c_)), from);  // points before position 0 of the axis
  }
  Value begin = b_.add(before, from), end = b_.add(before, to);
  Value first = b_.udiv(begin, block), last = b_.udiv(b_.add(end, b_.sub(block, b_.integer(1))), block);
  sums = low_.loop(first, last, 1, sums, [&](Value j, const Values& inside) {
    Value low = b_.sub(b_.mul(j, block), before), high = b_.min(to, b_.add(low, block));
    if (!one) low = b_.max(from, low);
    const Values chain = stretch(low, high, inside);
    const Values next(chain.size(), b_.zero({dtype_, true}));
    Value points = b_.add(before, high);
    auto ends = [&] { return fold(rows, columns, chain, points), next; };
    if (one) return ends();
    return b_.branch(b_.eq(b_.urem(points, block), b_.integer(0)), ends, [&] { return chain; });
  });
  low_.close();
  return sums;
}

// Adds a block to the totals; so many points have been added then.
void ContractionLowering::fold(const Rows& rows, const Columns& columns, const Values& sums, Value points) {
  Values totals = load(rows, columns, totals_);
  for (size_t i = 0; i < sums.size(); ++i) totals[i] = b_.add(totals[i], sums[i]);
  store(rows, columns, totals_, totals);
  if (!groups_of_blocks_) return;
  Value ends = b_.eq(b_.urem(points, b_.integer(c_.order.block * c_.order.group)), b_.integer(0));
  b_.branch(ends, [&] {
    Values groups = load(rows, columns, groups_of_blocks_);
    for (size_t i = 0; i < groups.size(); ++i) groups[i] = b_.add(groups[i], totals[i]);
    store(rows, columns, groups_of_blocks_, groups);
    store(rows, columns, totals_, Values(groups.size(), b_.number({dtype_, true}, -0.0)));
    return Values();
  });
}

// The whole sum, of which `sums` is the block that has not ended.
Values ContractionLowering::total(const Rows& rows, const Columns& columns, const Values& sums) {
  if (!blocked_) return sums;
  Values result = load(rows, columns, totals_);
  if (c_.k.size() > 1) {
    Value ended = b_.eq(b_.urem(all_points(), b_.integer(c_.order.block)), b_.integer(0));
    for (size_t i = 0; i < result.size(); ++i) result[i] = b_.select(ended, result[i], b_.add(result[i], sums[i]));
  }
  if (!groups_of_blocks_) return result;
  const Values groups = load(rows, columns, groups_of_blocks_);
  for (size_t i = 0; i < result.size(); ++i) result[i] = b_.add(groups[i], result[i]);
  return result;
}

}  // namespace tenon::loop
