#pragma once
// Element types, extents, shapes and types: the only header besides check.h that every room may read.
// An extent is a constant c or c times a named run-time size (the batch), so inner extents are static and every
// element count has the form c or c*n. All products are checked: an overflow is an Error, never a wrap.
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/check.h"

namespace tenon {

enum class DType : uint8_t { f64, f32, i64, i32, u8, boolean };

inline constexpr DType f64 = DType::f64, f32 = DType::f32, i64 = DType::i64, i32 = DType::i32, u8 = DType::u8,
                       boolean = DType::boolean;

std::string_view name(DType dtype);                     // "f32"; boolean is "bool"
bool parse_dtype(std::string_view text, DType& dtype);  // false if no type has that name
int64_t byte_size(DType dtype);
bool fits(double number, DType dtype);                  // whether it is a value of the type, for f32 after rounding

// Where the numbers of a target may lie.
enum class Support : uint8_t { unit_interval, positive, count };  // [0, 1]; above 0; 0, 1, 2, ...
std::string_view name(Support support);                              // "unit_interval"
bool parse_support(std::string_view text, Support& support);
bool contains(Support support, double x);                            // NaN: never
std::string valid(Support support, std::string_view what);           // "0 <= t <= 1"

inline bool is_float(DType dtype) { return dtype == f64 || dtype == f32; }
inline bool is_integer(DType dtype) { return dtype == i64 || dtype == i32 || dtype == u8; }

// The product of two non-negative numbers; throws Error if it does not fit 63 bits.
int64_t checked_product(int64_t a, int64_t b);

// `count`, or `count` times the run-time size called `size`.
struct Extent {
  int64_t count = 1;
  const char* size = nullptr;  // interned: compared by address

  constexpr Extent() = default;
  template <std::integral T>
  constexpr Extent(T count) : count(static_cast<int64_t>(count)) {}  // NOLINT: a conversion
  Extent(int64_t count, std::string_view size) : count(count), size(intern(size).data()) {}

  bool operator==(const Extent&) const = default;
  bool symbolic() const { return size != nullptr; }
  int64_t at(int64_t n) const { return symbolic() ? checked_product(count, n) : count; }  // value for size n
  std::string str() const;                                                                // "784", "n", "4n"
};

Extent operator*(Extent a, Extent b);  // Error if both are symbolic

using Shape = std::vector<Extent>;
using Axes = std::vector<int64_t>;

// The most axes of a type. No model has as many; rules that look at pairs of axes stay fast.
inline constexpr int64_t largest_rank = 32;

Extent elements(const Shape& shape);  // the product of the extents, 1 for a scalar
std::string str(const Shape& shape);  // "[n,784]"

// Row-major strides in elements: stride[i] is the product of the extents after axis i.
std::vector<Extent> strides(const Shape& shape);

// Where the flat element of an array lies: "[3,7]"; nothing for a scalar.
std::string position(int64_t element, const std::vector<int64_t>& extents);

struct Type {
  DType dtype = f32;
  Shape shape;

  bool operator==(const Type&) const = default;
  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  bool scalar() const { return shape.empty(); }
  Extent elements() const { return tenon::elements(shape); }
  int64_t bytes(int64_t n) const { return checked_product(elements().at(n), byte_size(dtype)); }
  std::string str() const;  // "f32[n,784]", "f32[]" for a scalar
};

// Why there is no value of the type where the run-time size is at most `maximum`: too many axes, a negative extent, the
// run-time size twice, or more bytes than 63 bits count (each extent of 0 taken as 1, so that strides fit too). Empty
// if there are values of it.
std::string flaw(const Type& type, int64_t maximum);

}  // namespace tenon
