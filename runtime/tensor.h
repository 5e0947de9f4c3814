#pragma once
// A typed, row-major array with concrete extents: what goes in and out of a Session. It owns its elements or
// views somebody else's; copying a Tensor shares the elements, clone() does not.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/type.h"

namespace tenon {

using Extents = std::vector<int64_t>;

std::string str(const Extents& extents);  // "[32,784]"

template <typename T>
concept Element =
    []<typename... Types>(std::tuple<Types...>*) { return (std::same_as<T, Types> || ...); }(static_cast<CppTypes*>(nullptr));

template <Element T, size_t I = 0>
constexpr DType dtype_of() {
  if constexpr (std::same_as<T, std::tuple_element_t<I, CppTypes>>)
    return static_cast<DType>(I);
  else
    return dtype_of<T, I + 1>();
}

class Tensor {
 public:
  Tensor() = default;  // empty: no type, no elements
  // Owned zeros, aligned to 64. Error for a negative extent or a size that overflows.
  Tensor(DType dtype, Extents extents);

  // The values, copied.
  template <Element T>
  static Tensor of(Extents extents, std::span<const T> values) {
    Tensor tensor(dtype_of<T>(), std::move(extents));
    tensor.fill_from(std::as_bytes(values));
    return tensor;
  }
  template <Element T>
  static Tensor of(Extents extents, std::initializer_list<T> values) {
    return of<T>(std::move(extents), std::span<const T>(values.begin(), values.size()));
  }
  template <Element T>
  static Tensor scalar(T value) {
    return of<T>({}, {value});
  }

  // Elements of the caller, which must outlive every copy of the view. Any pointer aligned to its element
  // will do.
  template <Element T>
  static Tensor view(T* data, Extents extents) {
    return Tensor(dtype_of<T>(), std::move(extents), reinterpret_cast<std::byte*>(data), nullptr, true);
  }
  template <Element T>
  static Tensor view(const T* data, Extents extents) {
    auto* bytes = reinterpret_cast<std::byte*>(const_cast<T*>(data));  // never written: the view is read-only
    return Tensor(dtype_of<T>(), std::move(extents), bytes, nullptr, false);
  }
  // The same for bytes that `owner` keeps alive.
  static Tensor view(DType dtype, Extents extents, std::byte* data, std::shared_ptr<const void> owner, bool writable = true) {
    return Tensor(dtype, std::move(extents), data, std::move(owner), writable);
  }

  DType dtype() const { return dtype_; }
  const Extents& extents() const { return extents_; }
  int64_t rank() const { return static_cast<int64_t>(extents_.size()); }
  int64_t elements() const { return elements_; }
  int64_t byte_count() const { return elements_ * byte_size(dtype_); }
  bool empty() const { return elements_ == 0; }
  std::string str() const;  // its type: "f32[32,784]"

  const std::byte* data() const { return data_; }
  std::byte* writable_data();  // Error if it is a read-only view

  // The elements as T; Error if they are of another type.
  template <Element T>
  std::span<const T> read() const {
    require(dtype_of<T>());
    return {reinterpret_cast<const T*>(data_), static_cast<size_t>(elements_)};
  }
  template <Element T>
  std::span<T> write() {
    require(dtype_of<T>());
    return {reinterpret_cast<T*>(writable_data()), static_cast<size_t>(elements_)};
  }

  double at(int64_t element) const;           // converted; Error if out of range
  double number() const;                      // of a tensor with one element
  int64_t integer_at(int64_t element) const;  // exact; Error for a float type

  Tensor clone() const;
  Tensor reshaped(Extents extents) const;            // the same elements; Error if the counts differ
  Tensor rows(int64_t begin, int64_t end) const;     // a view of rows [begin, end) of the first axis
  Tensor columns(int64_t begin, int64_t end) const;  // a copy of columns [begin, end) of a matrix
  Tensor cast(DType dtype) const;                    // a copy; Error if an integer type cannot hold a value
  bool same_bits(const Tensor& other) const;         // type, extents and bytes are equal

 private:
  Tensor(DType dtype, Extents extents, std::byte* data, std::shared_ptr<const void> owner, bool writable);
  void require(DType dtype) const;
  void fill_from(std::span<const std::byte> bytes);

  DType dtype_ = f32;
  bool writable_ = true;
  Extents extents_ = {0};
  int64_t elements_ = 0;
  std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

}  // namespace tenon
