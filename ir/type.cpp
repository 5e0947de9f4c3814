#include "ir/type.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <unordered_set>

namespace tenon {

std::string_view intern(std::string_view text) {
  static std::mutex mutex;
  static std::unordered_set<std::string> texts;
  std::lock_guard lock(mutex);
  return *texts.emplace(text).first;
}

std::string Line::str() const {
  if (!known()) return "unknown line";
  return fmt::format("{}:{}", file.substr(file.find_last_of("/\\") + 1), line);
}

Error::Error(Line line, const std::string& message)
    : std::runtime_error(line.known() ? line.str() + ": " + message : message), line_(line) {}

bool parse_dtype(std::string_view text, DType& dtype, Names names) {
  for (size_t i = 0; i < element_types.size(); ++i)
    if (element_types[i].*names == text && !text.empty()) return dtype = static_cast<DType>(i), true;
  return false;
}

std::string list(Names names, std::string_view separator) {
  std::string text;
  for (const ElementType& type : element_types)
    if (const std::string_view name = type.*names; !name.empty()) text.append(text.empty() ? "" : separator).append(name);
  return text;
}

double rounded(DType dtype, double number) {
  return with_type(dtype, [&]<typename T>(T) { return static_cast<double>(static_cast<T>(number)); });
}

bool fits(double number, DType dtype) {
  const ElementType& type = traits(dtype);
  if (type.kind == ElementType::real) return !std::isfinite(number) || std::isfinite(rounded(dtype, number));
  const double above = std::ldexp(1, type.digits);
  return number == std::trunc(number) && number < above && number >= (type.is_signed ? -above : 0);
}

bool fits(int64_t number, DType dtype) {
  const ElementType& type = traits(dtype);
  if (type.kind == ElementType::real) return fits(static_cast<double>(number), dtype);
  return number >= 0 ? number >> type.digits == 0 : type.is_signed && ~number >> type.digits == 0;
}

namespace {
constexpr std::string_view supports[] = {"unit_interval", "positive", "count"};
}  // namespace

std::string_view name(Support support) { return supports[static_cast<size_t>(support)]; }

bool parse_support(std::string_view text, Support& support) {
  for (size_t i = 0; i < std::size(supports); ++i)
    if (supports[i] == text) return support = static_cast<Support>(i), true;
  return false;
}

bool contains(Support support, double x) {
  switch (support) {
    case Support::unit_interval: return x >= 0 && x <= 1;
    case Support::positive: return x > 0;
    case Support::count: return x >= 0 && x == std::floor(x) && std::isfinite(x);
  }
  return false;
}

std::string valid(Support support, std::string_view what) {
  switch (support) {
    case Support::unit_interval: return fmt::format("0 <= {} <= 1", what);
    case Support::positive: return fmt::format("{} > 0", what);
    case Support::count: return fmt::format("{} = 0, 1, 2, ...", what);
  }
  return {};
}

Extent elements(const Shape& shape) {
  Extent product;
  for (Extent extent : shape) product = product * extent;
  return product;
}

std::string position(int64_t element, const std::vector<int64_t>& extents) {
  std::vector<int64_t> place(extents.size());
  for (size_t axis = extents.size(); axis-- > 0;) {
    const int64_t extent = std::max<int64_t>(extents[axis], 1);
    place[axis] = element % extent;
    element /= extent;
  }
  return place.empty() ? "" : fmt::format("[{}]", fmt::join(place, ","));
}

std::string str(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + shape[i].str();
  return text + "]";
}

std::vector<Extent> strides(const Shape& shape) {
  std::vector<Extent> result(shape.size());
  Extent stride;
  for (size_t i = shape.size(); i-- > 0; stride = stride * shape[i]) result[i] = stride;
  return result;
}

std::string flaw(const Type& type, const Sizes& maxima) {
  if (type.rank() > largest_rank) return fmt::format("it has {} axes; at most {} are possible", type.rank(), largest_rank);
  Extent product;
  for (Extent extent : type.shape) {
    if (extent.count < 0) return fmt::format("extent {} is negative; it must be 0 or more", extent.str());
    extent.count = std::max<int64_t>(extent.count, 1);
    if (!multiplies(product, extent)) return fmt::format("it has more than {} run-time sizes", SizeProduct::largest);
    try {
      product = product * extent;
    } catch (const Error& error) {
      return std::string(error.what()) + "; its bytes must fit 63 bits";
    }
  }
  try {
    checked_product(product.at(maxima), byte_size(type.dtype));
  } catch (const Error& error) {
    return std::string(error.what()) + "; its bytes must fit 63 bits";
  }
  return {};
}

std::string Type::str() const { return std::string(name(dtype)) + tenon::str(shape); }

}  // namespace tenon
