// Loops around the inner loop: panels of columns, groups of tiles, blocks of k, and the epilogue behind them.
// An element's chain of FMAs is never split: between blocks of k its accumulator waits in the scratch,
// unrounded.
#include "compiler/native/contract.h"

#include <algorithm>

#include "compiler/native/pack.h"
#include "compiler/native/prefetch.h"

namespace tenon {

namespace {

constexpr int64_t unroll = 2;                 // of the last k axis; more of it is slower to compile and no faster to run
constexpr int64_t short_k = 8;                // a last k axis so short is unrolled entirely
constexpr int64_t short_epilogue = 256;       // scalar operations a tile: beyond it a loop over the rows

class ContractionEmitter {
 public:
  explicit ContractionEmitter(Emitter& e)
      : e_(e),
        b_(e.b),
        c_(*e.kernel.contraction),
        maximum_(e.list.maximum),
        element_(e.type(c_.a->dtype)),
        vector_(e.vector_type(c_.a->dtype)),
        bytes_(byte_size(c_.a->dtype)) {}
  void emit();

 private:
  // Consecutive rows that one copy of the inner loop computes: those of tile number `tile` from `offset` on.
  struct Rows {
    llvm::Value *tile, *offset;
    int64_t count;
    llvm::Value* m;  // the first row
  };
  using Values = Emitter::Values;

  void when(llvm::Value* condition, const std::function<void()>& body);
  llvm::Value* least(llvm::Value* x, llvm::Value* y) {
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, x, y);
  }
  llvm::Value* at(llvm::Value* base, llvm::Value* element) { return b_.CreateGEP(element_, base, element); }
  llvm::Value* times(Extent stride, int64_t count) {
    return b_.CreateMul(e_.extent(stride), e_.integer(count));
  }

  void emit_panel(llvm::Value* p);
  void emit_columns(const Columns& columns, llvm::Value* begin, llvm::Value* end);
  void for_rows(llvm::Value* begin, llvm::Value* end, const std::function<void(const Rows&)>& body);
  Values accumulate(const Rows& rows, const Columns& columns, Values sums, llvm::Value* begin,
                    llvm::Value* end);
  void epilogue(const Rows& rows, const Columns& columns, const Values& sums);
  void epilogue(const Rows& rows, const Columns& columns, llvm::Value* partial);
  void statements(const std::function<llvm::Value*()>& sum);
  llvm::Value* partial(const Rows& rows, const Columns& columns);
  llvm::Value* packed_b(const Columns& columns, llvm::Value* begin);

  Emitter& e_;
  llvm::IRBuilder<>& b_;
  const Contraction& c_;
  int64_t maximum_;
  llvm::Type* element_;
  llvm::VectorType* vector_;
  int64_t bytes_;

  int64_t rows_ = 0, vectors_ = 0;  // of a tile
  int64_t k_block_ = 0;             // of the outermost k axis; 0: all of k at once
  Access a_, b_operand_;
  std::vector<Scalar> epilogue_loads_;  // to be asked for during the inner loop
  int64_t a_tile_ = 0;
  llvm::Value* partials_ =
      nullptr;  // accumulators between two blocks of k, or between the inner loop and the epilogue
  // Tiles of the m axis, all and whole ones; they come in groups. Panels of the n axis, all and whole ones.
  llvm::Value *tiles_ = nullptr, *whole_tiles_ = nullptr, *group_ = nullptr, *groups_ = nullptr;
  llvm::Value *panels_ = nullptr, *whole_panels_ = nullptr;
  bool one_group_ = false;
  llvm::Value* first_tile_ = nullptr;  // of the group
  llvm::Value *begin_ = nullptr, *end_ = nullptr;
};

void ContractionEmitter::when(llvm::Value* condition, const std::function<void()>& body) {
  auto* known = llvm::dyn_cast<llvm::ConstantInt>(condition);
  if (!known) return e_.when(condition, body);
  if (known->isZero()) return;
  e_.open();
  body();
  e_.close();
}

// A panel is the tiles of one group over 16 * vectors columns of one batch element; the thread's part is
// contiguous in the order batch, group, columns, tile.
void ContractionEmitter::emit() {
  check(!c_.k.empty(), "a contraction has a k axis");
  const Tile& tile = e_.kernel.tile;
  rows_ = std::max<int64_t>(1, std::min(tile.rows, c_.m.extent.at(maximum_)));
  vectors_ = std::max<int64_t>(1, tile.vectors);
  vectors_ = std::min(vectors_, std::max<int64_t>(1, (c_.n.extent.at(maximum_) + lanes - 1) / lanes));
  if (all_k(c_, maximum_) > tile.k_block)
    k_block_ = std::max<int64_t>(1, tile.k_block / std::max<int64_t>(1, inner_k(c_, maximum_)));
  if (k_block_ >= c_.k[0].extent.at(maximum_)) k_block_ = 0;
  a_ = place_a(e_, rows_);
  b_operand_ = place_b(e_, vectors_);
  a_tile_ = a_tile_elements(e_, a_, rows_);
  if (k_block_ == 0 && c_.k.size() == 1) epilogue_loads_ = epilogue_loads(e_);

  auto ceiling = [&](llvm::Value* x, int64_t by) {
    return b_.CreateUDiv(b_.CreateAdd(x, e_.integer(by - 1)), e_.integer(by));
  };
  llvm::Value *m = e_.extent(c_.m.extent), *n = e_.extent(c_.n.extent);
  tiles_ = ceiling(m, rows_), whole_tiles_ = b_.CreateUDiv(m, e_.integer(rows_));
  panels_ = ceiling(n, vectors_ * lanes), whole_panels_ = b_.CreateUDiv(n, e_.integer(vectors_ * lanes));
  int64_t most_tiles = (c_.m.extent.at(maximum_) + rows_ - 1) / rows_;
  int64_t most = std::clamp<int64_t>(tile.group, 1, std::max<int64_t>(1, most_tiles));
  int64_t tile_bytes = rows_ * vectors_ * lanes * bytes_;
  one_group_ = most >= most_tiles;
  group_ =
      one_group_ ? b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, tiles_, e_.integer(1)) : e_.integer(most);
  groups_ = one_group_ ? b_.CreateZExt(b_.CreateICmpSGT(tiles_, e_.integer(0)), b_.getInt64Ty())
                       : ceiling(tiles_, most);
  if (!a_.in_place) a_.panel = e_.scratch(checked_product(most + a_strip(a_, rows_) - 1, a_tile_) * bytes_);
  if (!b_operand_.in_place) {
    int64_t k = k_block_ > 0 ? k_block_ * inner_k(c_, maximum_) : all_k(c_, maximum_);
    b_operand_.panel = e_.scratch((k + lanes) * vectors_ * lanes * bytes_);
  }
  partials_ = e_.scratch((k_block_ > 0 ? most : 1) * tile_bytes);

  llvm::Value* count = b_.CreateMul(groups_, panels_);
  for (const Axis& row : e_.kernel.rows) count = b_.CreateMul(count, e_.extent(row.extent));
  auto* alone = llvm::dyn_cast<llvm::ConstantInt>(e_.threads);
  if (alone && alone->isOne())
    return e_.loop(e_.integer(0), count, 1, [&](llvm::Value* p) { emit_panel(p); });
  std::tie(begin_, end_) = part(e_, b_.CreateMul(count, group_), 1);
  llvm::Value* last = b_.CreateUDiv(b_.CreateAdd(end_, b_.CreateSub(group_, e_.integer(1))), group_);
  e_.loop(b_.CreateUDiv(begin_, group_), last, 1, [&](llvm::Value* p) { emit_panel(p); });
}

void ContractionEmitter::emit_panel(llvm::Value* p) {
  // The part of the panel's tiles, within their group.
  llvm::Value *begin = e_.integer(0), *end = group_;
  if (begin_) {
    llvm::Value* before = b_.CreateMul(p, group_);
    begin = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, begin, b_.CreateSub(begin_, before));
    end = least(end, b_.CreateSub(end_, before));
  }
  auto* one_panel = llvm::dyn_cast<llvm::ConstantInt>(panels_);
  llvm::Value *columns = e_.integer(0), *rest = p;
  if (one_group_ && e_.kernel.rows.empty())
    columns = p;
  else if (!one_panel || !one_panel->isOne())
    columns = b_.CreateURem(p, panels_), rest = b_.CreateUDiv(p, panels_);
  first_tile_ = e_.integer(0);
  if (!one_group_) {
    first_tile_ = b_.CreateMul(b_.CreateURem(rest, groups_), group_), rest = b_.CreateUDiv(rest, groups_);
    end = least(end, b_.CreateSub(tiles_, first_tile_));
  }
  for (size_t i = e_.kernel.rows.size(); i-- > 0;) {
    llvm::Value* extent = e_.extent(e_.kernel.rows[i].extent);
    e_.bind(e_.kernel.rows[i].variable, i == 0 ? rest : b_.CreateURem(rest, extent));
    if (i > 0) rest = b_.CreateUDiv(rest, extent);
  }
  begin = b_.CreateAdd(first_tile_, begin), end = b_.CreateAdd(first_tile_, end);

  if (!a_.in_place) {
    // The panels of a group follow each other, so its tiles of a are packed with the thread's first.
    llvm::Value* fresh = b_.CreateICmpEQ(columns, e_.integer(0));
    if (begin_) fresh = b_.CreateOr(fresh, b_.CreateICmpSLE(b_.CreateMul(p, group_), begin_));
    when(fresh, [&] {
      llvm::Value* past = least(tiles_, b_.CreateAdd(first_tile_, group_));
      e_.loop(first_tile_, past, a_strip(a_, rows_), [&](llvm::Value* t) {
        llvm::Value* panel = at(a_.panel, b_.CreateMul(b_.CreateSub(t, first_tile_), e_.integer(a_tile_)));
        pack_a(e_, a_, panel, b_.CreateMul(t, e_.integer(rows_)), rows_);
      });
    });
  }

  llvm::Value* n = b_.CreateMul(columns, e_.integer(vectors_ * lanes));
  Columns whole{n, vectors_, std::vector<llvm::Value*>(static_cast<size_t>(vectors_), nullptr)};
  when(b_.CreateICmpSLT(columns, whole_panels_), [&] { emit_columns(whole, begin, end); });
  when(b_.CreateICmpSGE(columns, whole_panels_), [&] {
    Extent extent = c_.n.extent;
    if (extent.symbolic())  // as many vectors as there are, one by one
      return e_.loop(n, e_.extent(extent), lanes, [&](llvm::Value* column) {
        emit_columns({column, 1, {e_.first_lanes(b_.CreateSub(e_.extent(extent), column))}}, begin, end);
      });
    const int64_t rest = extent.count % (vectors_ * lanes);
    Columns tail{n, (rest + lanes - 1) / lanes, {}};
    for (int64_t v = 0; v < tail.vectors; ++v) tail.masks.push_back(e_.first_lanes(e_.integer(rest - v * lanes)));
    if (tail.vectors > 0) emit_columns(tail, begin, end);
  });
}

// The tiles from begin to end over some columns.
void ContractionEmitter::emit_columns(const Columns& columns, llvm::Value* begin, llvm::Value* end) {
  llvm::Value *zero = e_.integer(0), *k = e_.extent(c_.k[0].extent);
  llvm::Value* zeros = llvm::Constant::getNullValue(vector_);
  int64_t operations = 0;
  for (const Statement& s : e_.kernel.body) visit(s.value, [&](const Scalar&) { ++operations; });

  if (k_block_ == 0) {
    if (!b_operand_.in_place) pack_b(e_, packed_b(columns, zero), columns, zero, k);
    for_rows(begin, end, [&](const Rows& rows) {
      Values sums = accumulate(rows, columns,
                               Values(static_cast<size_t>(rows.count * columns.vectors), zeros), zero, k);
      if (operations * rows.count * columns.vectors <= short_epilogue) return epilogue(rows, columns, sums);
      for (size_t i = 0; i < sums.size(); ++i)
        b_.CreateAlignedStore(sums[i], at(partials_, e_.integer(static_cast<int64_t>(i * lanes))),
                              llvm::Align(64));
      epilogue(rows, columns, partials_);
    });
    return;
  }
  // Blocks of k: each element's chain goes on where it stopped.
  auto each = [&](const Rows& rows, const std::function<void(size_t i, llvm::Value * address)>& body) {
    llvm::Value* sums = partial(rows, columns);
    for (int64_t i = 0; i < rows.count * columns.vectors; ++i)
      body(static_cast<size_t>(i), at(sums, e_.integer(i * lanes)));
  };
  for_rows(begin, end, [&](const Rows& rows) {
    each(rows, [&](size_t, llvm::Value* address) { b_.CreateAlignedStore(zeros, address, llvm::Align(64)); });
  });
  e_.loop(zero, k, k_block_, [&](llvm::Value* from) {
    llvm::Value* to = least(k, b_.CreateAdd(from, e_.integer(k_block_)));
    if (!b_operand_.in_place) pack_b(e_, packed_b(columns, from), columns, from, to);
    for_rows(begin, end, [&](const Rows& rows) {
      Values sums;
      each(rows, [&](size_t, llvm::Value* address) {
        sums.push_back(b_.CreateAlignedLoad(vector_, address, llvm::Align(64)));
      });
      sums = accumulate(rows, columns, sums, from, to);
      each(rows,
           [&](size_t i, llvm::Value* address) { b_.CreateAlignedStore(sums[i], address, llvm::Align(64)); });
    });
  });
  for_rows(begin, end, [&](const Rows& rows) { epilogue(rows, columns, partial(rows, columns)); });
}

// Whole tiles in a loop; then the last tile in at most log2(rows) pieces, or in one if its rows are known.
void ContractionEmitter::for_rows(llvm::Value* begin, llvm::Value* end,
                                  const std::function<void(const Rows&)>& body) {
  llvm::Value* height = e_.integer(rows_);
  e_.loop(begin, least(end, whole_tiles_), 1, [&](llvm::Value* t) {
    body({t, e_.integer(0), rows_, b_.CreateMul(t, height)});
  });
  Extent m = c_.m.extent;
  if (!m.symbolic() && m.count % rows_ == 0) return;
  llvm::Value* tail = b_.CreateAnd(b_.CreateICmpSGT(end, whole_tiles_), b_.CreateICmpSLT(begin, end));
  when(tail, [&] {
    llvm::Value* first = b_.CreateMul(whole_tiles_, height);
    if (!m.symbolic()) return body({whole_tiles_, e_.integer(0), m.count % rows_, first});
    llvm::Value* rest = b_.CreateSub(e_.extent(m), first);
    int64_t size = 1;
    while (size * 2 < rows_) size *= 2;
    for (; size >= 1; size /= 2) {
      when(b_.CreateICmpNE(b_.CreateAnd(rest, e_.integer(size)), e_.integer(0)), [&] {
        llvm::Value* offset = b_.CreateAnd(rest, e_.integer(-2 * size));
        body({whole_tiles_, offset, size, b_.CreateAdd(first, offset)});
      });
    }
  });
}

// The accumulators of a tile in the scratch: 16 * vectors lanes a row.
llvm::Value* ContractionEmitter::partial(const Rows& rows, const Columns& columns) {
  llvm::Value* row =
      b_.CreateAdd(b_.CreateMul(b_.CreateSub(rows.tile, first_tile_), e_.integer(rows_)), rows.offset);
  return at(partials_, b_.CreateMul(row, e_.integer(columns.vectors * lanes)));
}

// The panel of b holds the block of k that starts at `begin`; this is where position 0 would be.
llvm::Value* ContractionEmitter::packed_b(const Columns& columns, llvm::Value* begin) {
  if (b_operand_.in_place) return nullptr;
  if (k_block_ == 0) return b_operand_.panel;
  int64_t step = inner_k(c_, maximum_) * columns.vectors * lanes;
  return at(b_operand_.panel, b_.CreateNeg(b_.CreateMul(begin, e_.integer(step))));
}

// The inner loop: sums[r][v] = fma(a[r], b[v], sums[r][v]) in ascending k.
Emitter::Values ContractionEmitter::accumulate(const Rows& rows, const Columns& columns, Values sums,
                                               llvm::Value* begin, llvm::Value* end) {
  e_.open();
  e_.bind(c_.m.variable, rows.m);
  e_.bind(c_.n.variable, columns.n);
  llvm::Value *a_panel = nullptr, *b_panel = packed_b(columns, begin);
  if (!a_.in_place) {
    llvm::Value* tile = b_.CreateMul(b_.CreateSub(rows.tile, first_tile_), e_.integer(a_tile_));
    a_panel = at(a_.panel, b_.CreateAdd(tile, b_.CreateMul(rows.offset, e_.extent(a_.across))));
  }
  Extent b_along = b_operand_.in_place ? b_operand_.along : Extent(columns.vectors * lanes);
  auto start = [&](const Access& operand, const Scalar& x, llvm::Value* panel, Extent along) {
    if (operand.in_place) return e_.address(x->integer, x->indices());
    return at(panel, b_.CreateMul(e_.scalar(k_position(c_)), e_.extent(along)));
  };
  llvm::Align align(static_cast<uint64_t>(bytes_));
  auto step = [&](int64_t count, Values values) {
    const bool constant = c_.a->function == Scalar::constant;
    llvm::Value* a = constant ? nullptr : start(a_, c_.a, a_panel, a_.along);
    llvm::Value* b = start(b_operand_, c_.b, b_panel, b_along);
    for (int64_t u = 0; u < count; ++u) {
      llvm::Value *a_row = constant ? nullptr : at(a, times(a_.along, u)), *b_row = at(b, times(b_along, u));
      Values row;
      for (int64_t v = 0; v < columns.vectors; ++v) {
        llvm::Value *address = at(b_row, e_.integer(v * lanes)),
                    *mask = columns.masks[static_cast<size_t>(v)];
        if (mask && b_operand_.in_place)
          row.push_back(
              b_.CreateMaskedLoad(vector_, address, align, mask, llvm::Constant::getNullValue(vector_)));
        else
          row.push_back(b_.CreateAlignedLoad(vector_, address, align));
      }
      for (int64_t r = 0; r < rows.count; ++r) {
        llvm::Value* x =
            constant ? e_.vector(c_.a) : e_.splat(b_.CreateAlignedLoad(element_, at(a_row, times(a_.across, r)), align));
        for (int64_t v = 0; v < columns.vectors; ++v) {
          llvm::Value*& sum = values[static_cast<size_t>(r * columns.vectors + v)];
          sum = b_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_}, {x, row[static_cast<size_t>(v)], sum});
        }
      }
    }
    return values;
  };
  int64_t variable = c_.k.back().variable;
  Extent extent = c_.k.back().extent;
  int64_t by = !extent.symbolic() && extent.count <= short_k ? std::max<int64_t>(extent.count, 1) : unroll;
  sums = loop_k(e_, begin, end, sums, [&](llvm::Value* from, llvm::Value* to, Values values) {
    llvm::Value* rest = b_.CreateURem(b_.CreateSub(to, from), e_.integer(by));
    llvm::Value* main = b_.CreateSub(to, rest);
    auto body = [&](int64_t count) {
      return [&, count](llvm::Value* i, const Values& inside) {
        e_.bind(variable, i);
        return step(count, inside);
      };
    };
    llvm::Value* share = b_.CreateUDiv(b_.CreateSub(main, from), e_.integer(by * rows.count));
    auto* shortest = llvm::dyn_cast<llvm::ConstantInt>(share);
    if (epilogue_loads_.empty() || (shortest && shortest->isZero())) {
      values = e_.loop(from, main, by, values, body(by));
    } else {
      share = b_.CreateMul(share, e_.integer(by));
      values = e_.loop(e_.integer(0), e_.integer(rows.count), 1, values, [&](llvm::Value* r, const Values& inside) {
        prefetch(e_, epilogue_loads_, b_.CreateAdd(rows.m, r), columns);
        llvm::Value* low = b_.CreateAdd(from, b_.CreateMul(r, share));
        llvm::Value* last = b_.CreateICmpEQ(r, e_.integer(rows.count - 1));
        return e_.loop(low, b_.CreateSelect(last, main, b_.CreateAdd(low, share)), by, inside, body(by));
      });
    }
    auto* known = llvm::dyn_cast<llvm::ConstantInt>(rest);
    if (!known) return e_.loop(main, to, 1, values, body(1));
    return e_.loop(main, to, by, values, body(known->getSExtValue()));
  });
  e_.close();
  return sums;
}

// The kernel's statements for the bound row and vector of columns.
void ContractionEmitter::statements(const std::function<llvm::Value*()>& sum) {
  llvm::Value* lanes = nullptr;
  e_.tile = [&](const Scalar&, bool wide) {
    check(wide, "an accumulator is read as 16 lanes");
    return lanes ? lanes : lanes = sum();
  };
  for (const Statement& s : e_.kernel.body) e_.store_vector(s.buffer, s.index, e_.vector(s.value));
  e_.tile = nullptr;
}

void ContractionEmitter::epilogue(const Rows& rows, const Columns& columns, const Values& sums) {
  for (int64_t v = 0; v < columns.vectors; ++v) {
    e_.open();
    e_.bind_vector(c_.n.variable, b_.CreateAdd(columns.n, e_.integer(v * lanes)),
                   columns.masks[static_cast<size_t>(v)]);
    for (int64_t r = 0; r < rows.count; ++r) {
      e_.open();
      e_.bind(c_.m.variable, b_.CreateAdd(rows.m, e_.integer(r)));
      statements([&] { return sums[static_cast<size_t>(r * columns.vectors + v)]; });
      e_.close();
    }
    e_.close();
  }
}

void ContractionEmitter::epilogue(const Rows& rows, const Columns& columns, llvm::Value* partial) {
  for (int64_t v = 0; v < columns.vectors; ++v) {
    e_.open();
    e_.bind_vector(c_.n.variable, b_.CreateAdd(columns.n, e_.integer(v * lanes)),
                   columns.masks[static_cast<size_t>(v)]);
    e_.loop(e_.integer(0), e_.integer(rows.count), 1, [&](llvm::Value* r) {
      e_.bind(c_.m.variable, b_.CreateAdd(rows.m, r));
      statements([&] {
        llvm::Value* element =
            b_.CreateAdd(b_.CreateMul(r, e_.integer(columns.vectors * lanes)), e_.integer(v * lanes));
        return b_.CreateAlignedLoad(vector_, at(partial, element), llvm::Align(64));
      });
    });
    e_.close();
  }
}

}  // namespace

void emit_contraction(Emitter& e) { ContractionEmitter(e).emit(); }

}  // namespace tenon
