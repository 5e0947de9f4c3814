#pragma once
// Text beside its expectation in tests/compiler/golden/. `BLESS=1 ctest -R golden` rewrites the files for review.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

inline void check_golden(const std::string& name, const std::string& actual) {
  std::filesystem::path path = std::filesystem::path(TENON_SOURCE) / "tests/compiler/golden" / name;
  if (std::getenv("BLESS")) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << actual;
    return;
  }
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path.string() << " is missing; BLESS=1 writes it");
  std::stringstream expected;
  expected << file.rdbuf();
  CHECK_MESSAGE(expected.str() == actual, name << " changed; BLESS=1 rewrites it for review. It is now:\n" << actual);
}
