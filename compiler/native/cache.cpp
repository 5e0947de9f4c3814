// A file is: the line below, a checksum of the rest, and byte strings, each after its size: the key, then
// the parts.
#include "compiler/native/cache.h"

#include <fmt/format.h>

#include <cstring>

#include "ir/check.h"
#include "runtime/file.h"

namespace tenon {
namespace {

constexpr std::string_view format = "tenon code 1\n";

// FNV-1a: one changed byte always changes it.
uint64_t checksum(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

std::string number(uint64_t value) { return {reinterpret_cast<const char*>(&value), sizeof value}; }

bool take_number(std::string_view& bytes, uint64_t& value) {
  if (bytes.size() < sizeof value) return false;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return true;
}

bool take_string(std::string_view& bytes, std::string_view& string) {
  uint64_t size = 0;
  if (!take_number(bytes, size) || size > bytes.size()) return false;
  string = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

}  // namespace

std::filesystem::path cache_file(const std::filesystem::path& folder, std::string_view key) {
  return folder / fmt::format("{:016x}.tenon", checksum(key));
}

std::optional<std::vector<std::string>> load_code(const std::filesystem::path& folder, std::string_view key) {
  std::vector<std::byte> file;
  try {
    file = read_file(cache_file(folder, key));
  } catch (const Error&) {
    return {};
  }
  std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size()), string;
  uint64_t sum = 0;
  if (!bytes.starts_with(format)) return {};
  bytes.remove_prefix(format.size());
  if (!take_number(bytes, sum) || checksum(bytes) != sum) return {};
  if (!take_string(bytes, string) || string != key) return {};
  std::vector<std::string> parts;
  while (!bytes.empty()) {
    if (!take_string(bytes, string)) return {};
    parts.emplace_back(string);
  }
  return parts;
}

void store_code(const std::filesystem::path& folder, std::string_view key, std::span<const std::string> parts) {
  std::string bytes = number(key.size()) + std::string(key);
  for (const std::string& part : parts) bytes += number(part.size()) + part;
  const std::string head = std::string(format) + number(checksum(bytes));
  std::error_code ignored;  // what matters is whether the file can be written
  std::filesystem::create_directories(folder, ignored);
  replace_file(cache_file(folder, key), std::vector{std::as_bytes(std::span(head)), std::as_bytes(std::span(bytes))});
}

std::optional<MachineCode> find_code(const std::filesystem::path& folder, std::string_view key, size_t kernels) {
  auto parts = load_code(folder, key);
  if (!parts || parts->empty() || parts->back().size() != kernels * sizeof(int64_t)) return {};
  MachineCode code;
  code.scratch_bytes.resize(kernels);
  std::memcpy(code.scratch_bytes.data(), parts->back().data(), parts->back().size());
  parts->pop_back();
  code.objects = std::move(*parts);
  return code;
}

void keep_code(const std::filesystem::path& folder, std::string_view key, const MachineCode& code) {
  std::vector<std::string> parts = code.objects;
  parts.emplace_back(reinterpret_cast<const char*>(code.scratch_bytes.data()), code.scratch_bytes.size() * sizeof(int64_t));
  store_code(folder, key, parts);
}

}  // namespace tenon
