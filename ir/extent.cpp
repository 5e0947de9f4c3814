#include "ir/extent.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>

#include "ir/check.h"

namespace tenon {

int64_t checked_product(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) throw Error(fmt::format("extents overflow: {} * {}", a, b));
  return product;
}

void Sizes::set(std::string_view name, int64_t value) {
  const auto it = std::ranges::lower_bound(sizes_, name, {}, &Size::name);
  if (it != sizes_.end() && it->name == name)
    it->value = value;
  else
    sizes_.insert(it, {intern(name), value});
}

int64_t Sizes::index(std::string_view name) const {
  const auto it =
      std::ranges::find_if(sizes_, [&](const Size& size) { return size.name.data() == name.data() || size.name == name; });
  return it == sizes_.end() ? -1 : it - sizes_.begin();
}

std::optional<int64_t> Sizes::find(std::string_view name) const {
  const int64_t i = index(name);
  return i >= 0 ? std::optional(sizes_[static_cast<size_t>(i)].value) : others_;
}

int64_t Sizes::at(std::string_view name) const {
  const auto value = find(name);
  check(value.has_value(), "a run-time size that is asked for has a value");
  return *value;
}

std::string Sizes::str() const {
  std::string text;
  for (const auto& [name, value] : sizes_) text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", name, value);
  return text;
}

namespace {

const SizeProduct* interned(std::vector<std::string_view> names) {
  static std::mutex mutex;
  static std::map<std::string, SizeProduct, std::less<>> products;
  std::string text = fmt::format("{}", fmt::join(names, "*"));
  if (names.size() > SizeProduct::largest)
    throw Error(fmt::format("an extent is a product of {} run-time sizes at most, not {}", SizeProduct::largest, text));
  std::lock_guard lock(mutex);
  return &products.try_emplace(text, SizeProduct{text, std::move(names)}).first->second;
}

}  // namespace

const SizeProduct* SizeProduct::of(std::string_view name) { return interned({intern(name)}); }

const SizeProduct* SizeProduct::of(const SizeProduct* a, const SizeProduct* b) {
  if (!a || !b) return a ? a : b;
  std::vector<std::string_view> names;
  std::ranges::merge(a->names, b->names, std::back_inserter(names));
  return interned(std::move(names));
}

int64_t Extent::at(const Sizes& values) const {
  int64_t product = count;
  for (std::string_view name : names()) product = checked_product(product, values.at(name));
  return product;
}

std::string Extent::str() const {
  if (!symbolic()) return std::to_string(count);
  return count == 1 ? sizes->text : fmt::format("{}{}", count, sizes->text);
}

bool multiplies(Extent a, Extent b) { return a.names().size() + b.names().size() <= SizeProduct::largest; }

Extent operator*(Extent a, Extent b) {
  const int64_t count = checked_product(a.count, b.count);
  return {count, count == 0 ? nullptr : SizeProduct::of(a.sizes, b.sizes)};  // nothing of any size is nothing
}

namespace {

Extent combine(Extent a, Extent b, int64_t count) {
  check(a.like(b), "extents that are added are multiples of one product of sizes");
  return {count, count == 0 ? nullptr : a.count == 0 ? b.sizes : a.sizes};
}

}  // namespace

Extent operator+(Extent a, Extent b) {
  int64_t count;
  if (__builtin_add_overflow(a.count, b.count, &count)) throw Error(fmt::format("extents overflow: {} + {}", a.count, b.count));
  return combine(a, b, count);
}
Extent operator-(Extent a, Extent b) { return combine(a, b, a.count - b.count); }

}  // namespace tenon
