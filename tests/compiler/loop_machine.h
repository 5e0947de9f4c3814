#pragma once
// A function of the loop language on this machine: run alone, and beside the interpreter, whose bits it must give.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "compiler/loop/build.h"
#include "compiler/loop/compute.h"
#include "compiler/loop/interpret.h"
#include "compiler/pass.h"

namespace tenon::loop {

using Bytes = std::vector<std::byte>;

// The ISAs of this machine.
inline std::vector<Target> machines() {
  std::vector<Target> result;
  for (Isa isa : {Isa::sse2, Isa::avx2, Isa::avx512})
    if (Target::host().isa >= isa) result.push_back(Target::host(isa));
  return result;
}

// The function as the only kernel of an entry.
struct Alone {
  KernelList list;
  Calls calls;
  MachineCode code;
};
inline Alone machine_code(const Function& function, const Target& target, size_t arguments, NativeOptions options = {}) {
  Alone made;
  KernelList& list = made.list;
  list.entry = "f";
  list.kernels.resize(1);
  KernelCall call{0, nullptr, function.name, {}, {}};
  for (size_t i = 0; i < arguments; ++i) {
    call.arguments.push_back(std::ssize(list.buffers));
    list.buffers.push_back({.name = "b", .type = {}, .storage = Storage::input, .slot = std::ssize(list.buffers)});
  }
  made.calls.made.push_back({nullptr, function.name, 0});
  made.calls.calls = {{call}};
  made.calls.entry_names = {"f.entry"};
  made.code = emit({list}, made.calls, {function}, target, options);
  return made;
}

// Calls the function on this machine, with these bytes as its arguments.
inline void run_machine(const Function& function, const Target& target, std::vector<Bytes>& arguments, int64_t n) {
  const Alone made = machine_code(function, target, arguments.size());
  const NativeCode code = link(made.code, made.calls, target);
  std::vector<std::byte*> inputs;
  for (Bytes& bytes : arguments) inputs.push_back(bytes.data());
  const Frame frame{.inputs = inputs.data(),
                    .states = nullptr,
                    .outputs = nullptr,
                    .constants = nullptr,
                    .arena = nullptr,
                    .scratch = nullptr,
                    .thread = 0,
                    .threads = 1,
                    .barrier = nullptr,
                    .team = nullptr,
                    .fault = nullptr,
                    .sizes = {n}};
  code.entries[0].function(&frame);
}

inline uint64_t raw_bits_at(const Bytes& bytes, size_t i, DType dtype) {
  uint64_t bits = 0;
  std::memcpy(&bits, bytes.data() + i * static_cast<size_t>(byte_size(dtype)), static_cast<size_t>(byte_size(dtype)));
  return bits;
}
// Of the element: its bits, a NaN's all alike.
inline uint64_t bits_at(const Bytes& bytes, size_t i, DType dtype) {
  const uint64_t bits = raw_bits_at(bytes, i, dtype);
  const bool nan = is_float(dtype) && std::isnan(as_double(bits, dtype));
  return nan ? from_double(std::numeric_limits<double>::quiet_NaN(), dtype) : bits;
}
inline void put_bits(Bytes& bytes, size_t i, DType dtype, uint64_t bits) {
  std::memcpy(bytes.data() + i * static_cast<size_t>(byte_size(dtype)), &bits, static_cast<size_t>(byte_size(dtype)));
}

// Casts of f16 are for machines with F16C.
inline bool runs_on(const Function& function, const Target& target) {
  const auto casts_f16 = [&](const Node& node) {
    return node.code == Code::cast &&
           (node.type.dtype == f16 || function.nodes[static_cast<size_t>(node.operands[0])].type.dtype == f16);
  };
  return target.isa != Isa::sse2 || std::ranges::none_of(function.nodes, casts_f16);
}

// Runs the function by both and compares all of its buffers.
inline void agree(const Function& function, std::vector<Bytes> arguments, int64_t n = 1) {
  CAPTURE(str(function));
  std::vector<Bytes> expected = arguments;
  Call call{.sizes = n};
  for (Bytes& bytes : expected) call.arguments.push_back(bytes);
  interpret(function, call);
  for (const Target& target : machines()) {
    if (!runs_on(function, target)) continue;
    std::vector<Bytes> found = arguments;
    run_machine(function, target, found, n);
    for (size_t b = 0; b < found.size(); ++b) {
      const DType dtype = function.buffers[b].dtype;
      for (size_t i = 0; i < found[b].size() / static_cast<size_t>(byte_size(dtype)); ++i) {
        const uint64_t machine = bits_at(found[b], i, dtype), interpreter = bits_at(expected[b], i, dtype);
        if (machine != interpreter)
          FAIL_CHECK(target.str() << ": buffer " << b << " element " << i
                                  << fmt::format(": {:#x}, not {:#x}", machine, interpreter));
      }
    }
  }
}

}  // namespace tenon::loop
