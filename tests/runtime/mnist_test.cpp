// MNIST's four files as tensors: plain and gzip, the ones that are there and the ones that are not.
#include "runtime/data/mnist.h"

#include <doctest/doctest.h>

#include <map>

#include "runtime/data/digits.h"
#include "runtime/data/idx.h"
#include "tests/runtime/folder.h"

using namespace tenon;

TEST_CASE("digits that were written are read back") {
  const test::Folder temporary;
  const std::filesystem::path& folder = temporary.path();
  write_digits(folder, 30, 20, 5);
  const Mnist digits = load_mnist(folder);
  CHECK(digits.train_images.str() == "u8[30,784]");
  CHECK(digits.train_labels.str() == "u8[30]");
  CHECK(digits.test_images.str() == "u8[20,784]");
  CHECK(digits.test_labels.str() == "u8[20]");
  const Digit last = draw_digit(5, 49);
  CHECK(digits.test_labels.integer_at(19) == last.label);
  CHECK(digits.test_images.rows(19, 20).same_bits(Tensor::of<uint8_t>({1, 784}, last.pixels)));

  write_idx(folder / "t10k-labels-idx1-ubyte", Tensor(u8, {19}));
  CHECK_THROWS_WITH_AS(load_mnist(folder),
                       ("load_mnist: in " + folder.string() +
                        ", the t10k images are u8[20,28,28], their labels u8[19]; they must be u8[count,height,width] "
                        "and u8[count]")
                           .c_str(),
                       Error);
  std::filesystem::remove(folder / "t10k-labels-idx1-ubyte");
  CHECK_THROWS_WITH_AS(
      load_mnist(folder),
      ("load_mnist: there is neither " + (folder / "t10k-labels-idx1-ubyte").string() + " nor t10k-labels-idx1-ubyte.gz")
          .c_str(),
      Error);
}

TEST_CASE("the original files of MNIST" * doctest::skip(!std::filesystem::exists(TENON_DATA "/mnist"))) {
  const Mnist mnist = load_mnist(TENON_DATA "/mnist");
  CHECK(mnist.train_images.str() == "u8[60000,784]");
  CHECK(mnist.test_images.str() == "u8[10000,784]");
  std::map<int64_t, int64_t> count;
  for (int64_t i = 0; i < 10000; ++i) ++count[mnist.test_labels.integer_at(i)];
  CHECK(count == std::map<int64_t, int64_t>{
                     {0, 980}, {1, 1135}, {2, 1032}, {3, 1010}, {4, 982}, {5, 892}, {6, 958}, {7, 1028}, {8, 974}, {9, 1009}});
}
