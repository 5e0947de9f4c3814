#pragma once
// Buffers of functions of the loop language, and the bytes they are called with.
#include <span>
#include <vector>

#include "compiler/loop/build.h"

namespace tenon::test {

template <typename T>
std::span<std::byte> bytes(std::vector<T>& of) {
  return std::as_writable_bytes(std::span(of));
}

inline loop::Buffer argument(int64_t slot, DType dtype, Extent count) {
  return {.place = loop::Buffer::Place::argument, .dtype = dtype, .count = count, .slot = slot};
}
inline loop::Buffer scratch(int64_t offset, DType dtype, Extent count) {
  return {.place = loop::Buffer::Place::scratch, .dtype = dtype, .count = count, .slot = offset};
}
inline loop::Buffer stack(DType dtype, Extent count) {
  return {.place = loop::Buffer::Place::stack, .dtype = dtype, .count = count};
}

inline loop::Value at(loop::Builder& b, int64_t buffer, int64_t offset) { return b.at(b.base(buffer), b.integer(offset)); }

}  // namespace tenon::test
