#pragma once
// Handwritten-looking digits that need no download: strokes of a pen, drawn by a few skeletons per digit
// under a random hand (rotation, shear, size, place, thickness, wobble), on noisy paper with stray marks.
// Everything is a function of (seed, number of the image) in exact IEEE arithmetic, so a seed gives the same
// bytes everywhere.
#include <array>
#include <cstdint>
#include <filesystem>

namespace tenon {

struct Digit {
  static constexpr int64_t side = 28;
  uint8_t label = 0;                          // 0 to 9
  std::array<uint8_t, side * side> pixels{};  // row-major; 0 is paper, 255 is ink
};

// The digit number `index` of the endless sequence that `seed` begins; equal arguments give equal pixels.
Digit draw_digit(uint64_t seed, int64_t index);

// Writes `train` digits, then `test` others that follow them in the sequence, as the four files of MNIST:
// train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte. The
// folder is made if it is not there. Error if a count is below 1 or a file cannot be written.
void write_digits(const std::filesystem::path& folder, int64_t train = 20000, int64_t test = 4000, uint64_t seed = 1);

}  // namespace tenon
