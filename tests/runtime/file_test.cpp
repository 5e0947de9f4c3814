#include "runtime/file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/runtime/folder.h"

using namespace tenon;
using namespace tenon::test;

namespace {
void replace(const std::filesystem::path& path, std::string_view text) {
  const std::span<const std::byte> parts[] = {
      std::as_bytes(std::span(text)), {}, std::as_bytes(std::span(text))};
  replace_file(path, parts);
}

// Runs `action` as a user without rights in a child; its message.
std::string message_without_rights(const std::function<void()>& action) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(1);
    const std::string text = message(action);
    _exit(write(ends[1], text.data(), text.size()) < 0);
  }
  close(ends[1]);
  char buffer[4096];
  const ssize_t size = read(ends[0], buffer, sizeof buffer);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return {buffer, static_cast<size_t>(std::max<ssize_t>(size, 0))};
}
}  // namespace

TEST_CASE("a file is replaced as a whole and leaves no temporary") {
  const Folder folder;
  replace(folder / "f", "abc");
  replace(folder / "f", "xy");
  CHECK(contents(folder / "f") == "xyxy");
  CHECK(folder.files() == 1);
  const std::vector<std::byte> bytes = read_file(folder / "f");
  CHECK(bytes.size() == 4);
}

TEST_CASE("without permission the old file stays, and nothing else appears") {
  const Folder folder;
  replace(folder / "f", "old");
  const std::string f = (folder / "f").string();
  chmod(folder.path().c_str(), 0555);
  CHECK(message_without_rights([&] { replace(f, "new"); }) == f + ": cannot be written: Permission denied");
  const std::string fresh = (folder / "fresh").string();
  CHECK(message_without_rights([&] { replace(fresh, "new"); }) ==
        fresh + ": cannot be written: Permission denied");
  chmod(folder.path().c_str(), 0777);
  chmod(f.c_str(), 0444);
  CHECK(message_without_rights([&] { replace(f, "new"); }) == f + ": cannot be written: Permission denied");
  CHECK(contents(f) == "oldold");
  CHECK(folder.files() == 1);
  std::filesystem::create_directory(folder / "d");
  CHECK(message(folder, [&] { replace(folder / "d", "new"); }) == "d: cannot be written: it is a folder");
  CHECK(folder.files() == 2);
}
