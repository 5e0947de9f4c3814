// Loops around the inner loop: panels of columns, groups of tiles, blocks of k, and the epilogue after them.
// An element's chain of FMAs is never split: between blocks of k its accumulator waits in the scratch,
// unrounded.
#include <algorithm>

#include "compiler/loop/pack.h"
#include "compiler/loop/prefetch.h"

namespace tenon::loop {

namespace {

constexpr int64_t unroll = 2;                 // of the last k axis; more is slower to compile and no faster to run
constexpr int64_t short_k = 8;                // a last k axis so short is unrolled entirely
constexpr int64_t short_epilogue = 256;       // scalar operations a tile: beyond it a loop over the rows

class ContractionLowering {
 public:
  explicit ContractionLowering(Lowering& low)
      : low_(low), b_(low.b), c_(*low.kernel.contraction), maximum_(low.list.maximum), dtype_(c_.a->dtype) {}
  void lower();

 private:
  // Consecutive rows that one copy of the inner loop computes: those of tile number `tile` from `offset` on.
  struct Rows {
    Value tile, offset;
    int64_t count;
    Value m;  // the first row
  };
  Value times(Extent stride, int64_t count) { return b_.mul(b_.extent(stride), b_.integer(count)); }

  void lower_panel(Value p);
  void lower_columns(const Columns& columns, Value begin, Value end);
  void for_rows(Value begin, Value end, const std::function<void(const Rows&)>& body);
  Values accumulate(const Rows& rows, const Columns& columns, Values sums, Value begin, Value end);
  void epilogue(const Rows& rows, const Columns& columns, const Values& sums);
  void epilogue(const Rows& rows, const Columns& columns, Value partial);
  void statements(const std::function<Value()>& sum);
  Value partial(const Rows& rows, const Columns& columns);
  Value packed_b(const Columns& columns, Value begin);

  Lowering& low_;
  Builder& b_;
  const Contraction& c_;
  int64_t maximum_;
  DType dtype_;

  int64_t rows_ = 0, vectors_ = 0;  // of a tile
  int64_t k_block_ = 0;             // of the outermost k axis; 0: all of k at once
  Access a_, b_operand_;
  std::vector<Scalar> epilogue_loads_;  // to be prefetched during the inner loop
  int64_t a_tile_ = 0;
  Value partials_;  // accumulators between two blocks of k, or between the inner loop and the epilogue
  // Tiles of the m axis, all and whole ones; they come in groups. Panels of the n axis, all and whole ones.
  Value tiles_, whole_tiles_, group_, groups_;
  Value panels_, whole_panels_;
  bool one_group_ = false;
  Value first_tile_;  // of the group
  Value begin_, end_;
};

// A panel is the tiles of one group over 16 * vectors columns of one batch element; the thread's part is
// contiguous in the order batch, group, columns, tile.
void ContractionLowering::lower() {
  check(!c_.k.empty(), "a contraction has a k axis");
  const Tile& tile = low_.kernel.tile;
  rows_ = std::max<int64_t>(1, std::min(tile.rows, c_.m.extent.at(maximum_)));
  vectors_ = std::max<int64_t>(1, tile.vectors);
  vectors_ = std::min(vectors_, std::max<int64_t>(1, (c_.n.extent.at(maximum_) + lanes - 1) / lanes));
  if (all_k(c_, maximum_) > tile.k_block)
    k_block_ = std::max<int64_t>(1, tile.k_block / std::max<int64_t>(1, inner_k(c_, maximum_)));
  if (k_block_ >= c_.k[0].extent.at(maximum_)) k_block_ = 0;
  a_ = place_a(low_, rows_);
  b_operand_ = place_b(low_, vectors_);
  a_tile_ = a_tile_elements(low_, a_, rows_);
  if (k_block_ == 0 && c_.k.size() == 1) epilogue_loads_ = epilogue_loads(low_);

  auto ceiling = [&](Value x, int64_t by) {
    return b_.udiv(b_.add(x, b_.integer(by - 1)), b_.integer(by));
  };
  Value m = b_.extent(c_.m.extent), n = b_.extent(c_.n.extent);
  tiles_ = ceiling(m, rows_), whole_tiles_ = b_.udiv(m, b_.integer(rows_));
  panels_ = ceiling(n, vectors_ * lanes), whole_panels_ = b_.udiv(n, b_.integer(vectors_ * lanes));
  int64_t most_tiles = (c_.m.extent.at(maximum_) + rows_ - 1) / rows_;
  int64_t most = std::clamp<int64_t>(tile.group, 1, std::max<int64_t>(1, most_tiles));
  one_group_ = most >= most_tiles;
  group_ =
      one_group_ ? b_.max(tiles_, b_.integer(1)) : b_.integer(most);
  groups_ = one_group_ ? b_.cast(b_.gt(tiles_, b_.integer(0)), i64)
                       : ceiling(tiles_, most);
  if (!a_.in_place) a_.panel = low_.scratch(dtype_, checked_product(most + a_strip(a_, rows_) - 1, a_tile_));
  if (!b_operand_.in_place) {
    int64_t k = k_block_ > 0 ? k_block_ * inner_k(c_, maximum_) : all_k(c_, maximum_);
    b_operand_.panel = low_.scratch(dtype_, (k + lanes) * vectors_ * lanes);
  }
  partials_ = low_.scratch(dtype_, (k_block_ > 0 ? most : 1) * rows_ * vectors_ * lanes);

  Value count = b_.mul(groups_, panels_);
  for (const Axis& row : low_.kernel.rows) count = b_.mul(count, b_.extent(row.extent));
  if (low_.constant(b_.threads(), 1))
    return low_.loop(b_.integer(0), count, 1, [&](Value p) { lower_panel(p); });
  std::tie(begin_, end_) = part(low_, b_.mul(count, group_), 1);
  Value last = b_.udiv(b_.add(end_, b_.sub(group_, b_.integer(1))), group_);
  low_.loop(b_.udiv(begin_, group_), last, 1, [&](Value p) { lower_panel(p); });
}

void ContractionLowering::lower_panel(Value p) {
  // The part of the panel's tiles, within their group.
  Value begin = b_.integer(0), end = group_;
  if (begin_) {
    Value before = b_.mul(p, group_);
    begin = b_.max(begin, b_.sub(begin_, before));
    end = b_.min(end, b_.sub(end_, before));
  }
  Value columns = b_.integer(0), rest = p;
  if (one_group_ && low_.kernel.rows.empty())
    columns = p;
  else if (!low_.constant(panels_, 1))
    columns = b_.urem(p, panels_), rest = b_.udiv(p, panels_);
  first_tile_ = b_.integer(0);
  if (!one_group_) {
    first_tile_ = b_.mul(b_.urem(rest, groups_), group_), rest = b_.udiv(rest, groups_);
    end = b_.min(end, b_.sub(tiles_, first_tile_));
  }
  for (size_t i = low_.kernel.rows.size(); i-- > 0;) {
    Value extent = b_.extent(low_.kernel.rows[i].extent);
    low_.bind(low_.kernel.rows[i].variable, i == 0 ? rest : b_.urem(rest, extent));
    if (i > 0) rest = b_.udiv(rest, extent);
  }
  begin = b_.add(first_tile_, begin), end = b_.add(first_tile_, end);

  if (!a_.in_place) {
    // The panels of a group follow each other, so its tiles of a are packed with the thread's first.
    Value fresh = b_.eq(columns, b_.integer(0));
    if (begin_) fresh = b_.bit_or(fresh, b_.le(b_.mul(p, group_), begin_));
    low_.when(fresh, [&] {
      Value past = b_.min(tiles_, b_.add(first_tile_, group_));
      low_.loop(first_tile_, past, a_strip(a_, rows_), [&](Value t) {
        Value panel = b_.at(a_.panel, b_.mul(b_.sub(t, first_tile_), b_.integer(a_tile_)));
        pack_a(low_, a_, panel, b_.mul(t, b_.integer(rows_)), rows_);
      });
    });
  }

  Value n = b_.mul(columns, b_.integer(vectors_ * lanes));
  Columns whole{n, vectors_, Values(static_cast<size_t>(vectors_))};
  low_.when(b_.lt(columns, whole_panels_), [&] { lower_columns(whole, begin, end); });
  low_.when(b_.ge(columns, whole_panels_), [&] {
    Extent extent = c_.n.extent;
    if (extent.symbolic())  // as many vectors as there are, one by one
      return low_.loop(n, b_.extent(extent), lanes, [&](Value column) {
        lower_columns({column, 1, {low_.first_lanes(b_.sub(b_.extent(extent), column))}}, begin, end);
      });
    const int64_t rest = extent.count % (vectors_ * lanes);
    Columns tail{n, (rest + lanes - 1) / lanes, {}};
    for (int64_t v = 0; v < tail.vectors; ++v) tail.masks.push_back(low_.first_lanes(b_.integer(rest - v * lanes)));
    if (tail.vectors > 0) lower_columns(tail, begin, end);
  });
}

// The tiles from begin to end over some columns.
void ContractionLowering::lower_columns(const Columns& columns, Value begin, Value end) {
  Value zero = b_.integer(0), k = b_.extent(c_.k[0].extent);
  Value zeros = b_.zero({dtype_, true});
  int64_t operations = 0;
  for (const Statement& s : low_.kernel.body) visit(s.value, [&](const Scalar&) { ++operations; });

  if (k_block_ == 0) {
    if (!b_operand_.in_place) pack_b(low_, packed_b(columns, zero), columns, zero, k);
    for_rows(begin, end, [&](const Rows& rows) {
      Values sums = accumulate(rows, columns,
                               Values(static_cast<size_t>(rows.count * columns.vectors), zeros), zero, k);
      if (operations * rows.count * columns.vectors <= short_epilogue) return epilogue(rows, columns, sums);
      for (size_t i = 0; i < sums.size(); ++i)
        b_.store(sums[i], b_.at(partials_, b_.integer(static_cast<int64_t>(i * lanes))), 64);
      epilogue(rows, columns, partials_);
    });
    return;
  }
  // Blocks of k: each element's chain goes on where it stopped.
  auto each = [&](const Rows& rows, const std::function<void(size_t i, Value address)>& body) {
    Value sums = partial(rows, columns);
    for (int64_t i = 0; i < rows.count * columns.vectors; ++i)
      body(static_cast<size_t>(i), b_.at(sums, b_.integer(i * lanes)));
  };
  for_rows(begin, end, [&](const Rows& rows) {
    each(rows, [&](size_t, Value address) { b_.store(zeros, address, 64); });
  });
  low_.loop(zero, k, k_block_, [&](Value from) {
    Value to = b_.min(k, b_.add(from, b_.integer(k_block_)));
    if (!b_operand_.in_place) pack_b(low_, packed_b(columns, from), columns, from, to);
    for_rows(begin, end, [&](const Rows& rows) {
      Values sums;
      each(rows, [&](size_t, Value address) {
        sums.push_back(b_.load(address, true, 64));
      });
      sums = accumulate(rows, columns, sums, from, to);
      each(rows,
           [&](size_t i, Value address) { b_.store(sums[i], address, 64); });
    });
  });
  for_rows(begin, end, [&](const Rows& rows) { epilogue(rows, columns, partial(rows, columns)); });
}

// Whole tiles in a loop; then the last tile in at most log2(rows) pieces, or in one if its rows are known.
void ContractionLowering::for_rows(Value begin, Value end,
                                  const std::function<void(const Rows&)>& body) {
  Value height = b_.integer(rows_);
  low_.loop(begin, b_.min(end, whole_tiles_), 1, [&](Value t) {
    body({t, b_.integer(0), rows_, b_.mul(t, height)});
  });
  Extent m = c_.m.extent;
  if (!m.symbolic() && m.count % rows_ == 0) return;
  Value tail = b_.bit_and(b_.gt(end, whole_tiles_), b_.lt(begin, end));
  low_.when(tail, [&] {
    Value first = b_.mul(whole_tiles_, height);
    if (!m.symbolic()) return body({whole_tiles_, b_.integer(0), m.count % rows_, first});
    Value rest = b_.sub(b_.extent(m), first);
    int64_t size = 1;
    while (size * 2 < rows_) size *= 2;
    for (; size >= 1; size /= 2) {
      low_.when(b_.ne(b_.bit_and(rest, b_.integer(size)), b_.integer(0)), [&] {
        Value offset = b_.bit_and(rest, b_.integer(-2 * size));
        body({whole_tiles_, offset, size, b_.add(first, offset)});
      });
    }
  });
}

// The accumulators of a tile in the scratch: 16 * vectors lanes a row.
Value ContractionLowering::partial(const Rows& rows, const Columns& columns) {
  Value row =
      b_.add(b_.mul(b_.sub(rows.tile, first_tile_), b_.integer(rows_)), rows.offset);
  return b_.at(partials_, b_.mul(row, b_.integer(columns.vectors * lanes)));
}

// The panel of b holds the block of k that starts at `begin`; this is where position 0 would be.
Value ContractionLowering::packed_b(const Columns& columns, Value begin) {
  if (b_operand_.in_place) return {};
  if (k_block_ == 0) return b_operand_.panel;
  int64_t step = inner_k(c_, maximum_) * columns.vectors * lanes;
  return b_.at(b_operand_.panel, b_.neg(b_.mul(begin, b_.integer(step))));
}

// The inner loop: sums[r][v] = fma(a[r], b[v], sums[r][v]) in ascending k.
Values ContractionLowering::accumulate(const Rows& rows, const Columns& columns, Values sums,
                                               Value begin, Value end) {
  low_.open();
  low_.bind(c_.m.variable, rows.m);
  low_.bind(c_.n.variable, columns.n);
  Value a_panel, b_panel = packed_b(columns, begin);
  if (!a_.in_place) {
    Value tile = b_.mul(b_.sub(rows.tile, first_tile_), b_.integer(a_tile_));
    a_panel = b_.at(a_.panel, b_.add(tile, b_.mul(rows.offset, b_.extent(a_.across))));
  }
  Extent b_along = b_operand_.in_place ? b_operand_.along : Extent(columns.vectors * lanes);
  auto start = [&](const Access& operand, const Scalar& x, Value panel, Extent along) {
    if (operand.in_place) return low_.address(x->integer, x->indices());
    return b_.at(panel, b_.mul(low_.scalar(k_position(c_)), b_.extent(along)));
  };
  auto step = [&](int64_t count, Values values) {
    const bool constant = c_.a->function == Scalar::constant;
    Value a = constant ? Value() : start(a_, c_.a, a_panel, a_.along);
    Value b = start(b_operand_, c_.b, b_panel, b_along);
    for (int64_t u = 0; u < count; ++u) {
      Value a_row = constant ? Value() : b_.at(a, times(a_.along, u)), b_row = b_.at(b, times(b_along, u));
      Values row;
      for (int64_t v = 0; v < columns.vectors; ++v) {
        Value address = b_.at(b_row, b_.integer(v * lanes)),
                    mask = columns.masks[static_cast<size_t>(v)];
        if (mask && b_operand_.in_place)
          row.push_back(
              b_.load_masked(address, mask, b_.zero({dtype_, true})));
        else
          row.push_back(b_.load(address, true));
      }
      for (int64_t r = 0; r < rows.count; ++r) {
        Value x =
            constant ? low_.vector(c_.a) : b_.splat(b_.load(b_.at(a_row, times(a_.across, r)), false));
        for (int64_t v = 0; v < columns.vectors; ++v) {
          Value & sum = values[static_cast<size_t>(r * columns.vectors + v)];
          sum = b_.fma(x, row[static_cast<size_t>(v)], sum);
        }
      }
    }
    return values;
  };
  int64_t variable = c_.k.back().variable;
  Extent extent = c_.k.back().extent;
  int64_t by = !extent.symbolic() && extent.count <= short_k ? std::max<int64_t>(extent.count, 1) : unroll;
  sums = loop_k(low_, begin, end, sums, [&](Value from, Value to, Values values) {
    Value rest = b_.urem(b_.sub(to, from), b_.integer(by));
    Value main = b_.sub(to, rest);
    auto body = [&](int64_t count) {
      return [&, count](Value i, const Values& inside) {
        low_.bind(variable, i);
        return step(count, inside);
      };
    };
    Value share = b_.udiv(b_.sub(main, from), b_.integer(by * rows.count));
    if (epilogue_loads_.empty() || low_.constant(share, 0)) {
      values = low_.loop(from, main, by, values, body(by));
    } else {
      share = b_.mul(share, b_.integer(by));
      values = low_.loop(b_.integer(0), b_.integer(rows.count), 1, values, [&](Value r, const Values& inside) {
        prefetch(low_, epilogue_loads_, b_.add(rows.m, r), columns);
        Value low = b_.add(from, b_.mul(r, share));
        Value last = b_.eq(r, b_.integer(rows.count - 1));
        return low_.loop(low, b_.select(last, main, b_.add(low, share)), by, inside, body(by));
      });
    }
    const auto known = b_.known(rest);
    if (!known) return low_.loop(main, to, 1, values, body(1));
    return low_.loop(main, to, by, values, body(*known));
  });
  low_.close();
  return sums;
}

// The kernel's statements for the bound row and vector of columns.
void ContractionLowering::statements(const std::function<Value()>& sum) {
  Value lanes;
  low_.tile = [&](const Scalar&, bool wide) {
    check(wide, "an accumulator is read as 16 lanes");
    return lanes ? lanes : lanes = sum();
  };
  for (const Statement& s : low_.kernel.body) low_.store_vector(s.buffer, s.index, low_.vector(s.value));
  low_.tile = nullptr;
}

void ContractionLowering::epilogue(const Rows& rows, const Columns& columns, const Values& sums) {
  for (int64_t v = 0; v < columns.vectors; ++v) {
    low_.open();
    low_.bind_vector(c_.n.variable, b_.add(columns.n, b_.integer(v * lanes)),
                   columns.masks[static_cast<size_t>(v)]);
    for (int64_t r = 0; r < rows.count; ++r) {
      low_.open();
      low_.bind(c_.m.variable, b_.add(rows.m, b_.integer(r)));
      statements([&] { return sums[static_cast<size_t>(r * columns.vectors + v)]; });
      low_.close();
    }
    low_.close();
  }
}

void ContractionLowering::epilogue(const Rows& rows, const Columns& columns, Value partial) {
  for (int64_t v = 0; v < columns.vectors; ++v) {
    low_.open();
    low_.bind_vector(c_.n.variable, b_.add(columns.n, b_.integer(v * lanes)),
                   columns.masks[static_cast<size_t>(v)]);
    low_.loop(b_.integer(0), b_.integer(rows.count), 1, [&](Value r) {
      low_.bind(c_.m.variable, b_.add(rows.m, r));
      statements([&] {
        Value element =
            b_.add(b_.mul(r, b_.integer(columns.vectors * lanes)), b_.integer(v * lanes));
        return b_.load(b_.at(partial, element), true, 64);
      });
    });
    low_.close();
  }
}

}  // namespace

void lower_contraction(Lowering& low) { ContractionLowering(low).lower(); }

}  // namespace tenon::loop
