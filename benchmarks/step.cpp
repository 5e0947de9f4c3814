// One training step, forward, backward and update, of each workload, through the public doors.
//   step [--workload NAME] [--threads N] [--json] [--quick]    a table, or one JSON object per row
//   step --serve --workload NAME                               answers each line of stdin by one median in microseconds,
//                                                              so that a driver can interleave it with a peer
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>

#include "workloads.h"

using namespace tenon;

namespace {

struct Timing {
  double median_us, min_us;
};

class Run {
 public:
  Run(const Workload& workload, int threads)
      : session_(program(workload), {.threads = threads}),
        x_(f32, {workload.batch, workload.widths.front()}),
        label_(i32, {workload.batch}),
        target_(f32, {workload.batch, 1}),
        step_(session_.prepare("train")) {
    session_.init(1);
    uint32_t state = 12345;
    auto next = [&] { return state = state * 1664525 + 1013904223, static_cast<float>(state >> 8) * 0x1p-24f; };
    for (float& value : x_.write<float>()) value = next();
    for (int32_t& value : label_.write<int32_t>()) value = static_cast<int32_t>(next() * 10);
    for (float& value : target_.write<float>()) value = next() < 0.5f ? 0.0f : 1.0f;
    step_.bind("x", x_);
    if (workload.widths.back() == 1)
      step_.bind("target", target_);
    else
      step_.bind("label", label_);
    step_.bind("rate", 0.01);
  }

  // The median over batches of steps that together last about `seconds`.
  Timing measure(double seconds) {
    using Clock = std::chrono::steady_clock;
    auto time = [&](int64_t steps) {
      auto start = Clock::now();
      for (int64_t i = 0; i < steps; ++i) step_.run();
      return std::chrono::duration<double, std::micro>(Clock::now() - start).count() / static_cast<double>(steps);
    };
    double once = time(3);
    int64_t chunk = std::max<int64_t>(1, static_cast<int64_t>(200 / once));
    std::vector<double> samples;
    auto end = Clock::now() + std::chrono::duration<double>(seconds);
    while (samples.size() < 5 || Clock::now() < end) samples.push_back(time(chunk));
    std::sort(samples.begin(), samples.end());
    return {samples[samples.size() / 2], samples[0]};
  }

 private:
  static Program program(const Workload& workload) {
    Graph graph;
    Extent n = workload.batch;
    Value x = graph.input("x", f32, {n, workload.widths.front()}), rate = graph.input("rate", f32, {});
    Value h = x;
    for (size_t i = 1; i + 1 < workload.widths.size(); ++i) h = relu(dense(graph, h, workload.widths[i]));
    Value z = dense(graph, h, workload.widths.back());
    Value loss = workload.widths.back() == 1
                     ? mean(sigmoid_cross_entropy(z, graph.input("target", f32, {n, 1})))
                     : mean(softmax_cross_entropy(z, graph.input("label", i32, {n})));
    graph.entry("train", {{"loss", loss}}, minimize(loss, workload.adam ? adam(rate) : sgd(rate)));
    return compile(graph);
  }

  Session session_;
  Tensor x_, label_, target_;
  Step step_;
};

}  // namespace

int main(int argc, char** argv) {
  std::string only;
  int threads = 1;
  bool json = false, serve = false;
  double seconds = 1;
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i];
    if (flag == "--workload" && i + 1 < argc) only = argv[++i];
    else if (flag == "--threads" && i + 1 < argc) threads = std::atoi(argv[++i]);
    else if (flag == "--json") json = true;
    else if (flag == "--serve") serve = true;
    else if (flag == "--quick") seconds = 0.2;
    else return fmt::print(stderr, "step: unknown option {}\n", flag), 2;
  }
  if (!json && !serve) fmt::print("{:<32} {:>7} {:>12} {:>12} {:>9}\n", "workload", "threads", "median us", "min us", "GFLOP/s");
  for (const Workload& workload : workloads) {
    if (!only.empty() && workload.name != only) continue;
    Run run(workload, threads);
    if (serve)
      for (std::string line; std::getline(std::cin, line);) {
        fmt::print("{}\n", run.measure(0.1).median_us);
        std::fflush(stdout);
      }
    Timing t = run.measure(seconds);
    double gflops = workload.flops() / t.median_us * 1e-3;
    if (json)
      fmt::print("{{\"workload\":\"{}\",\"threads\":{},\"median_us\":{:.3f},\"min_us\":{:.3f},\"gflops\":{:.2f}}}\n",
                 workload.name, threads, t.median_us, t.min_us, gflops);
    else
      fmt::print("{:<32} {:>7} {:>12.2f} {:>12.2f} {:>9.1f}\n", workload.name, threads, t.median_us, t.min_us, gflops);
  }
}
