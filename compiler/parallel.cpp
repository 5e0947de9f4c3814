#include "compiler/parallel.h"

#include <pthread.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace tenon {
namespace {

constexpr size_t stack_bytes = 8 << 20;

// A thread with a stack of that size. Where the system gives no thread, the caller does the work at once.
class Worker {
 public:
  explicit Worker(std::function<void()> work) : work_(std::move(work)) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    auto start = [](void* worker) -> void* {
      static_cast<Worker*>(worker)->work_();
      return nullptr;
    };
    started_ = pthread_create(&thread_, &attributes, start, this) == 0;
    pthread_attr_destroy(&attributes);
    if (!started_) work_();
  }
  ~Worker() {
    if (started_) pthread_join(thread_, nullptr);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  std::function<void()> work_;
  pthread_t thread_ = {};
  bool started_ = false;
};

}  // namespace

void in_parallel(size_t count, const std::function<std::function<void(size_t)>()>& worker) {
  std::atomic<size_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  auto run = [&] {
    try {
      auto work = worker();
      for (size_t i; (i = next++) < count;) work(i);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  {
    Worker one(run);
    if (count > 1 && std::thread::hardware_concurrency() > 1) Worker other(run);
  }
  if (failure) std::rethrow_exception(failure);
}

void in_parallel(size_t count, const std::function<void(size_t)>& work) {
  in_parallel(count, [&]() -> std::function<void(size_t)> { return work; });
}

}  // namespace tenon
