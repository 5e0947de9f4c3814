// How many threads each kernel is worth, and where they wait for each other. Work is estimated in nanoseconds of one
// thread; a thread more is worth its barrier only with a fair share of it.
#include "compiler/kernel/tile.h"

#include <algorithm>
#include <map>

#include "compiler/kernel/cost.h"

namespace tenon {
namespace {

constexpr double flops_per_ns = 150;       // of a contraction
constexpr double bytes_per_ns = 20;        // of everything else, from L2
constexpr double operations_per_ns = 8;    // of elementwise arithmetic, counted as functions of one element
constexpr double function_operations = 4;  // of an exponential and the like

class Tiler {
 public:
  Tiler(KernelList& list, const Target& target) : list_(list), target_(target) {}

  void run() {
    for (Kernel& kernel : list_.kernels) {
      if (kernel.contraction) kernel.tile = cut(kernel, list_, target_);
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
      kernel.barrier = waits(touched.read, written) || waits(touched.written, written) || waits(touched.written, read) ||
                       (kernel.check && flag_read);
      if (kernel.barrier) written.clear(), read.clear(), flag_read = false;
      for (BufferId id : touched.read) read[id] |= several;
      for (BufferId id : touched.written) written[id] |= several;
      checked = kernel.check.has_value();
    }
  }

  int64_t at(Extent extent) const { return extent.at(list_.sizes); }

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
      if (function(x->function).kind != ScalarKind::leaf) operations += is_expensive(x->function) ? function_operations : 1;
    });
    return count * std::max(bytes / bytes_per_ns, operations / operations_per_ns);
  }

  // Whether every element stands for itself, so that the statements' loops are divided like rows.
  static bool elementwise(const Kernel& kernel) {
    return std::all_of(kernel.body.begin(), kernel.body.end(),
                       [&](const Statement& s) { return !s.scatter && s.reduced.empty() && s.axes == kernel.body[0].axes; });
  }

  int64_t threads(const Kernel& kernel) const {
    double rows = static_cast<double>(points(kernel.rows)), work = 0;
    int64_t parts = points(kernel.rows);
    if (!kernel.contraction && elementwise(kernel)) parts *= (points(kernel.body[0].axes) + target_.lanes - 1) / target_.lanes;
    if (kernel.contraction) {
      const Contraction& c = *kernel.contraction;
      int64_t m = points(c.m), n = points(c.n);
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
