#pragma once
// IDX, the format of MNIST: two zero bytes, a type, a rank, big-endian extents, big-endian elements.
// Source: http://yann.lecun.com/exdb/mnist, "the IDX file format".
#include <filesystem>

#include "runtime/tensor.h"

namespace tenon {

// Plain or gzip. u8, i32, f32 and f64 keep their type; signed bytes and 16-bit integers become i32. Error,
// with the offset, for a file that is no IDX, is truncated, has trailing bytes, or whose extents overflow.
Tensor read_idx(const std::filesystem::path& path);

// Not compressed. Error for i64 and bool, which IDX does not have, and for an extent above 2^32 - 1.
void write_idx(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace tenon
