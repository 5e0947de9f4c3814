// How each kernel is cut and by how many threads. Work is estimated in nanoseconds of one thread; a thread more is worth
// its barrier only with a fair share of it.
#include "compiler/kernel/tile.h"

#include <algorithm>
#include <set>

#include "compiler/kernel/affine.h"

namespace tenon {
namespace {

constexpr double grain = 20e3;               // nanoseconds of work per thread
constexpr double flops_per_ns = 100;         // of a contraction
constexpr double bytes_per_ns = 20;          // of everything else, from L2
constexpr double operations_per_ns = 8;      // of elementwise arithmetic, counted as functions of one element
constexpr int64_t far_apart = 4096;          // bytes between rows beyond which every row is a page of its own

class Tiler {
 public:
  Tiler(KernelList& list, const Target& target) : list_(list), target_(target) {}

  void run() {
    bool crossing = false;  // something since the last barrier was written that another thread may read
    bool first = true;
    for (Kernel& kernel : list_.kernels) {
      if (kernel.contraction) cut(kernel);
      kernel.threads = kernel.check ? 1 : threads(kernel);
      // Before the first kernel everybody has met at the entry's start.
      kernel.barrier = !first && (crossing || kernel.threads > 1);
      if (kernel.barrier) crossing = false;
      crossing = crossing || kernel.threads > 1 || kernel.check.has_value();
      first = false;
    }
  }

 private:
  int64_t at(Extent extent) const { return extent.at(list_.maximum); }
  const Type& type(BufferId id) const { return list_.buffers[static_cast<size_t>(id)].type; }

  static bool plain(const Scalar& x) { return x->function == Scalar::load && !x->guarded; }

  void cut(Kernel& kernel) const {
    const Contraction& c = *kernel.contraction;
    int64_t m = at(c.m.extent), n = at(c.n.extent), k = points(c.k);
    Tile& tile = kernel.tile;
    int64_t vectors = (n + target_.lanes - 1) / target_.lanes;
    // A register tile of rows x vectors accumulators beside `vectors` registers of b.
    tile.vectors = std::clamp<int64_t>(vectors, 1, target_.registers >= 32 ? (m <= 10 ? 3 : 2) : 1);
    int64_t registers = target_.registers * target_.register_bytes / (target_.lanes * byte_size(c.a->dtype));
    int64_t rows = std::max<int64_t>(1, (registers - 1) / tile.vectors - 1);
    // Equal tiles: 32 rows in three of 11, not 14 + 14 + 4.
    int64_t tiles = (m + rows - 1) / rows;
    tile.rows = std::max<int64_t>(1, (m + tiles - 1) / tiles);
    tile.k_block = k <= 768 ? std::max<int64_t>(1, k) : 512;

    int64_t element = byte_size(c.b->dtype);
    bool reused = m > tile.rows;  // panels are read more than once
    std::optional<Extent> b_n = plain(c.b) ? stride(c.b, type(c.b->integer).shape, c.n.variable) : std::nullopt;
    bool unit = b_n && (*b_n == Extent(1) || n == 1);
    std::optional<Extent> b_k =
        unit && !c.k.empty() ? stride(c.b, type(c.b->integer).shape, c.k.back().variable) : std::nullopt;
    tile.pack_b = !unit || (reused && (!b_k || awkward(at(*b_k) * element, k)));
    std::optional<Extent> a_m = plain(c.a) ? stride(c.a, type(c.a->integer).shape, c.m.variable) : std::nullopt;
    tile.pack_a = !a_m || (n > tile.vectors * target_.lanes && m * k >= 1 << 16 && awkward(at(*a_m) * element, m));
  }

  // Rows that lie so far apart, or at such a power of two, that they fall into few cache sets.
  static bool awkward(int64_t bytes, int64_t rows) {
    return rows > 8 && bytes >= far_apart && (bytes > 8 * far_apart || bytes % far_apart == 0);
  }

  int64_t points(const std::vector<Axis>& axes) const {
    int64_t product = 1;
    for (const Axis& axis : axes) product *= at(axis.extent);
    return product;
  }

  // Nanoseconds of one evaluation at every point.
  double statement_work(const Statement& s, double rows) const {
    double count = rows * static_cast<double>(points(s.axes) * points(s.reduced)), bytes = 0, operations = 1;
    visit(s.value, [&](const Scalar& x) {
      if (x->function == Scalar::load && !x->indices().empty()) bytes += static_cast<double>(byte_size(x->dtype));
      if (x->function > Scalar::load) operations += x->function >= Scalar::exp ? 16 : 1;
    });
    return count * std::max(bytes / bytes_per_ns, operations / operations_per_ns);
  }

  int64_t threads(const Kernel& kernel) const {
    double rows = static_cast<double>(points(kernel.rows)), work = 0;
    int64_t parts = points(kernel.rows);
    if (kernel.contraction) {
      const Contraction& c = *kernel.contraction;
      int64_t m = at(c.m.extent), n = at(c.n.extent);
      work += 2 * rows * static_cast<double>(m * n) * static_cast<double>(points(c.k)) / flops_per_ns;
      int64_t width = kernel.tile.vectors * target_.lanes;
      parts *= ((m + kernel.tile.rows - 1) / kernel.tile.rows) * ((n + width - 1) / width);
    }
    for (const Statement& s : kernel.body) work += statement_work(s, rows);
    int64_t worth = static_cast<int64_t>(work / grain);
    return std::clamp<int64_t>(std::min(worth, parts), 1, std::max<int64_t>(1, target_.threads));
  }

  KernelList& list_;
  const Target& target_;
};

}  // namespace

void tile(KernelList& list, const Target& target) { Tiler(list, target).run(); }

}  // namespace tenon
