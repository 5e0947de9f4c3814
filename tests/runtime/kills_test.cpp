// Checkpoints whose savers are killed at random moments: the old or the new one loads, and no later save
// fails.
#include "tests/runtime/kills.h"

#include <spawn.h>
#include <sys/time.h>

#include "runtime/checkpoint.h"

using namespace tenon;
using namespace tenon::test;

namespace {
constexpr int64_t elements = 1 << 16;

Program large_program() {
  Program program = linear_program();
  program.states[0].type = {f32, {elements}};
  return program;
}

class Checkpoint {
 public:
  explicit Checkpoint(std::filesystem::path path) : path_(std::move(path)) { session_.init(0); }

  // The number is every element of W, the step, and the place in the data.
  void save(int64_t number) {
    Tensor w(f32, {elements});
    for (float& value : w.write<float>()) value = static_cast<float>(number);
    session_.write("W", w);
    session_.write("step", Tensor::scalar(number));
    tenon::save(session_, path_, {number, 0});
  }
  int64_t load() {
    const int64_t number = tenon::load(session_, path_).position.epoch;
    REQUIRE(session_.read("step").integer_at(0) == number);
    const Tensor w = session_.read("W");
    for (float value : w.read<float>()) REQUIRE(value == static_cast<float>(number));
    return number;
  }

 private:
  const std::filesystem::path path_;
  const Program program_ = large_program();
  Session session_{program_};
};

// Starts this binary again, for one test case that is skipped otherwise; its exit status.
int run_case(const char* name) {
  const std::string filter = fmt::format("-tc={}", name);
  const char* const words[] = {"runtime_test", filter.c_str(), "--no-skip", "--minimal", nullptr};
  pid_t child = 0;
  REQUIRE(posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, const_cast<char* const*>(words), environ) == 0);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

int64_t kill_savers(int by_signal, int by_exec) {
  const Folder folder;
  Checkpoint checkpoint(folder / "c");
  Kills kills(
      folder, [&](int64_t number) { checkpoint.save(number); }, [&] { return checkpoint.load(); });
  for (int i = 0; i < by_signal; ++i) kills.kill_one();
  setenv("TENON_TEST_CHECKPOINT", (folder / "c").c_str(), 1);
  for (int i = 0; i < by_exec; ++i) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(kills.moment()).count();
    setenv("TENON_TEST_MOMENT", std::to_string(us + 1).c_str(), 1);
    const int64_t before = checkpoint.load();
    REQUIRE(run_case("a process that saves until another program has its pid") == 0);
    REQUIRE(checkpoint.load() > before);
    REQUIRE(folder.files() == 1);
  }
  unsetenv("TENON_TEST_CHECKPOINT");
  MESSAGE(by_signal << " kills by a signal, of which " << kills.left() << " left a temporary, and " << by_exec
                    << " whose pid lived on");
  return kills.left();
}
}  // namespace

// A program that is replaced by another ends as if it were killed, at any moment and with its files closed
// and its locks dropped, but its pid lives on.
TEST_CASE("a process that saves until another program has its pid" * doctest::skip()) {
  const char *path = std::getenv("TENON_TEST_CHECKPOINT"), *moment = std::getenv("TENON_TEST_MOMENT");
  if (!path || !moment) return;  // not started by the tests below
  Checkpoint checkpoint(path);
  int64_t number = checkpoint.load();
  signal(SIGALRM, [](int) {
    execl("/proc/self/exe", "runtime_test", "-tc=the first save of the next program", "--no-skip", "--minimal", nullptr);
  });
  const int64_t us = std::atoll(moment);
  const itimerval timer{{}, {us / 1'000'000, us % 1'000'000}};
  REQUIRE(setitimer(ITIMER_REAL, &timer, nullptr) == 0);
  for (;;) checkpoint.save(++number);
}

TEST_CASE("the first save of the next program" * doctest::skip()) {
  const char* path = std::getenv("TENON_TEST_CHECKPOINT");
  if (!path) return;
  Checkpoint checkpoint(path);
  checkpoint.save(checkpoint.load() + 1);
}

TEST_CASE("a checkpoint survives the kills of its savers, and the next save that of a process with its pid") {
  kill_savers(24, 6);
}

TEST_CASE("a checkpoint survives 600 kills" * doctest::skip()) { CHECK(kill_savers(400, 200) > 0); }
