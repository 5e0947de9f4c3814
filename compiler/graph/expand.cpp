#include "compiler/graph/expand.h"

#include "compiler/graph/rewrite.h"
#include "ir/op.h"

namespace tenon {

Graph expand(const Graph& graph) {
  return rewrite(graph, [](Value candidate) {
    if (!candidate.op().expand) return candidate;
    std::vector<Value> x;
    for (size_t i = 0; i < candidate.operand_count(); ++i) x.push_back(candidate.operand(i));
    return candidate.op().expand(x, candidate.attributes());
  });
}

}  // namespace tenon
