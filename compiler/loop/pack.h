#pragma once
// The operands of a contraction as its inner loop reads them: in place, or from a panel of the thread's
// scratch that holds the values of the operand's expression.
#include "compiler/loop/lowering.h"

namespace tenon::loop {

// Element strides of an operand: between neighbouring rows (of a) or vectors (of b), and along the last k
// axis.
struct Access {
  Layout layout = Layout::in_place;
  bool in_place() const { return layout == Layout::in_place; }
  Value panel = {};  // packed: element k of row 0 or vector 0 is at panel[position * along]
  Extent across, along;
};

// The position of a point of the k axes in a panel: their row-major number.
Scalar k_position(const Contraction& contraction);
// The number of points of the k axes but the outermost, and of all, at the maxima of the sizes.
int64_t inner_k(const Contraction& contraction, const Sizes& maxima);
int64_t all_k(const Contraction& contraction, const Sizes& maxima);

// Runs over the k axes, the outermost from begin to end; the last one is given to `last` as its bounds.
using LastAxis = std::function<Values(Value begin, Value end, Values carried)>;
Values loop_k(Lowering& low, Value begin, Value end, Values carried, const LastAxis& last);

// Where a is read, if its panel holds tiles of that many rows; the panel of one tile has a_tile_elements.
Access place_a(Lowering& low, int64_t rows);
int64_t a_tile_elements(const Lowering& low, const Access& a, int64_t rows);
Access place_b(Lowering& low, int64_t vectors);

// Fills the panels of a_strip tiles, one after the other: rows of a from m on, all of k. Rows beyond the last hold
// anything. Where rows of the panels lie along m it is several, so that whole cache lines of a are read.
int64_t a_strip(const Access& a, int64_t rows);
void pack_a(Lowering& low, const Access& a, Value panel, Value m, int64_t rows);

// 16 * vectors columns of b from n on; the outermost k axis from begin to end.
struct Columns {
  Value n;
  int64_t vectors;
  std::vector<Value> masks;  // by vector; null: all lanes exist
};
void pack_b(Lowering& low, Value panel, const Columns& columns, Value begin, Value end);

}  // namespace tenon::loop
