// The embedded digits: the same bytes from the same seed on every machine, the four files of MNIST, errors.
#include "runtime/data/digits.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <vector>

#include "ir/check.h"
#include "tests/runtime/folder.h"

using namespace tenon;

TEST_CASE("a digit is a function of the seed and its number") {
  const Digit digit = draw_digit(1, 7);
  CHECK(draw_digit(1, 7).pixels == digit.pixels);
  CHECK(draw_digit(2, 7).pixels != digit.pixels);
  CHECK(draw_digit(1, 8).pixels != digit.pixels);
}

TEST_CASE("the first digits of seed 1 never change") {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (int64_t i = 0; i < 200; ++i) {
    const Digit digit = draw_digit(1, i);
    hash = (hash ^ digit.label) * 0x100000001b3u;
    for (const uint8_t pixel : digit.pixels) hash = (hash ^ pixel) * 0x100000001b3u;
  }
  CHECK(hash == 15750721647724927045u);
}

TEST_CASE("all ten digits are drawn about equally often, with ink in the middle and paper at the rim") {
  std::map<int, int> count;
  double middle = 0, rim = 0;
  for (int64_t i = 0; i < 2000; ++i) {
    const Digit digit = draw_digit(3, i);
    ++count[digit.label];
    for (int64_t k = 0; k < Digit::side; ++k) {
      middle += digit.pixels[static_cast<size_t>(14 * Digit::side + k)];
      rim += digit.pixels[static_cast<size_t>(k)];
    }
  }
  REQUIRE(count.size() == 10);
  for (const auto& [label, times] : count) {
    CAPTURE(label);
    CHECK(times > 140);
    CHECK(times < 260);
  }
  CHECK(middle > 5 * rim);
}

TEST_CASE("a folder of digits has the four files of MNIST") {
  const test::Folder temporary;
  const std::filesystem::path& folder = temporary.path();
  write_digits(folder, 30, 20, 5);
  CHECK(std::filesystem::file_size(folder / "train-images-idx3-ubyte") == 16 + 30 * 784);
  CHECK(std::filesystem::file_size(folder / "train-labels-idx1-ubyte") == 8 + 30);
  CHECK(std::filesystem::file_size(folder / "t10k-images-idx3-ubyte") == 16 + 20 * 784);
  CHECK(std::filesystem::file_size(folder / "t10k-labels-idx1-ubyte") == 8 + 20);

  std::ifstream file(folder / "t10k-images-idx3-ubyte", std::ios::binary);
  std::vector<char> bytes(16 + 784);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  CHECK(std::vector(bytes.begin(), bytes.begin() + 16) == std::vector<char>{0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 28, 0, 0, 0, 28});
  const Digit first = draw_digit(5, 30);  // the test set follows the training set in the sequence
  CHECK(std::equal(first.pixels.begin(), first.pixels.end(), bytes.begin() + 16,
                   [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); }));
}

TEST_CASE("digits that cannot be written are an error") {
  CHECK_THROWS_WITH_AS(write_digits("unused", 0, 10),
                       "write_digits: at least one digit to train and one to test is needed, not 0 and 10", Error);
  CHECK_THROWS_AS(write_digits("/proc/no_such_folder"), Error);
}
