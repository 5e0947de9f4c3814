// Random entries with updates of every kind (chains, swaps, transposed reads of the old value, scattered gradients): the
// placed kernels, and the loops they are lowered to, give what the evaluator gives.
#include <doctest/doctest.h>

#include "compiler/kernel/interpret.h"
#include "compiler/kernel/place.h"
#include "compiler/kernel/tile.h"
#include "compiler/kernel/verify.h"
#include "compiler/loop/lower.h"
#include "compiler/loop/run.h"
#include "ir/evaluate.h"
#include "tests/compiler/kernels.h"

using namespace tenon;

namespace {

struct Dice {
  uint64_t state;
  int64_t below(int64_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int64_t>((state >> 33) % static_cast<uint64_t>(n));
  }
  double real() { return static_cast<double>(below(2001)) / 1000 - 1; }
};

class RandomEntry {
 public:
  explicit RandomEntry(uint64_t seed) : dice_{seed * 2654435761u + 1} {
    n_ = graph.size("n", 9);
    const Extent t = graph.size("t", 5);
    sizes = {{"n", 1 + dice_.below(9)}, {"t", 1 + dice_.below(5)}};
    shapes_ = {{},      {4},        {3},      {4, 4}, {n_, 4}, {4, 3}, {n_, 3}, {n_}, {n_, 3, 4}, {Extent(12, "n")},
               {n_, t}, {t, n_, 4}, {n_ * t}, {t, 3}};
    for (int64_t i = 0; i < 4; ++i) values_.push_back(graph.input(name("x", i), f32, shapes_[pick_shape()]));
    values_.push_back(cast(graph.input("pixels", u8, {n_, 4}), f32) * 0.25);
    labels_ = graph.input("labels", u8, {n_});
    for (int64_t i = 0; i < 5; ++i) {
      states_.push_back(graph.state(name("s", i), f32, shapes_[i < 3 ? 3 : static_cast<size_t>(dice_.below(4))], zeros()));
      values_.push_back(states_.back());
    }
    values_.push_back(cast(graph.input("halves", f16, {n_, 4}), f32));
    const Value stored = graph.state("stored", bf16, {4, 4}, zeros());
    values_.push_back(cast(stored, f32));
    for (int64_t steps = 5 + dice_.below(30); steps > 0; --steps) try {
        add();
      } catch (const Error&) {  // shapes that do not fit
      }
    std::vector<std::pair<std::string, Value>> outputs;
    for (int64_t i = 0; i < 3; ++i) outputs.emplace_back(name("y", i), any());
    std::vector<Update> updates;
    for (Value state : states_) {
      Value value = dice_.below(4) ? like(state) : values_[values_.size() - 1];
      if (value.type() == state.type() && dice_.below(5)) updates.push_back({state, value});
    }
    if (dice_.below(2)) updates.push_back({stored, cast(like(cast(stored, f32)), bf16)});
    outputs.emplace_back("half", cast(any(), dice_.below(2) ? f16 : bf16));
    graph.entry("entry", outputs, updates);
  }

  Bindings bindings() {
    Bindings result;
    const Body& body = graph.body();
    for (const Node& node : body.nodes) {
      if (!node.op->leaf || !node.attributes.find("name")) continue;
      Type type = node.type;
      for (Extent& extent : type.shape) extent = extent.at(sizes);
      std::vector<double> numbers;
      for (int64_t i = 0; i < type.elements().count; ++i)
        numbers.push_back(is_float(type.dtype) ? dice_.real() : static_cast<double>(dice_.below(3)));
      result[node.attributes.get<std::string>("name")] = ReferenceArray::of(type, std::span<const double>(numbers));
    }
    return result;
  }

  Graph graph;
  Sizes sizes;

 private:
  static std::string name(const char* stem, int64_t i) { return fmt::format("{}{}", stem, i); }
  size_t pick_shape() { return static_cast<size_t>(dice_.below(static_cast<int64_t>(shapes_.size()))); }
  Value any() { return values_[static_cast<size_t>(dice_.below(static_cast<int64_t>(values_.size())))]; }
  Value like(Value x) {
    for (int tries = 0; tries < 10; ++tries)
      if (Value y = any(); y.type() == x.type()) return y;
    return x;
  }
  void keep(Value x) {
    if (x.type().elements().at(9) <= 400) values_.push_back(x);
  }

  void add() {
    Value x = dice_.below(3) ? values_[values_.size() - 1 - static_cast<size_t>(dice_.below(4))] : any();
    switch (dice_.below(17)) {
      case 0: return keep(tanh(x));
      case 1: return keep(relu(x));
      case 2: return keep(x + like(x));
      case 3: return keep(x * like(x));
      case 4: return keep(x.rank() ? x - broadcast_to(reduce_max(x, {0}), x.shape()) : x * 0.5);
      case 5: return keep(x.rank() ? sum(x, {x.rank() - 1}) * 0.25 : exp(x * 0.5));
      case 6: return keep(x.rank() ? sum(x, {0}) * 0.25 : -x);
      case 7: return keep(sum(x) * 0.1);
      case 8: return keep(transpose(x));
      case 9: return keep(x.shape() == Shape{n_, 4} ? reshape(x, {Extent(4, "n")}) : select(Operand(0) < x, x, 0.5));
      case 10:
        if (x.shape() == Shape{n_, 3, 4}) return keep(reshape(x, {n_, 12}));
        if (x.shape() == Shape{Extent(12, "n")}) return keep(reshape(x, {n_, 3, 4}));
        return keep(broadcast_to(sum(x) * 0.1, shapes_[pick_shape()]));
      case 11:
      case 12: return multiply(x);
      case 15: return keep(cast(transpose(cast(x, dice_.below(2) ? f16 : bf16)), f32));
      case 13: return keep(x.rank() == 2 && !x.shape()[1].symbolic() && x.shape()[0] == n_ ? pick(x, labels_) : tanh(x));
      case 14:
        if (x.rank() == 2 && x.shape()[0] == Extent(4)) return keep(gather(x, cast(labels_, i64) + 1));
        if (x.rank() == 2 && x.shape()[0] == n_) return keep(scatter_add(labels_, x, 4));
        return keep(x * 0.5);
      default:
        if (x.rank() != 2 || x.shape()[1].symbolic()) return keep(abs(x));
        return keep(concat({slice(x, 1, 1, x.shape()[1].count), slice(reverse(x, {1}), 1, 0, 1)}, 1));
    }
  }

  void multiply(Value x) {
    for (int tries = 0; tries < 10 && x.rank() == 2; ++tries) {
      Value y = any();
      if (y.rank() != 2) continue;
      bool a = dice_.below(2), b = dice_.below(2);
      if (x.shape()[a ? 0 : 1] == y.shape()[b ? 1 : 0]) return keep(matmul(x, y, a, b) * 0.25);
    }
  }

  Dice dice_;
  Extent n_;
  std::vector<Shape> shapes_;
  std::vector<Value> values_, states_;
  Value labels_;
};

// The memory of a run, as the bindings say.
KernelMemory memory(const KernelList& list, const Bindings& bindings) {
  KernelMemory result;
  for (const Named& input : list.inputs) result.inputs.push_back(*bindings.at(input.name).literal().bytes);
  for (const Named& state : list.states) result.states.push_back(*bindings.at(state.name).literal().bytes);
  return result;
}

void check_values(const KernelList& list, const KernelMemory& actual, const EntryResult& expected) {
  for (size_t slot = 0; slot < list.outputs.size(); ++slot) {
    const Comparison comparison = compare(expected.outputs.at(list.outputs[slot].name), actual.outputs[slot]);
    CHECK_MESSAGE(comparison.agree(), list.outputs[slot].name << ": " << comparison.str());
  }
  for (size_t slot = 0; slot < list.states.size(); ++slot) {
    const Comparison comparison = compare(expected.states.at(list.states[slot].name), actual.states[slot]);
    CHECK_MESSAGE(comparison.agree(), list.states[slot].name << ": " << comparison.str());
  }
}

// The same at the level of loops, for a machine of any kind: the loops read back from their text, and give the same bits by
// any number of threads.
void check_loops(const KernelList& list, const KernelMemory& start, const EntryResult& expected, const Sizes& sizes,
                 uint64_t seed) {
  Target target = Target::of(isas[seed % 3], isas[seed % 3]);
  target.l1_bytes = (seed / 3 % 2 ? 32 : 48) << 10;
  target.l2_bytes = int64_t{256 << 10} << seed / 6 % 4;
  for (const Kernel& kernel : list.kernels) {
    const loop::Function function = lower(kernel.name, isolate(list, kernel), target);
    const std::string text = str(function);
    CAPTURE(text);
    CHECK(loop::parse(text) == function);
  }
  KernelMemory alone = start, shared = start;
  REQUIRE(run_loops(list, alone, sizes, target).check == -1);
  REQUIRE(run_loops(list, shared, sizes, target, 3).check == -1);
  CHECK(alone.outputs == shared.outputs);
  CHECK(alone.states == shared.states);
  check_values(list, alone, expected);
}

}  // namespace

TEST_CASE(
    "kernels and loops compute what the graph means, in whatever order threads may run them, and read back from their text") {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    CAPTURE(seed);
    RandomEntry random(seed);
    const Body& body = random.graph.body();
    Target target;
    if (seed % 2) target.threads = 2, target.grain = 1;
    KernelList list = group(random.graph, *body.entry("entry"));
    tile(list, target);
    place(list);
    CAPTURE(str(list));
    verify(list);
    const std::vector<KernelList> read = parse_kernels(str(list), "kernels");
    REQUIRE(read.size() == 1);
    CHECK(read[0] == list);
    CHECK(list.arena_bytes >= list.lower_bound);
    const Bindings bindings = random.bindings();
    const EntryResult expected = evaluate_entry(body, "entry", bindings, random.sizes);
    KernelMemory forwards = memory(list, bindings), adverse = forwards;
    REQUIRE(interpret(list, forwards, random.sizes).check == -1);
    REQUIRE(interpret(list, adverse, random.sizes, RunOrder::adverse).check == -1);
    CHECK(adverse.outputs == forwards.outputs);
    CHECK(adverse.states == forwards.states);
    check_loops(list, memory(list, bindings), expected, random.sizes, seed);
    check_values(list, forwards, expected);
  }
}
