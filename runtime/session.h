#pragma once
// A Program with values: its parameters and states, an arena, the outputs and a team of threads. A run checks
// its inputs once at the door and calls one native function; it allocates nothing, and if it throws it has
// changed nothing.
//
//   Session session(program, {.threads = 2});
//   session.init(1);
//   double loss = session.run("train", {{"x", images}, {"label", labels}, {"rate", 0.1}})["loss"].number();
//
// Many Sessions may share one Program on many threads; one Session is used by one thread at a time.
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/program.h"
#include "runtime/step.h"
#include "runtime/tensor.h"

namespace tenon {

struct SessionOptions {
  int threads = 1;       // 1 starts no thread; 0: as many as there are CPUs. Never more than the Program can use
  bool guarded = false;  // a page that faults after the arena and every state and output: for finding wild writes
};

class Session {
 public:
  // A Program given as an lvalue is not copied and must outlive the Session and its Steps.
  explicit Session(const Program& program, const SessionOptions& options = {});
  explicit Session(Program&& program, const SessionOptions& options = {});
  explicit Session(std::shared_ptr<const Program> program, const SessionOptions& options = {});

  const Program& program() const;
  int threads() const;
  bool initialised() const;  // all states have values

  // All states zero, "seed" = seed and "step" = 0 where there are such states, then the entry "init" if there
  // is one.
  void init(int64_t seed);

  Step prepare(std::string_view entry);
  // The slow form: looks names up, allocates the views. Error also for an input given twice.
  Outputs run(std::string_view entry, std::span<const Input> inputs);
  Outputs run(std::string_view entry, std::initializer_list<Input> inputs = {}) {
    return run(entry, std::span<const Input>(inputs.begin(), inputs.size()));
  }

  // A parameter or state by name, copied. Error naming the states there are.
  Tensor read(std::string_view state) const;
  // Error if the types differ.
  void write(std::string_view state, const Tensor& value);
  // All states at once, in the Program's order, after all were checked.
  void write_all(std::span<const Tensor> values);

 private:
  std::shared_ptr<SessionMemory> memory_;
  std::vector<std::unique_ptr<Step>> steps_;  // of run(), by entry, made when first used
};

}  // namespace tenon
