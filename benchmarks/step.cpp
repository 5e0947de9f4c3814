// One training step, forward, backward and update, of each workload, through the public doors.
//   step                            a table, or one JSON object per row
//   step --list                     the rows' names and floating-point operations, as JSON
//   step --serve --workload NAME    answers each line of stdin by "median_us min_us", for a driver that
//                                   interleaves it with peers
//   step --serve-peak               answers each line by the multiply-add peak of --threads threads
//   step --save FILE --workload NAME [--steps N] [--f64]
//                                   the parameters at the start, the data and the losses of the first N
//                                   steps, as safetensors: what a peer starts from and is checked against
#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <iostream>

#include "bench.h"
#include "peak.h"
#include "workloads.h"

using namespace bench;

namespace {

void save(const Workload& workload, const Options& options) {
  const tenon::DType dtype = options.has("--f64") ? tenon::f64 : tenon::f32;
  Training training(workload, options.threads, dtype);
  tenon::SafeTensors file = training.state();
  file.metadata["workload"] = workload.json();
  const int64_t steps = options.has("--steps") ? std::atoll(options.get("--steps").c_str()) : 1;
  tenon::Tensor losses(tenon::f64, {steps});
  for (double& loss : losses.write<double>()) training.step(), loss = training.loss();
  file.tensors.emplace_back("losses", losses);
  tenon::write_safetensors(options.get("--save"), file);
}

// Answers each line of stdin.
void serve(const std::function<std::string()>& answer) {
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", answer());
    std::fflush(stdout);
  }
}

void serve(const Workload& workload, int threads) {
  Training training(workload, threads);
  serve([&] {
    const Timing t = measure(0.1, [&] { training.step(); });
    return fmt::format("{} {}", t.median_us, t.min_us);
  });
}

void print_table(const Options& options) {
  const Table table({{"workload"}, {"threads"}, {"median_us", 3}, {"min_us", 3}, {"gflops", 2}, {"fraction_of_peak", 3}},
                    options.json);
  for (const Workload& workload : workloads()) {
    if (!options.wants(workload.name)) continue;
    Training training(workload, options.threads);
    std::vector<double> medians, minima, fractions;
    for (int i = 0; i < (options.quick ? 1 : 10); ++i) {
      const double peak = peak_gflops(options.threads);
      const Timing t = measure(0.1, [&] { training.step(); });
      medians.push_back(t.median_us);
      minima.push_back(t.min_us);
      fractions.push_back(workload.flops() / t.median_us * 1e-3 / peak);
    }
    const double us = median(medians);
    table.row({workload.name, double(options.threads), us, minimum(minima), workload.flops() / us * 1e-3, median(fractions)});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options(argc, argv, {"--list", "--serve", "--serve-peak", "--save=", "--steps=", "--f64"});
  if (options.own.empty()) return print_table(options), 0;
  if (options.has("--serve-peak")) return serve([&] { return fmt::format("{}", peak_gflops(options.threads)); }), 0;
  for (const Workload& workload : workloads()) {
    if (!options.wants(workload.name)) continue;
    if (options.has("--list")) fmt::print("{{\"workload\":\"{}\",\"flops\":{:.0f}}}\n", workload.name, workload.flops());
    if (options.has("--save")) save(workload, options);
    if (options.has("--serve")) serve(workload, options.threads);
  }
}
