#include "compiler/graph/stabilise.h"

#include "compiler/graph/canonicalise.h"
#include "compiler/graph/rewrite.h"
#include "compiler/graph/rules.h"

namespace tenon {

Graph stabilise(const Graph& graph) {
  static const Rules rules(stable_rules());
  std::vector<Receipt> receipts;
  Graph result = rewrite(graph, [&](Value candidate) {
    Value replacement;
    const Rule* rule = rules.match(candidate, replacement);
    if (!rule) return canonical(candidate);
    if (!candidate.node().origin.backward)
      receipts.push_back({"stabilise", candidate.line(), -1, true,
                          fmt::format("{}: made stable; as written it is {}", rule->name, rule->note)});
    return replacement;
  });
  for (Receipt& receipt : receipts) give_receipt(result.body(), std::move(receipt));
  return result;
}

}  // namespace tenon
