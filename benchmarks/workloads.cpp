#include "workloads.h"

#include <fmt/ranges.h>

namespace bench {
namespace {

using namespace tenon;

constexpr int64_t pieces = 5, gaussians = 5, largest_batch = 512;

// Outputs of the layer that ends at widths[i], before its activation.
int64_t units(const Workload& w, size_t i) {
  const bool hidden = i + 1 < w.widths.size();
  return w.family == Family::maxout && hidden ? pieces * w.widths[i] : w.widths[i];
}

// -log sum over k of pi_k N(y; mu_k, sigma_k), averaged over the rows; z holds logits of pi, mu and log
// sigma.
Value mixture_loss(Value z, Value y) {
  Value score = log_softmax(slice(z, 1, 0, gaussians)), mu = slice(z, 1, gaussians, 2 * gaussians),
        log_sigma = slice(z, 1, 2 * gaussians, 3 * gaussians);
  Value d = (y - mu) * exp(-log_sigma);
  const double log_root_two_pi = 0.91893853320467274178;
  return -mean(logsumexp(score - log_sigma - 0.5 * (d * d) - log_root_two_pi));
}

}  // namespace

double Workload::flops() const {
  double total = 0;
  for (size_t i = 1; i < widths.size(); ++i)
    total += (i == 1 ? 4.0 : 6.0) * static_cast<double>(batch * widths[i - 1] * units(*this, i));
  return total;
}

Graph Workload::graph(DType dtype) const {
  Graph graph;
  const Extent n = runtime_batch ? graph.size("n", largest_batch) : Extent(batch);
  Value h = graph.input("x", dtype, {n, widths.front()});
  for (size_t i = 1; i + 1 < widths.size(); ++i) {
    Value z = dense(graph, h, units(*this, i));
    if (family == Family::mlp) h = relu(z);
    if (family == Family::mixture) h = tanh(z);
    if (family == Family::maxout) h = reduce_max(reshape(z, {n, pieces, widths[i]}), {1});
  }
  Value z = dense(graph, h, widths.back());
  Value loss;
  if (family == Family::mixture)
    loss = mixture_loss(z, graph.input("target", dtype, {n, 1}));
  else if (widths.back() == 1)
    loss = mean(sigmoid_cross_entropy(z, graph.input("target", dtype, {n, 1})));
  else
    loss = mean(softmax_cross_entropy(z, graph.input("label", i32, {n})));
  const Value step = graph.input("rate", dtype, {});
  graph.entry("train", {{"loss", loss}}, minimize(loss, adam ? tenon::adam(step) : sgd(step)));
  return graph;
}

std::string Workload::json() const {
  const char* names[] = {"mlp", "maxout", "mixture"};
  return fmt::format(R"({{"family":"{}","widths":[{}],"batch":{},"adam":{},"pieces":{},"gaussians":{},"rate":{}}})",
                     names[static_cast<int>(family)], fmt::join(widths, ","), batch, adam, pieces, gaussians, rate());
}

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = [] {
    const Workload constant[] = {
        {"xor", Family::mlp, {2, 8, 1}, 4, false},
        {"mlp-784-128-10-b32", Family::mlp, {784, 128, 10}, 32, false},
        {"mlp-784-128-10-b128", Family::mlp, {784, 128, 10}, 128, false},
        {"mlp-784-512-512-10-b128-sgd", Family::mlp, {784, 512, 512, 10}, 128, false},
        {"mlp-784-512-512-10-b128-adam", Family::mlp, {784, 512, 512, 10}, 128, true},
        {"mlp-784-512-512-10-b512-sgd", Family::mlp, {784, 512, 512, 10}, 512, false},
        {"mlp-784-512-512-10-b512-adam", Family::mlp, {784, 512, 512, 10}, 512, true},
        {"mlp-784-2048x3-10-b512-adam", Family::mlp, {784, 2048, 2048, 2048, 10}, 512, true},
        {"maxout-784-240x5-240x5-10-b128", Family::maxout, {784, 240, 240, 10}, 128, false},
        {"mixture-1-64-64-15-b256-adam", Family::mixture, {1, 64, 64, 3 * gaussians}, 256, true},
    };
    std::vector<Workload> rows;
    for (const Workload& workload : constant) {
      rows.push_back(workload);
      Workload& twin = rows.emplace_back(workload);
      twin.name += "-n";
      twin.runtime_batch = true;
    }
    return rows;
  }();
  return all;
}

Training::Training(const Workload& workload, int threads, DType dtype)
    : session_(compile(workload.graph(dtype), {.listings = false}), {.threads = threads}),
      x_(dtype, {workload.batch, workload.widths.front()}),
      step_(session_.prepare("train")) {
  session_.init(1);
  uint32_t state = 12345;
  const auto next = [&] { return state = state * 1664525 + 1013904223, static_cast<double>(state >> 8) * 0x1p-24; };
  const auto fill = [&](Tensor& tensor, auto&& draw) {
    if (tensor.dtype() == f64)
      for (double& value : tensor.write<double>()) value = draw();
    if (tensor.dtype() == f32)
      for (float& value : tensor.write<float>()) value = static_cast<float>(draw());
    if (tensor.dtype() == i32)
      for (int32_t& value : tensor.write<int32_t>()) value = static_cast<int32_t>(draw());
  };
  fill(x_, next);
  const bool labels = workload.family != Family::mixture && workload.widths.back() > 1;
  target_name_ = labels ? "label" : "target";
  target_ = labels ? Tensor(i32, {workload.batch}) : Tensor(dtype, {workload.batch, 1});
  if (labels)
    fill(target_, [&] { return next() * static_cast<double>(workload.widths.back()); });
  else if (workload.family == Family::mixture)
    fill(target_, [&] { return 4 * next() - 2; });
  else
    fill(target_, [&] { return next() < 0.5 ? 0.0 : 1.0; });
  step_.bind("x", x_).bind(target_name_, target_).bind("rate", workload.rate());
}

SafeTensors Training::state() const {
  SafeTensors file;
  for (const StateBinding& state : program().states)
    if (state.trainable) file.tensors.emplace_back(state.name, session_.read(state.name));
  file.tensors.emplace_back("x", x_.clone());
  file.tensors.emplace_back(target_name_, target_.clone());
  return file;
}

}  // namespace bench
