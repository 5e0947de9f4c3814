#include "compiler/pass.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "compiler/kernel/verify.h"
#include "ir/text.h"
#include "ir/verify.h"

namespace tenon {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Writes a dump, or says why it could not: a dump never fails a compilation.
void write(const std::filesystem::path& path, const std::string& text) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  std::ofstream file(path);
  file << text;
  if (!file) fmt::print(stderr, "tenon: cannot write {}\n", path.string());
}

}  // namespace

Inspection Inspection::from_environment() {
  Inspection inspection;
  inspection.level = std::atoi(variable("TENON_DEBUG").c_str());
  inspection.dump = variable("TENON_DUMP");
  inspection.cache = variable("TENON_CACHE");
  std::string skip = variable("TENON_SKIP");
  for (size_t begin = 0; begin < skip.size();) {
    size_t end = std::min(skip.find(',', begin), skip.size());
    inspection.skip.push_back(skip.substr(begin, end - begin));
    begin = end + 1;
  }
  for (const std::string& name : inspection.skip)
    if (std::none_of(graph_passes().begin(), graph_passes().end(),
                     [&](const GraphPass& pass) { return pass.optional && pass.name == name; }))
      fmt::print(stderr, "tenon: TENON_SKIP: no optional pass is called '{}'\n", name);
  return inspection;
}

bool Inspection::skips(std::string_view pass) const {
  return std::find(skip.begin(), skip.end(), pass) != skip.end();
}

void Inspection::report(std::string_view line) const {
  if (level >= 1) fmt::print(stderr, "tenon: {}\n", line);
}

void Inspection::stage(int at_level, std::string_view name, std::string_view extension,
                       const std::function<std::string()>& text) {
  if (level >= at_level) fmt::print(stderr, "{}\n", text());
  if (!dump.empty())
    write(std::filesystem::path(dump) / fmt::format("{:02}_{}.{}", written_++, name, extension), text());
}

Graph Inspection::run(const GraphPass& pass, Graph graph) {
  if (pass.optional && skips(pass.name)) {
    report(fmt::format("{:<14} skipped", pass.name));
    return graph;
  }
  Stopwatch watch;
  try {
    Graph result = pass.run(graph);
    verify(result.body());
    bool changed = level >= 1 || !dump.empty() ? print(graph) != print(result) : false;
    report(fmt::format("{:<14} {:>5} -> {:>5} nodes {:>8.2f} ms{}", pass.name, graph.body().size(),
                       result.body().size(), watch.ms(), changed ? "" : "  (unchanged)"));
    if (changed) stage(2, pass.name, "ir", [&] { return print(result); });
    return result;
  } catch (const InternalError& error) {
    broken(pass.name, error, "the graph before it is", fmt::format("tenon_before_{}.ir", pass.name),
           print(graph));
  }
}

void Inspection::run(std::string_view pass, KernelList& list, const std::function<void()>& change) {
  Stopwatch watch;
  try {
    change();
    verify(list);
  } catch (const InternalError& error) {
    broken(pass, error, "the kernels are", fmt::format("tenon_{}_{}.kernels", pass, list.entry), str(list));
  }
  report(fmt::format("{:<14} {:>5} kernels of '{}' {:>8.2f} ms", pass, list.kernels.size(), list.entry,
                     watch.ms()));
}

void Inspection::broken(std::string_view pass, const InternalError& error, std::string_view what,
                        std::string_view file, const std::string& text) const {
  const std::filesystem::path folder =
      dump.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(dump);
  const std::filesystem::path path = folder / file;
  write(path, text);
  throw InternalError(fmt::format("pass '{}': {}; {} in {}", pass, error.what(), what, path.string()));
}

}  // namespace tenon
