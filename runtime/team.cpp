#include "runtime/team.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <exception>

#include "ir/check.h"

namespace tenon {

namespace {
constexpr int max_threads = 1 << 12;
constexpr uint64_t stop_order = ~uint64_t{0};
constexpr auto patience = std::chrono::microseconds(50);  // what waking a sleeper costs at worst

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}
}  // namespace

int allowed_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

Team::Team(int threads) : spins_(threads <= allowed_cpus()) {
  if (threads < 1 || threads > max_threads)
    throw Error(fmt::format("team: {} threads, valid is 1 <= threads <= {}", threads, max_threads));
  try {
    workers_.reserve(static_cast<size_t>(threads) - 1);
    for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { work(t); });
  } catch (const std::exception& error) {  // no thread or no memory
    stop();
    throw Error(fmt::format("team: could not start {} threads: got {}: {}", threads, this->threads(), error.what()));
  }
}

Team::~Team() { stop(); }

void Team::stop() {
  publish(order_, stop_order);
  for (std::thread& worker : workers_) worker.join();
}

void Team::run(int count, Job job, void* argument) {
  check(count >= 1 && count <= threads(), "a run has at most the threads of its team");
  if (count == 1) return job(argument, 0);
  job_ = job;
  argument_ = argument;
  count_ = count;
  const uint64_t number = (order_.load(std::memory_order_relaxed) >> 16) + 1;
  publish(order_, number << 16 | static_cast<uint64_t>(count));
  job(argument, 0);
  meet();
}

// A worker that the run does not need reads nothing but the order, so the next run never waits for it.
void Team::work(int thread) noexcept {
  for (uint64_t order = 0;;) {
    order = await_change(order_, order);
    if (order == stop_order) return;
    if (thread >= static_cast<int>(order & 0xffff)) continue;
    job_(argument_, thread);
    meet();
  }
}

void Team::barrier(void* team) noexcept { static_cast<Team*>(team)->meet(); }

void Team::meet() noexcept {
  const uint64_t phase = phase_.load(std::memory_order_relaxed);  // cannot change before this thread arrives
  const int last = count_ - 1;                                    // read before arriving: afterwards the next run may begin
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == last) {
    arrived_.store(0, std::memory_order_relaxed);
    publish(phase_, phase + 1);
  } else {
    await_change(phase_, phase);
  }
}

// The order of a store here and a sleeper's count, both sequentially consistent: either the writer sees the
// sleeper and wakes it, or the sleeper sees the new value.
void Team::publish(std::atomic<uint64_t>& word, uint64_t value) noexcept {
  word.store(value, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
  { std::lock_guard lock(mutex_); }
  wake_.notify_all();
}

uint64_t Team::await_change(std::atomic<uint64_t>& word, uint64_t old) noexcept {
  uint64_t value = word.load(std::memory_order_acquire);
  if (value != old) return value;
  if (spins_) {
    const auto end = std::chrono::steady_clock::now() + patience;
    do {
      for (int i = 0; i < 64; ++i) {
        pause();
        if ((value = word.load(std::memory_order_acquire)) != old) return value;
      }
    } while (std::chrono::steady_clock::now() < end);
  }
  std::unique_lock lock(mutex_);
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  while ((value = word.load(std::memory_order_seq_cst)) == old) wake_.wait(lock);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
  return value;
}

}  // namespace tenon
