#pragma once
// Processes that save over and over until they are killed, each at a random moment.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "tests/runtime/folder.h"

namespace tenon::test {

class Kills {
 public:
  // `save` writes a number to the only file of the folder, `load` reads it.
  Kills(const Folder& folder, std::function<void(int64_t)> save, std::function<int64_t()> load)
      : folder_(folder), save_(std::move(save)), load_(std::move(load)) {
    void* shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    progress_ = new (shared) Progress;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 4; ++i) save_(0);
    time_ = (std::chrono::steady_clock::now() - begin) / 4;
  }
  ~Kills() { munmap(progress_, sizeof(Progress)); }

  // One more kill. What loads must be the last number whose save had ended or one begun after it.
  void kill_one() {
    const int64_t first = progress_->begun + 1;
    const pid_t child = fork_saver();
    while (progress_->begun < first) std::this_thread::yield();
    std::this_thread::sleep_for(moment());
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));  // or one of its saves failed
    const int64_t found = load_();
    REQUIRE(found >= progress_->done);
    REQUIRE(found <= progress_->begun);
    left_ += folder_.files() > 1;
    save_(progress_->begun);
    REQUIRE(load_() == progress_->begun);
    REQUIRE(folder_.files() == 1);
    progress_->done = progress_->begun.load();
  }

  // Some time within the first saves of a process.
  std::chrono::nanoseconds moment() {
    return std::chrono::nanoseconds(std::uniform_int_distribution<int64_t>(0, 3 * time_.count())(random_));
  }

  int left() const { return left_; }  // kills that left a temporary

 private:
  struct Progress {
    std::atomic<int64_t> begun = 0, done = 0;
  };

  pid_t fork_saver() {
    std::filesystem::directory_iterator threads("/proc/self/task");
    REQUIRE(std::distance(threads, {}) == 1);  // a fork copies no other, nor lets go of what it holds
    const pid_t child = fork();
    if (child != 0) return child;
    for (;;) {
      const int64_t number = ++progress_->begun;
      if (message([&] { save_(number); }) != "no error") _exit(1);
      progress_->done = number;
    }
  }

  const Folder& folder_;
  std::function<void(int64_t)> save_;
  std::function<int64_t()> load_;
  Progress* progress_;
  std::chrono::nanoseconds time_;
  std::mt19937 random_{1};
  int left_ = 0;
};

}  // namespace tenon::test
