// How a contraction is cut: the register tile with the least estimated time, which operand is copied into panels, and
// how much of the loops runs before the next block of k or the next group of rows. Times are cycles: those of the
// micro-kernel's record with the operands in L1, and more for an operand from further out.
#include <algorithm>
#include <numeric>

#include "compiler/kernel/flatten.h"
#include "compiler/kernel/index.h"
#include "compiler/kernel/microkernel.h"
#include "compiler/kernel/tile.h"

namespace tenon {
namespace {

constexpr double tile_start = 40;   // to begin and end a register tile
constexpr double row_start = 3;     // times the rows squared: to write to rows far apart, beyond L1
constexpr double per_load = 0.15;   // what a load delays the multiply-adds beside it
constexpr double line_of_b = 0.35;  // and if it is a vector of b from L2
constexpr double row_of_a = 0.3;    // and if it belongs to a row of a from beyond that
constexpr double remainder = 1.01;  // a loop more for what is left over
constexpr int64_t cache_line = 64, far_row = 512, page = 4096;
constexpr int64_t long_k = 256, many_panels = 8;    // that make the copy of a worth while
constexpr int64_t some_tiles = 4, many_tiles = 32;  // of a panel of b that make its copy worth while
constexpr int64_t packed_bytes = 4 << 20;           // of a, together

class Cutter {
 public:
  Cutter(const Kernel& kernel, const KernelList& list, const Target& target)
      : kernel_(flattened(kernel, list)),
        c_(*kernel_.contraction),
        list_(list),
        target_(target),
        m_(at(c_.m[0].extent)),
        n_(at(c_.n[0].extent)),
        element_(byte_size(c_.a->dtype)) {
    for (const Axis& axis : c_.k) k_ *= at(axis.extent);
    a_m_ = step(c_.a, c_.m[0]), a_k_ = step(c_.a, c_.k.back());
    b_n_ = step(c_.b, c_.n[0]), b_k_ = step(c_.b, c_.k.back());
  }

  Tile cut() const {
    Tile tile;
    choose_registers(tile);
    const int64_t width = tile.vectors * target_.lanes, tiles = parts(m_, tile.rows), panels = parts(n_, width);

    // A panel of b stays in L2; about equal blocks of k.
    const int64_t longest_k = std::max<int64_t>(1, target_.l2_bytes / 4 / (width * element_));
    int64_t block = parts(k_, parts(k_, longest_k));
    if (c_.k.size() == 1 && block < k_) block = parts(block, c_.order.block) * c_.order.block;
    const int64_t outermost = std::max<int64_t>(1, at(c_.k[0].extent)), inner = std::max<int64_t>(1, k_ / outermost);
    tile.k_block = std::clamp<int64_t>(block / inner, 1, outermost);
    block = tile.k_block * inner;

    const bool spread = b_k_ && *b_k_ * k_ > target_.l2_bytes / 2;  // over more than L2 keeps
    // A vector that lies in two lines counts where a tile has no other.
    const bool crosses = tile.vectors == 1 && crosses_lines();
    const bool pack_b =
        !b_in_place() || (tiles > some_tiles && (crosses || awkward(*b_k_, k_))) || (tiles >= many_tiles && spread);
    tile.b = pack_b ? Layout::by_k : Layout::in_place;
    const bool across = a_m_ && a_k_ && (*a_m_ > element_ ? *a_k_ >= cache_line : awkward(*a_k_, k_));
    const bool pack_a = !a_m_ || !a_k_ || (across && k_ >= long_k && panels >= many_panels);
    if (pack_a) tile.a = contiguous(c_.a, c_.m[0].variable, list_) ? Layout::by_k : Layout::by_row;

    // Tiles of a that are packed together lie in L3, accumulators that wait in L2. If all of b
    // fits L1, the result is written row by row.
    int64_t most = std::max<int64_t>(1, tiles);
    if (!pack_a && !pack_b && n_ * k_ * element_ <= target_.l1_bytes / 2) most = 1;
    if (pack_a) most = std::min(most, packed_bytes / (tile.rows * k_ * element_));
    if (k_ > block) most = std::min(most, target_.l2_bytes / 4 / (tile.rows * width * element_));
    tile.group = parts(tiles, parts(tiles, std::max<int64_t>(1, most)));
    return tile;
  }

 private:
  int64_t at(Extent extent) const { return extent.at(list_.sizes); }
  static int64_t parts(int64_t whole, int64_t part) { return std::max<int64_t>(1, (whole + part - 1) / part); }

  // Bytes between neighbours of the operand along the axis, if it is read in place.
  std::optional<int64_t> step(const Scalar& x, const Axis& axis) const {
    if (x->function == Scalar::constant) return 0;
    if (x->function != Scalar::load || x->guarded) return {};
    const Type& type = list_.buffers[static_cast<size_t>(x->integer)].type;
    auto elements = IndexForms().stride(type.shape, x->indices(), axis.variable);
    if (!elements) return {};
    return at(*elements) * element_;
  }

  // Vectors of b are loads.
  bool b_in_place() const { return b_n_ && (*b_n_ == element_ || n_ == 1) && b_k_; }

  // Rows of b, from the start of a line on, of which one lies in two.
  bool crosses_lines() const {
    const int64_t row = std::min(n_, target_.lanes) * element_;
    bool result = false;
    for (int64_t k = 0; b_k_ && k < std::min(k_, cache_line); ++k) result |= *b_k_ * k % cache_line + row > cache_line;
    return result;
  }

  // Rows that lie so far apart, or at such a power of two, that they fall into few sets of a cache.
  bool awkward(int64_t bytes, int64_t rows) const {
    if (bytes % (page / 2) == 0 && bytes * rows > target_.l2_bytes / 2) return true;
    return rows > 8 && bytes >= page && (bytes > 8 * page || bytes % page == 0);
  }

  // How many rows of a, read along k, L1 holds beside each other and b: one of its ways is a page.
  int64_t rows_held() const {
    if (!a_m_ || *a_m_ <= element_) return m_;
    return std::max<int64_t>(4, target_.l1_bytes * 2 / 3 / std::gcd(*a_m_, page));
  }

  // Rows of b, read in place, of which L1 does not hold all.
  bool far_apart() const { return b_in_place() && k_ * std::gcd(*b_k_, page) > target_.l1_bytes; }

  void choose_registers(Tile& tile) const {
    double least = 0;
    for (const MicroKernel& kernel : micro_kernels()) {
      if (!kernel.runs_on(target_) || kernel.operand != c_.a->dtype || kernel.accumulator != c_.a->dtype) continue;
      if (kernel.b_in_place && !(m_ == 1 && b_in_place())) continue;
      const int64_t most_rows = std::min({std::max<int64_t>(m_, 1), kernel.rows, rows_held()});
      for (int64_t rows = 1; rows <= most_rows; ++rows)
        for (int64_t vectors = 1; vectors <= std::min(parts(n_, target_.lanes), kernel.vectors); ++vectors) {
          const double cycles = all_tiles(kernel, rows, vectors);
          if (least > 0 && cycles >= least) continue;
          least = cycles, tile.rows = rows, tile.vectors = vectors;
        }
    }
  }

  double all_tiles(const MicroKernel& kernel, int64_t rows, int64_t vectors) const {
    const int64_t rest = n_ % (vectors * target_.lanes), tail = rest ? parts(rest, target_.lanes) : 0;
    double cycles = static_cast<double>(n_ / (vectors * target_.lanes)) * column(kernel, rows, vectors);
    if (tail) cycles = remainder * (cycles + column(kernel, rows, tail));
    return m_ % rows ? cycles * remainder : cycles;
  }

  // All tiles over some vectors of columns.
  double column(const MicroKernel& kernel, int64_t rows, int64_t vectors) const {
    return static_cast<double>(m_ / rows) * time(kernel, rows, vectors) + (m_ % rows ? time(kernel, m_ % rows, vectors) : 0);
  }
  double time(const MicroKernel& kernel, int64_t rows, int64_t vectors) const {
    const double r = static_cast<double>(rows), v = static_cast<double>(vectors);
    double cycles = std::max({r * v * kernel.multiply_add, (r + v) * kernel.load, kernel.latency}) + per_load * (r + v);
    if (vectors * target_.lanes * k_ * element_ > target_.l1_bytes / 2 || far_apart()) cycles += line_of_b * v;
    if (m_ * k_ * element_ > target_.l2_bytes / 2) cycles += row_of_a * r;
    const bool far = m_ * n_ * element_ > target_.l1_bytes && n_ * element_ >= far_row;
    return static_cast<double>(k_) * cycles + tile_start + (far ? row_start * r * r : 0);
  }

  const Kernel kernel_;
  const Contraction& c_;
  const KernelList& list_;
  const Target& target_;
  int64_t m_, n_, k_ = 1, element_;
  std::optional<int64_t> a_m_, a_k_, b_n_, b_k_;
};

}  // namespace

bool contiguous(const Scalar& x, int64_t variable, const KernelList& list) {
  bool moves = false, unit = true;
  visit(x, [&](const Scalar& y) {
    if (y->function != Scalar::load) return;
    const Shape& shape = list.buffers[static_cast<size_t>(y->integer)].type.shape;
    const auto step = IndexForms().stride(shape, y->indices(), variable);
    if (step == Extent(0)) return;
    moves = true;
    unit &= step == Extent(1);
  });
  return moves && unit;
}

Tile cut(const Kernel& kernel, const KernelList& list, const Target& target) { return Cutter(kernel, list, target).cut(); }

}  // namespace tenon
