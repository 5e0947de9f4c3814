#pragma once
// What a node of the loop language that works element by element gives for one element, bit for bit as the machine does.
#include <optional>
#include <span>

#include "compiler/loop/loop.h"

namespace tenon::loop {

// For operands (of that type, but for the condition of a select) as bits; bits above a type's width are 0. None where the
// language gives no meaning: a division by 0 or with too large a result, a shift by the width or more.
std::optional<uint64_t> compute(const Node& node, DType operand, std::span<const uint64_t> operands);

int width(DType dtype);  // in bits; 1 of a bool
inline uint64_t low_bits(uint64_t bits, DType dtype) {
  return width(dtype) == 64 ? bits : bits & ((uint64_t{1} << width(dtype)) - 1);
}
int64_t as_integer(uint64_t bits, DType dtype);   // i32 and i64 sign extended
double as_double(uint64_t bits, DType dtype);     // of a float type
uint64_t from_double(double value, DType dtype);  // rounded to a float type

}  // namespace tenon::loop
