#include "compiler/graph/stabilise.h"

#include "compiler/graph/canonicalise.h"
#include "compiler/graph/rewrite.h"
#include "compiler/graph/rules.h"

namespace tenon {

Graph stabilise(const Graph& graph) {
  static const Rules rules(stable_rules());
  return rewrite(graph, [](Value candidate) {
    Value replacement;
    rules.match(candidate, replacement);
    return replacement ? replacement : canonical(candidate);
  });
}

}  // namespace tenon
