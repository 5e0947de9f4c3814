#include "runtime/session.h"

#include <algorithm>
#include <cstring>

#include "runtime/memory.h"

namespace tenon {

namespace {

// The buffers of a kind, laid out in one block, or each in its own if guarded.
std::vector<std::byte*> allocate(std::vector<Arena>& blocks, const std::vector<int64_t>& bytes, bool guarded) {
  std::vector<std::byte*> result;
  if (guarded) {
    for (int64_t size : bytes) result.push_back(blocks.emplace_back(size, true).data());
    return result;
  }
  int64_t total = 0;
  for (int64_t size : bytes)
    if (__builtin_add_overflow(total, aligned(size), &total)) throw Error("session: the buffers overflow 63 bits");
  std::byte* at = blocks.emplace_back(total).data();
  for (int64_t size : bytes) {
    result.push_back(at);
    at += aligned(size);
  }
  return result;
}

std::vector<int64_t> bytes_of(const auto& bindings, const Sizes& sizes) {
  std::vector<int64_t> bytes;
  for (const Binding& binding : bindings) bytes.push_back(binding.type.bytes(sizes));
  return bytes;
}

const std::shared_ptr<const Program>& required(const std::shared_ptr<const Program>& program) {
  if (!program) throw Error("session: there is no program");
  return program;
}

}  // namespace

Session::Session(const Program& program, const SessionOptions& options)
    : Session(std::shared_ptr<const Program>(std::shared_ptr<const void>(), &program), options) {}

Session::Session(Program&& program, const SessionOptions& options)
    : Session(std::make_shared<const Program>(std::move(program)), options) {}

Session::Session(std::shared_ptr<const Program> program, const SessionOptions& options)
    : memory_(std::make_shared<SessionMemory>()), steps_(required(program)->entries.size()) {
  const Program& p = *program;
  SessionMemory& memory = *memory_;
  memory.program = std::move(program);
  for (const auto& [size, maximum] : p.sizes) check(maximum >= 1, "the maximum of a run-time size is at least 1");
  if (options.threads < 0) throw Error(fmt::format("session: {} threads, valid is 0 or more", options.threads));
  int64_t useful = 1, arena = 0, scratch = 0;
  for (const ProgramEntry& entry : p.entries) {
    check(entry.function != nullptr, "every entry of a program has code");
    useful = std::max(useful, entry.threads);
    arena = std::max(arena, entry.arena_bytes);
    scratch = std::max(scratch, entry.scratch_bytes);
  }
  memory.threads = static_cast<int>(std::min<int64_t>(useful, options.threads == 0 ? allowed_cpus() : options.threads));
  if (memory.threads > 1) memory.team.emplace(memory.threads);

  memory.arena = Arena(arena, options.guarded);
  memory.states = allocate(memory.blocks, bytes_of(p.states, p.sizes), options.guarded);
  for (const ProgramEntry& entry : p.entries)
    memory.outputs.push_back(allocate(memory.blocks, bytes_of(entry.outputs, p.sizes), options.guarded));
  const std::vector<int64_t> scratches(static_cast<size_t>(memory.threads), scratch);
  memory.scratch = allocate(memory.blocks, scratches, options.guarded);
  for (const ProgramEntry& entry : p.entries) {
    auto& constants = memory.constants.emplace_back();
    for (int constant : entry.constants) constants.push_back(p.constants[static_cast<size_t>(constant)].data());
  }
  memory.set.assign(p.states.size(), false);
  memory.unset = static_cast<int64_t>(p.states.size());
}

const Program& Session::program() const { return *memory_->program; }
int Session::threads() const { return memory_->threads; }
bool Session::initialised() const { return memory_->unset == 0; }

void Session::init(int64_t seed) {
  const Program& p = program();
  for (size_t i = 0; i < p.states.size(); ++i)
    std::memset(memory_->states[i], 0, static_cast<size_t>(p.states[i].type.bytes(p.sizes)));
  memory_->set.assign(p.states.size(), true);
  memory_->unset = 0;
  if (find(p.states, "seed") >= 0) write("seed", Tensor::scalar(seed));
  if (std::any_of(p.entries.begin(), p.entries.end(), [](const auto& e) { return e.name == "init"; })) run("init");
}

Step Session::prepare(std::string_view entry) { return Step(memory_, program().entry(entry)); }

Outputs Session::run(std::string_view entry, std::span<const Input> inputs) {
  const ProgramEntry& found = program().entry(entry);
  auto& step = steps_[static_cast<size_t>(&found - program().entries.data())];
  if (!step) step.reset(new Step(memory_, found));
  step->unbind();
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (size_t j = 0; j < i; ++j)
      if (inputs[i].name == inputs[j].name) {
        const int64_t declared = find(found.inputs, inputs[i].name);
        fail(declared >= 0 ? found.inputs[static_cast<size_t>(declared)].line : Line(), "{}: input {} is given twice", entry,
             inputs[i].name);
      }
    std::visit([&](const auto& value) { step->bind(inputs[i].name, value); }, inputs[i].value);
  }
  step->run();
  return step->outputs();
}

namespace {
size_t state_index(const Program& program, std::string_view name) {
  const int64_t i = find(program.states, name);
  if (i < 0) throw Error(fmt::format("session: no state is called {}; states: {}", name, list(program.states)));
  return static_cast<size_t>(i);
}

Extents extents_at(const Type& type, const Sizes& sizes) {
  Extents extents;
  for (Extent extent : type.shape) extents.push_back(extent.at(sizes));
  return extents;
}

void check_state(const StateBinding& state, const Sizes& sizes, const Tensor& value) {
  if (value.dtype() != state.type.dtype || value.extents() != extents_at(state.type, sizes))
    fail(state.line, "session: state {} is {}, given {}", state.name, state.type.str(), value.str());
}
}  // namespace

Tensor Session::read(std::string_view state) const {
  const size_t i = state_index(program(), state);
  const Type& type = program().states[i].type;
  return Tensor::view(type.dtype, extents_at(type, program().sizes), memory_->states[i], nullptr).clone();
}

void Session::write(std::string_view state, const Tensor& value) {
  const size_t i = state_index(program(), state);
  check_state(program().states[i], program().sizes, value);
  if (!value.empty()) std::memcpy(memory_->states[i], value.data(), static_cast<size_t>(value.byte_count()));
  if (!memory_->set[i]) --memory_->unset;
  memory_->set[i] = true;
}

void Session::write_all(std::span<const Tensor> values) {
  const Program& p = program();
  check(values.size() == p.states.size(), "one value per state");
  for (size_t i = 0; i < values.size(); ++i) check_state(p.states[i], p.sizes, values[i]);
  for (size_t i = 0; i < values.size(); ++i) write(p.states[i].name, values[i]);
}

}  // namespace tenon
