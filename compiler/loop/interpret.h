#pragma once
// Runs a function of the loop language as the machine would, bit for bit, and checks every access: that it is
// inside of its buffer and as aligned as the node promises.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compiler/loop/loop.h"

namespace tenon::loop {

// What a function is called with, by one thread.
struct Call {
  std::vector<std::span<std::byte>> arguments = {};  // the bytes of the argument buffers, by slot
  std::vector<int64_t> numbers = {};
  Sizes sizes = 1;
  int64_t thread = 0, threads = 1;
  int64_t* fault = nullptr;  // check, element, value
};

// For a function that verify() accepts. Error if an argument is too short for its buffer, an access lies
// outside of a buffer or is not aligned as its node says, a node has no result (a division by 0, a shift by
// the width) or a loop does not advance. An argument is aligned only as its elements are; stack and scratch
// are aligned to 64 bytes and begin with all bits set.
void interpret(const Function& function, const Call& call);

}  // namespace tenon::loop
