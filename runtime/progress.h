#pragma once
// A bar for one epoch, drawn on a stream that the caller names, and only if it is a terminal: in a log
// nothing appears.
//   epoch 3/10 [=========>          ]  48% loss 0.0821  154k examples/s  ETA 2 s
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace tenon {

class Progress {
 public:
  Progress(std::FILE* to, std::string title, int64_t examples);
  ~Progress();  // takes the bar off the screen again
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `examples` more are done, with this mean loss.
  void add(int64_t examples, double loss);
  double loss() const { return done_ > 0 ? total_loss_ / static_cast<double>(done_) : 0; }  // mean over all examples so far
  std::string line(double seconds) const;  // what is drawn after so many seconds

 private:
  using Clock = std::chrono::steady_clock;
  std::FILE* to_;
  std::string title_;
  int64_t examples_;
  bool terminal_;
  int64_t done_ = 0;
  double total_loss_ = 0;
  Clock::time_point begin_ = Clock::now(), drawn_ = begin_;
};

}  // namespace tenon
