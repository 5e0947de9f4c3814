#pragma once
// A persistent team of threads that run one function together. The caller is thread 0; a team of one starts
// no thread. Waiting threads spin while the team fits the CPUs that this process may use, and sleep after
// about as long as waking them costs, so that an idle team burns no CPU.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace tenon {

// How many CPUs this process may use (its affinity mask), at least 1.
int allowed_cpus();

class Team {
 public:
  using Job = void (*)(void* argument, int thread) noexcept;

  explicit Team(int threads);  // at least 1; Error if they could not all be started
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Runs job(argument, t) for 0 <= t < count on count threads, and returns when all have ended. One caller at
  // a time.
  void run(int count, Job job, void* argument);

  // Where all threads of the current run() meet; `team` is a Team*. Called from inside a job.
  static void barrier(void* team) noexcept;

 private:
  void work(int thread) noexcept;
  void meet() noexcept;
  void stop();
  void publish(std::atomic<uint64_t>& word, uint64_t value) noexcept;
  uint64_t await_change(std::atomic<uint64_t>& word, uint64_t old) noexcept;

  const bool spins_;
  Job job_ = nullptr;
  void* argument_ = nullptr;
  int count_ = 1;
  // Each on a line of its own: the waiting threads read one while the arriving threads write the other.
  alignas(64) std::atomic<uint64_t> order_ = 0;  // which run: its number * 2^16 + its count of threads; stop_order ends
  alignas(64) std::atomic<uint64_t> phase_ = 0;  // how many times the threads of the runs have met
  alignas(64) std::atomic<int> arrived_ = 0;
  alignas(64) std::atomic<int> sleepers_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

}  // namespace tenon
