// The table of find_op: the lines of ops.h once more, each read as its record.
#include <array>

#include "ir/ops.h"

namespace tenon {
namespace {
constexpr const Op* table[] = {
#define TENON_OP(record, ...) &record,
#include "ir/ops.h"
};
}  // namespace

std::span<const Op* const> builtin_vocabulary();  // declared by its only reader, op.cpp
std::span<const Op* const> builtin_vocabulary() { return table; }

}  // namespace tenon
