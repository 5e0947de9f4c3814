#include "bench.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace bench {

Options::Options(int argc, char** argv, std::vector<std::string_view> flags) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto follows = [&] { return i + 1 < argc; };
    if (flag == "--json")
      json = true;
    else if (flag == "--quick")
      quick = true;
    else if (flag == "--workload" && follows())
      workload = argv[++i];
    else if (flag == "--threads" && follows())
      threads = std::max(1, std::atoi(argv[++i]));
    else if (std::find(flags.begin(), flags.end(), flag) != flags.end())
      own.emplace_back(flag, "");
    else if (std::find(flags.begin(), flags.end(), flag + "=") != flags.end() && follows())
      own.emplace_back(flag, argv[++i]);
    else {
      fmt::print(stderr, "{}: unknown option {}, or its argument is missing\n", argv[0], flag);
      std::exit(2);
    }
  }
}

bool Options::has(std::string_view flag) const {
  return std::any_of(own.begin(), own.end(), [&](const auto& given) { return given.first == flag; });
}

std::string Options::get(std::string_view flag) const {
  for (const auto& [name, argument] : own)
    if (name == flag) return argument;
  return "";
}

double together(int threads, const std::function<void(int)>& job) {
  std::atomic<int> ready = 0;
  std::vector<double> us(static_cast<size_t>(threads));
  const auto member = [&](int t) {
    ++ready;
    while (ready < threads) __builtin_ia32_pause();
    us[static_cast<size_t>(t)] = microseconds(1, [&] { job(t); });
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(member, t);
  member(0);
  for (std::thread& other : others) other.join();
  return *std::max_element(us.begin(), us.end());
}

double median(std::vector<double> samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

double minimum(const std::vector<double>& samples) { return *std::min_element(samples.begin(), samples.end()); }

Table::Table(std::vector<Column> columns, bool json) : columns_(std::move(columns)), json_(json) {
  if (json_) return;
  for (size_t i = 0; i < columns_.size(); ++i)
    i == 0 ? fmt::print("{:<34}", columns_[i].name) : fmt::print(" {:>16}", columns_[i].name);
  fmt::print("\n");
}

void Table::row(const std::vector<Cell>& cells) const {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string* text = std::get_if<std::string>(&cells[i]);
    const std::string value = text ? *text : fmt::format("{:.{}f}", std::get<double>(cells[i]), columns_[i].digits);
    if (json_)
      line += fmt::format("{}\"{}\":{}", i ? "," : "", columns_[i].name, text ? '"' + value + '"' : value);
    else
      line += i == 0 ? fmt::format("{:<34}", value) : fmt::format(" {:>16}", value);
  }
  fmt::print("{}\n", json_ ? "{" + line + "}" : line);
  std::fflush(stdout);
}

}  // namespace bench
