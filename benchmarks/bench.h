#pragma once
// What the benchmark programs share: the options, a clock, the median of repetitions, and a table that prints
// itself aligned or as one JSON object a line.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace bench {

// --workload NAME, --threads N, --json, --quick, and the flags a program names as its own ("--serve";
// "--save=" takes the argument that follows). Anything else is an error: a line to stderr and exit code 2.
struct Options {
  std::string workload;  // empty: all
  int threads = 1;
  bool json = false;
  bool quick = false;
  std::vector<std::pair<std::string, std::string>> own;

  Options(int argc, char** argv, std::vector<std::string_view> flags = {});
  bool wants(std::string_view name) const { return workload.empty() || workload == name; }
  bool has(std::string_view flag) const;
  std::string get(std::string_view flag) const;  // empty if it was not given
};

// The microseconds that one of `calls` calls took.
template <typename Function>
double microseconds(int64_t calls, Function&& function) {
  auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < calls; ++i) function();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() /
         static_cast<double>(calls);
}

// How many calls, at least one, last about 200 microseconds: a sample that the clock resolves.
template <typename Function>
int64_t calls_per_sample(Function&& function) {
  double once = std::min(microseconds(1, function), microseconds(3, function));
  return std::max<int64_t>(1, static_cast<int64_t>(200 / once));
}

// All threads start job(thread) at once; the microseconds until the last has ended.
double together(int threads, const std::function<void(int thread)>& job);

double median(std::vector<double> samples);
double minimum(const std::vector<double>& samples);

// Median and minimum over samples, at least five, that together last about `seconds`.
struct Timing {
  double median_us, min_us;
};
template <typename Function>
Timing measure(double seconds, Function&& function) {
  int64_t calls = calls_per_sample(function);
  std::vector<double> samples;
  auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (samples.size() < 5 || std::chrono::steady_clock::now() < end) samples.push_back(microseconds(calls, function));
  return {median(samples), minimum(samples)};
}

struct Column {
  std::string name;  // the key in JSON, the head of the column
  int digits = 0;    // after the point; of no meaning for text
};
using Cell = std::variant<std::string, double>;

// Rows go out as soon as they are known.
class Table {
 public:
  Table(std::vector<Column> columns, bool json);
  void row(const std::vector<Cell>& cells) const;

 private:
  std::vector<Column> columns_;
  bool json_;
};

}  // namespace bench
