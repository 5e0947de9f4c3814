#pragma once
// What the examples share: their arguments, rows of numbers, and pictures of digits. With --data DIR the
// digits are the 8 x 8 counts of optdigits (UCI); without, drawn ones averaged to 14 x 14.
#include <fmt/core.h>
#include <tenon/tenon.h>

#include <cmath>
#include <cstring>

struct Arguments {
  std::string data;
  bool brief = false;  // --brief: the shortened form that the tests run
};

// An example's main: its claim, as a result of the process.
inline int run(int argc, char** argv, bool (*claim)(const Arguments&)) try {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--brief"))
      arguments.brief = true;
    else if (!std::strcmp(argv[i], "--data") && i + 1 < argc)
      arguments.data = argv[++i];
    else
      throw tenon::Error(std::string("usage: ") + argv[0] + " [--brief] [--data DIR]");
  }
  const bool holds = claim(arguments);
  fmt::print("the claim {}\n", holds ? "holds" : "does not hold");
  return holds ? 0 : 1;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}

// `count` numbers, evenly between -1 and 1.
inline std::vector<double> grid(int64_t count) {
  std::vector<double> x;
  for (int64_t i = 0; i < count; ++i) x.push_back((2 * static_cast<double>(i) + 1) / static_cast<double>(count) - 1);
  return x;
}

inline std::vector<double> map(const std::vector<double>& x, double (*f)(double)) {
  std::vector<double> y;
  for (const double value : x) y.push_back(f(value));
  return y;
}

// As f32[count, 1], and back.
inline tenon::Tensor column(const std::vector<double>& values) {
  tenon::Tensor result(tenon::f32, {static_cast<int64_t>(values.size()), 1});
  for (size_t i = 0; i < values.size(); ++i) result.write<float>()[i] = static_cast<float>(values[i]);
  return result;
}
inline std::vector<double> numbers(const tenon::Tensor& tensor) {
  std::vector<double> result;
  for (int64_t i = 0; i < tensor.elements(); ++i) result.push_back(tensor.at(i));
  return result;
}

struct Digits {
  int64_t inputs;
  tenon::Tensor train, train_labels, test, test_labels;  // f32[count, inputs], u8[count]
};

inline Digits read_optdigits(const std::string& folder) {
  const auto rows = [](const tenon::Tensor& table, tenon::Tensor& images, tenon::Tensor& labels) {
    const int64_t count = table.extents()[0];
    images = tenon::Tensor(tenon::f32, {count, 64});
    labels = tenon::Tensor(tenon::u8, {count});
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < 64; ++j)
        images.write<float>()[static_cast<size_t>(64 * i + j)] = static_cast<float>(table.at(65 * i + j) / 16);
      labels.write<uint8_t>()[static_cast<size_t>(i)] = static_cast<uint8_t>(table.at(65 * i + 64));
    }
  };
  Digits digits{64, {}, {}, {}, {}};
  rows(tenon::read_csv(folder + "/optdigits.tra", {.header = true}).values, digits.train, digits.train_labels);
  rows(tenon::read_csv(folder + "/optdigits.tes", {.header = true}).values, digits.test, digits.test_labels);
  return digits;
}

inline Digits draw_digits(int64_t train, int64_t test) {
  constexpr int64_t side = tenon::Digit::side / 2;
  const auto rows = [](int64_t first, int64_t count, tenon::Tensor& images, tenon::Tensor& labels) {
    images = tenon::Tensor(tenon::f32, {count, side * side});
    labels = tenon::Tensor(tenon::u8, {count});
    for (int64_t i = 0; i < count; ++i) {
      const tenon::Digit digit = tenon::draw_digit(1, first + i);
      for (int64_t pixel = 0; pixel < 4 * side * side; ++pixel) {
        const int64_t row = pixel / (2 * side) / 2, column = pixel % (2 * side) / 2;
        images.write<float>()[static_cast<size_t>((i * side + row) * side + column)] +=
            static_cast<float>(digit.pixels[static_cast<size_t>(pixel)]) / 1020;
      }
      labels.write<uint8_t>()[static_cast<size_t>(i)] = digit.label;
    }
  };
  Digits digits{side * side, {}, {}, {}, {}};
  rows(0, train, digits.train, digits.train_labels);
  rows(train, test, digits.test, digits.test_labels);
  return digits;
}

inline Digits digits(const Arguments& arguments) {
  if (!arguments.data.empty()) return read_optdigits(arguments.data);
  return arguments.brief ? draw_digits(2000, 1000) : draw_digits(8000, 2000);
}
