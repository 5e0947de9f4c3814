// Where an operand is read from, and the loops that fill its panel: 16 lanes along the axis in which its
// loads are contiguous, in the order in which the inner loop reads them.
#include "compiler/native/pack.h"

#include <algorithm>
#include <array>

namespace tenon {

namespace {

bool plain_load(const Emitter& e, const Scalar& x) {
  if (x->function != Scalar::load || x->guarded) return false;
  return in_memory(e.list.buffers[static_cast<size_t>(x->integer)].storage);
}
std::optional<Extent> stride(const Emitter& e, const Scalar& load, int64_t variable) {
  return e.stride(load->integer, load->indices(), variable);
}

// Whether the loads of x that move with `variable` move by one element.
bool contiguous(const Emitter& e, const Scalar& x, int64_t variable) {
  bool moves = false, unit = true;
  visit(x, [&](const Scalar& y) {
    if (y->function != Scalar::load) return;
    auto step = stride(e, y, variable);
    if (step == Extent(0)) return;
    moves = true;
    unit &= step == Extent(1);
  });
  return moves && unit;
}

const Axis& last_k(const Emitter& e) { return e.kernel.contraction->k.back(); }
llvm::Align align(const Emitter& e) {
  return llvm::Align(static_cast<uint64_t>(byte_size(e.kernel.contraction->a->dtype)));
}

// 16 lanes at a time along the last k axis, fewer at its end: as many as are known to exist at most.
void loop_vectors(Emitter& e, llvm::Value* begin, llvm::Value* end,
                  const std::function<void(llvm::Value* i, llvm::Value* mask, size_t most)>& body) {
  auto& b = e.b;
  llvm::Value* full = b.CreateSub(end, b.CreateSRem(b.CreateSub(end, begin), e.integer(lanes)));
  e.loop(begin, full, lanes, [&](llvm::Value* i) { body(i, nullptr, lanes); });
  llvm::Value* rest = b.CreateSub(end, full);
  auto tail = [&](size_t most) { body(full, e.first_lanes(rest), most); };
  auto* known = llvm::dyn_cast<llvm::ConstantInt>(rest);
  if (!known) return e.when(b.CreateICmpSGT(rest, e.integer(0)), [&] { tail(lanes); });
  if (known->isZero()) return;
  e.open();
  tail(known->getZExtValue());
  e.close();
}

// Row i of the result holds lane i of every row: each of four stages interleaves rows i and i + 8.
using Square = std::array<llvm::Value*, lanes>;
Square transpose(llvm::IRBuilderBase& b, Square rows) {
  std::array<std::array<int, lanes>, 2> mask;
  for (int i = 0; i < static_cast<int>(lanes); ++i)
    for (int half : {0, 1}) mask[half][i] = (i % 2) * lanes + 8 * half + i / 2;
  for (int stage = 0; stage < 4; ++stage) {
    Square next;
    for (size_t i = 0; i < lanes; ++i)
      next[i] = b.CreateShuffleVector(rows[i / 2], rows[i / 2 + 8], mask[i % 2]);
    rows = next;
  }
  return rows;
}

// 16 x 16 elements at a time, read along k.
void pack_b_transposing(Emitter& e, llvm::Value* panel, const Columns& columns, llvm::Value* begin,
                        llvm::Value* end) {
  auto& b = e.b;
  const Contraction& c = *e.kernel.contraction;
  llvm::Type* element = e.type(c.b->dtype);
  llvm::Value* last = b.CreateSub(e.extent(c.n.extent), e.integer(1));
  e.loop(e.integer(0), e.integer(columns.vectors), 1, [&](llvm::Value* v) {
    llvm::Value* n = b.CreateAdd(columns.n, b.CreateMul(v, e.integer(lanes)));
    loop_k(e, begin, end, {}, [&](llvm::Value* from, llvm::Value* to, Emitter::Values) {
      loop_vectors(e, from, to, [&](llvm::Value* i, llvm::Value* mask, size_t most) {
        e.bind_vector(last_k(e).variable, i, mask);
        Square square;
        for (size_t j = 0; j < lanes; ++j) {
          e.open();
          // A column beyond the last repeats it.
          llvm::Value* column = b.CreateAdd(n, e.integer(static_cast<int64_t>(j)));
          e.bind(c.n.variable, b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, column, last));
          square[j] = e.vector(c.b);
          e.close();
        }
        square = transpose(b, square);
        llvm::Value* position =
            b.CreateAdd(b.CreateMul(e.scalar(k_position(c)), e.integer(columns.vectors)), v);
        llvm::Value* to = b.CreateGEP(element, panel, b.CreateMul(position, e.integer(lanes)));
        for (size_t j = 0; j < most; ++j) {
          int64_t distance = static_cast<int64_t>(j) * columns.vectors * lanes;
          b.CreateAlignedStore(square[j], b.CreateGEP(element, to, e.integer(distance)), align(e));
        }
      });
      return Emitter::Values();
    });
  });
}

}  // namespace

Scalar k_position(const Contraction& c) {
  Scalar position = Scalar::index(c.k[0].variable);
  for (size_t d = 1; d < c.k.size(); ++d)
    position = position * Scalar::extent(c.k[d].extent) + Scalar::index(c.k[d].variable);
  return position;
}
int64_t inner_k(const Contraction& c, int64_t maximum) {
  int64_t product = 1;
  for (size_t d = 1; d < c.k.size(); ++d) product = checked_product(product, c.k[d].extent.at(maximum));
  return product;
}
int64_t all_k(const Contraction& c, int64_t maximum) {
  return checked_product(c.k[0].extent.at(maximum), inner_k(c, maximum));
}

Emitter::Values loop_k(Emitter& e, llvm::Value* begin, llvm::Value* end, Emitter::Values carried,
                       const LastAxis& last) {
  const std::vector<Axis>& k = e.kernel.contraction->k;
  std::function<Emitter::Values(size_t, Emitter::Values)> nest = [&](size_t d, Emitter::Values values) {
    llvm::Value *from = d == 0 ? begin : e.integer(0), *to = d == 0 ? end : e.extent(k[d].extent);
    if (d + 1 == k.size()) return last(from, to, values);
    return e.loop(from, to, 1, values, [&](llvm::Value* i, const Emitter::Values& inside) {
      e.bind(k[d].variable, i);
      return nest(d + 1, inside);
    });
  };
  return nest(0, std::move(carried));
}

Access place_a(Emitter& e, int64_t rows) {
  const Contraction& c = *e.kernel.contraction;
  if (c.a->function == Scalar::constant) return {.in_place = true, .across = 0, .along = 0};
  if (plain_load(e, c.a) && !e.kernel.tile.pack_a) {
    auto across = stride(e, c.a, c.m.variable), along = stride(e, c.a, last_k(e).variable);
    if (across && along) return {.in_place = true, .across = *across, .along = *along};
  }
  // Neighbours along m: a row of the panel per k. Otherwise a row per m, an odd number of cache lines apart,
  // so that the rows of a tile do not fall into one set of the cache; with 16 elements to spare for the last
  // vector.
  if (contiguous(e, c.a, c.m.variable)) return {.across = 1, .along = rows};
  int64_t vectors = (all_k(c, e.list.maximum) + 2 * lanes - 1) / lanes;
  return {.rows_along_k = true, .across = (vectors | 1) * lanes, .along = 1};
}
int64_t a_tile_elements(const Emitter& e, const Access& a, int64_t rows) {
  if (a.in_place) return 0;
  if (a.rows_along_k) return a.across.count * rows;
  return (all_k(*e.kernel.contraction, e.list.maximum) * rows + 2 * lanes - 1) / lanes * lanes;
}
int64_t a_strip(const Access& a, int64_t rows) {
  return a.in_place || a.rows_along_k ? 1 : std::min<int64_t>(4, (lanes + rows - 1) / rows);
}
Access place_b(Emitter& e, int64_t vectors) {
  const Contraction& c = *e.kernel.contraction;
  if (plain_load(e, c.b) && !e.kernel.tile.pack_b && stride(e, c.b, c.n.variable) == Extent(1)) {
    auto along = stride(e, c.b, last_k(e).variable);
    if (along) return {.in_place = true, .across = lanes, .along = *along};
  }
  return {.across = lanes, .along = vectors * lanes};
}

void pack_a(Emitter& e, const Access& a, llvm::Value* panel, llvm::Value* m, int64_t rows) {
  auto& b = e.b;
  const Contraction& c = *e.kernel.contraction;
  llvm::Type* element = e.type(c.a->dtype);
  llvm::Value *m_extent = e.extent(c.m.extent), *k_extent = e.extent(c.k[0].extent);
  if (a.rows_along_k) {
    llvm::Value* last = b.CreateSub(m_extent, e.integer(1));
    e.loop(e.integer(0), e.integer(rows), 1, [&](llvm::Value* r) {
      e.bind(c.m.variable, b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b.CreateAdd(m, r), last));
      llvm::Value* row = b.CreateGEP(element, panel, b.CreateMul(r, e.integer(a.across.count)));
      loop_k(e, e.integer(0), k_extent, {}, [&](llvm::Value* from, llvm::Value* to, Emitter::Values) {
        loop_vectors(e, from, to, [&](llvm::Value* i, llvm::Value* mask, size_t) {
          e.bind_vector(last_k(e).variable, i, mask);
          llvm::Value* values = e.vector(c.a);
          b.CreateAlignedStore(values, b.CreateGEP(element, row, e.scalar(k_position(c))), align(e));
        });
        return Emitter::Values();
      });
    });
    return;
  }
  const int64_t strip = a_strip(a, rows);
  std::vector<llvm::Value*> masks;
  for (int64_t t = 0; t < strip; ++t)
    for (int64_t r = 0; r < rows; r += lanes) {
      llvm::Value* rest = b.CreateSub(m_extent, b.CreateAdd(m, e.integer(t * rows + r)));
      masks.push_back(e.first_lanes(b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, rest, e.integer(rows - r))));
    }
  loop_k(e, e.integer(0), k_extent, {}, [&](llvm::Value* from, llvm::Value* to, Emitter::Values) {
    e.loop(from, to, 1, [&](llvm::Value* i) {
      e.bind(last_k(e).variable, i);
      llvm::Value* row = b.CreateGEP(element, panel, b.CreateMul(e.scalar(k_position(c)), e.integer(rows)));
      size_t next = 0;
      for (int64_t t = 0; t < strip; ++t)
        for (int64_t r = 0; r < rows; r += lanes) {
          e.open();
          e.bind_vector(c.m.variable, b.CreateAdd(m, e.integer(t * rows + r)), masks[next++]);
          // The lanes beyond the rows are overwritten by the next k, or lie in what the panel has to spare.
          llvm::Value* to_panel = b.CreateGEP(element, row, e.integer(t * a_tile_elements(e, a, rows) + r));
          b.CreateAlignedStore(e.vector(c.a), to_panel, align(e));
          e.close();
        }
    });
    return Emitter::Values();
  });
}

void pack_b(Emitter& e, llvm::Value* panel, const Columns& columns, llvm::Value* begin, llvm::Value* end) {
  auto& b = e.b;
  const Contraction& c = *e.kernel.contraction;
  if (!contiguous(e, c.b, c.n.variable) && contiguous(e, c.b, last_k(e).variable))
    return pack_b_transposing(e, panel, columns, begin, end);
  llvm::Type* element = e.type(c.b->dtype);
  loop_k(e, begin, end, {}, [&](llvm::Value* from, llvm::Value* to, Emitter::Values) {
    e.loop(from, to, 1, [&](llvm::Value* i) {
      e.bind(last_k(e).variable, i);
      llvm::Value* position = b.CreateMul(e.scalar(k_position(c)), e.integer(columns.vectors * lanes));
      llvm::Value* row = b.CreateGEP(element, panel, position);
      for (int64_t v = 0; v < columns.vectors; ++v) {
        e.open();
        e.bind_vector(c.n.variable, b.CreateAdd(columns.n, e.integer(v * lanes)),
                      columns.masks[static_cast<size_t>(v)]);
        b.CreateAlignedStore(e.vector(c.b), b.CreateGEP(element, row, e.integer(v * lanes)), align(e));
        e.close();
      }
    });
    return Emitter::Values();
  });
}

}  // namespace tenon
