#pragma once
// Run-time sizes and what is counted in them. An extent is a count times a product of named sizes: 784, n, 4n, n*t, t*t. All
// products are checked: an overflow is an Error, never a wrap.
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

// A number for each of some run-time sizes, by name: what they are in a run, or the most they may be.
class Sizes {
 public:
  struct Size {
    std::string_view name;  // interned
    int64_t value;
    bool operator==(const Size& other) const { return name.data() == other.name.data() && value == other.value; }
  };

  Sizes() = default;
  Sizes(std::initializer_list<std::pair<std::string_view, int64_t>> values) {
    for (const auto& [name, value] : values) set(name, value);
  }
  template <std::integral T>
  Sizes(T value) : others_(static_cast<int64_t>(value)) {}  // NOLINT: a conversion; every size has that value

  void set(std::string_view name, int64_t value);
  bool contains(std::string_view name) const { return index(name) >= 0; }
  int64_t index(std::string_view name) const;                // its place in alphabetical order; -1 if it is not named
  std::optional<int64_t> find(std::string_view name) const;  // its value, if it has one
  int64_t at(std::string_view name) const;                   // its value; InternalError if it has none
  std::string str() const;                                   // "n = 5, t = 12"

  // Those that are named, in alphabetical order.
  auto begin() const { return sizes_.begin(); }
  auto end() const { return sizes_.end(); }
  bool empty() const { return sizes_.empty(); }
  size_t size() const { return sizes_.size(); }
  bool operator==(const Sizes&) const = default;

  static constexpr size_t largest = 8;  // as many may a program have

 private:
  std::vector<Size> sizes_;
  std::optional<int64_t> others_;  // of those that are not named
};

// A product of run-time sizes, of which there is one of each: compared by address.
struct SizeProduct {
  std::string text;                     // "n*t"
  std::vector<std::string_view> names;  // in alphabetical order; interned

  // The product of the two, where null is 1. Error if it has more than `largest` factors.
  static const SizeProduct* of(const SizeProduct* a, const SizeProduct* b);
  static const SizeProduct* of(std::string_view name);
  static constexpr size_t largest = 8;
};

// The product of two non-negative numbers; throws Error if it does not fit 63 bits.
int64_t checked_product(int64_t a, int64_t b);

struct Extent {
  int64_t count = 1;
  const SizeProduct* sizes = nullptr;  // null: it is the same in every run

  constexpr Extent() = default;
  template <std::integral T>
  constexpr Extent(T count) : count(static_cast<int64_t>(count)) {}  // NOLINT: a conversion
  constexpr Extent(int64_t count, const SizeProduct* sizes) : count(count), sizes(sizes) {}
  Extent(int64_t count, std::string_view size) : count(count), sizes(SizeProduct::of(size)) {}

  bool operator==(const Extent&) const = default;
  bool symbolic() const { return sizes != nullptr; }
  std::span<const std::string_view> names() const { return sizes ? sizes->names : std::span<const std::string_view>(); }
  // Whether both are multiples of one product, so that there are extents for their sum and difference; 0 is one of any.
  bool like(Extent other) const { return sizes == other.sizes || count == 0 || other.count == 0; }
  int64_t at(const Sizes& sizes) const;
  std::string str() const;  // "784", "n", "4n", "4n*t"
};

// Whether the product has few enough sizes to be an extent.
bool multiplies(Extent a, Extent b);
Extent operator*(Extent a, Extent b);
Extent operator+(Extent a, Extent b);  // of extents that are alike
Extent operator-(Extent a, Extent b);

using Shape = std::vector<Extent>;

}  // namespace tenon
