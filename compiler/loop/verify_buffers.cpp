// What a function's buffers hold, and that they lie apart.
#include <algorithm>

#include "compiler/loop/verify.h"

namespace tenon::loop {
namespace {

bool is_word(std::string_view text) {
  auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && is_letter(text[0]) &&
         std::ranges::all_of(text, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '.'; });
}

// Its bytes, where all sizes are 1.
int64_t bytes(const Function& f, size_t i) {
  const Buffer& b = f.buffers[i];
  if (b.dtype == boolean) broken(f, "buffer {} is of bools, which are u8 in memory", i);
  if (b.count.count < 0) broken(f, "buffer {} has {} elements", i, b.count.str());
  for (std::string_view size : b.count.names())
    if (std::ranges::find(f.sizes, size) == f.sizes.end())
      broken(f, "buffer {} has {} elements, and there is no run-time size {}", i, b.count.str(), size);
  if (b.count.count > (int64_t{1} << 60) / byte_size(b.dtype))
    broken(f, "buffer {} of {} {} has too many bytes", i, b.count.str(), tenon::name(b.dtype));
  return b.count.count * byte_size(b.dtype);
}

}  // namespace

void verify_buffers(const Function& f) {
  using Place = Buffer::Place;
  if (f.sizes.size() > Sizes::largest) broken(f, "it has {} run-time sizes, more than {}", f.sizes.size(), Sizes::largest);
  for (size_t i = 0; i < f.sizes.size(); ++i)
    if (!is_word(f.sizes[i]) || std::ranges::find(f.sizes, f.sizes[i]) != f.sizes.begin() + static_cast<std::ptrdiff_t>(i))
      broken(f, "run-time size {} is called '{}', which is no name or that of another one", i, f.sizes[i]);
  struct Piece {
    int64_t begin, end;
    size_t buffer;
    bool operator<(const Piece& other) const { return std::tie(begin, end) < std::tie(other.begin, other.end); }
  };
  std::vector<Piece> scratch, others;  // the others by argument, or -1 for the fault
  for (size_t i = 0; i < f.buffers.size(); ++i) {
    const Buffer& b = f.buffers[i];
    const int64_t length = bytes(f, i);
    if (b.count.symbolic() && b.place != Place::argument)
      broken(f, "buffer {} is {}, whose extent is fixed, of {} elements", i, name(b.place), b.count.str());
    if (b.place == Place::fault && (b.dtype != i64 || b.count != Extent(3)))
      broken(f, "buffer {} is the fault, i64[3], of {}[{}]", i, tenon::name(b.dtype), b.count.str());
    const bool slotted = b.place == Place::argument || b.place == Place::scratch;
    if (slotted ? b.slot < 0 : b.slot != 0) broken(f, "buffer {} is {} {}", i, name(b.place), b.slot);
    if (b.place == Place::scratch && (b.slot % 64 || b.slot > int64_t{1} << 60))
      broken(f, "buffer {} begins at byte {} of the scratch, and must at a multiple of 64", i, b.slot);
    if (b.place == Place::scratch && length) scratch.push_back({b.slot, b.slot + length, i});
    if (b.place == Place::argument) others.push_back({b.slot, b.slot, i});
    if (b.place == Place::fault) others.push_back({-1, -1, i});
  }
  std::ranges::sort(scratch, std::less{});
  std::ranges::sort(others, std::less{});
  for (size_t i = 1; i < scratch.size(); ++i)
    if (scratch[i].begin < scratch[i - 1].end)
      broken(f, "buffer {} ends at byte {} of the scratch, and buffer {} begins at {}", scratch[i - 1].buffer,
             scratch[i - 1].end, scratch[i].buffer, scratch[i].begin);
  for (size_t i = 1; i < others.size(); ++i)
    if (others[i].begin == others[i - 1].begin)
      broken(f, "buffers {} and {} are the same memory", others[i - 1].buffer, others[i].buffer);
}

}  // namespace tenon::loop
