#pragma once
// The four files of MNIST: 60,000 and 10,000 handwritten digits in the original (LeCun, Cortes, Burges 1998),
// or any others in that form (see digits.h).
#include <filesystem>

#include "runtime/tensor.h"

namespace tenon {

struct Mnist {
  Tensor train_images, train_labels;  // u8[count, pixels], u8[count]
  Tensor test_images, test_labels;
};

// Reads train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte,
// each plain or with .gz after its name. Error if one is missing, is not IDX, or images and labels do not go
// together.
Mnist load_mnist(const std::filesystem::path& folder);

}  // namespace tenon
