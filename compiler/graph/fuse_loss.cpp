#include "compiler/graph/fuse_loss.h"

#include <algorithm>

#include "compiler/graph/match.h"
#include "compiler/graph/rewrite.h"
#include "ir/op.h"
#include "ir/ops.h"

namespace tenon {
namespace {

bool is(Value value, const Op& op) { return &value.op() == &op; }

// sign * factors[0] * factors[1] * ... * logprob, elementwise, all of one shape.
struct Term {
  bool negative = false;
  std::vector<Value> factors;
  Value logprob;
};
using Terms = std::vector<Term>;

// Whether a value is one of the log-probabilities that are looked for; gives it in its plain form, or null.
using Probe = Value (*)(Value);

Value product(const std::vector<Value>& factors) {
  Value result;
  for (const Value& factor : factors) result = result ? result * factor : factor;
  return result;
}

// The value as a sum of terms that are linear in log-probabilities, or nothing if it is not. Gives up after
// `budget` nodes: paths through shared nodes can be exponentially many.
std::optional<Terms> linear(Value v, Probe probe, int& budget) {
  if (--budget < 0) return {};
  if (Value found = probe(v)) return Terms{{false, {}, found}};
  auto each = [](std::optional<Terms> terms, auto change) {
    if (terms)
      for (Term& term : *terms) change(term);
    return terms;
  };
  if (is(v, neg_op)) return each(linear(v.operand(0), probe, budget), [](Term& term) { term.negative = !term.negative; });
  if (is(v, mul_op)) {
    for (size_t side : {0, 1})
      if (auto terms = linear(v.operand(side), probe, budget))
        return each(terms, [&](Term& term) { term.factors.push_back(v.operand(1 - side)); });
  }
  if (is(v, div_op))
    return each(linear(v.operand(0), probe, budget), [&](Term& term) { term.factors.push_back(1 / v.operand(1)); });
  if (is(v, add_op) || is(v, sub_op)) {
    auto left = linear(v.operand(0), probe, budget), right = linear(v.operand(1), probe, budget);
    if (!left || !right) return {};
    for (Term& term : *right) {
      if (is(v, sub_op)) term.negative = !term.negative;
      left->push_back(std::move(term));
    }
    return left;
  }
  if (is(v, select_op)) {
    for (size_t side : {1, 2}) {
      if (repeated_number(v.operand(3 - side)) != 0) continue;
      return each(linear(v.operand(side), probe, budget), [&](Term& term) {
        Value weight = term.factors.empty() ? ones_like(v) : product(term.factors);
        Value zero = zeros_like(v);
        term.factors = {side == 1 ? select(v.operand(0), weight, zero) : select(v.operand(0), zero, weight)};
      });
    }
  }
  return {};
}

std::optional<Terms> linear(Value v, Probe probe) {
  int budget = 256;
  return linear(v, probe, budget);
}

void split(Value v, std::vector<Value>& factors) {
  if (!is(v, mul_op)) return factors.push_back(v);
  split(v.operand(0), factors);
  split(v.operand(1), factors);
}

// ---- softmax ----

// A log-softmax, also after a reshape that keeps its rows; as the log-softmax itself.
Value log_softmax_of(Value v) {
  if (is(v, log_softmax_op)) return v;
  if (!is(v, reshape_op) || v.rank() == 0) return {};
  Value below = log_softmax_of(v.operand(0));
  if (!below || below.shape().back() != v.shape().back()) return {};
  return log_softmax(reshape(below.operand(0), v.shape()));
}

Value softmax_of(Value v) {
  if (is(v, softmax_op)) return v;
  if (!is(v, reshape_op) || v.rank() == 0) return {};
  Value below = softmax_of(v.operand(0));
  if (!below || below.shape().back() != v.shape().back()) return {};
  return softmax(reshape(below.operand(0), v.shape()));
}

// log p picked by a label: -cross-entropy(z, label), times what weighs the label's class.
Value picked(Value x, Value label) {
  auto terms = linear(x, log_softmax_of);
  if (!terms) return {};
  Value result;
  for (const Term& term : *terms) {
    Value row = softmax_cross_entropy(term.logprob.operand(0), label);
    if (!term.factors.empty()) row = row * pick(product(term.factors), label);
    if (!term.negative) row = -row;
    result = result ? result + row : row;
  }
  return result;
}

// sum over the classes of a term: against a one-hot row a label, otherwise a target of its own.
Value summed(const Term& term) {
  Value z = term.logprob.operand(0);
  std::vector<Value> factors;
  for (const Value& factor : term.factors) split(factor, factors);
  auto hot = std::find_if(factors.begin(), factors.end(), [](Value f) { return is(f, one_hot_op); });
  Value row;
  if (hot != factors.end()) {
    Value label = hot->operand(0);
    factors.erase(hot);
    row = softmax_cross_entropy(z, label);
    if (!factors.empty()) row = row * pick(product(factors), label);
  } else {
    row = softmax_cross_entropy(z, factors.empty() ? ones_like(z) : product(factors));
  }
  return term.negative ? row : -row;
}

// Terms of the same logits become one, with the sum of their targets.
Terms merged(Terms terms) {
  Terms result;
  for (Term& term : terms) {
    auto same = std::find_if(result.begin(), result.end(), [&](Term& other) { return other.logprob == term.logprob; });
    if (same == result.end()) {
      result.push_back(std::move(term));
      continue;
    }
    auto weight = [](const Term& t) { return t.factors.empty() ? ones_like(t.logprob) : product(t.factors); };
    Value a = weight(*same), b = weight(term);
    same->factors = {same->negative == term.negative ? a + b : a - b};
  }
  return result;
}

// The sum of x over some axes, the classes among them.
Value summed_over(Value x, Axes axes) {
  while (is(x, reshape_op) && static_cast<int64_t>(axes.size()) == x.rank() && !log_softmax_of(x)) {
    x = x.operand(0);  // all elements, in whatever shape
    axes.clear();
    for (int64_t axis = 0; axis < x.rank(); ++axis) axes.push_back(axis);
  }
  if (std::find(axes.begin(), axes.end(), x.rank() - 1) == axes.end()) return {};
  auto terms = linear(x, log_softmax_of);
  if (!terms) return {};
  Value rows;
  for (const Term& term : merged(std::move(*terms))) rows = rows ? rows + summed(term) : summed(term);
  axes.pop_back();
  return axes.empty() ? rows : sum(rows, axes);
}

Value fuse_softmax(Value v) {
  if (is(v, pick_op)) return picked(v.operand(0), v.operand(1));
  if (is(v, sum_op)) return summed_over(v.operand(0), v.attributes().axes("axes"));
  if (is(v, mean_op)) {
    Axes axes = v.attributes().axes("axes");
    Extent count = 1;
    for (int64_t axis : axes) count = count * v.operand(0).shape()[static_cast<size_t>(axis)];
    Value total = summed_over(v.operand(0), axes);
    if (!total) return {};
    return count.symbolic() ? total / cast(size_of(v.body(), count), v.dtype()) : total / Operand(count.count);
  }
  if (is(v, contract_op)) {  // the sum of a product, where the product is elementwise
    const std::string& spec = v.attributes().get<std::string>("spec");
    size_t comma = spec.find(','), arrow = spec.find("->");
    std::string letters = spec.substr(0, comma), kept = spec.substr(arrow + 2);
    if (letters != spec.substr(comma + 1, arrow - comma - 1)) return {};
    Axes axes;
    std::string rest;
    for (size_t i = 0; i < letters.size(); ++i) {
      if (kept.find(letters[i]) == std::string::npos)
        axes.push_back(static_cast<int64_t>(i));
      else
        rest += letters[i];
    }
    return rest == kept ? summed_over(v.operand(0) * v.operand(1), axes) : Value{};
  }
  if (is(v, cross_entropy_op))
    if (Value p = softmax_of(v.operand(0))) return softmax_cross_entropy(p.operand(0), v.operand(1));
  return {};
}

// ---- sigmoid ----

// softplus(z), which a stabilised graph has in place of -log(1 - sigmoid(z)), and of -log(sigmoid(-z)).
Value softplus_of(Value v) { return is(v, softplus_op) ? v : Value{}; }

bool complement(Value t, Value u) { return is(u, sub_op) && repeated_number(u.operand(0)) == 1 && u.operand(1) == t; }

// w * t * softplus(-z) + w * (1 - t) * softplus(z) = w * sigmoid_cross_entropy(z, t)
Value fuse_sigmoid(Value v) {
  if (!is(v, add_op) && !is(v, sub_op)) return {};
  auto terms = linear(v, softplus_of);
  if (!terms || terms->size() != 2 || (*terms)[0].negative != (*terms)[1].negative) return {};
  for (size_t first : {0, 1}) {
    const Term &yes = (*terms)[first], &no = (*terms)[1 - first];
    Value z = no.logprob.operand(0), minus_z = yes.logprob.operand(0);
    if (!is(minus_z, neg_op) || minus_z.operand(0) != z) continue;
    std::vector<Value> a, b, common;
    for (const Value& factor : yes.factors) split(factor, a);
    for (const Value& factor : no.factors) split(factor, b);
    std::erase_if(a, [&](Value factor) {
      auto same = std::find(b.begin(), b.end(), factor);
      if (same == b.end()) return false;
      common.push_back(factor);
      b.erase(same);
      return true;
    });
    if (a.size() != 1 || b.size() != 1 || !(complement(a[0], b[0]) || complement(b[0], a[0]))) continue;
    Value loss = sigmoid_cross_entropy(z, a[0]);
    if (!common.empty()) loss = product(common) * loss;
    return yes.negative ? -loss : loss;
  }
  return {};
}

// ---- receipts ----

// Why log(v) could not be fused, if v comes from a softmax or sigmoid through a few operations; `above` is
// the operation that reads v. Gives up after `budget` nodes.
std::string obstacle(Value v, Value above, int& budget) {
  if (--budget < 0) return "";
  if (is(v, softmax_op) || is(v, sigmoid_op)) {
    std::string_view from = v.op().name;
    if (is(above, max_op) || is(above, min_op) || is(above, clip_op))
      return fmt::format(
          "the {} is clipped by '{}' before the logarithm; leave that out, the fused form is finite "
          "without it",
          from, above.op().name);
    if (std::optional<double> added = is(above, add_op) ? repeated_number(above.operand(1)) : std::nullopt)
      return fmt::format(
          "{} is added to the {} before the logarithm; leave that out, the fused form is finite "
          "without it",
          v.dtype() == f32 ? fmt::format("{}", static_cast<float>(*added)) : fmt::format("{}", *added), from);
    if (is(above, log_op)) return fmt::format("no rule for the logarithm of a {}", from);
    return fmt::format("'{}' stands between the {} and the logarithm", above.op().name, from);
  }
  bool through = is(v, add_op) || is(v, sub_op) || is(v, mul_op) || is(v, div_op) || is(v, max_op) || is(v, min_op) ||
                 is(v, clip_op) || is(v, select_op) || is(v, pick_op) || is(v, reshape_op) || is(v, transpose_op) ||
                 is(v, slice_op) || is(v, broadcast_op) || is(v, sum_op) || is(v, cast_op);
  if (!through) return "";
  bool view = is(v, pick_op) || is(v, reshape_op) || is(v, transpose_op) || is(v, slice_op) || is(v, broadcast_op);
  for (size_t i = 0; i < v.operand_count(); ++i)
    if (std::string found = obstacle(v.operand(i), view ? above : v, budget); !found.empty()) return found;
  return "";
}

// What reads the log-probabilities in place of a label or a target.
std::string other_reader(Value reader) {
  if (is(reader, transpose_op)) return "the classes are on another axis than the one that is picked or summed";
  return fmt::format("its log-probabilities are read by '{}', not picked by a label or summed against a target",
                     reader.op().name);
}

void write_receipts(Graph& graph) {
  Body& body = graph.body();
  std::vector<std::vector<Value>> readers(body.nodes.size());
  std::vector<bool> probability(body.nodes.size());  // logits whose softmax is alive beside the loss
  for (NodeId id = 0; id < body.size(); ++id) {
    Value v = body.value(id);
    for (NodeId operand : v.node().operands) readers[static_cast<size_t>(operand)].push_back(v);
    if (is(v, softmax_op) && !v.node().origin.backward) probability[static_cast<size_t>(v.operand(0).id())] = true;
  }
  auto receipt = [&](Value v, bool done, std::string text) {
    for (const Line& line : v.node().origin.lines.empty() ? std::vector{Line{}} : v.node().origin.lines)
      give_receipt(body, {"fuse_loss", line, v.id(), done, text});
  };
  std::vector<std::pair<NodeId, std::string>> misses;
  for (NodeId id = 0; id < body.size(); ++id) {
    Value v = body.value(id);
    if (v.node().origin.backward) continue;
    if (is(v, softmax_cross_entropy_op)) {
      bool kept = probability[static_cast<size_t>(v.operand(0).id())];
      receipt(v, true,
              kept ? "softmax with cross-entropy: fused; the softmax is kept for its other readers"
                   : "softmax with cross-entropy: fused");
    } else if (is(v, sigmoid_cross_entropy_op)) {
      receipt(v, true, "sigmoid with cross-entropy: fused");
    } else if (is(v, log_op) || is(v, cross_entropy_op)) {
      int budget = 256;
      if (std::string reason = obstacle(v.operand(0), v, budget); !reason.empty()) misses.emplace_back(id, reason);
    } else if (is(v, log_softmax_op)) {
      for (Value reader : readers[static_cast<size_t>(id)])
        if (!reader.node().origin.backward) misses.emplace_back(id, other_reader(reader));
    }
  }
  for (const auto& [id, reason] : misses)
    receipt(body.value(id), false, "softmax with cross-entropy: not fused because " + reason);

  for (NodeId loss : body.require_fused) {
    std::vector<bool> below = ancestors(body, {&loss, 1});
    Line line = body.value(loss).line();
    for (const auto& [id, reason] : misses)
      if (below[static_cast<size_t>(id)])
        fail(line, "require_fused: the loss was not fused: at {}: {}", body.value(id).line().str(), reason);
    bool found = false;
    for (NodeId id = 0; id <= loss; ++id) {
      Value v = body.value(id);
      found = found || (below[static_cast<size_t>(id)] &&
                        (is(v, softmax_cross_entropy_op) || is(v, sigmoid_cross_entropy_op) || is(v, softplus_op)));
    }
    if (!found) fail(line, "require_fused: the loss was not fused: no logarithm of a softmax or sigmoid was found");
  }
}

}  // namespace

Graph fuse_loss(const Graph& graph) {
  Graph result = rewrite(graph, [](Value candidate) {
    Scope scope(candidate.body(), Origin(candidate.node().origin));
    for (auto fuse : {fuse_softmax, fuse_sigmoid})
      if (Value fused = fuse(candidate)) return fused;
    return candidate;
  });
  write_receipts(result);
  result.body().require_fused.clear();  // satisfied; nothing need keep those losses alive any more
  return result;
}

}  // namespace tenon
