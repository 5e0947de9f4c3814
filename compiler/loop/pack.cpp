// Where an operand is read from, and the loops that fill its panel: 16 lanes along the axis in which its
// loads are contiguous, in the order in which the inner loop reads them.
#include "compiler/loop/pack.h"

#include <algorithm>
#include <array>

#include "compiler/kernel/tile.h"

namespace tenon::loop {

namespace {

// Of a plain load.
std::optional<Extent> stride(Lowering& low, const Scalar& x, int64_t variable) {
  if (x->function != Scalar::load || x->guarded) return {};
  return low.stride(x->integer, x->indices(), variable);
}

const Axis& last_k(const Lowering& low) { return low.kernel.contraction->k.back(); }

// 16 lanes at a time along the last k axis, fewer at its end: as many as are known to exist at most.
void loop_vectors(Lowering& low, Value begin, Value end, const std::function<void(Value i, Value mask, size_t most)>& body) {
  Builder& b = low.b;
  Value full = b.sub(end, b.rem(b.sub(end, begin), b.integer(lanes)));
  low.loop(begin, full, lanes, [&](Value i) { body(i, {}, lanes); });
  Value rest = b.sub(end, full);
  auto tail = [&](size_t most) { body(full, low.first_lanes(rest), most); };
  const auto known = b.known(rest);
  low.when(b.gt(rest, b.integer(0)), [&] { tail(static_cast<size_t>(known.value_or(lanes))); });
}

// Row i of the result holds lane i of every row: each of four stages interleaves rows i and i + 8.
using Square = std::array<Value, lanes>;
Square transpose(Builder& b, Square rows) {
  std::array<std::vector<int>, 2> halves;
  for (int half : {0, 1})
    for (int i = 0; i < lanes; ++i) halves[static_cast<size_t>(half)].push_back((i % 2) * lanes + 8 * half + i / 2);
  for (int stage = 0; stage < 4; ++stage) {
    Square next;
    for (size_t i = 0; i < lanes; ++i) next[i] = b.shuffle(rows[i / 2], rows[i / 2 + 8], halves[i % 2]);
    rows = next;
  }
  return rows;
}

// 16 x 16 elements at a time, read along k.
void pack_b_transposing(Lowering& low, Value panel, const Columns& columns, Value begin, Value end) {
  Builder& b = low.b;
  const Contraction& c = *low.kernel.contraction;
  Value last = b.sub(b.extent(c.n[0].extent), b.integer(1));
  low.loop(b.integer(0), b.integer(columns.vectors), 1, [&](Value v) {
    Value n = b.add(columns.n, b.mul(v, b.integer(lanes)));
    loop_k(low, begin, end, {}, [&](Value from, Value to, Values) {
      loop_vectors(low, from, to, [&](Value i, Value mask, size_t most) {
        low.bind_vector(last_k(low).variable, i, mask);
        Square square;
        for (size_t j = 0; j < lanes; ++j) {
          low.open();
          // A column beyond the last repeats it.
          Value column = b.add(n, b.integer(static_cast<int64_t>(j)));
          low.bind(c.n[0].variable, b.min(column, last));
          square[j] = low.vector(c.b);
          low.close();
        }
        square = transpose(b, square);
        Value position = b.add(b.mul(low.scalar(k_position(c)), b.integer(columns.vectors)), v);
        Value to = b.at(panel, b.mul(position, b.integer(lanes)));
        for (size_t j = 0; j < most; ++j) {
          int64_t distance = static_cast<int64_t>(j) * columns.vectors * lanes;
          b.store(square[j], b.at(to, b.integer(distance)));
        }
      });
      return Values();
    });
  });
}

}  // namespace

Scalar k_position(const Contraction& c) {
  Scalar position = Scalar::index(c.k[0].variable);
  for (size_t d = 1; d < c.k.size(); ++d) position = position * Scalar::extent(c.k[d].extent) + Scalar::index(c.k[d].variable);
  return position;
}
int64_t inner_k(const Contraction& c, const Sizes& maxima) {
  int64_t product = 1;
  for (size_t d = 1; d < c.k.size(); ++d) product = checked_product(product, c.k[d].extent.at(maxima));
  return product;
}
int64_t all_k(const Contraction& c, const Sizes& maxima) {
  return checked_product(c.k[0].extent.at(maxima), inner_k(c, maxima));
}

Values loop_k(Lowering& low, Value begin, Value end, Values carried, const LastAxis& last) {
  Builder& b = low.b;
  const std::vector<Axis>& k = low.kernel.contraction->k;
  std::function<Values(size_t, Values)> nest = [&](size_t d, Values values) {
    Value from = d == 0 ? begin : b.integer(0), to = d == 0 ? end : b.extent(k[d].extent);
    if (d + 1 == k.size()) return last(from, to, values);
    return low.loop(from, to, 1, values, [&](Value i, const Values& inside) {
      low.bind(k[d].variable, i);
      return nest(d + 1, inside);
    });
  };
  return nest(0, std::move(carried));
}

Access place_a(Lowering& low, int64_t rows) {
  const Contraction& c = *low.kernel.contraction;
  switch (low.kernel.tile.a) {
    case Layout::in_place: {
      if (c.a->function == Scalar::constant) return {.across = 0, .along = 0};
      const auto across = stride(low, c.a, c.m[0].variable), along = stride(low, c.a, last_k(low).variable);
      check(across && along, "the first operand of a contraction is read in place, and has no strides");
      return {.across = *across, .along = *along};
    }
    case Layout::by_k: return {.layout = Layout::by_k, .across = 1, .along = rows};
    case Layout::by_row: break;
  }
  // Rows of the panel an odd number of cache lines apart, so that those of a tile do not fall into one set of the cache; with
  // 16 elements to spare for the last vector.
  int64_t vectors = (all_k(c, low.list.sizes) + 2 * lanes - 1) / lanes;
  return {.layout = Layout::by_row, .across = (vectors | 1) * lanes, .along = 1};
}
int64_t a_tile_elements(const Lowering& low, const Access& a, int64_t rows) {
  switch (a.layout) {
    case Layout::in_place: return 0;
    case Layout::by_k: return (all_k(*low.kernel.contraction, low.list.sizes) * rows + 2 * lanes - 1) / lanes * lanes;
    case Layout::by_row: break;
  }
  return a.across.count * rows;
}
int64_t a_strip(const Access& a, int64_t rows) {
  return a.layout == Layout::by_k ? std::min<int64_t>(4, (lanes + rows - 1) / rows) : 1;
}
Access place_b(Lowering& low, int64_t vectors) {
  const Contraction& c = *low.kernel.contraction;
  if (low.kernel.tile.b != Layout::in_place) return {.layout = Layout::by_k, .across = lanes, .along = vectors * lanes};
  const auto along = stride(low, c.b, last_k(low).variable);
  const bool vector = c.n[0].extent == Extent(1) || stride(low, c.b, c.n[0].variable) == Extent(1);
  check(along && vector, "the second operand of a contraction is read in place, and has no vectors");
  return {.across = lanes, .along = *along};
}

void pack_a(Lowering& low, const Access& a, Value panel, Value m, int64_t rows) {
  Builder& b = low.b;
  const Contraction& c = *low.kernel.contraction;
  Value m_extent = b.extent(c.m[0].extent), k_extent = b.extent(c.k[0].extent);
  if (a.layout == Layout::by_row) {
    Value last = b.sub(m_extent, b.integer(1));
    low.loop(b.integer(0), b.integer(rows), 1, [&](Value r) {
      low.bind(c.m[0].variable, b.min(b.add(m, r), last));
      Value row = b.at(panel, b.mul(r, b.integer(a.across.count)));
      loop_k(low, b.integer(0), k_extent, {}, [&](Value from, Value to, Values) {
        loop_vectors(low, from, to, [&](Value i, Value mask, size_t) {
          low.bind_vector(last_k(low).variable, i, mask);
          Value values = low.vector(c.a);
          b.store(values, b.at(row, low.scalar(k_position(c))));
        });
        return Values();
      });
    });
    return;
  }
  const int64_t strip = a_strip(a, rows);
  std::vector<Value> masks;
  for (int64_t t = 0; t < strip; ++t)
    for (int64_t r = 0; r < rows; r += lanes) {
      Value rest = b.sub(m_extent, b.add(m, b.integer(t * rows + r)));
      masks.push_back(low.first_lanes(b.min(rest, b.integer(rows - r))));
    }
  loop_k(low, b.integer(0), k_extent, {}, [&](Value from, Value to, Values) {
    low.loop(from, to, 1, [&](Value i) {
      low.bind(last_k(low).variable, i);
      Value row = b.at(panel, b.mul(low.scalar(k_position(c)), b.integer(rows)));
      size_t next = 0;
      for (int64_t t = 0; t < strip; ++t)
        for (int64_t r = 0; r < rows; r += lanes) {
          low.open();
          low.bind_vector(c.m[0].variable, b.add(m, b.integer(t * rows + r)), masks[next++]);
          // The lanes beyond the rows are overwritten by the next k, or lie in what the panel has to spare.
          Value to_panel = b.at(row, b.integer(t * a_tile_elements(low, a, rows) + r));
          b.store(low.vector(c.a), to_panel);
          low.close();
        }
    });
    return Values();
  });
}

void pack_b(Lowering& low, Value panel, const Columns& columns, Value begin, Value end) {
  Builder& b = low.b;
  const Contraction& c = *low.kernel.contraction;
  if (!contiguous(c.b, c.n[0].variable, low.list) && contiguous(c.b, last_k(low).variable, low.list))
    return pack_b_transposing(low, panel, columns, begin, end);
  loop_k(low, begin, end, {}, [&](Value from, Value to, Values) {
    low.loop(from, to, 1, [&](Value i) {
      low.bind(last_k(low).variable, i);
      Value position = b.mul(low.scalar(k_position(c)), b.integer(columns.vectors * lanes));
      Value row = b.at(panel, position);
      for (int64_t v = 0; v < columns.vectors; ++v) {
        low.open();
        low.bind_vector(c.n[0].variable, b.add(columns.n, b.integer(v * lanes)), columns.masks[static_cast<size_t>(v)]);
        b.store(low.vector(c.b), b.at(row, b.integer(v * lanes)));
        low.close();
      }
    });
    return Values();
  });
}

}  // namespace tenon::loop
