#pragma once
// NPY, the array file of NumPy. Source: numpy.lib.format, versions 1.0 to 3.0.
#include <filesystem>

#include "runtime/tensor.h"

namespace tenon {

// C order, little-endian f8, f4, f2, i8, i4, u1 and b1. Error, with the offset, for another type or order, a
// header that says anything else, a truncated file or trailing bytes.
Tensor read_npy(const std::filesystem::path& path);

void write_npy(const std::filesystem::path& path, const Tensor& tensor);  // version 1.0; Error for bf16, which NPY has not

}  // namespace tenon
