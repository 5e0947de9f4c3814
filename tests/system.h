#pragma once
// The system as the code under test meets it. A test binary answers some calls itself, so that a test can
// count them, watch them, refuse them, or say how large the machine is: as root and as a user, on any
// machine.
#include <atomic>
#include <climits>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

namespace tenon::test {

// What the machine has, as far as the code under test can tell.
struct Machine {
  std::atomic<int64_t> memory = 0;                 // bytes of RAM, no swap; 0: what is true
  std::atomic<int64_t> largest_block = INT64_MAX;  // operator new and mmap refuse more
  std::atomic<int> threads = INT_MAX;              // how many more can be started
};
extern Machine machine;

struct Seen {
  std::atomic<int64_t> allocations = 0;  // calls of operator new
  std::atomic<int64_t> live = 0, peak = 0,
                       largest = 0;  // bytes of operator new and mmap; also of refused ones
  std::atomic<int> running_threads = 0, refused_threads = 0;
};
extern Seen seen;

// A value of the machine or a count, until the end of a test.
template <typename T>
class Setting {
 public:
  Setting(std::atomic<T>& place, T value) : place_(place), before_(place.exchange(value)) {}
  ~Setting() { place_ = before_; }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  std::atomic<T>& place_;
  const T before_;
};

// Sees every flock, fsync and rename before it is made, with the path it is about. An error number fails the
// call.
using Watch = std::function<int(std::string_view call, const std::filesystem::path& path)>;

class Watching {
 public:
  explicit Watching(Watch watch);
  ~Watching();
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;
};

}  // namespace tenon::test
