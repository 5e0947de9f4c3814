// The loop language's names and what its records say about themselves.
#include "compiler/loop/loop.h"

#include "ir/compute.h"

#include <algorithm>

namespace tenon::loop {

namespace {
// In the order of Code.
constexpr std::string_view code_names[] = {
    "constant",    "lane_numbers",
    "size",        "thread",
    "threads",     "number",
    "base",        "parameter",
    "argument",    "result",
    "add",         "sub",
    "mul",         "fma",
    "div",         "rem",
    "udiv",        "urem",
    "neg",         "abs",
    "bit_and",     "bit_or",
    "bit_xor",     "shift_left",
    "shift_right", "shift_right_unsigned",
    "eq",          "ne",
    "lt",          "le",
    "ult",         "select",
    "max",         "min",
    "floor",       "ceil",
    "round",       "sqrt",
    "copysign",    "scale",
    "cast",        "zero_extend",
    "bits",        "reference",
    "call",        "splat",
    "extract",     "shuffle",
    "any",         "reduce",
    "at",          "load",
    "gather",      "store",
    "scatter",     "prefetch",
    "loop",        "branch",
};
static_assert(std::size(code_names) == codes);

constexpr std::string_view place_names[] = {"argument", "scratch", "stack", "fault"};
}  // namespace

std::string_view name(Code code) { return code_names[static_cast<size_t>(code)]; }
std::string_view name(Buffer::Place place) { return place_names[static_cast<size_t>(place)]; }

std::string ValueType::str() const {
  return fmt::format("{}{}{}", address ? "@" : "", tenon::name(dtype), vector ? "x16" : "");
}

bool is_reference(int64_t number) {
  return number >= 0 && number < scalar_functions && function(static_cast<Scalar::Function>(number)).kind == ScalarKind::real;
}

bool makes_value(Code code) {
  switch (code) {
    case Code::store:
    case Code::scatter:
    case Code::prefetch:
    case Code::loop:
    case Code::branch: return false;
    default: return true;
  }
}

int64_t Function::scratch_bytes() const {
  int64_t end = 0;
  for (const Buffer& buffer : buffers)
    if (buffer.place == Buffer::Place::scratch)
      end = std::max(end, buffer.slot + checked_product(buffer.count.count, byte_size(buffer.dtype)));
  return (end + 63) / 64 * 64;
}

bool operator==(const Function& a, const Function& b) {
  auto same = [](const auto& x, const auto& y) { return x == y || (x && y && *x == *y); };
  return a.name == b.name && a.threads == b.threads && a.numbers == b.numbers && a.sizes == b.sizes && a.buffers == b.buffers &&
         a.parameters == b.parameters && a.nodes == b.nodes && a.blocks == b.blocks &&
         std::equal(a.functions.begin(), a.functions.end(), b.functions.begin(), b.functions.end(), same);
}

}  // namespace tenon::loop
