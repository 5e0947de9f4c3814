// A digit is a skeleton of strokes; a stroke is a spline through points of a 10 by 10 lattice, moved by the
// hand. The spline becomes short segments, and a pixel's ink is how far the nearest segment reaches over it
// (antialiased by distance). No libm, only + - * / and sqrt, which IEEE rounds alike everywhere; for the same
// reason every random number is drawn in a statement of its own or between braces, where the order is fixed.
#include "runtime/data/digits.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>
#include <vector>

#include "ir/check.h"
#include "runtime/data/idx.h"

namespace tenon {
namespace {

// Each style: strokes separated by commas; each point two figures, x to the right and y down. A doubled point
// is a corner of the spline.
constexpr std::array<std::array<std::string_view, 3>, 10> skeletons = {{
    {"40 11 04 06 28 49 78 96 93 71 40 20", "61 30 04 06 28 59 87 84 72 50 20", "50 12 06 38 69 86 83 61 40 22"},
    {"50 59", "23 50 50 59", "22 40 40 49, 29 69"},
    {"12 30 60 82 84 56 19 19 89", "02 20 60 83 76 39 18 27 58 89", "11 40 71 73 55 28 09 09 88"},
    {"11 40 71 83 44 44 75 87 59 18", "10 80 80 44 44 76 88 59 18", "02 30 70 83 54 34 54 86 78 49 08"},
    {"20 15 15 95, 71 69", "69 60 60 06 06 96", "10 13 25 55 81, 80 75 59"},
    {"80 20 20 14 14 54 86 88 49 18", "20 14 14 53 85 87 59 18, 20 90", "81 40 22 44 75 78 49 18"},
    {"70 31 05 07 29 69 87 75 44 16", "50 24 07 39 78 75 45 17", "81 50 13 06 28 59 88 76 55 27"},
    {"00 90 90 39", "00 80 80 39, 25 75", "02 00 00 90 56 49"},
    {"82 50 21 23 54 86 88 59 18 16 54 82", "54 32 30 50 72 54 16 18 49 79 87 54", "81 40 12 54 87 59 17 53 81"},
    {"82 50 21 13 35 65 82 82 79", "82 50 11 14 45 82 85 68 39 18", "72 40 12 34 72 72 59"},
}};

// Numbers that are a hash of (seed, image, position): any image can be drawn without the ones before it.
class Random {
 public:
  Random(uint64_t seed, int64_t index) : key_(mix(seed) ^ mix(~static_cast<uint64_t>(index))) {}
  uint64_t bits() { return mix(key_ + 0x9e3779b97f4a7c15u * ++counter_); }
  float uniform(float low, float high) {
    return low + (high - low) * (static_cast<float>(bits() >> 40) * (1.0f / 16777216.0f));
  }
  int below(int count) { return static_cast<int>((bits() >> 32) * static_cast<uint64_t>(count) >> 32); }
  // The sum of three uniforms: bell-shaped, of standard deviation `spread` and never beyond three of them.
  float bell(float spread) {
    float sum = 0;
    for (int i = 0; i < 3; ++i) sum += uniform(-1, 1);
    return sum * spread;
  }

 private:
  static uint64_t mix(uint64_t x) {  // the finaliser of SplitMix64 (Steele, Lea, Flood 2014)
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  uint64_t key_, counter_ = 0;
};

struct Point {
  float x, y;
  friend Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
  friend Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
  friend Point operator*(float s, Point p) { return {s * p.x, s * p.y}; }
};

// x' = turn of (size * sheared x) + place: how one person writes one digit.
class Hand {
 public:
  explicit Hand(Random& random)
      : thickness(random.uniform(0.75f, 1.75f)), wobble_(random.uniform(0.1f, 0.5f)), random_(random) {
    const float half_turn = random.bell(0.075f);  // tangent of half the angle: sine and cosine without libm
    const float cosine = (1 - half_turn * half_turn) / (1 + half_turn * half_turn);
    const float sine = 2 * half_turn / (1 + half_turn * half_turn);
    const float shear = random.bell(0.15f) - 0.08f;
    const float width = random.uniform(0.9f, 1.8f), height = random.uniform(1.5f, 2.2f);  // pixels per lattice step
    across_ = {width * cosine, width * sine};
    down_ = {height * (shear * cosine - sine), height * (shear * sine + cosine)};
    place_ = {14 + random.bell(1.1f), 14 + random.bell(1.1f)};
  }
  Point operator()(Point lattice) {
    const float x = lattice.x - 4.5f + random_.bell(wobble_), y = lattice.y - 4.5f + random_.bell(wobble_);
    return x * across_ + y * down_ + place_;
  }
  const float thickness;  // radius of the pen in pixels

 private:
  float wobble_;
  Random& random_;
  Point across_{}, down_{}, place_{};
};

class Paper {
 public:
  // Lays ink of strength 0 to 1 along the segment from a to b.
  void segment(Point a, Point b, float radius, float strength) {
    const Point along = b - a;
    const float length2 = along.x * along.x + along.y * along.y;
    const float reach = radius + 1;
    const int left = edge(std::min(a.x, b.x) - reach), right = edge(std::max(a.x, b.x) + reach);
    const int top = edge(std::min(a.y, b.y) - reach), bottom = edge(std::max(a.y, b.y) + reach);
    for (int row = top; row <= bottom; ++row)
      for (int column = left; column <= right; ++column) {
        const Point from_a = Point{static_cast<float>(column), static_cast<float>(row)} - a;
        const float dot = from_a.x * along.x + from_a.y * along.y;
        const Point off = from_a - (length2 > 0 ? std::clamp(dot / length2, 0.0f, 1.0f) : 0.0f) * along;
        const float distance = std::sqrt(off.x * off.x + off.y * off.y);
        float& ink = ink_[static_cast<size_t>(row * side + column)];
        ink = std::max(ink, strength * std::clamp(radius + 0.5f - distance, 0.0f, 1.0f));
      }
  }

  // A spline of Catmull and Rom through the points, each span as a few straight segments.
  void stroke(std::span<const Point> points, float radius, float strength) {
    constexpr int pieces = 5;
    const int count = static_cast<int>(points.size());
    const auto point = [&](int i) { return points[static_cast<size_t>(std::clamp(i, 0, count - 1))]; };
    for (int i = 0; i + 1 < count; ++i) {
      const Point p0 = point(i - 1), p1 = point(i), p2 = point(i + 1), p3 = point(i + 2);
      const Point slope1 = 0.5f * (p2 - p0), slope2 = 0.5f * (p3 - p1);
      Point last = p1;
      for (int piece = 1; piece <= pieces; ++piece) {
        const float t = static_cast<float>(piece) / pieces, u = 1 - t;
        const Point next =
            (u * u * (1 + 2 * t)) * p1 + (t * t * (3 - 2 * t)) * p2 + (t * u * u) * slope1 - (t * t * u) * slope2;
        segment(last, next, radius, strength);
        last = next;
      }
    }
  }

  const auto& ink() const { return ink_; }

 private:
  static constexpr int side = Digit::side;
  static int edge(float x) { return std::clamp(static_cast<int>(x), 0, side - 1); }
  std::array<float, side * side> ink_{};
};

void draw_skeleton(std::string_view style, Hand& hand, float strength, Paper& paper) {
  std::vector<Point> points;
  const auto finish = [&] {
    paper.stroke(points, hand.thickness, strength);
    points.clear();
  };
  Point last{-1, -1};
  for (size_t i = 0; i < style.size(); i += 3) {  // "xy " or "xy, "
    if (style[i] == ' ') ++i;
    const Point lattice{static_cast<float>(style[i] - '0'), static_cast<float>(style[i + 1] - '0')};
    const bool corner = !points.empty() && lattice.x == last.x && lattice.y == last.y;
    points.push_back(corner ? points.back() : hand(lattice));
    last = lattice;
    if (i + 2 < style.size() && style[i + 2] == ',') finish();
  }
  finish();
}

// Up to two stray marks, faint and thin, anywhere: short lines, or blots where the line has no length.
void draw_clutter(Random& random, Paper& paper) {
  for (int marks = random.below(3); marks > 0; --marks) {
    const Point at{random.uniform(0, 27), random.uniform(0, 27)};
    const float length = random.below(3) == 0 ? 0.0f : 3.0f;
    const Point to = at + Point{random.bell(length), random.bell(length)};
    const float radius = random.uniform(0.4f, 1.0f), strength = random.uniform(0.3f, 0.8f);
    paper.segment(at, to, radius, strength);
  }
}

void write_set(const std::filesystem::path& folder, const std::string& name, int64_t first, int64_t count, uint64_t seed) {
  Tensor images(u8, {count, Digit::side, Digit::side}), labels(u8, {count});
  auto pixel = images.write<uint8_t>().begin();
  for (int64_t i = 0; i < count; ++i) {
    const Digit digit = draw_digit(seed, first + i);
    pixel = std::copy(digit.pixels.begin(), digit.pixels.end(), pixel);
    labels.write<uint8_t>()[static_cast<size_t>(i)] = digit.label;
  }
  write_idx(folder / (name + "-images-idx3-ubyte"), images);
  write_idx(folder / (name + "-labels-idx1-ubyte"), labels);
}

}  // namespace

Digit draw_digit(uint64_t seed, int64_t index) {
  Random random(seed, index);
  Digit digit;
  digit.label = static_cast<uint8_t>(random.below(10));
  const auto& styles = skeletons[digit.label];
  const std::string_view style = styles[static_cast<size_t>(random.below(styles.size()))];
  Paper paper;
  Hand hand(random);
  draw_skeleton(style, hand, random.uniform(0.7f, 1.0f), paper);
  draw_clutter(random, paper);
  const float noise = random.uniform(0.0f, 0.1f);
  for (size_t i = 0; i < digit.pixels.size(); ++i) {
    const float ink = paper.ink()[i] + random.bell(noise);
    digit.pixels[i] = static_cast<uint8_t>(std::clamp(ink, 0.0f, 1.0f) * 255 + 0.5f);
  }
  return digit;
}

void write_digits(const std::filesystem::path& folder, int64_t train, int64_t test, uint64_t seed) {
  if (train < 1 || test < 1)
    fail({}, "write_digits: at least one digit to train and one to test is needed, not {} and {}", train, test);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail({}, "write_digits: cannot make {}: {}", folder.string(), error.message());
  write_set(folder, "train", 0, train, seed);
  write_set(folder, "t10k", train, test, seed);
}

}  // namespace tenon
