// The same training step as a graph that is rebuilt, differentiated and interpreted at every step; as a
// static graph, compiled once; and, where python3-torch is present, as PyTorch's define-by-run. Prints where
// the time goes. The interpreter is the library's evaluator, an oracle in doubles that nobody made fast: what
// it shows is the cost of rebuilding, and that interpreting element by element is hopeless. It is left out
// where one step takes seconds.
//   static_dynamic [--workload NAME] [--threads N] [--json] [--quick]
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "bench.h"
#include "workloads.h"

using namespace bench;

namespace {

constexpr double interpreted_flops = 3e7;  // at most

// Microseconds of PyTorch's forward, backward and update from equal parameters; empty where there is no
// PyTorch.
std::vector<double> define_by_run(const Workload& workload, const Training& training, int threads) {
  const std::filesystem::path file = std::filesystem::temp_directory_path() / fmt::format("static_dynamic.{}", getpid());
  tenon::SafeTensors state = training.state();
  state.metadata["workload"] = workload.json();
  tenon::write_safetensors(file, state);
  const std::string command =
      fmt::format("/usr/bin/python3 {}/peers/define_by_run.py {} --threads {} 2>/dev/null", BENCHMARKS, file.string(), threads);
  std::FILE* pipe = popen(command.c_str(), "r");
  std::vector<double> parts(3);
  const bool read = pipe && std::fscanf(pipe, "%lf %lf %lf", &parts[0], &parts[1], &parts[2]) == 3;
  if (pipe) pclose(pipe);
  std::filesystem::remove(file);
  return read ? parts : std::vector<double>{};
}

tenon::Bindings bindings_of(const Workload& workload, const Training& training) {
  tenon::Bindings bindings = {
      {"step", tenon::ReferenceArray::of(tenon::Type{tenon::i64, {}}, std::vector<double>{0})},
      {"rate", tenon::ReferenceArray::of(tenon::Type{tenon::f32, {}}, std::vector<double>{workload.rate()})}};
  for (const auto& [name, tensor] : training.state().tensors) {
    tenon::Type type{tensor.dtype(), {}};
    for (const int64_t extent : tensor.extents()) type.shape.push_back(extent);
    bindings.insert_or_assign(
        name, tenon::ReferenceArray::of(type, std::span(tensor.data(), static_cast<size_t>(tensor.byte_count()))));
  }
  return bindings;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options(argc, argv);
  const Table table({{"workload"}, {"way"}, {"threads"}, {"part"}, {"median_us", 2}}, options.json);
  for (const Workload& workload : workloads()) {
    if (!options.wants(workload.name) || workload.runtime_batch) continue;
    const double threads = options.threads, seconds = options.quick ? 0.02 : 0.5;
    const auto row = [&](const char* way, const char* part, double us) { table.row({workload.name, way, threads, part, us}); };
    Training training(workload, options.threads);
    row("rebuilt", "build, differentiate", measure(seconds, [&] { workload.graph(); }).median_us);
    if (workload.flops() < interpreted_flops && !workload.adam) {
      const tenon::Graph graph = workload.graph();
      const tenon::Bindings bindings = bindings_of(workload, training);
      row("rebuilt", "interpret",
          microseconds(1, [&] { tenon::evaluate_entry(graph.body(), "train", bindings, 1, tenon::Arithmetic::typed); }));
    }
    const tenon::Graph graph = workload.graph();
    row("static", "compile, once", microseconds(1, [&] { tenon::compile(graph, {.listings = false}); }));
    row("static", "step", measure(seconds, [&] { training.step(); }).median_us);
    const std::vector<double> parts = define_by_run(workload, training, options.threads);
    for (size_t i = 0; i < parts.size(); ++i) row("PyTorch", std::vector{"forward", "backward", "update"}[i], parts[i]);
  }
}
