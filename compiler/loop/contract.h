#pragma once
// A contraction as loops: contract.cpp has those around the register tile, accumulate.cpp those along k.
#include "compiler/loop/pack.h"

namespace tenon::loop {

class ContractionLowering {
 public:
  explicit ContractionLowering(Lowering& low) : low_(low), b_(low.b), c_(*low.kernel.contraction), dtype_(c_.a->dtype) {}
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
  void each(const Rows& rows, const Columns& columns, Value tiles, const std::function<void(size_t i, Value address)>& body);
  Values load(const Rows& rows, const Columns& columns, Value tiles);
  void store(const Rows& rows, const Columns& columns, Value tiles, const Values& values);
  Value tile(const Rows& rows, const Columns& columns, Value tiles);
  void epilogue(const Rows& rows, const Columns& columns, const Values& sums);
  void epilogue(const Rows& rows, const Columns& columns, Value partial);
  void statements(const std::function<Value()>& sum);
  Value packed_b(const Columns& columns, Value begin);

  // accumulate.cpp
  void allocate_sums(int64_t tiles);
  void begin_sums(const Rows& rows, const Columns& columns);
  using Stretch = std::function<Values(Value from, Value to, Values sums)>;
  Values accumulate(const Rows& rows, const Columns& columns, Values sums, Value begin, Value end);
  Values step(const Rows& rows, const Columns& columns, Value a_panel, Value b_panel, int64_t count, Values sums);
  Values in_blocks(const Rows& rows, const Columns& columns, Value from, Value to, Values sums, const Stretch& stretch);
  void fold(const Rows& rows, const Columns& columns, const Values& sums, Value points);
  Values total(const Rows& rows, const Columns& columns, const Values& sums);
  Value all_points();

  Lowering& low_;
  Builder& b_;
  const Contraction& c_;
  DType dtype_;

  int64_t rows_ = 0, vectors_ = 0;  // of a tile
  int64_t k_block_ = 0;             // of the outermost k axis; 0: all of k at once
  Access a_, b_operand_;
  std::vector<Scalar> epilogue_loads_;  // to be prefetched during the inner loop
  int64_t a_tile_ = 0;
  // Of every tile of a group, or of one: the blocks of its sum so far, groups of them, the block that is being added.
  bool blocked_ = false;  // there may be several blocks
  Value totals_, groups_of_blocks_, chains_;
  // Tiles of the m axis, all and whole ones; they come in groups. Panels of the n axis, all and whole ones.
  Value tiles_, whole_tiles_, group_, groups_;
  Value panels_, whole_panels_;
  bool one_group_ = false;
  Value first_tile_;  // of the group
  Value begin_, end_;
};

}  // namespace tenon::loop
