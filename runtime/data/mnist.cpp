#include "runtime/data/mnist.h"

#include "ir/check.h"
#include "runtime/data/idx.h"

namespace tenon {
namespace {

Tensor read_part(const std::filesystem::path& folder, const std::string& name) {
  const std::filesystem::path plain = folder / name, compressed = folder / (name + ".gz");
  if (std::filesystem::exists(plain)) return read_idx(plain);
  if (std::filesystem::exists(compressed)) return read_idx(compressed);
  fail({}, "load_mnist: there is neither {} nor {}", plain.string(), compressed.filename().string());
}

void read_set(const std::filesystem::path& folder, const std::string& name, Tensor& images, Tensor& labels) {
  images = read_part(folder, name + "-images-idx3-ubyte");
  labels = read_part(folder, name + "-labels-idx1-ubyte");
  if (images.dtype() != u8 || images.rank() != 3 || labels.dtype() != u8 || labels.rank() != 1 ||
      images.extents()[0] != labels.extents()[0])
    fail({},
         "load_mnist: in {}, the {} images are {}, their labels {}; they must be u8[count,height,width] and "
         "u8[count]",
         folder.string(), name, images.str(), labels.str());
  images = images.reshaped({images.extents()[0], images.extents()[1] * images.extents()[2]});
}

}  // namespace

Mnist load_mnist(const std::filesystem::path& folder) {
  Mnist mnist;
  read_set(folder, "train", mnist.train_images, mnist.train_labels);
  read_set(folder, "t10k", mnist.test_images, mnist.test_labels);
  return mnist;
}

}  // namespace tenon
