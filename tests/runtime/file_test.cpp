#include "runtime/file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <thread>

#include "tests/runtime/folder.h"
#include "tests/system.h"

using namespace tenon;
using namespace tenon::test;

namespace {
void replace(const std::filesystem::path& path, std::string_view text) {
  const std::span<const std::byte> parts[] = {std::as_bytes(std::span(text)), {}, std::as_bytes(std::span(text))};
  replace_file(path, parts);
}

// The calls that a save makes, in order.
const std::vector<std::string> calls = {"flock", "fsync", "rename", "fsync"};

// A child that dies before one of them.
void die_at(size_t call, const std::filesystem::path& path, std::string_view text) {
  const pid_t child = fork();
  if (child == 0) {
    const Watching watching([&, n = size_t{0}](auto, auto&) mutable { return n++ == call ? raise(SIGKILL) : 0; });
    replace(path, text);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  REQUIRE(WIFSIGNALED(status));
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
  CHECK(message_without_rights([&] { replace(fresh, "new"); }) == fresh + ": cannot be written: Permission denied");
  chmod(folder.path().c_str(), 0777);
  chmod(f.c_str(), 0444);
  CHECK(message_without_rights([&] { replace(f, "new"); }) == f + ": cannot be written: Permission denied");
  CHECK(contents(f) == "oldold");
  CHECK(folder.files() == 1);
  std::filesystem::create_directory(folder / "d");
  CHECK(message(folder, [&] { replace(folder / "d", "new"); }) == "d: cannot be written: it is a folder");
  CHECK(folder.files() == 2);
}

TEST_CASE("the bytes are synced before the rename and the folder after it, and a failure of either is told") {
  const Folder folder;
  replace(folder / "f", "old");
  std::vector<std::string> seen, found;
  int64_t written = -1;
  {
    const Watching watching([&](std::string_view call, const std::filesystem::path& path) {
      const bool temporary = path.filename().string().starts_with("f.tenon-") && path.extension() == ".tmp";
      seen.push_back(fmt::format("{} {}", call, temporary ? "temporary" : path.filename().string()));
      found.push_back(contents(folder / "f"));
      if (seen.size() == 2) written = static_cast<int64_t>(std::filesystem::file_size(path));
      return 0;
    });
    replace(folder / "f", "young");
  }
  const std::string name = folder.path().filename().string();
  CHECK(seen == std::vector<std::string>{"flock temporary", "fsync temporary", "rename temporary", "fsync " + name});
  CHECK(found == std::vector<std::string>{"oldold", "oldold", "oldold", "youngyoung"});
  CHECK(written == 10);

  auto failing = [&](size_t call, int error) {
    const Watching watching([&, n = size_t{0}](auto, auto&) mutable { return n++ == call ? error : 0; });
    return message(folder, [&] { replace(folder / "f", "new"); });
  };
  CHECK(failing(1, EIO) == "f: cannot be written: Input/output error");
  CHECK(failing(2, ENOSPC) == "f: cannot be written: No space left on device");
  CHECK(contents(folder / "f") == "youngyoung");
  CHECK(failing(3, EIO) == "f: was written, but its folder was not synced: Input/output error");
  CHECK(failing(3, EINVAL) == "no error");  // a file system that cannot sync a folder
  CHECK(failing(0, ENOLCK) == "no error");  // one that cannot lock
  CHECK(contents(folder / "f") == "newnew");
  CHECK(folder.files() == 1);
}

TEST_CASE("a save that dies at any step leaves the old file or the new one, and the next save clears up") {
  const Folder folder;
  for (size_t call = 0; call < calls.size(); ++call) {
    replace(folder / "f", "old");
    die_at(call, folder / "f", "new");
    CHECK(contents(folder / "f") == (calls[call] == "fsync" && call > 1 ? "newnew" : "oldold"));
    CHECK(folder.files() == (call < 3 ? 2 : 1));
    replace(folder / "f", "next");
    CHECK(contents(folder / "f") == "nextnext");
    CHECK(folder.files() == 1);
  }
  // The name of the file is cut where the temporary's would not fit.
  const std::string longest(255, 'x');
  die_at(1, folder / longest, "new");
  CHECK(folder.files() == 2);
  replace(folder / longest, "next");
  CHECK(contents(folder / longest) == "nextnext");
  CHECK(folder.files() == 2);
}

TEST_CASE("a save removes what a dead one of its path left, and nothing else") {
  const Folder folder;
  const std::string name = "f.tenon-0123456789abcde";
  const std::vector<std::string> others = {"f.tmp",
                                           "f.12-0.tmp",
                                           name + ".tmp",
                                           name + "F.tmp",
                                           name + "g.tmp",
                                           name + "f",
                                           name + "f.tmp2",
                                           name + "f.old",
                                           name + "ff.tmp",
                                           "g.tenon-0123456789abcdef.tmp",
                                           "xf.tenon-0123456789abcdef.tmp",
                                           ".tenon-0123456789abcdef.tmp"};
  for (const std::string& other : others) put(folder / other, "mine");
  std::filesystem::create_directory(folder / (name + "0.tmp"));
  std::filesystem::create_symlink("f.tmp", folder / (name + "1.tmp"));
  std::filesystem::create_symlink("nowhere", folder / (name + "2.tmp"));
  std::filesystem::create_hard_link(folder / "f.tmp", folder / (name + "3.tmp"));
  REQUIRE(mkfifo((folder / (name + "4.tmp")).c_str(), 0666) == 0);
  put(folder / (name + "5.tmp"), "of a save in progress");
  const int living = open((folder / (name + "5.tmp")).c_str(), O_RDONLY);
  REQUIRE(flock(living, LOCK_EX) == 0);
  put(folder / (name + "6.tmp"), "left");
  const int64_t before = folder.files();
  replace(folder / "f", "new");
  CHECK(!std::filesystem::exists(folder / (name + "6.tmp")));
  CHECK(folder.files() == before);  // one more, one less
  for (const std::string& other : others) CHECK(contents(folder / other) == "mine");
  CHECK(contents(folder / (name + "5.tmp")) == "of a save in progress");
  close(living);
  replace(folder / "f", "new");
  CHECK(folder.files() == before - 1);
}

TEST_CASE("a save in progress is left alone, and both succeed") {
  const Folder folder;
  int begun[2], go[2];
  REQUIRE(pipe(begun) == 0);
  REQUIRE(pipe(go) == 0);
  char byte = 0;
  const pid_t child = fork();
  if (child == 0) {
    const Watching watching([&](std::string_view call, auto&) {
      if (call == "rename" && (write(begun[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)) _exit(2);
      return 0;
    });
    _exit(message([&] { replace(folder / "f", "slow"); }) == "no error" ? 0 : 1);
  }
  REQUIRE(read(begun[0], &byte, 1) == 1);
  replace(folder / "f", "quick");
  CHECK(contents(folder / "f") == "quickquick");
  CHECK(folder.files() == 2);
  REQUIRE(write(go[1], &byte, 1) == 1);
  int status = 0;
  waitpid(child, &status, 0);
  for (int end : {begun[0], begun[1], go[0], go[1]}) close(end);
  CHECK(status == 0);
  CHECK(contents(folder / "f") == "slowslow");
  CHECK(folder.files() == 1);
}

TEST_CASE("a temporary that another save takes for a leftover before it is locked is made again") {
  const Folder folder;
  // The other save has it locked, and removes it after; or it is already gone.
  for (bool locked : {true, false}) {
    int other = -1, taken = 0;
    {
      const Watching watching([&](std::string_view call, const std::filesystem::path& path) {
        if (call != "flock" || taken == 3) return 0;
        ++taken;
        if (other >= 0) close(other);
        other = open(path.c_str(), O_RDWR);
        if (!locked) std::filesystem::remove(path);
        return locked && syscall(SYS_flock, other, LOCK_EX | LOCK_NB) != 0 ? EIO : 0;
      });
      replace(folder / "f", "new");
    }
    close(other);
    CHECK(taken == 3);
    CHECK(contents(folder / "f") == "newnew");
    CHECK(folder.files() == 1);
  }
  const Watching watching([&](std::string_view call, auto&) { return call == "flock" ? EWOULDBLOCK : 0; });
  CHECK(message(folder, [&] { replace(folder / "f", "never"); }) == "f: cannot be written: Device or resource busy");
  CHECK(folder.files() == 1);
}

TEST_CASE("saves of one path at the same time all succeed and leave one of their files") {
  const Folder folder;
  std::atomic<int> failed = 0;
  std::vector<std::thread> savers;
  for (int t = 0; t < 4; ++t)
    savers.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i)
        failed += message([&] { replace(folder / "f", std::string(1000, static_cast<char>('a' + t))); }) != "no error";
    });
  for (std::thread& saver : savers) saver.join();
  CHECK(failed == 0);
  CHECK(contents(folder / "f").size() == 2000);
  CHECK(folder.files() == 1);
}
