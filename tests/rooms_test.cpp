// The layering as a table: which room may include what, what the top level holds, which words no name has, that the
// README shows the example as it is.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path source = TENON_SOURCE;

std::string read(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<fs::path> sources(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(source / folder))
    if (entry.path().extension() == ".h" || entry.path().extension() == ".cpp") files.push_back(entry.path());
  return files;
}

struct Wall {
  std::string room;                    // files below this folder ...
  std::string except;                  // ... but not below this one
  std::vector<std::string> forbidden;  // include nothing that begins so
  std::vector<std::string> allowed;    // but these
};

const Wall walls[] = {
    {"ir", "", {"runtime/", "compiler/", "llvm/"}, {}},
    {"runtime", "", {"compiler/", "llvm/", "ir/"}, {"ir/type.h", "ir/check.h"}},
    {"compiler", "compiler/native", {"llvm/"}, {}},
    {"compiler/kernel", "", {"compiler/graph/", "compiler/loop/", "compiler/native/", "ir/ops.h", "runtime/"}, {}},
    {"compiler/loop", "", {"compiler/graph/", "compiler/native/", "ir/ops.h", "ir/op.h", "runtime/"}, {}},
    {"compiler/graph", "", {"compiler/kernel/", "compiler/loop/", "compiler/native/", "runtime/"}, {}},
    {"compiler/native", "", {"compiler/graph/", "ir/ops.h", "ir/op.h"}, {}},
    {"benchmarks", "", {"compiler/", "runtime/", "ir/", "llvm/"}, {}},
};

}  // namespace

TEST_CASE("no include looks through a wall") {
  const std::regex include("^ *# *include *[<\"]([^>\"]+)[>\"]");
  for (const Wall& wall : walls) {
    int files = 0;
    for (const fs::path& path : sources(wall.room)) {
      std::string name = fs::relative(path, source).string();
      if (!wall.except.empty() && name.starts_with(wall.except)) continue;
      ++files;
      std::istringstream lines(read(path));
      for (std::string line; std::getline(lines, line);) {
        std::smatch match;
        if (!std::regex_search(line, match, include)) continue;
        std::string target = match[1];
        if (std::find(wall.allowed.begin(), wall.allowed.end(), target) != wall.allowed.end()) continue;
        for (const std::string& forbidden : wall.forbidden)
          CHECK_MESSAGE(!target.starts_with(forbidden), name << " includes " << target);
      }
    }
    if (wall.room != "benchmarks") CHECK(files > 0);
  }
}

TEST_CASE("the visible top level is the seven entries") {
  const std::set<std::string> expected = {"ir", "runtime", "compiler", "tests", "benchmarks", "CMakeLists.txt", "README.md"};
  std::set<std::string> found;  // what git tracks: a user's own files may lie beside it
  FILE* listing = popen(("git -C '" + source.string() + "' ls-files 2>/dev/null").c_str(), "r");
  REQUIRE(listing);
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, listing)) {
    std::string name(buffer, std::strcspn(buffer, "/\n"));
    if (!name.starts_with(".")) found.insert(name);
  }
  if (pclose(listing) != 0) {
    MESSAGE("skipped: no git checkout");
    return;
  }
  CHECK(found == expected);
}

TEST_CASE("every room has its page") {
  for (const char* room : {"ir", "runtime", "compiler", "benchmarks"}) CHECK(fs::exists(source / room / "README.md"));
}

TEST_CASE("no file or type is named by an empty word") {
  const std::regex empty("(Manager|Helper|Util|Common|Base|Impl|Context)$");
  const std::regex declared("^(?:class|struct) (\\w+)");
  for (const char* room : {"ir", "runtime", "compiler"})
    for (const fs::path& path : sources(room)) {
      std::string name = path.stem().string();
      for (const char* word : {"manager", "helper", "util", "common", "_impl", "context"})
        CHECK_MESSAGE(name.find(word) == std::string::npos, path.string());
      std::istringstream lines(read(path));
      for (std::string line; std::getline(lines, line);) {
        std::smatch match;
        if (std::regex_search(line, match, declared)) {
          std::string type = match[1];
          CHECK_MESSAGE(!std::regex_search(type, empty), path.string() << ": " << type);
        }
      }
    }
}

TEST_CASE("the library prints nothing to stdout and never ends the process") {
  const std::regex forbidden("std::cout|\\bprintf\\(|\\bputs\\(|fmt::print\\((?!stderr|file|out)|\\babort\\(|\\bexit\\(");
  for (const char* room : {"ir", "runtime", "compiler"})
    for (const fs::path& path : sources(room)) {
      std::istringstream lines(read(path));
      int number = 0;
      for (std::string line; std::getline(lines, line);) {
        ++number;
        if (line.find("//") < line.find("(")) continue;
        CHECK_MESSAGE(!std::regex_search(line, forbidden), path.string() << ":" << number << ": " << line);
      }
    }
}

TEST_CASE("every test case lies in a file that ctest names") {
  const std::regex renamed("^ *#line .*\""), test_case("^ *TEST_CASE");
  int files = 0;
  for (const fs::path& path : sources("tests")) {
    bool other = false;  // the compiler takes what follows for another file's
    std::istringstream lines(read(path));
    for (std::string line; std::getline(lines, line); other |= std::regex_search(line, renamed))
      CHECK_MESSAGE(!(other && std::regex_search(line, test_case)), path.string() << ": " << line);
    ++files;
  }
  CHECK(files > 0);
}

TEST_CASE("the README shows the mnist example as it is") {
  std::string readme = read(source / "README.md"), example = read(source / "tests/examples/mnist.cpp");
  REQUIRE(!example.empty());
  CHECK(readme.find("```cpp\n" + example + "```") != std::string::npos);
}
