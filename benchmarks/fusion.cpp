// What fusion buys. Each pattern is a chain of stages: compiled as one entry, and beside it each stage as a
// program of its own whose results are the next one's inputs, so that every value between them goes through
// memory. And the functions that fused loops are made of, in elements per cycle on vectors that lie in L2,
// with the clock measured beside them.
//   fusion [--threads N] [--workload NAME] [--json] [--quick]
#include <tenon/tenon.h>

#include <functional>
#include <map>
#include <memory>

#include "bench.h"
#include "peak.h"

using namespace bench;
using namespace tenon;

namespace {

using Values = std::map<std::string, Value>;

struct Stage {
  std::vector<std::string> reads;
  // Gives the values it makes by name; what it changes goes into the updates.
  std::function<Values(Graph&, Values&, std::vector<Update>&)> make;
};

struct Pattern {
  std::string name;
  std::map<std::string, Type> inputs;
  std::vector<Stage> stages;
};

// One program: its inputs bound, ready to run.
struct Run {
  Session session;
  Step step;
  Run(Program program, int threads, const std::map<std::string, Tensor>& data)
      : session(std::move(program), {.threads = threads}), step(session.prepare("run")) {
    session.init(1);
    for (const Binding& input : session.program().entry("run").inputs) step.bind(input.name, data.at(input.name));
  }
  // Bytes that its entry reads and writes at its ends: inputs, outputs, and states (read and written).
  double bytes() const {
    const ProgramEntry& entry = session.program().entry("run");
    int64_t total = 0;
    for (const Binding& b : entry.inputs) total += b.type.bytes(1);
    for (const Binding& b : entry.outputs) total += b.type.bytes(1);
    for (int state : entry.updated) total += 2 * session.program().states[static_cast<size_t>(state)].type.bytes(1);
    return static_cast<double>(total);
  }
};

// The stages [first, last) as one entry.
std::unique_ptr<Run> build(const Pattern& pattern, size_t first, size_t last, int threads,
                           std::map<std::string, Tensor>& data) {
  Graph graph;
  Values values;
  std::vector<Update> updates;
  Values made;
  for (size_t i = first; i < last; ++i) {
    for (const std::string& name : pattern.stages[i].reads)
      if (!values.contains(name)) {
        const Tensor& tensor = data.at(name);
        values[name] = graph.input(name, tensor.dtype(), Shape(tensor.extents().begin(), tensor.extents().end()));
      }
    made = pattern.stages[i].make(graph, values, updates);
    for (const auto& [name, value] : made) values[name] = value;
  }
  std::vector<std::pair<std::string, Value>> outputs(made.begin(), made.end());
  graph.entry("run", outputs, updates);
  auto run = std::make_unique<Run>(compile(graph, {.listings = false}), threads, data);
  run->step.run();
  for (const auto& [name, value] : outputs) data[name] = run->step.output(name);
  return run;
}

Tensor filled(const Type& type, uint32_t seed) {
  Extents extents;
  for (const Extent& e : type.shape) extents.push_back(e.count);
  Tensor tensor(type.dtype, extents);
  const auto next = [&] { return seed = seed * 1664525 + 1013904223, static_cast<float>(seed >> 8) * 0x1p-24f; };
  if (type.dtype == i32)
    for (int32_t& x : tensor.write<int32_t>()) x = static_cast<int32_t>(next() * 10);
  else
    for (float& x : tensor.write<float>()) x = next() * 2 - 1;
  return tensor;
}

std::vector<Pattern> patterns() {
  // Products as in a layer of 512 units at batch 128, updates also of 2048 units, whose weights no cache
  // holds; rows of 1024 for what is done row by row.
  const Type batch = {f32, {128, 512}}, weights = {f32, {512, 512}}, row = {f32, {512}}, scalar = {f32, {}},
             large = {f32, {128, 2048}}, wide = {f32, {512, 1024}};
  const auto product = [](const char* spec, const char* a, const char* b, const char* y) {
    return Stage{{a, b}, [=](Graph&, Values& v, auto&) { return Values{{y, contract(v[a], v[b], spec)}}; }};
  };
  const Stage gradient = product("ki,kj->ij", "x", "dz", "g");
  // The optimiser, applied to the value "g".
  const auto update = [](auto optimizer) {
    return Stage{{"g", "rate"}, [=](Graph& graph, Values& v, std::vector<Update>& updates) {
                   const Value w = graph.parameter("W", f32, v["g"].shape(), normal(1));
                   const Optimizer rule = optimizer(v["rate"]);
                   updates = rule.step({w, v["g"], v["rate"], {}});
                   return Values{};
                 }};
  };
  // One value from others.
  const auto stage = [](std::vector<std::string> reads, const char* makes, auto formula) {
    return Stage{reads, [=](Graph&, Values& v, auto&) { return Values{{makes, formula(v)}}; }};
  };
  using V = Values&;
  const auto over_rows = [](Value x) { return expand_dims(x, 1); };
  return {
      {"bias and relu on a product",
       {{"x", batch}, {"W", weights}, {"b", row}},
       {product("ik,kj->ij", "x", "W", "z"), stage({"z", "b"}, "h", [](V v) { return relu(v["z"] + v["b"]); })}},
      {"mask on a product",
       {{"dz", batch}, {"W", weights}, {"h", batch}},
       {product("ij,kj->ik", "dz", "W", "dh"), stage({"dh", "h"}, "dx", [](V v) { return select(v["h"] > 0, v["dh"], 0); })}},
      {"SGD on a product", {{"x", batch}, {"dz", batch}, {"rate", scalar}}, {gradient, update([](Value rate) {
                                                                               return sgd(rate);
                                                                             })}},
      {"Adam on a product", {{"x", batch}, {"dz", batch}, {"rate", scalar}}, {gradient, update([](Value rate) {
                                                                                return adam(rate);
                                                                              })}},
      {"SGD on a product, 2048 units", {{"x", large}, {"dz", large}, {"rate", scalar}}, {gradient, update([](Value rate) {
                                                                                           return sgd(rate);
                                                                                         })}},
      {"Adam on a product, 2048 units", {{"x", large}, {"dz", large}, {"rate", scalar}}, {gradient, update([](Value rate) {
                                                                                            return adam(rate);
                                                                                          })}},
      {"softmax cross-entropy, gradient",
       {{"z", wide}, {"label", {i32, {512}}}},
       {stage({"z"}, "log_p", [](V v) { return log_softmax(v["z"]); }),
        stage({"log_p"}, "p", [](V v) { return exp(v["log_p"]); }),
        stage({"p", "label"}, "dz", [](V v) { return (v["p"] - one_hot(v["label"], 1024)) / 512; })}},
      {"log-sum-exp",
       {{"z", wide}},
       {stage({"z"}, "m", [](V v) { return reduce_max(v["z"], {1}); }),
        stage({"z", "m"}, "e", [=](V v) { return exp(v["z"] - over_rows(v["m"])); }),
        stage({"e", "m"}, "y", [](V v) { return v["m"] + log(sum(v["e"], {1})); })}},
      {"layer norm",
       {{"x", wide}, {"scale", {f32, {1024}}}, {"shift", {f32, {1024}}}},
       {stage({"x"}, "mu", [](V v) { return mean(v["x"], {1}); }),
        stage({"x", "mu"}, "d", [=](V v) { return v["x"] - over_rows(v["mu"]); }),
        stage({"d"}, "variance", [](V v) { return mean(v["d"] * v["d"], {1}); }),
        stage({"d", "variance", "scale", "shift"}, "y",
              [=](V v) { return v["d"] * over_rows(rsqrt(v["variance"] + 1e-5)) * v["scale"] + v["shift"]; })}},
  };
}

void time_patterns(const Options& options) {
  const Table table(
      {{"workload"}, {"threads"}, {"median_us", 2}, {"min_us", 2}, {"apart_us", 2}, {"gain", 2}, {"bytes"}, {"apart_bytes"}},
      options.json);
  for (const Pattern& pattern : patterns()) {
    if (!options.wants(pattern.name)) continue;
    std::map<std::string, Tensor> data;
    uint32_t seed = 1;
    for (const auto& [name, type] : pattern.inputs) data[name] = filled(type, seed++);
    const auto fused = build(pattern, 0, pattern.stages.size(), options.threads, data);
    std::vector<std::unique_ptr<Run>> apart;
    double apart_bytes = 0;
    for (size_t i = 0; i < pattern.stages.size(); ++i) {
      apart.push_back(build(pattern, i, i + 1, options.threads, data));
      apart_bytes += apart.back()->bytes();
    }
    std::vector<double> ours, minima, others;
    for (int i = 0; i < (options.quick ? 3 : 15); ++i) {
      const Timing t = measure(0.02, [&] { fused->step.run(); });
      ours.push_back(t.median_us);
      minima.push_back(t.min_us);
      others.push_back(measure(0.02, [&] {
                         for (auto& run : apart) run->step.run();
                       }).median_us);
    }
    table.row({pattern.name, double(options.threads), median(ours), minimum(minima), median(others),
               median(others) / median(ours), fused->bytes(), apart_bytes});
  }
}

void time_functions(const Options& options) {
  struct Function {
    const char* name;
    Value (*apply)(Operand);
  };
  const Function functions[] = {{"exp", exp},     {"log", log}, {"tanh", tanh}, {"sigmoid", sigmoid}, {"log1p", log1p},
                                {"expm1", expm1}, {"erf", erf}, {"sin", sin},   {"cos", cos}};
  const Table table({{"workload"}, {"threads"}, {"median_us", 2}, {"min_us", 2}, {"elements_per_cycle", 3}, {"ghz", 2}},
                    options.json);
  constexpr int64_t n = 32768;  // 128 KB in and as much out
  for (const Function& function : functions) {
    if (!options.wants(function.name)) continue;
    Pattern pattern = {function.name, {}, {{{"x"}, [&](Graph&, Values& v, auto&) {
                                              return Values{{"y", function.apply(v["x"])}};
                                            }}}};
    std::map<std::string, Tensor> data;
    Tensor x(f32, {n});
    for (int64_t i = 0; i < n; ++i) x.write<float>()[static_cast<size_t>(i)] = 0.001f + 8.0f * static_cast<float>(i) / n;
    data["x"] = x;
    const auto run = build(pattern, 0, 1, 1, data);
    std::vector<double> us, per_cycle, clocks;
    for (int i = 0; i < (options.quick ? 3 : 15); ++i) {
      clocks.push_back(clock_ghz());
      us.push_back(measure(0.02, [&] { run->step.run(); }).median_us);
      per_cycle.push_back(n / (us.back() * clocks.back() * 1e3));
    }
    table.row({function.name, 1.0, median(us), minimum(us), median(per_cycle), median(clocks)});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options(argc, argv);
  time_patterns(options);
  time_functions(options);
}
