#include "compiler/graph/differentiate.h"

#include <algorithm>

#include "compiler/graph/canonicalise.h"
#include "compiler/graph/fuse_loss.h"
#include "compiler/graph/rewrite.h"
#include "compiler/graph/stabilise.h"
#include "ir/op.h"
#include "ir/ops.h"

namespace tenon {
namespace {

// The stable, fused form of the loss, appended to its graph. Each wrt is a leaf of the scratch graph in which
// the rules run, so none of them can look through it.
Value fused(Value loss, std::span<const Value> wrt) {
  Body& body = loss.body();
  Graph scratch;
  scratch.body().sizes = body.sizes;
  Copy out(body, scratch.body());
  std::unordered_map<std::string, Value> opaque;
  for (size_t i = 0; i < wrt.size(); ++i) {
    std::string name = fmt::format("wrt {}", i);
    out.bind(wrt[i].id(), input(scratch.body(), name, wrt[i].type(), wrt[i].line()));
    opaque.emplace(std::move(name), wrt[i]);
  }
  NodeId root = loss.id();
  out.copy({&root, 1});
  scratch.entry("loss", {{"loss", out[root]}});

  Graph stable = fuse_loss(stabilise(canonicalise(scratch)));
  const Body& from = stable.body();
  Copy back(from, body);
  for (NodeId id = 0; id < from.size(); ++id)
    if (from.node(id).op == &input_op)
      if (auto it = opaque.find(from.node(id).attributes.get<std::string>("name")); it != opaque.end())
        back.bind(id, it->second);
  root = from.entries[0].outputs[0].second;
  back.copy({&root, 1});
  for (Receipt receipt : from.receipts) {
    receipt.node = -1;
    give_receipt(body, std::move(receipt));
  }
  return back[root];
}

std::string with_line(Value value) {
  Line line = value.line();
  return line.known() ? fmt::format("{} ({})", value.op().name, line.str()) : std::string(value.op().name);
}

// The operations between the loss and `value`, along the way by which a gradient first came.
std::string path(Value loss, Value value, const std::vector<NodeId>& reader) {
  std::vector<std::string> steps{with_line(value)};
  for (Value at = value; at != loss;) {
    at = Value(&loss.body(), reader[static_cast<size_t>(at.id())]);
    steps.push_back(with_line(at));
  }
  std::reverse(steps.begin(), steps.end());
  return fmt::format("{}", fmt::join(steps, " <- "));
}

}  // namespace

std::vector<Value> reachable_gradients(Value loss, std::span<const Value> wrt, std::string_view caller, Line at,
                                       std::vector<std::string>& unreached) {
  if (!loss) fail(at, "{}: the loss is an empty Value", caller);
  if (!is_float(loss.dtype())) fail(at, "{}: the loss is {}; only a float has gradients", caller, loss.type().str());
  if (is_storage(loss.dtype()))
    fail(at, "{}: the loss is {}, which only stores numbers; give the f32 that was cast", caller, loss.type().str());
  if (!loss.type().scalar())
    fail(at, "{}: the loss is {}, not a scalar; take its mean() or sum() first", caller, loss.type().str());
  Body& body = loss.body();
  for (size_t i = 0; i < wrt.size(); ++i) {
    if (!wrt[i] || &wrt[i].body() != &body) fail(at, "{}: wrt {} is not of the loss's graph", caller, i);
    if (!is_float(wrt[i].dtype())) fail(at, "{}: wrt {} is {}; only a float has gradients", caller, i, wrt[i].type().str());
  }
  loss = fused(loss, wrt);

  const size_t count = static_cast<size_t>(loss.id()) + 1;
  std::vector<bool> depends(count);  // on a wrt
  for (const Value& value : wrt)
    if (static_cast<size_t>(value.id()) < count) depends[static_cast<size_t>(value.id())] = true;
  for (size_t i = 0; i < count; ++i)
    for (NodeId operand : body.nodes[i].operands)
      if (depends[static_cast<size_t>(operand)]) depends[i] = true;

  std::vector<Value> gradient(count);
  std::vector<NodeId> reader(count, -1);  // through which a gradient first came
  std::vector<NodeId> stopped;            // operations that pass no gradient on to an operand that depends on a wrt
  {
    Origin origin = loss.node().origin;
    origin.backward = true;
    Scope scope(body, origin);
    if (depends[count - 1]) gradient[count - 1] = ones_like(loss);
  }
  for (size_t i = count; i-- > 0;) {
    const Node& node = body.nodes[i];  // a deque: what is appended below does not move it
    if (!gradient[i] || node.operands.empty()) continue;
    bool onward = std::any_of(node.operands.begin(), node.operands.end(),
                              [&](NodeId operand) { return depends[static_cast<size_t>(operand)]; });
    if (!onward) continue;
    Value y(&body, static_cast<NodeId>(i));
    if (!node.op->gradient)
      fail(y.line(), "{}: '{}' has no gradient rule; path from the loss: {}", caller, node.op->name, path(loss, y, reader));
    Origin origin = node.origin;
    origin.backward = true;
    Scope scope(body, origin);
    Pullback pullback{y, gradient[i], {}, node.attributes};
    for (size_t k = 0; k < node.operands.size(); ++k) pullback.x.push_back(y.operand(k));
    std::vector<Value> dx = node.op->gradient(pullback);
    check(dx.empty() || dx.size() == node.operands.size(), "a gradient rule returns one value per operand, or none");
    for (size_t k = 0; k < node.operands.size(); ++k) {
      size_t operand = static_cast<size_t>(node.operands[k]);
      if (!depends[operand]) continue;
      if (dx.empty() || !dx[k]) {
        stopped.push_back(y.id());
        continue;
      }
      check(dx[k].type() == gradient_type(pullback.x[k].type()), "a gradient has the type of its operand");
      if (!gradient[operand]) reader[operand] = y.id();
      gradient[operand] = gradient[operand] ? add_gradients(gradient[operand], dx[k]) : dx[k];
    }
  }

  std::vector<Value> result;
  unreached.assign(wrt.size(), "");
  for (size_t i = 0; i < wrt.size(); ++i) {
    size_t id = static_cast<size_t>(wrt[i].id());
    result.push_back(id < count ? gradient[id] : Value{});
    if (result.back()) continue;
    unreached[i] = "the loss does not depend on it";
    for (NodeId stop : stopped)
      if (ancestors(body, {&stop, 1})[id]) {
        unreached[i] = fmt::format("the loss depends on it only through '{}', whose gradient is zero everywhere",
                                   with_line({&body, stop}));
        break;
      }
  }
  return result;
}

std::vector<Value> gradients(Value loss, std::vector<Value> wrt, std::source_location at) {
  std::vector<std::string> unreached;
  std::vector<Value> result = reachable_gradients(loss, wrt, "gradients", at, unreached);
  for (size_t i = 0; i < wrt.size(); ++i)
    if (!result[i]) fail(at, "gradients: no gradient reaches wrt {} ({}): {}", i, with_line(wrt[i]), unreached[i]);
  return result;
}

}  // namespace tenon
