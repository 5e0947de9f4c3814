// Loops around the inner loop: panels of columns, groups of tiles, blocks of k, and the epilogue after them. What is added
// waits in the scratch between blocks of k.
#include "compiler/loop/contract.h"

#include <algorithm>

#include "compiler/loop/prefetch.h"

namespace tenon::loop {

namespace {

constexpr int64_t short_epilogue = 256;  // scalar operations a tile: beyond it a loop over the rows

}  // namespace

// A panel is the tiles of one group over 16 * vectors columns of one batch element; the thread's part is
// contiguous in the order batch, group, columns, tile.
void ContractionLowering::lower() {
  check(!c_.k.empty(), "a contraction has a k axis");
  const Tile& tile = low_.kernel.tile;
  rows_ = std::max<int64_t>(1, std::min(tile.rows, c_.m[0].extent.at(low_.list.sizes)));
  vectors_ = std::max<int64_t>(1, tile.vectors);
  vectors_ = std::min(vectors_, std::max<int64_t>(1, (c_.n[0].extent.at(low_.list.sizes) + lanes - 1) / lanes));
  if (tile.k_block < c_.k[0].extent.at(low_.list.sizes)) k_block_ = tile.k_block;
  check(c_.k.size() > 1 || k_block_ % c_.order.block == 0, "blocks of a single k axis end where those of the sum do");
  a_ = place_a(low_, rows_);
  b_operand_ = place_b(low_, vectors_);
  a_tile_ = a_tile_elements(low_, a_, rows_);
  if (k_block_ == 0 && c_.k.size() == 1) epilogue_loads_ = epilogue_loads(low_);

  auto ceiling = [&](Value x, int64_t by) { return b_.udiv(b_.add(x, b_.integer(by - 1)), b_.integer(by)); };
  Value m = b_.extent(c_.m[0].extent), n = b_.extent(c_.n[0].extent);
  tiles_ = ceiling(m, rows_), whole_tiles_ = b_.udiv(m, b_.integer(rows_));
  panels_ = ceiling(n, vectors_ * lanes), whole_panels_ = b_.udiv(n, b_.integer(vectors_ * lanes));
  int64_t most_tiles = (c_.m[0].extent.at(low_.list.sizes) + rows_ - 1) / rows_;
  int64_t most = std::clamp<int64_t>(tile.group, 1, std::max<int64_t>(1, most_tiles));
  one_group_ = most >= most_tiles;
  group_ = one_group_ ? b_.max(tiles_, b_.integer(1)) : b_.integer(most);
  groups_ = one_group_ ? b_.cast(b_.gt(tiles_, b_.integer(0)), i64) : ceiling(tiles_, most);
  if (!a_.in_place()) a_.panel = low_.scratch(dtype_, checked_product(most + a_strip(a_, rows_) - 1, a_tile_));
  if (!b_operand_.in_place()) {
    int64_t k = k_block_ > 0 ? k_block_ * inner_k(c_, low_.list.sizes) : all_k(c_, low_.list.sizes);
    b_operand_.panel = low_.scratch(dtype_, (k + lanes) * vectors_ * lanes);
  }
  allocate_sums(k_block_ > 0 ? most : 1);

  Value count = b_.mul(groups_, panels_);
  for (const Axis& row : low_.kernel.rows) count = b_.mul(count, b_.extent(row.extent));
  if (low_.constant(b_.threads(), 1)) return low_.loop(b_.integer(0), count, 1, [&](Value p) { lower_panel(p); });
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

  if (!a_.in_place()) {
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
    Extent extent = c_.n[0].extent;
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

  const bool short_body = operations * rows_ * columns.vectors <= short_epilogue;

  if (k_block_ == 0) {
    if (!b_operand_.in_place()) pack_b(low_, packed_b(columns, zero), columns, zero, k);
    for_rows(begin, end, [&](const Rows& rows) {
      begin_sums(rows, columns);
      Values sums(static_cast<size_t>(rows.count * columns.vectors), zeros);
      sums = total(rows, columns, accumulate(rows, columns, sums, zero, k));
      if (short_body) return epilogue(rows, columns, sums);
      store(rows, columns, totals_, sums);
      epilogue(rows, columns, totals_);
    });
    return;
  }
  for_rows(begin, end, [&](const Rows& rows) {
    begin_sums(rows, columns);
    if (chains_) store(rows, columns, chains_, Values(static_cast<size_t>(rows.count * columns.vectors), zeros));
  });
  low_.loop(zero, k, k_block_, [&](Value from) {
    Value to = b_.min(k, b_.add(from, b_.integer(k_block_)));
    if (!b_operand_.in_place()) pack_b(low_, packed_b(columns, from), columns, from, to);
    for_rows(begin, end, [&](const Rows& rows) {
      Values sums(static_cast<size_t>(rows.count * columns.vectors), zeros);
      if (chains_) sums = load(rows, columns, chains_);
      sums = accumulate(rows, columns, sums, from, to);
      if (chains_) store(rows, columns, chains_, sums);
    });
  });
  for_rows(begin, end, [&](const Rows& rows) {
    if (chains_ || groups_of_blocks_)
      store(rows, columns, totals_, total(rows, columns, chains_ ? load(rows, columns, chains_) : Values()));
    epilogue(rows, columns, tile(rows, columns, totals_));
  });
}

// Whole tiles in a loop; then the last tile in at most log2(rows) pieces, or in one if its rows are known.
void ContractionLowering::for_rows(Value begin, Value end, const std::function<void(const Rows&)>& body) {
  Value height = b_.integer(rows_);
  low_.loop(begin, b_.min(end, whole_tiles_), 1, [&](Value t) { body({t, b_.integer(0), rows_, b_.mul(t, height)}); });
  Extent m = c_.m[0].extent;
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

// Of such tiles in the scratch, that one: 16 * vectors lanes a row.
Value ContractionLowering::tile(const Rows& rows, const Columns& columns, Value tiles) {
  if (k_block_ == 0) return tiles;
  Value row = b_.add(b_.mul(b_.sub(rows.tile, first_tile_), b_.integer(rows_)), rows.offset);
  return b_.at(tiles, b_.mul(row, b_.integer(columns.vectors * lanes)));
}
void ContractionLowering::each(const Rows& rows, const Columns& columns, Value tiles,
                               const std::function<void(size_t i, Value address)>& body) {
  Value at = tile(rows, columns, tiles);
  for (int64_t i = 0; i < rows.count * columns.vectors; ++i) body(static_cast<size_t>(i), b_.at(at, b_.integer(i * lanes)));
}
Values ContractionLowering::load(const Rows& rows, const Columns& columns, Value tiles) {
  Values values;
  each(rows, columns, tiles, [&](size_t, Value address) { values.push_back(b_.load(address, true, 64)); });
  return values;
}
void ContractionLowering::store(const Rows& rows, const Columns& columns, Value tiles, const Values& values) {
  each(rows, columns, tiles, [&](size_t i, Value address) { b_.store(values[i], address, 64); });
}

// The panel of b holds the block of k that starts at `begin`; this is where position 0 would be.
Value ContractionLowering::packed_b(const Columns& columns, Value begin) {
  if (b_operand_.in_place()) return {};
  if (k_block_ == 0) return b_operand_.panel;
  Value before = b_.mul(begin, b_.integer(columns.vectors * lanes));
  for (size_t d = 1; d < c_.k.size(); ++d) before = b_.mul(before, b_.extent(c_.k[d].extent));
  return b_.at(b_operand_.panel, b_.neg(before));
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
    low_.bind_vector(c_.n[0].variable, b_.add(columns.n, b_.integer(v * lanes)), columns.masks[static_cast<size_t>(v)]);
    for (int64_t r = 0; r < rows.count; ++r) {
      low_.open();
      low_.bind(c_.m[0].variable, b_.add(rows.m, b_.integer(r)));
      statements([&] { return sums[static_cast<size_t>(r * columns.vectors + v)]; });
      low_.close();
    }
    low_.close();
  }
}

void ContractionLowering::epilogue(const Rows& rows, const Columns& columns, Value partial) {
  for (int64_t v = 0; v < columns.vectors; ++v) {
    low_.open();
    low_.bind_vector(c_.n[0].variable, b_.add(columns.n, b_.integer(v * lanes)), columns.masks[static_cast<size_t>(v)]);
    low_.loop(b_.integer(0), b_.integer(rows.count), 1, [&](Value r) {
      low_.bind(c_.m[0].variable, b_.add(rows.m, r));
      statements([&] {
        Value element = b_.add(b_.mul(r, b_.integer(columns.vectors * lanes)), b_.integer(v * lanes));
        return b_.load(b_.at(partial, element), true, 64);
      });
    });
    low_.close();
  }
}

void lower_contraction(Lowering& low) { ContractionLowering(low).lower(); }

}  // namespace tenon::loop
