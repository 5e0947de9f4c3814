#include "compiler/pass.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "compiler/kernel/verify.h"
#include "compiler/loop/verify.h"
#include "compiler/parallel.h"
#include "ir/text.h"

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

struct LevelRow {
  std::string_view extension, counted, broken;  // "the graph before it is in ..."
  int shown;                                    // from this TENON_DEBUG on
};
constexpr LevelRow levels[] = {{"ir", "nodes", "the graph before it is", 2},
                               {"kernels", "kernels", "the kernels are", 3},
                               {"loops", "nodes", "the loops are", 4},
                               {"ll", "bytes", "the loops are", 4}};
const LevelRow& row(Level level) { return levels[static_cast<size_t>(level)]; }

size_t count(const Compilation& c, Level level) {
  size_t sum = 0;
  switch (level) {
    case Level::graph: return static_cast<size_t>(c.graph.body().size());
    case Level::kernels:
      if (!c.calls.made.empty()) return c.calls.made.size();
      for (const KernelList& list : c.entries) sum += list.kernels.size();
      return sum;
    case Level::loops:
      for (const loop::Function& function : c.functions) sum += function.nodes.size();
      return sum;
    case Level::machine:
      for (const std::string& object : c.code.objects) sum += object.size();
      return sum;
  }
  return sum;
}

// A graph is verified before it takes the place of the one before it, LLVM verifies its modules.
void verify(const Compilation& c, Level level) {
  if (level == Level::kernels && c.calls.made.empty())  // isolate leaves them as they are
    for (const KernelList& list : c.entries) tenon::verify(list);
  if (level == Level::loops) in_parallel(c.functions.size(), [&](size_t i) { verify(c.functions[i]); });
}

}  // namespace

std::string text(const Compilation& c, Level level) {
  std::string result;
  switch (level) {
    case Level::graph: return print(c.graph);
    case Level::kernels:
      for (const KernelList& list : c.entries)
        if (c.calls.made.empty()) result += str(list);
      for (const Calls::Made& made : c.calls.made) result += str(made.kernel->list);
      return result;
    case Level::loops:
      for (const loop::Function& function : c.functions) result += str(function);
      return result;
    case Level::machine:
      for (const std::string& entry : c.code.llvm) result += entry;
      return result;
  }
  return result;
}

Inspection Inspection::from_environment() {
  Inspection inspection;
  inspection.level = std::atoi(variable("TENON_DEBUG").c_str());
  inspection.dump = variable("TENON_DUMP");
  inspection.cache = variable("TENON_CACHE");
  if (const std::string isa = variable("TENON_ISA"); !isa.empty()) {
    const auto known = std::ranges::find(isas, isa, [](Isa i) { return name(i); });
    if (known == std::end(isas))
      fmt::print(stderr, "tenon: TENON_ISA: '{}' is not sse2, avx2 or avx512\n", isa);
    else
      inspection.isa = *known;
  }
  std::string skip = variable("TENON_SKIP");
  for (size_t begin = 0; begin < skip.size();) {
    size_t end = std::min(skip.find(',', begin), skip.size());
    inspection.skip.push_back(skip.substr(begin, end - begin));
    begin = end + 1;
  }
  for (const std::string& name : inspection.skip)
    if (std::ranges::none_of(passes(), [&](const Pass& pass) { return pass.optional && pass.name == name; }))
      fmt::print(stderr, "tenon: TENON_SKIP: no optional pass is called '{}'\n", name);
  return inspection;
}

bool Inspection::skips(std::string_view pass) const { return std::find(skip.begin(), skip.end(), pass) != skip.end(); }

void Inspection::report(std::string_view line) const {
  if (level >= 1) fmt::print(stderr, "tenon: {}\n", line);
}

void Inspection::stage(int at_level, std::string_view name, std::string_view extension,
                       const std::function<std::string()>& text) {
  if (level >= at_level) fmt::print(stderr, "{}\n", text());
  if (!dump.empty()) write(std::filesystem::path(dump) / fmt::format("{:02}_{}.{}", written_++, name, extension), text());
}

double Inspection::run(const Pass& pass, Compilation& c) {
  if (pass.optional && skips(pass.name)) return report(fmt::format("{:<14} skipped", pass.name)), 0;
  if (c.reused && pass.level >= Level::loops) return report(fmt::format("{:<14} not needed", pass.name)), 0;
  const std::string before = shows() ? text(c, pass.level) : "";
  const size_t count_before = count(c, pass.level);
  Stopwatch watch;
  try {
    pass.run(c);
    verify(c, pass.level);
  } catch (const InternalError& error) {
    broken(pass, error, text(c, std::min(pass.level, Level::loops)));
  }
  const double ms = watch.ms();
  if (!shows()) return ms;
  const size_t count_after = count(c, pass.level);
  const bool changed = before != text(c, pass.level) || count_before != count_after;
  report(fmt::format("{:<14} {:>5} -> {:>5} {:<7} {:>8.2f} ms{}", pass.name, count_before, count_after, row(pass.level).counted,
                     ms, changed ? "" : "  (unchanged)"));
  if (changed) show(pass, c);
  return ms;
}

void Inspection::show(const Pass& pass, const Compilation& c) {
  stage(row(pass.level).shown, pass.name, row(pass.level).extension, [&] { return text(c, pass.level); });
  if (pass.level != Level::machine) return;
  stage(5, pass.name, "s", [&] {
    std::string result;
    for (const std::string& entry : c.code.assembly) result += entry;
    return result;
  });
}

void Inspection::broken(const Pass& pass, const InternalError& error, const std::string& text) const {
  const LevelRow& of = row(pass.level);
  const std::string file = pass.level == Level::graph
                               ? fmt::format("tenon_before_{}.ir", pass.name)
                               : fmt::format("tenon_{}.{}", pass.name, row(std::min(pass.level, Level::loops)).extension);
  const std::filesystem::path folder = dump.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(dump);
  write(folder / file, text);
  throw InternalError(fmt::format("pass '{}': {}; {} in {}", pass.name, error.what(), of.broken, (folder / file).string()));
}

}  // namespace tenon
