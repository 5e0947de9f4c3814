#pragma once
// Compiled code on disk: a file per key. What is in the folder is run, so nobody else should be able to write
// there. No byte of a file is trusted: it holds its whole key and a checksum, and whatever does not fit is as
// good as absent.
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/native/jit.h"

namespace tenon {

// A hash of Tenon's sources, made by CMake: code of another Tenon is never found.
extern const char source_hash[];

std::filesystem::path cache_file(const std::filesystem::path& folder, std::string_view key);

// The parts stored under the key; none if there is no such file or it is damaged.
std::optional<std::vector<std::string>> load_code(const std::filesystem::path& folder, std::string_view key);

// The same, as the code of so many different kernels.
std::optional<MachineCode> find_code(const std::filesystem::path& folder, std::string_view key, size_t kernels);

// Makes the folder if need be. The file appears as a whole, also if other processes store the same. Throws
// Error if it cannot be written.
void store_code(const std::filesystem::path& folder, std::string_view key, std::span<const std::string> parts);
void keep_code(const std::filesystem::path& folder, std::string_view key, const MachineCode& code);

}  // namespace tenon
