#include "runtime/arena.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "ir/check.h"

using namespace tenon;

TEST_CASE("blocks are aligned, zeroed and moved without a copy") {
  for (int64_t bytes : {1, 64, 100, 4096, 5 << 20}) {
    for (bool guarded : {false, true}) {
      Arena arena(bytes, guarded);
      CHECK(reinterpret_cast<uintptr_t>(arena.data()) % 64 == 0);
      CHECK(arena.bytes() == aligned(bytes));
      for (int64_t i = 0; i < arena.bytes(); i += 61) REQUIRE(arena.data()[i] == std::byte{0});
      arena.data()[arena.bytes() - 1] = std::byte{1};
      std::byte* data = arena.data();
      Arena moved = std::move(arena);
      CHECK(moved.data() == data);
    }
  }
  CHECK(Arena(0).bytes() == 0);
}

TEST_CASE("a write past the end of a guarded block faults") {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    Arena arena(1000, true);
    arena.data()[arena.bytes()] = std::byte{1};
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
}

TEST_CASE("a size that overflows is an error") {
  CHECK_THROWS_AS(aligned(INT64_MAX), Error);
  CHECK_THROWS_AS(Arena(-1), Error);
  CHECK_THROWS_AS(Arena(int64_t{1} << 60), Error);
}
