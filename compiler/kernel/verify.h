#pragma once
// What kernel.h promises in words, checked: a pass that breaks it is stopped before a wrong number is
// computed.
#include "compiler/kernel/kernel.h"

namespace tenon {

// Throws InternalError that names both sides unless
// - every statement has the loops of its kind, uses no variable but theirs, and stores each element of its
//   buffer once;
// - no load without a guard leaves its buffer, as far as index.h can tell;
// - every value is written before it is read: by an earlier kernel, or by an earlier statement for the same row
//   (of a contraction: the same element; its operands are read while other elements are being written, so the
//   body may not write them). An old value of a state is read at the row or element that is about to be written;
// - every output of the entry and every updated state is written;
// - no two threads touch a buffer between two barriers, unless both read;
// - once placed, arena buffers that are alive at the same time share no byte.
void verify(const KernelList& list);

// The last two of these, for verify().
void verify_memory(const KernelList& list);

}  // namespace tenon
