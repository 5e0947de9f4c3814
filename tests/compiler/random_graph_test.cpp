// Random programs, compiled and evaluated: every output and every updated parameter agrees within the evaluator's bound.
// TENON_RANDOM_SEED and TENON_RANDOM_COUNT choose others than the fast run's 300.
#include "../random_graph.h"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace tenon;
using namespace tenon::testing;

namespace {

int64_t environment(const char* name, int64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::atoll(value) : otherwise;
}

// A tensor of concrete type with values that are exact in it.
Tensor random_tensor(Dice& dice, const Type& type, int64_t n) {
  Extents extents;
  for (Extent extent : type.shape) extents.push_back(extent.at(n));
  Tensor tensor(type.dtype, extents);
  if (type.dtype == u8)
    for (uint8_t& value : tensor.write<uint8_t>()) value = static_cast<uint8_t>(dice.below(256));
  else
    for (float& value : tensor.write<float>()) value = static_cast<float>(dice.real(-2, 2));
  return tensor;
}

ReferenceArray reference(const Tensor& tensor) {
  Type type{tensor.dtype(), {}};
  for (int64_t extent : tensor.extents()) type.shape.push_back(extent);
  return ReferenceArray::of(type, std::span(tensor.data(), static_cast<size_t>(tensor.byte_count())));
}

std::span<const std::byte> bytes(const Tensor& tensor) {
  return {tensor.data(), static_cast<size_t>(tensor.byte_count())};
}

}  // namespace

TEST_CASE("random graphs: compiled agrees with evaluated") {
  int64_t first = environment("TENON_RANDOM_SEED", 1), count = environment("TENON_RANDOM_COUNT", 300);
  MESSAGE("seeds " << first << " to " << first + count - 1);
  int64_t elements = 0, undecided = 0;
  for (int64_t seed = first; seed < first + count; ++seed) {
    CAPTURE(seed);
    RandomGraph random = random_graph(static_cast<uint64_t>(seed));
    Body& body = random.graph.body();
    Program program = compile(random.graph, {.listings = false});
    Session session(program, {.threads = 1 + static_cast<int>(seed % 2)});
    session.init(seed);
    Dice dice{static_cast<uint64_t>(seed) * 977};
    for (const ProgramEntry& entry : program.entries) {
      if (entry.name == "init") continue;
      CAPTURE(entry.name);
      Bindings bindings;
      std::vector<Input> inputs;
      for (const Binding& binding : entry.inputs) {
        Tensor tensor = random_tensor(dice, binding.type, random.n);
        bindings.emplace(binding.name, reference(tensor));
        inputs.emplace_back(binding.name, tensor);
      }
      bool sized = !program.size.empty();
      bool bound = false;
      for (const Binding& binding : entry.inputs)
        for (Extent extent : binding.type.shape) bound |= extent.symbolic();
      if (sized && !bound) inputs.emplace_back(program.size, random.n);
      for (const StateBinding& state : program.states) bindings.emplace(state.name, reference(session.read(state.name)));
      EntryResult expected = evaluate_entry(body, entry.name, bindings, random.n);
      Outputs outputs = session.run(entry.name, inputs);
      for (const Binding& output : entry.outputs) {
        Comparison comparison = compare(expected.outputs.at(output.name), bytes(outputs[output.name]), 4);
        elements += comparison.elements, undecided += comparison.undecided;
        CHECK_MESSAGE(comparison.agree(), output.name << ": " << comparison.str());
      }
      for (const StateBinding& state : program.states) {
        Comparison comparison = compare(expected.states.at(state.name), bytes(session.read(state.name)), 4);
        CHECK_MESSAGE(comparison.agree(), state.name << ": " << comparison.str());
      }
    }
  }
  CHECK(elements > 1000 * count / 300);
  CHECK(undecided < elements / 4);  // an oracle that decides nothing would pass everything
}
