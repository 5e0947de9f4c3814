#pragma once
// Element types, shapes and types: with extent.h, check.h and half.h the only headers that every room may read.
#include <array>
#include <cfloat>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "ir/check.h"
#include "ir/extent.h"
#include "ir/half.h"

namespace tenon {

enum class DType : uint8_t { f64, f32, i64, i32, u8, boolean, f16, bf16 };

inline constexpr DType f64 = DType::f64, f32 = DType::f32, i64 = DType::i64, i32 = DType::i32, u8 = DType::u8,
                       boolean = DType::boolean, f16 = DType::f16, bf16 = DType::bf16;

// All that is particular to an element type: whoever needs to know reads the row.
struct ElementType {
  enum Kind : uint8_t { real, integer, truth };
  std::string_view name;  // in texts and messages
  int64_t bytes;
  Kind kind;
  bool is_signed;
  int digits;                    // bits of a significand, with the leading one, or of an integer without its sign
  int tiny;                      // the least positive number is 2^tiny
  double largest;                // the largest finite number
  DType arithmetic;              // the type that computes with its elements: f32 for f16 and bf16, else itself
  std::string_view safetensors;  // its names in files; empty: they have none
  std::string_view npy;
};
inline constexpr std::array<ElementType, 8> element_types = {{
    {"f64", 8, ElementType::real, true, DBL_MANT_DIG, -1074, DBL_MAX, f64, "F64", "<f8"},
    {"f32", 4, ElementType::real, true, FLT_MANT_DIG, -149, FLT_MAX, f32, "F32", "<f4"},
    {"i64", 8, ElementType::integer, true, 63, 0, 0x1p63, i64, "I64", "<i8"},
    {"i32", 4, ElementType::integer, true, 31, 0, 0x1p31 - 1, i32, "I32", "<i4"},
    {"u8", 1, ElementType::integer, false, 8, 0, 255, u8, "U8", "|u1"},
    {"bool", 1, ElementType::truth, false, 1, 0, 1, boolean, "BOOL", "|b1"},
    {"f16", 2, ElementType::real, true, 11, -24, 65504, f32, "F16", "<f2"},
    {"bf16", 2, ElementType::real, true, 8, -133, 0x1.fep127, f32, "BF16", ""},
}};
constexpr const ElementType& traits(DType dtype) { return element_types[static_cast<size_t>(dtype)]; }

constexpr std::string_view name(DType dtype) { return traits(dtype).name; }
constexpr int64_t byte_size(DType dtype) { return traits(dtype).bytes; }
constexpr bool is_float(DType dtype) { return traits(dtype).kind == ElementType::real; }
constexpr DType arithmetic_of(DType dtype) { return traits(dtype).arithmetic; }
// f16 and bf16 only store numbers: views and casts take them, arithmetic does not.
constexpr bool is_storage(DType dtype) { return arithmetic_of(dtype) != dtype; }
// Whether a cast needs another one to f32 before it.
constexpr bool by_way_of_f32(DType from, DType to) {
  return is_storage(from) ? to != f32 && to != from : is_storage(to) && from != f32;
}
constexpr bool is_integer(DType dtype) { return traits(dtype).kind == ElementType::integer; }

// The C++ types of elements, in the order of DType.
using CppTypes = std::tuple<double, float, int64_t, int32_t, uint8_t, bool, half, bfloat>;
static_assert(std::tuple_size_v<CppTypes> == element_types.size());

// Calls f with a value of the C++ type that elements have in memory. A bool lies there as a uint8_t, 0 or 1.
template <size_t I = 0, typename F>
constexpr decltype(auto) with_type(DType dtype, F&& f) {
  using T = std::tuple_element_t<I, CppTypes>;
  if constexpr (I + 1 < element_types.size())
    if (static_cast<size_t>(dtype) != I) return with_type<I + 1>(dtype, f);
  return f(std::conditional_t<std::same_as<T, bool>, uint8_t, T>{});
}

// The unsigned integer that holds the bits of a T.
template <typename T>
using BitsOf =
    std::conditional_t<sizeof(T) == 8, uint64_t,
                       std::conditional_t<sizeof(T) == 4, uint32_t, std::conditional_t<sizeof(T) == 2, uint16_t, uint8_t>>>;

// The names of the types, or another column of names; false if no type has that name.
using Names = std::string_view ElementType::*;
bool parse_dtype(std::string_view text, DType& dtype, Names names = &ElementType::name);
std::string list(Names names, std::string_view separator);  // "f64, f32, i64, i32, u8, bool"

double rounded(DType dtype, double number);  // to a float type: to nearest, ties to even
bool fits(double number, DType dtype);       // whether it is a value of the type, of a float type after rounding
bool fits(int64_t number, DType dtype);

// Where the numbers of a target may lie.
enum class Support : uint8_t { unit_interval, positive, count };  // [0, 1]; above 0; 0, 1, 2, ...
std::string_view name(Support support);                           // "unit_interval"
bool parse_support(std::string_view text, Support& support);
bool contains(Support support, double x);                   // NaN: never
std::string valid(Support support, std::string_view what);  // "0 <= t <= 1"

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
  int64_t bytes(const Sizes& sizes) const { return checked_product(elements().at(sizes), byte_size(dtype)); }
  std::string str() const;  // "f32[n,784]", "f32[]" for a scalar
};

// Why there is no value of the type where no run-time size is more than `maxima` says: too many axes, a negative extent, a
// product of too many sizes, or more bytes than 63 bits count (each extent of 0 taken as 1, so that strides fit too). Empty if
// there are values of it.
std::string flaw(const Type& type, const Sizes& maxima);

}  // namespace tenon
