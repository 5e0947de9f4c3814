#pragma once
// The safetensors file: the size of a header (u64, little-endian), the header (JSON: name -> dtype, shape,
// range of bytes), the elements, row-major, little-endian. Source:
// https://github.com/huggingface/safetensors, "Format". Reading is strict, every byte being hostile: ranges
// must tile the data exactly, keys must differ, sizes must agree.
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/tensor.h"

namespace tenon {

struct SafeTensors {
  std::map<std::string, std::string> metadata;
  std::vector<std::pair<std::string, Tensor>> tensors;  // in the order of their bytes

  const Tensor* find(std::string_view name) const;
};

// F64 F32 I64 I32 U8 BOOL F16 BF16. Error with the offset and the reason; nothing is allocated that the file does not
// hold.
SafeTensors read_safetensors(const std::filesystem::path& path);
SafeTensors parse_safetensors(std::span<const std::byte> bytes, std::string_view name);

// Replaces the file as a whole or not at all. Error for two tensors of one name, or one called __metadata__.
void write_safetensors(const std::filesystem::path& path, const SafeTensors& file);

}  // namespace tenon
