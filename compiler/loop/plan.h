#pragma once
// How a row kernel is walked: which statements share a loop, which axes are merged into one, and whether the 16 lanes
// run along the rows or along the statements' own axes. No choice changes a bit. No LLVM.
#include "compiler/kernel/index.h"
#include "compiler/kernel/kernel.h"

namespace tenon {

// Statements with the same axes; more than one only if they neither reduce nor scatter and may run element by element.
struct StatementGroup {
  std::vector<Axis> axes, reduced;  // at most one reduced axis, unless it scatters
  std::vector<Statement> statements;
};

struct RowPlan {
  std::vector<Axis> rows;
  std::vector<StatementGroup> groups;
  bool row_lanes = false;  // the lanes run along the last row axis
};

// Binds the variables it makes in `forms`.
RowPlan plan_rows(const Kernel& kernel, const KernelList& list, IndexForms& forms);

}  // namespace tenon
