// From a graph to a program that is ready to run, for every workload: compile(), which uses two threads. One
// other program is compiled first, so that LLVM is loaded.
//   compile_time [--workload NAME] [--json] [--quick]
#include "bench.h"
#include "workloads.h"

using namespace bench;

int main(int argc, char** argv) {
  const Options options(argc, argv);
  const Table table({{"workload"}, {"threads"}, {"median_us"}, {"min_us"}}, options.json);
  const tenon::CompileOptions cold = {.listings = false};
  {
    tenon::Graph other;
    other.entry("y", {{"y", tenon::exp(other.input("x", tenon::f32, {64}))}});
    tenon::compile(other, cold);
  }
  for (const Workload& workload : workloads()) {
    if (!options.wants(workload.name)) continue;
    const tenon::Graph graph = workload.graph();
    std::vector<double> us;
    for (int i = 0; i < (options.quick ? 1 : 5); ++i)
      us.push_back(microseconds(1, [&] { tenon::compile(graph, cold); }));
    table.row({workload.name, 2.0, median(us), minimum(us)});
  }
}
