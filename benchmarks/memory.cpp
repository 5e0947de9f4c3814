// What the step of every workload needs, known before the first one: its arena beside the lower bound (the
// most bytes that are ever alive together), what each thread adds, and the parameters with the optimiser's
// states.
//   memory [--workload NAME] [--json] [--quick]
#include "bench.h"
#include "workloads.h"

using namespace bench;

int main(int argc, char** argv) {
  const Options options(argc, argv);
  const Table table({{"workload"}, {"arena_bytes"}, {"lower_bound"}, {"ratio", 4}, {"scratch_bytes"}, {"state_bytes"}},
                    options.json);
  for (const Workload& workload : workloads()) {
    if (!options.wants(workload.name) || (options.quick && workload.flops() > 1e9)) continue;
    const tenon::Program program = tenon::compile(workload.graph(), {.listings = false});
    const tenon::ProgramEntry& train = program.entry("train");
    int64_t states = 0;
    for (const tenon::StateBinding& state : program.states) states += state.type.bytes(program.sizes);
    const double arena = static_cast<double>(train.arena_bytes), bound = static_cast<double>(train.arena_lower_bound);
    table.row({workload.name, arena, bound, bound > 0 ? arena / bound : 1, static_cast<double>(train.scratch_bytes),
               static_cast<double>(states)});
  }
}
