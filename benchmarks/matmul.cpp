// Matrix products of training steps beside OpenBLAS, oneDNN and libxsmm, interleaved in one run.
//   matmul [--workload TEXT] [--threads N] [--json] [--quick]    rows whose name holds TEXT; "512x784x128 AB" is m x k x n
// Every contender reads the same operands, and is called once untimed before each of its timed repetitions.
#include <tenon/tenon.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>

#include "bench.h"
#include "matmul.h"
#include "peak.h"

using namespace tenon;

namespace {

// Squares, the layers of the step benchmark's networks, and layers of 10 classes: forward, the weight's gradient, the
// input's gradient.
std::vector<Product> products() {
  std::vector<Product> all;
  auto layer = [&](int64_t batch, int64_t in, int64_t out) {
    all.push_back({batch, out, in});
    all.push_back({in, out, batch, true, false});
    all.push_back({batch, in, out, false, true});
  };
  for (int64_t size : {64, 128, 256, 512, 1024, 2048}) layer(size, size, size);
  for (int64_t batch : {1, 32, 128, 512})
    for (int64_t out : {128, 512, 1024}) layer(batch, 784, out);
  for (int64_t batch : {1, 32, 128, 512})
    for (int64_t in : {128, 512}) layer(batch, in, 10);
  return all;
}

Extents a_extents(const Product& p) { return p.a_transposed ? Extents{p.k, p.m} : Extents{p.m, p.k}; }
Extents b_extents(const Product& p) { return p.b_transposed ? Extents{p.n, p.k} : Extents{p.k, p.n}; }

class Ours {
 public:
  Ours(const Product& p, const Tensor& a, const Tensor& b, int threads)
      : session_(program(p), {.threads = threads}), step_(session_.prepare("product")) {
    step_.bind("a", a).bind("b", b);
  }
  void run() { step_.run(); }
  Tensor result() const { return step_.output("y"); }

 private:
  static Program program(const Product& p) {
    auto shape = [](const Extents& extents) { return Shape(extents.begin(), extents.end()); };
    Graph graph;
    Value x = graph.input("a", f32, shape(a_extents(p))), w = graph.input("b", f32, shape(b_extents(p)));
    graph.entry("product", {{"y", matmul(x, w, p.a_transposed, p.b_transposed)}});
    return compile(graph);
  }
  Session session_;
  Step step_;
};

struct Contender {
  std::string name;
  std::function<void()> run;
  std::vector<double> samples = {};  // microseconds a call

  void sample(double microseconds) {
    run();
    using Clock = std::chrono::steady_clock;
    int64_t calls = 0;
    const auto start = Clock::now();
    double elapsed = 0;
    for (int64_t chunk = 1; elapsed < microseconds; calls += chunk, chunk = std::max<int64_t>(1, calls)) {
      for (int64_t i = 0; i < chunk; ++i) run();
      elapsed = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    }
    samples.push_back(elapsed / static_cast<double>(calls));
  }
  double median() {
    std::sort(samples.begin(), samples.end());
    return samples[samples.size() / 2];
  }
};

Tensor filled(const Extents& extents, uint32_t seed) {
  Tensor t(f32, extents);
  for (float& x : t.write<float>()) seed = seed * 1664525 + 1013904223, x = static_cast<float>(seed >> 8) * 0x1p-23f - 1;
  return t;
}

struct Row {
  double median_us, min_us, peak;
  std::map<std::string, double> peer_us;
  double best() const {
    double least = HUGE_VAL;
    for (const auto& [name, us] : peer_us) least = std::min(least, us);
    return least;
  }
};

// Error if a result is not the same product: then two contenders did not compute the same.
void agree(const Product& p, const Contender& peer, std::span<const float> ours, std::span<const float> theirs) {
  for (size_t i = 0; i < ours.size(); ++i)
    if (!(std::abs(ours[i] - theirs[i]) <= 1e-5f * static_cast<float>(p.k)))
      throw Error(fmt::format("{}: {} has {} at {}, Tenon {}", p.name(), peer.name, theirs[i], i, ours[i]));
}

Row measure(const Product& p, const std::vector<Peer>& peers, int threads, bool quick) {
  Tensor a = filled(a_extents(p), 1), b = filled(b_extents(p), 2), y(f32, {p.m, p.n});
  Ours ours(p, a, b, threads);
  std::vector<Contender> contenders = {{"Tenon", [&] { ours.run(); }}};
  ours.run();
  Tensor result = ours.result();
  for (const Peer& peer : peers) {
    auto run = peer.prepare(p, a.read<float>().data(), b.read<float>().data(), y.write<float>().data());
    if (!run) continue;
    run();
    contenders.push_back({peer.name, run});
    agree(p, contenders.back(), result.read<float>(), y.read<float>());
  }
  const int repetitions = quick ? 5 : 15;
  std::vector<double> peaks;
  for (int i = 0; i < repetitions; ++i) {
    for (Contender& contender : contenders) contender.sample(quick ? 3000 : 5000);
    peaks.push_back(bench::peak_gflops(threads));
  }
  std::sort(peaks.begin(), peaks.end());
  Row row{contenders[0].median(), contenders[0].samples[0], peaks[peaks.size() / 2], {}};
  for (size_t i = 1; i < contenders.size(); ++i) row.peer_us[contenders[i].name] = contenders[i].median();
  return row;
}

void print_json(const Product& p, int threads, const Row& row) {
  const double gflops = p.flops() / row.median_us * 1e-3;
  fmt::print(
      "{{\"workload\":\"{}\",\"threads\":{},\"median_us\":{:.3f},\"min_us\":{:.3f},\"gflops\":{:.2f},"
      "\"fraction_of_peak\":{:.3f},\"peers\":{{",
      p.name(), threads, row.median_us, row.min_us, gflops, gflops / row.peak);
  const char* comma = "";
  for (const auto& [name, us] : row.peer_us) {
    fmt::print("{}\"{}\":{{\"median_us\":{:.3f},\"ratio\":{:.3f}}}", comma, name, us, us / row.median_us);
    comma = ",";
  }
  fmt::print("}}}}\n");
}

}  // namespace

int main(int argc, char** argv) {
  const bench::Options options(argc, argv);
  const int threads = options.threads;
  const std::vector<Peer> found = peers();
  set_peer_threads(threads);
  if (!options.json) {
    for (const Peer& peer : found) fmt::print("{} {}\n", peer.name, peer.version);
    for (const std::string& name : absent_peers()) fmt::print("{}: not found when this was configured\n", name);
    fmt::print("\n{:<20} {:>10} {:>8} {:>6}", "workload", "Tenon us", "GFLOP/s", "peak");
    for (const Peer& peer : found) fmt::print(" {:>9}", peer.name);
    fmt::print(" {:>6}\n", "best");
  }
  double logarithms = 0, worst = HUGE_VAL;
  int rows = 0;
  for (const Product& p : products()) {
    if (p.name().find(options.workload) == std::string::npos) continue;
    const Row row = measure(p, found, threads, options.quick);
    const double ratio = row.best() / row.median_us, gflops = p.flops() / row.median_us * 1e-3;
    logarithms += std::log(ratio), worst = std::min(worst, ratio), ++rows;
    if (options.json) {
      print_json(p, threads, row);
    } else {
      fmt::print("{:<20} {:>10.2f} {:>8.1f} {:>5.0f}%", p.name(), row.median_us, gflops, 100 * gflops / row.peak);
      for (const Peer& peer : found) {
        auto it = row.peer_us.find(peer.name);
        fmt::print(" {:>9}", it == row.peer_us.end() ? "-" : fmt::format("{:.3f}", it->second / row.median_us));
      }
      fmt::print(" {:>6.3f}\n", ratio);
    }
    std::fflush(stdout);
  }
  if (!options.json && rows > 0 && !found.empty())
    fmt::print("{} rows: geometric mean of the best peer's time / ours {:.3f}, least {:.3f}\n", rows,
               std::exp(logarithms / rows), worst);
}
