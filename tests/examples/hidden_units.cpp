// One network on digits with each kind of hidden unit: test accuracy, time of a training step, and the share
// of dead units, which no example of a test batch moves.
#include <chrono>

#include "example.h"

using namespace tenon;

namespace {

struct Unit {
  const char* name;
  Initializer weight;
  std::function<Value(Graph&, Value)> apply;
  int64_t width = 64;  // of the unit's input
};

double train(const Digits& data, const Unit& unit, int epochs) {
  Graph g;
  const Extent n = g.size("n", 100);
  const Value x = g.input("x", f32, {n, data.inputs}), label = g.input("label", u8, {n});
  const Value z = dense(g, x, unit.width, {.weight = unit.weight}), h = unit.apply(g, z);
  const Value scores = dense(g, h, 10, {.weight = glorot()}), loss = nll(scores, label);
  const Value still = equal(reduce_max(abs(gradients(sum(h), {z})[0]), {0}), 0);
  g.entry("train", {{"loss", loss}}, minimize(loss, adam(0.003)));
  g.entry("test", {{"accuracy", accuracy(scores, label)}, {"dead", mean(cast(still, f32))}});
  Session session(compile(g));
  session.init(1);
  Batches batches({data.train, data.train_labels}, 100), test({data.test, data.test_labels}, 100);
  const auto start = std::chrono::steady_clock::now();
  for (int epoch = 0; epoch < epochs; ++epoch) run_epoch(session, "train", batches, {"x", "label"});
  const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
  auto result = run_epoch(session, "test", test, {"x", "label"});
  fmt::print("{:<14}{:>10.3f}{:>12.0f}{:>7.0f}%\n", unit.name, result["accuracy"],
             time.count() / static_cast<double>(epochs * batches.batches()), 100 * result["dead"]);
  return result["accuracy"];
}

bool claim(const Arguments& arguments) {
  const Digits data = digits(arguments);
  const std::vector<Unit> units = {
      {"identity", glorot(), [](Graph&, Value z) { return identity(z); }},
      {"relu", he(), [](Graph&, Value z) { return relu(z); }},
      {"abs", he(), [](Graph&, Value z) { return abs(z); }},
      {"leaky_relu", he(), [](Graph&, Value z) { return leaky_relu(z); }},
      {"prelu", he(), [](Graph& g, Value z) { return prelu(g, z); }},
      {"maxout of 2", he(), [](Graph&, Value z) { return maxout(z, 2); }, 128},
      {"sigmoid", glorot(), [](Graph&, Value z) { return sigmoid(z); }},
      {"tanh", glorot(), [](Graph&, Value z) { return tanh(z); }},
      {"hard_tanh", glorot(), [](Graph&, Value z) { return hard_tanh(z); }},
      {"softplus", he(), [](Graph&, Value z) { return softplus(z); }},
      {"elu", he(), [](Graph&, Value z) { return elu(z); }},
      {"selu", lecun(), [](Graph&, Value z) { return selu(z); }},
      {"gelu", he(), [](Graph&, Value z) { return gelu(z); }},
      {"silu", he(), [](Graph&, Value z) { return silu(z); }},
      {"cos", glorot(), [](Graph&, Value z) { return cos(z); }},
      {"radial_basis", glorot(), [](Graph& g, Value z) { return radial_basis(g, z, 64, normal(0.5), 1.4); }, 8}};
  fmt::print("{:<14}{:>10}{:>12}{:>8}\n", "unit", "accuracy", "us / step", "dead");
  std::vector<double> accuracies;
  for (const Unit& unit : units) accuracies.push_back(train(data, unit, arguments.brief ? 5 : 15));
  return *std::min_element(accuracies.begin(), accuracies.end()) > 0.6 &&  // all learn, and bends help
         *std::max_element(accuracies.begin(), accuracies.end()) > accuracies[0];
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, claim); }
