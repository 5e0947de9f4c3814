// Random programs, compiled and evaluated: every output and every updated parameter agrees within the evaluator's bound.
// TENON_RANDOM_SEED and TENON_RANDOM_COUNT choose others than the fast run's 150.
#include "../random_graph.h"
#include "native.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <regex>

using namespace tenon;
using namespace tenon::testing;

namespace {

int64_t environment(const char* name, int64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::atoll(value) : otherwise;
}

// A tensor of concrete type with values that are exact in it, flush to a page that faults: behind it or before it.
Tensor random_tensor(Dice& dice, const Type& type, const Sizes& sizes, bool at_end) {
  Extents extents;
  for (Extent extent : type.shape) extents.push_back(extent.at(sizes));
  auto pages = std::make_shared<native::Guarded>(type.bytes(sizes), at_end);
  Tensor tensor = Tensor::view(type.dtype, extents, pages->data, pages);
  auto fill = [&](auto zero, auto value) {
    for (auto& element : tensor.write<decltype(zero)>()) element = static_cast<decltype(zero)>(value());
  };
  auto real = [&] { return dice.real(-2, 2); };
  auto integer = [&] { return dice.below(256); };
  if (type.dtype == f32)
    fill(float{}, real);
  else if (type.dtype == f64)
    fill(double{}, real);
  else if (type.dtype == i64)
    fill(int64_t{}, integer);
  else if (type.dtype == i32)
    fill(int32_t{}, integer);
  else if (type.dtype == boolean)
    fill(bool{}, [&] { return dice.coin(); });
  else
    fill(uint8_t{}, integer);
  return tensor;
}

ReferenceArray reference(const Tensor& tensor) {
  Type type{tensor.dtype(), {}};
  for (int64_t extent : tensor.extents()) type.shape.push_back(extent);
  return ReferenceArray::of(type, std::span(tensor.data(), static_cast<size_t>(tensor.byte_count())));
}

std::span<const std::byte> bytes(const Tensor& tensor) { return {tensor.data(), static_cast<size_t>(tensor.byte_count())}; }

// One program, an input of it and what it gave: at several thread counts the bits are those of one thread.
using Results = std::vector<Tensor>;

Results results(Session& session, const ProgramEntry& entry, const std::vector<Input>& inputs) {
  Results all;
  Outputs outputs = session.run(entry.name, inputs);
  for (const Binding& output : entry.outputs) all.push_back(outputs[output.name].clone());
  for (const StateBinding& state : session.program().states) all.push_back(session.read(state.name));
  return all;
}

// Elements of the outputs, and those of them that the evaluator does not decide.
struct Count {
  int64_t elements = 0, undecided = 0;
};

void check_seed(int64_t seed, Count& count) {
  RandomGraph random = random_graph(static_cast<uint64_t>(seed));
  Body& body = random.graph.body();
  int64_t isa = environment("TENON_RANDOM_ISA", -1);  // 0: sse2, 1: avx2, 2: avx512; else by the seed
  int64_t level = isa >= 0 ? isa : seed % 10 == 3 ? 0 : seed % 10 == 7 ? 1 : 2;
  Target target = Target::host(static_cast<Isa>(level));
  target.threads = 3, target.grain = 100;  // three on any machine, and work for them in small kernels
  Program program = compile(random.graph, {.target = target, .listings = false});
  std::vector<std::unique_ptr<Session>> sessions;
  for (int threads = 1; threads <= 3; ++threads) {
    sessions.push_back(std::make_unique<Session>(program, SessionOptions{.threads = threads, .guarded = true}));
    sessions.back()->init(seed);
  }
  Session& session = *sessions.front();
  Dice dice{static_cast<uint64_t>(seed) * 977};
  for (const ProgramEntry& entry : program.entries) {
    if (entry.name == "init") continue;
    CAPTURE(entry.name);
    Bindings bindings;
    std::vector<Input> inputs;
    for (const Binding& binding : entry.inputs) {
      Tensor tensor = random_tensor(dice, binding.type, random.sizes, seed % 2 == 0);
      bindings.emplace(binding.name, reference(tensor));
      inputs.emplace_back(binding.name, tensor);
    }
    for (const auto& [size, value] : random.sizes) inputs.emplace_back(size, value);
    for (const StateBinding& state : program.states) bindings.emplace(state.name, reference(session.read(state.name)));
    EntryResult expected = evaluate_entry(body, entry.name, bindings, random.sizes);
    Results actual = results(session, entry, inputs);
    for (size_t i = 0; i < actual.size(); ++i) {
      bool output = i < entry.outputs.size();
      const std::string& name = output ? entry.outputs[i].name : program.states[i - entry.outputs.size()].name;
      Comparison comparison = compare(output ? expected.outputs.at(name) : expected.states.at(name), bytes(actual[i]), 4);
      if (output) count.elements += comparison.elements, count.undecided += comparison.undecided;
      CHECK_MESSAGE(comparison.agree(), name << ": " << comparison.str());
    }
    for (size_t team = 1; team < sessions.size(); ++team) {
      Results again = results(*sessions[team], entry, inputs);
      for (size_t i = 0; i < actual.size(); ++i)
        CHECK_MESSAGE(again[i].same_bits(actual[i]), "result " << i << " by " << team + 1 << " threads");
    }
  }
}

}  // namespace

TEST_CASE("random graphs: compiled agrees with evaluated, in the same bits by any number of threads") {
  int64_t first = environment("TENON_RANDOM_SEED", 1), seeds = environment("TENON_RANDOM_COUNT", 150);
  MESSAGE("seeds " << first << " to " << first + seeds - 1);
  Count count;
  for (int64_t seed = first; seed < first + seeds; ++seed) {
    CAPTURE(seed);
    CHECK_NOTHROW(check_seed(seed, count));
  }
  CHECK(count.elements > 1000 * seeds / 300);
  CHECK(count.undecided < count.elements / 4);  // an oracle that decides nothing would pass everything
}

namespace {

// All outputs and states after one run of each entry, by name; equal inputs for equal seeds.
std::map<std::string, Tensor> run_all(const Program& program, int64_t seed, const Sizes& sizes) {
  Session session(program, {.threads = 1 + static_cast<int>(seed % 2)});
  session.init(seed);
  std::map<std::string, Tensor> all;
  for (const ProgramEntry& entry : program.entries) {
    if (entry.name == "init") continue;
    std::vector<Input> inputs;
    for (const Binding& binding : entry.inputs) {
      Dice dice{static_cast<uint64_t>(seed * 977 + binding.name.back())};
      inputs.emplace_back(binding.name, random_tensor(dice, binding.type, sizes, true));
    }
    for (const auto& [size, maximum] : program.sizes) inputs.emplace_back(size, sizes.at(size));
    Results found = results(session, entry, inputs);
    for (size_t i = 0; i < entry.outputs.size(); ++i) all[entry.name + " " + entry.outputs[i].name] = found[i];
    for (size_t i = 0; i < program.states.size(); ++i)
      all[entry.name + " " + program.states[i].name] = found[entry.outputs.size() + i];
  }
  return all;
}

// The program in which the run-time sizes are those numbers.
Graph with_sizes(const Graph& graph, const Sizes& sizes) {
  std::string text = print(graph), result;
  text = std::regex_replace(text, std::regex("\nsize [nt] <= [^\n]*"), "");
  std::regex sized("([\\[,])([0-9]*)([nt](\\*[nt])*)(?=[\\],])");
  auto from = text.cbegin();
  for (std::smatch match; std::regex_search(from, text.cend(), match, sized); from = match[0].second) {
    int64_t number = match[2].length() ? std::stoll(match[2]) : 1;
    for (char c : match[3].str())
      if (c != '*') number *= sizes.at(std::string_view(&c, 1));
    result.append(from, match[0].first).append(match[1]).append(std::to_string(number));
  }
  return parse(result.append(from, text.cend()));
}

}  // namespace

TEST_CASE("random graphs: the same bits without the exact passes, and with constants for the run-time sizes") {
  int64_t first = environment("TENON_RANDOM_SEED", 1), seeds = environment("TENON_RANDOM_COUNT", 150) / 10;
  for (int64_t seed = first; seed < first + seeds; ++seed) {
    CAPTURE(seed);
    RandomGraph random = random_graph(static_cast<uint64_t>(seed));
    auto expected = run_all(compile(random.graph, {.listings = false}), seed, random.sizes);
    auto check_same = [&](const Program& program) {
      auto actual = run_all(program, seed, random.sizes);
      REQUIRE(actual.size() == expected.size());
      for (const auto& [name, tensor] : expected) CHECK_MESSAGE(actual.at(name).same_bits(tensor), name);
    };
    Program fixed = compile(with_sizes(random.graph, random.sizes), {.listings = false});
    CHECK(fixed.sizes.empty());
    check_same(fixed);
    setenv("TENON_SKIP", "simplify,fold", 1);  // the environment is the only door to this
    Program skipped = compile(random.graph, {.listings = false});
    unsetenv("TENON_SKIP");
    check_same(skipped);
  }
}
