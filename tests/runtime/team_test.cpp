#include "runtime/team.h"

#include <doctest/doctest.h>

#include <ctime>

#include "ir/check.h"

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
      for (int i = 0; i < count; ++i)
        REQUIRE(t.sums[static_cast<size_t>(i) * 16] == 50 * 51 / 2 * count * (count + 1) / 2);
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
