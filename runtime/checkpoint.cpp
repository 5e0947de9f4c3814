#include "runtime/checkpoint.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>

#include "runtime/safetensors.h"

namespace tenon {

namespace {
constexpr std::string_view format = "tenon 1";

// Over the metadata and over every tensor's name, type and bytes, in the order of names.
std::string checksum(const SafeTensors& file) {
  uLong crc = crc32_z(0, nullptr, 0);
  auto add = [&](const void* data, size_t bytes) { crc = crc32_z(crc, static_cast<const Bytef*>(data), bytes); };
  auto add_text = [&](const std::string& text) { add(text.c_str(), text.size() + 1); };
  for (const auto& [key, value] : file.metadata)
    if (key != "checksum") add_text(key), add_text(value);
  std::map<std::string, const Tensor*> tensors;
  for (const auto& [name, tensor] : file.tensors) tensors[name] = &tensor;
  for (const auto& [name, tensor] : tensors) {
    add_text(name);
    add_text(tensor->str());
    add(tensor->data(), static_cast<size_t>(tensor->byte_count()));
  }
  return fmt::format("crc32:{:08x}", crc);
}

int64_t number(const SafeTensors& file, const std::string& key, const std::string& path) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) return 0;
  const std::string& text = found->second;
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    throw Error(fmt::format("{}: metadata {} is \"{}\", expected a non-negative integer", path, key, text));
  return value;
}

// The type of a state as a concrete tensor has it.
std::string concrete(const Type& type, const Sizes& sizes) {
  Extents extents;
  for (Extent extent : type.shape) extents.push_back(extent.at(sizes));
  return std::string(name(type.dtype)) + str(extents);
}
}  // namespace

void save(const Session& session, const std::filesystem::path& path, Position position) {
  if (!session.initialised()) throw Error(fmt::format("{}: nothing to save: the states have no values yet", path.string()));
  const Program& program = session.program();
  SafeTensors file;
  file.metadata = {{"format", std::string(format)},
                   {"graph", program.graph_hash},
                   {"epoch", std::to_string(position.epoch)},
                   {"row", std::to_string(position.row)}};
  for (const StateBinding& state : program.states) file.tensors.emplace_back(state.name, session.read(state.name));
  file.metadata["checksum"] = checksum(file);
  write_safetensors(path, file);
}

Resumed load(Session& session, const std::filesystem::path& path) {
  const Program& program = session.program();
  const SafeTensors file = read_safetensors(path);
  const auto get = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  const std::string sum = get("checksum");
  if ((!sum.empty() || get("format") == format) && sum != checksum(file))
    throw Error(fmt::format("{}: damaged: its checksum is {}, but it says \"{}\"", path.string(), checksum(file), sum));
  std::string differences;
  auto differ = [&](const std::string& text) { differences += (differences.empty() ? "" : "; ") + text; };
  std::vector<Tensor> values;
  for (const StateBinding& state : program.states) {
    const Tensor* value = file.find(state.name);
    const std::string type = concrete(state.type, program.sizes);
    if (!value)
      differ(fmt::format("{}: {} is missing in the file", state.name, type));
    else if (value->str() != type)
      differ(fmt::format("{} is {} in the file, {} here", state.name, value->str(), type));
    else
      values.push_back(*value);
  }
  for (const auto& [name, tensor] : file.tensors)
    if (std::none_of(program.states.begin(), program.states.end(), [&](const auto& s) { return s.name == name; }))
      differ(fmt::format("{}: {} is no state here", name, tensor.str()));
  if (!differences.empty()) throw Error(fmt::format("{}: a checkpoint of another model: {}", path.string(), differences));
  const std::string graph = get("graph");
  const Resumed resumed{{number(file, "epoch", path.string()), number(file, "row", path.string())},
                        graph.empty() || graph == program.graph_hash};
  session.write_all(values);
  return resumed;
}

}  // namespace tenon
