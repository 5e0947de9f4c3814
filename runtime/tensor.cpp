#include "runtime/tensor.h"

#include <cstring>
#include <new>

#include "runtime/arena.h"

namespace tenon {

namespace {
int64_t count(DType dtype, const Extents& extents) {
  int64_t elements = 1;
  for (int64_t extent : extents) {
    if (extent < 0) throw Error(fmt::format("tensor: extent {} is negative in {}", extent, str(extents)));
    elements = checked_product(elements, extent);
  }
  checked_product(elements, byte_size(dtype));
  return elements;
}

// Small blocks come from the heap, where they are quick to get; large ones from an Arena, for its huge pages.
std::shared_ptr<std::byte> allocate(int64_t bytes) {
  constexpr int64_t large = 1 << 20;
  if (bytes >= large) {
    auto arena = std::make_shared<Arena>(bytes);
    return {arena, arena->data()};
  }
  const auto size = static_cast<size_t>(aligned(bytes + 1));  // never 0, so that even no elements have an address
  auto* data = static_cast<std::byte*>(::operator new(size, std::align_val_t(alignment)));
  std::memset(data, 0, size);
  return {data, [](std::byte* p) { ::operator delete(p, std::align_val_t(alignment)); }};
}
}  // namespace

std::string str(const Extents& extents) { return fmt::format("[{}]", fmt::join(extents, ",")); }

Tensor::Tensor(DType dtype, Extents extents) : dtype_(dtype), extents_(std::move(extents)), elements_(count(dtype_, extents_)) {
  auto block = allocate(byte_count());
  data_ = block.get();
  owner_ = std::move(block);
}

Tensor::Tensor(DType dtype, Extents extents, std::byte* data, std::shared_ptr<const void> owner, bool writable)
    : dtype_(dtype),
      writable_(writable),
      extents_(std::move(extents)),
      elements_(count(dtype_, extents_)),
      data_(data),
      owner_(std::move(owner)) {
  if (!data_ && elements_ > 0) throw Error(fmt::format("tensor: a view of {} from a null pointer", str()));
  if (reinterpret_cast<uintptr_t>(data_) % static_cast<uintptr_t>(byte_size(dtype_)) != 0)
    throw Error(
        fmt::format("tensor: a view of {} from a pointer that is not a multiple of {} bytes", str(), byte_size(dtype_)));
}

std::string Tensor::str() const { return std::string(name(dtype_)) + tenon::str(extents_); }

std::byte* Tensor::writable_data() {
  if (!writable_) throw Error(fmt::format("tensor: {} is a read-only view", str()));
  return data_;
}

void Tensor::require(DType dtype) const {
  if (dtype != dtype_) throw Error(fmt::format("tensor: {} is read as {}", str(), name(dtype)));
}

void Tensor::fill_from(std::span<const std::byte> bytes) {
  if (static_cast<int64_t>(bytes.size()) != byte_count())
    throw Error(fmt::format("tensor: {} has {} elements, given {}", str(), elements_,
                            static_cast<int64_t>(bytes.size()) / byte_size(dtype_)));
  if (!bytes.empty()) std::memcpy(data_, bytes.data(), bytes.size());
}

double Tensor::at(int64_t element) const {
  if (element < 0 || element >= elements_)
    throw Error(fmt::format("tensor: element {} of {}, valid is 0 <= element < {}", element, str(), elements_));
  return with_type(dtype_, [&]<typename T>(T) {
    return static_cast<double>(reinterpret_cast<const T*>(data_)[static_cast<size_t>(element)]);
  });
}

int64_t Tensor::integer_at(int64_t element) const {
  if (element < 0 || element >= elements_)
    throw Error(fmt::format("tensor: element {} of {}, valid is 0 <= element < {}", element, str(), elements_));
  if (is_float(dtype_)) throw Error(fmt::format("tensor: {} is read as integers", str()));
  return with_type(dtype_, [&]<typename T>(T) {
    return static_cast<int64_t>(reinterpret_cast<const T*>(data_)[static_cast<size_t>(element)]);
  });
}

double Tensor::number() const {
  if (elements_ != 1) throw Error(fmt::format("tensor: {} is read as one number", str()));
  return at(0);
}

Tensor Tensor::clone() const {
  Tensor copy(dtype_, extents_);
  copy.fill_from({data_, static_cast<size_t>(byte_count())});
  return copy;
}

Tensor Tensor::reshaped(Extents extents) const {
  if (count(dtype_, extents) != elements_)
    throw Error(fmt::format("tensor: {} cannot be read as {}: {} elements against {}", str(), tenon::str(extents), elements_,
                            count(dtype_, extents)));
  return Tensor(dtype_, std::move(extents), data_, owner_, writable_);
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  if (extents_.empty() || begin < 0 || begin > end || end > extents_[0])
    throw Error(fmt::format("tensor: rows {} to {} of {}", begin, end, str()));
  Extents extents = extents_;
  extents[0] = end - begin;
  const int64_t row = extents_[0] == 0 ? 0 : byte_count() / extents_[0];
  return Tensor(dtype_, std::move(extents), data_ + begin * row, owner_, writable_);
}

Tensor Tensor::columns(int64_t begin, int64_t end) const {
  if (rank() != 2 || begin < 0 || begin > end || end > extents_[1])
    throw Error(fmt::format("tensor: columns {} to {} of {}", begin, end, str()));
  Tensor result(dtype_, {extents_[0], end - begin});
  const int64_t size = byte_size(dtype_), bytes = (end - begin) * size;
  for (int64_t row = 0; row < extents_[0] && bytes > 0; ++row)
    std::memcpy(result.data_ + row * bytes, data_ + (row * extents_[1] + begin) * size, static_cast<size_t>(bytes));
  return result;
}

Tensor Tensor::cast(DType dtype) const {
  Tensor to(dtype, extents_);
  with_type(dtype_, [&]<typename From>(From) {
    with_type(dtype, [&]<typename To>(To) {
      const std::span values(reinterpret_cast<const From*>(data_), static_cast<size_t>(elements_));
      auto* results = reinterpret_cast<To*>(to.data_);
      for (size_t i = 0; i < values.size(); ++i) {
        // Checked before the cast, which would be undefined outside.
        if (!is_float(dtype) && dtype != dtype_ && !fits(static_cast<double>(values[i]), dtype))
          throw Error(
              fmt::format("tensor: element {} of {} is {}, which {} cannot hold", i, str(), as_number(values[i]), name(dtype)));
        results[i] = static_cast<To>(values[i]);
      }
    });
  });
  return to;
}

bool Tensor::same_bits(const Tensor& other) const {
  return dtype_ == other.dtype_ && extents_ == other.extents_ &&
         (elements_ == 0 || std::memcmp(data_, other.data_, static_cast<size_t>(byte_count())) == 0);
}

}  // namespace tenon
