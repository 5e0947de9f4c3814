#include "runtime/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace tenon {

namespace {
constexpr int64_t width = 24;
constexpr auto between = std::chrono::milliseconds(100);
constexpr const char* erase = "\r\x1b[K";  // to the line's begin, and clear to its end
}  // namespace

Progress::Progress(std::FILE* to, std::string title, int64_t examples)
    : to_(to), title_(std::move(title)), examples_(std::max<int64_t>(examples, 1)), terminal_(isatty(fileno(to)) == 1) {}

Progress::~Progress() {
  if (!terminal_) return;
  std::fputs(erase, to_);
  std::fflush(to_);
}

void Progress::add(int64_t examples, double loss) {
  done_ += examples;
  total_loss_ += loss * static_cast<double>(examples);
  if (!terminal_) return;
  const auto now = Clock::now();
  if (now - drawn_ < between) return;
  drawn_ = now;
  std::fputs((erase + line(std::chrono::duration<double>(now - begin_).count())).c_str(), to_);
  std::fflush(to_);
}

std::string Progress::line(double seconds) const {
  const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(examples_));
  const auto filled = static_cast<size_t>(share * static_cast<double>(width));
  std::string bar(filled, '=');
  if (filled < width) bar += '>';
  bar.resize(width, ' ');
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  const std::string speed = rate >= 10000 ? fmt::format("{:.0f}k", rate / 1000) : fmt::format("{:.0f}", rate);
  const double left = rate > 0 ? static_cast<double>(std::max<int64_t>(examples_ - done_, 0)) / rate : 0;
  return fmt::format("{} [{}] {:3.0f}% loss {:.4f}  {} examples/s  ETA {:.0f} s", title_, bar, 100 * share, loss(), speed,
                     left);
}

}  // namespace tenon
