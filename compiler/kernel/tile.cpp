// How each kernel is cut and by how many threads. Work is estimated in nanoseconds of one thread; a thread more is worth
// its barrier only with a fair share of it.
#include "compiler/kernel/tile.h"

#include <algorithm>
#include <map>

#include "compiler/kernel/affine.h"

namespace tenon {
namespace {

constexpr double flops_per_ns = 100;         // of a contraction
constexpr double bytes_per_ns = 20;          // of everything else, from L2
constexpr double operations_per_ns = 8;      // of elementwise arithmetic, counted as functions of one element
constexpr double tile_start = 40;            // cycles to begin and end a register tile
constexpr int64_t longest_k = 768;           // what a panel of b still keeps in the first cache; beyond it, blocks
constexpr int64_t k_block = 512;
constexpr int64_t cache_line = 64;
constexpr int64_t far_apart = 4096;          // bytes between rows beyond which every row is a page of its own

class Tiler {
 public:
  Tiler(KernelList& list, const Target& target) : list_(list), target_(target) {}

  void run() {
    for (Kernel& kernel : list_.kernels) {
      if (kernel.contraction) cut(kernel);
      kernel.threads = kernel.check ? 1 : threads(kernel);
    }
    set_barriers();
  }

 private:
  // All threads meet before a kernel that touches what another thread may have written, or may still read, since they
  // met last. A kernel of one thread runs on the first, so two of those never wait for each other. After checks all
  // threads meet anyway, to learn whether one failed; later checks wait until all have read that flag.
  void set_barriers() {
    std::map<BufferId, bool> written, read;  // since the last barrier; true: by several threads
    bool checked = false, flag_read = false;
    for (Kernel& kernel : list_.kernels) {
      const bool several = kernel.threads > 1;
      if (checked && !kernel.check) written.clear(), read.clear(), flag_read = true;
      const Touched touched = touched_buffers(kernel, list_);
      auto waits = [&](const std::set<BufferId>& buffers, const std::map<BufferId, bool>& since) {
        return std::any_of(buffers.begin(), buffers.end(), [&](BufferId id) {
          auto it = since.find(id);
          return it != since.end() && (it->second || several);
        });
      };
      kernel.barrier = waits(touched.read, written) || waits(touched.written, written) ||
                       waits(touched.written, read) || (kernel.check && flag_read);
      if (kernel.barrier) written.clear(), read.clear(), flag_read = false;
      for (BufferId id : touched.read) read[id] |= several;
      for (BufferId id : touched.written) written[id] |= several;
      checked = kernel.check.has_value();
    }
  }

  int64_t at(Extent extent) const { return extent.at(list_.maximum); }
  const Type& type(BufferId id) const { return list_.buffers[static_cast<size_t>(id)].type; }

  void cut(Kernel& kernel) const {
    const Contraction& c = *kernel.contraction;
    const int64_t m = at(c.m.extent), n = at(c.n.extent), k = points(c.k), element = byte_size(c.a->dtype);
    Tile& tile = kernel.tile;
    choose_tile(tile, m, n, k, element);
    tile.k_block = k <= longest_k ? std::max<int64_t>(1, k) : k_block;

    const int64_t panels = (n + tile.vectors * target_.lanes - 1) / (tile.vectors * target_.lanes);
    std::optional<Extent> b_n = step(c.b, c.n), b_k = step(c.b, c.k.back());
    bool unit = b_n && (*b_n == Extent(1) || n == 1);
    tile.pack_b = !unit || !b_k || (m > tile.rows && awkward(at(*b_k) * element, k));
    std::optional<Extent> a_m = step(c.a, c.m), a_k = step(c.a, c.k.back());
    // Rows of a that lie across cache lines in k are gathered once instead of for every panel of b.
    bool across = a_k && at(*a_k) * element >= cache_line && k >= 256 && panels >= 8;
    tile.pack_a = !a_m || !a_k || across || (panels > 1 && m * k >= 1 << 16 && awkward(at(*a_m) * element, m));
  }

  // The register tile with the least estimated time: `vectors` registers of b, and one of a for each row in turn, feed
  // rows * vectors accumulators. Two multiply-adds and two loads start per cycle; a chain takes four cycles a link.
  void choose_tile(Tile& tile, int64_t m, int64_t n, int64_t k, int64_t element) const {
    const int64_t registers = target_.registers * target_.register_bytes / (target_.lanes * element);
    double least = 0;
    for (int64_t vectors = 1; vectors <= std::min<int64_t>(4, (n + target_.lanes - 1) / target_.lanes); ++vectors)
      for (int64_t rows = 1; rows <= std::min(m, std::max<int64_t>(1, (registers - 1) / vectors - 1)); ++rows) {
        if (vectors * rows > 1 && vectors * (rows + 1) + 1 > registers) continue;
        auto columns = [&](int64_t v) { return time(m / rows, rows, v, k) + time(m % rows != 0, m % rows, v, k); };
        const int64_t width = vectors * target_.lanes;
        const int64_t tail = (n % width + target_.lanes - 1) / target_.lanes;
        double cycles = static_cast<double>(n / width) * columns(vectors) + (tail ? columns(tail) : 0);
        if (least > 0 && cycles >= least) continue;
        least = cycles;
        tile.rows = rows;
        tile.vectors = vectors;
      }
  }

  static double time(int64_t tiles, int64_t rows, int64_t vectors, int64_t k) {
    double multiply_adds = static_cast<double>(rows * vectors) / 2, loads = static_cast<double>(rows + vectors) / 2;
    return static_cast<double>(tiles) * (static_cast<double>(k) * std::max({multiply_adds, loads, 4.0}) + tile_start);
  }

  // Elements between neighbours of the operand along the axis, if it is read in place.
  std::optional<Extent> step(const Scalar& x, const Axis& axis) const {
    if (x->function != Scalar::load || x->guarded) return {};
    return stride(x, type(x->integer).shape, axis.variable);
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
    double most = std::min(work / target_.grain, static_cast<double>(std::min(parts, target_.threads)));
    return std::max<int64_t>(1, static_cast<int64_t>(most));
  }

  KernelList& list_;
  const Target& target_;
};

}  // namespace

void tile(KernelList& list, const Target& target) { Tiler(list, target).run(); }

}  // namespace tenon
