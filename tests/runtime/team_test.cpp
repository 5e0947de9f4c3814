#include "runtime/team.h"

#include <doctest/doctest.h>

#include <ctime>

#include "ir/check.h"
#include "tests/runtime/program.h"
#include "tests/system.h"

using namespace tenon;

namespace {
struct Turns {
  Team* team;
  int count;
  std::vector<int64_t> sums;
  std::vector<int64_t> slots;
};

// Each round every thread writes its slot, all meet, every thread sums all slots, all meet: a lost barrier
// shows.
void turns(void* argument, int thread) noexcept {
  Turns& t = *static_cast<Turns*>(argument);
  for (int round = 1; round <= 50; ++round) {
    t.slots[static_cast<size_t>(thread) * 16] = round * (thread + 1);
    if (t.count > 1) Team::barrier(t.team);
    int64_t sum = 0;
    for (int i = 0; i < t.count; ++i) sum += t.slots[static_cast<size_t>(i) * 16];
    t.sums[static_cast<size_t>(thread) * 16] += sum;
    if (t.count > 1) Team::barrier(t.team);
  }
}
}  // namespace

TEST_CASE("all threads of a run meet at every barrier, also with more threads than CPUs") {
  for (int threads : {1, 2, 3, 8}) {
    Team team(threads);
    CHECK(team.threads() == threads);
    for (int run = 0; run < 30; ++run) {
      const int count = 1 + run % threads;
      Turns t{&team, count, std::vector<int64_t>(16 * 8), std::vector<int64_t>(16 * 8)};
      team.run(count, turns, &t);
      for (int i = 0; i < count; ++i) REQUIRE(t.sums[static_cast<size_t>(i) * 16] == 50 * 51 / 2 * count * (count + 1) / 2);
    }
  }
}

TEST_CASE("an idle team burns no CPU and still wakes") {
  Team team(2);
  Turns t{&team, 2, std::vector<int64_t>(16 * 8), std::vector<int64_t>(16 * 8)};
  team.run(2, turns, &t);
  const std::clock_t begin = std::clock();  // CPU time of all threads
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC < 0.05);
  team.run(2, turns, &t);
  CHECK(t.sums[0] == 2 * 50 * 51 / 2 * 3);
}

TEST_CASE("a team has at least one thread") { CHECK_THROWS_AS(Team(0), Error); }

TEST_CASE("a team whose threads cannot all be started is an error, and those that were have ended") {
  using namespace tenon::test;
  for (int started : {0, 1, 5}) {
    const Setting few(machine.threads, started);
    CHECK(message([] { Team(8); }) ==
          fmt::format("team: could not start 8 threads: got {}: Resource temporarily unavailable", started + 1));
    CHECK(seen.running_threads == 0);
  }
  const Program program = linear_program(64, 8);
  {
    const Setting few(machine.threads, 2);
    CHECK(message([&] { Session(program, {.threads = 4}); }) ==
          "team: could not start 4 threads: got 3: Resource temporarily unavailable");
    CHECK(Session(program).threads() == 1);
  }
  {
    const Setting small(machine.largest_block, int64_t{500});
    CHECK(message([] { Team(100); }) == "team: could not start 100 threads: got 1: std::bad_alloc");
  }
  CHECK(seen.running_threads == 0);
  CHECK(Session(program, {.threads = 4}).threads() == 4);
}
