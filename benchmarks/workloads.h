#pragma once
// The training steps that are measured: what they compute stands here once, for every benchmark and for its
// peers.
#include <tenon/tenon.h>

#include <string>
#include <vector>

namespace bench {

enum class Family : uint8_t {
  mlp,      // relu layers; softmax cross-entropy, or sigmoid cross-entropy with one output
  maxout,   // each unit the largest of 5 linear pieces; softmax cross-entropy
  mixture,  // tanh layers; the output is 5 logits, means and log-sigmas of Gaussians; negative log-likelihood
};

struct Workload {
  std::string name;
  Family family;
  std::vector<int64_t> widths;  // of the layers, the input's first
  int64_t batch;
  bool adam;                   // or SGD
  bool runtime_batch = false;  // the batch is the run-time size n <= 512, not a constant

  // Such that the loss falls and two correct programs do not drift apart: at 0.01 Adam's steps amplify every
  // rounding.
  double rate() const { return adam ? 0.001 : 0.01; }
  // What the algorithm multiplies and adds in the contractions of one step: forward, input gradients but the
  // first, weight gradients.
  double flops() const;
  // inputs: x [n, first width]; target [n, 1] or label i32[n]; rate []. Entry "train" with the output "loss".
  tenon::Graph graph(tenon::DType dtype = tenon::f32) const;
  std::string json() const;  // for the peers: {"family":"mlp","widths":[2,8,1],"batch":4,"adam":false}
};

// Every row of the table, each followed by its twin with a run-time batch, whose name ends in "-n".
const std::vector<Workload>& workloads();

// A workload that trains: compiled, its parameters initialised, synthetic data bound.
class Training {
 public:
  Training(const Workload& workload, int threads, tenon::DType dtype = tenon::f32);
  void step() { step_.run(); }
  double loss() const { return step_.output("loss").number(); }
  const tenon::Program& program() const { return session_.program(); }
  // The parameters as they are now and the inputs ("x", and "target" or "label"): what a peer needs to do the
  // same.
  tenon::SafeTensors state() const;

 private:
  tenon::Session session_;
  tenon::Tensor x_, target_;
  std::string target_name_;
  tenon::Step step_;
};

}  // namespace bench
