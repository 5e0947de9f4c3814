#pragma once
// Line charts as SVG: what the examples show. Charts stand side by side in one file; each has a title,
// labelled axes with round ticks, and a legend beside the lines. Points that are no finite number, or not
// above 0 on a logarithmic axis, break their line.
#include <fmt/core.h>
#include <tenon/tenon.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace chart {

struct Series {
  std::string name;
  std::vector<double> x, y;
  bool dots = false;  // points in place of a line

  void add(double at, double value) { x.push_back(at), y.push_back(value); }
};

struct Chart {
  std::string title, x_label, y_label;
  std::vector<Series> series = {};
  bool log_y = false;
};

inline std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return result;
}

// An axis from data to pixels: `low` is drawn at `from`, `high` at `to`.
struct Axis {
  double low = std::numeric_limits<double>::infinity(), high = -low, from = 0, to = 0;
  bool log = false;

  bool shows(double v) const { return std::isfinite(v) && (!log || v > 0); }
  double scaled(double v) const { return log ? std::log10(v) : v; }
  double at(double v) const { return from + (scaled(v) - low) / (high - low) * (to - from); }
  void include(double v) {
    if (shows(v)) low = std::min(low, scaled(v)), high = std::max(high, scaled(v));
  }
  // Five to ten round steps; powers of ten on a logarithmic axis.
  double step() const {
    const double rough = (high - low) / 5, power = std::pow(10, std::floor(std::log10(rough)));
    if (log) return std::max(1.0, std::ceil(rough));
    return power * (rough < 2 * power ? 1 : rough < 5 * power ? 2 : 5);
  }
  void settle() {
    if (!(low <= high)) low = 0, high = 1;
    if (high - low < 1e-12) high = low + 1;
    const double size = step();
    low = std::floor(low / size + 1e-9) * size, high = std::ceil(high / size - 1e-9) * size;
  }
};

inline std::string drawn(const Chart& chart, double left) {
  static const char* const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
  Axis x{.from = left + 70, .to = left + 470}, y{.from = 330, .to = 50, .log = chart.log_y};
  for (const Series& series : chart.series) {
    for (const double v : series.x) x.include(v);
    for (const double v : series.y) y.include(v);
  }
  x.settle(), y.settle();
  std::string svg = fmt::format("<text x='{}' y='30' font-size='16' text-anchor='middle'>{}</text>\n", (x.from + x.to) / 2,
                                escaped(chart.title));
  for (double v = y.low; v <= y.high + 1e-9; v += y.step()) {
    const double at = y.from + (v - y.low) / (y.high - y.low) * (y.to - y.from);
    svg += fmt::format("<path d='M{} {:.1f}H{}' stroke='#ddd'/><text x='{}' y='{:.1f}' text-anchor='end'>{:.6g}</text>\n",
                       x.from, at, x.to, x.from - 6, at + 4,
                       chart.log_y           ? std::pow(10, v)
                       : std::abs(v) < 1e-12 ? 0
                                             : v);
  }
  for (double v = x.low; v <= x.high + 1e-9 * (x.high - x.low); v += x.step())
    svg += fmt::format(
        "<path d='M{0:.1f} 330v5' stroke='#555'/><text x='{0:.1f}' y='350' "
        "text-anchor='middle'>{1:.6g}</text>\n",
        x.at(v), std::abs(v) < 1e-12 ? 0 : v);
  svg += fmt::format("<path d='M{} 50V330H{}' fill='none' stroke='#555'/>\n", x.from, x.to);
  svg += fmt::format("<text x='{}' y='375' text-anchor='middle'>{}</text>\n", (x.from + x.to) / 2, escaped(chart.x_label));
  svg += fmt::format("<text transform='translate({} 190) rotate(-90)' text-anchor='middle'>{}</text>\n", left + 16,
                     escaped(chart.y_label));
  for (size_t s = 0; s < chart.series.size(); ++s) {
    const Series& series = chart.series[s];
    const char* colour = colours[s % std::size(colours)];
    std::string path;
    bool pen_down = false;
    for (size_t i = 0; i < series.x.size(); ++i) {
      if (!y.shows(series.y[i])) {
        pen_down = false;
        continue;
      }
      const double px = x.at(series.x[i]), py = y.at(series.y[i]);
      if (series.dots) svg += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='2' fill='{}'/>\n", px, py, colour);
      path += fmt::format("{}{:.1f} {:.1f}", pen_down ? 'L' : 'M', px, py);
      pen_down = true;
    }
    if (!series.dots) svg += fmt::format("<path d='{}' fill='none' stroke='{}' stroke-width='2'/>\n", path, colour);
    const double row = 60 + 20 * static_cast<double>(s);
    svg += fmt::format("<path d='M{} {}h20' stroke='{}' stroke-width='{}'/><text x='{}' y='{}'>{}</text>\n", x.to + 12, row,
                       colour, series.dots ? 5 : 2, x.to + 38, row + 4, escaped(series.name));
  }
  return svg;
}

inline void write(const std::string& path, const std::vector<Chart>& charts) {
  std::ofstream file(path);
  const size_t width = 640 * charts.size();
  file << fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='390' viewBox='0 0 {0} 390' "
      "font-family='sans-serif' font-size='12' fill='#222'>\n<rect width='100%' height='100%' "
      "fill='white'/>\n",
      width);
  for (size_t i = 0; i < charts.size(); ++i) file << drawn(charts[i], 640 * static_cast<double>(i));
  file << "</svg>\n";
  if (!file.flush()) throw tenon::Error(path + ": cannot be written");
}

}  // namespace chart
