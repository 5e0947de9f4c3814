// From a graph to a program that is ready to run, for every workload: compile(), which uses two threads, and
// the same from the disk cache. One other program is compiled first, so that LLVM is loaded.
//   compile_time [--workload NAME] [--json] [--quick]
#include <stdlib.h>

#include <filesystem>

#include "bench.h"
#include "workloads.h"

using namespace bench;

namespace {

// A folder of its own for the cache, which goes when the benchmark ends.
struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "tenon-XXXXXX").string();
  Folder() { tenon::check(mkdtemp(path.data()) != nullptr, "a temporary folder can be made"); }
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

int main(int argc, char** argv) {
  const Options options(argc, argv);
  const Table table({{"workload"}, {"threads"}, {"median_us"}, {"min_us"}, {"cached_median_us"}, {"cached_min_us"}},
                    options.json);
  unsetenv("TENON_CACHE");  // else nothing is cold
  const Folder folder;
  const auto time = [&](const tenon::Graph& graph, const std::string& cache) {
    std::vector<double> us;
    for (int i = 0; i < (options.quick ? 1 : 5); ++i)
      us.push_back(microseconds(1, [&] { tenon::compile(graph, {.listings = false, .cache = cache}); }));
    return us;
  };
  tenon::Graph other;
  other.entry("y", {{"y", tenon::exp(other.input("x", tenon::f32, {64}))}});
  time(other, "");
  for (const Workload& workload : workloads()) {
    if (!options.wants(workload.name)) continue;
    const tenon::Graph graph = workload.graph();
    const std::vector<double> cold = time(graph, "");
    tenon::compile(graph, {.listings = false, .cache = folder.path});  // fills it
    const std::vector<double> cached = time(graph, folder.path);
    table.row({workload.name, 2.0, median(cold), minimum(cold), median(cached), minimum(cached)});
  }
}
