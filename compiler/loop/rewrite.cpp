#include "compiler/loop/rewrite.h"

namespace tenon::loop {

Rewriter::Rewriter(const Function& f) : b(f.name), f_(f), values_(f.nodes.size()) {
  Function& made = b.function();
  made.threads = f.threads, made.numbers = f.numbers, made.sizes = f.sizes;
  made.buffers = f.buffers, made.parameters = f.parameters, made.functions = f.functions;
}

Function Rewriter::run() {
  for (Id id : f_.blocks[0].nodes) make(id);
  for (Id id : f_.blocks[0].yields) b.function().blocks[0].yields.push_back(value(id).id);
  return b.finish();
}

Value Rewriter::leaf(const Node& node) {
  switch (node.code) {
    case Code::constant: return b.bit_pattern(node.type, static_cast<uint64_t>(node.integer));
    case Code::lane_numbers: return b.lane_numbers(node.type.dtype);
    case Code::size: return b.size(node.integer);
    case Code::thread: return b.thread();
    case Code::threads: return b.threads();
    case Code::number: return b.given(node.integer);
    case Code::base: return b.base(node.integer);
    case Code::parameter: return b.parameter(node.integer);
    default: break;
  }
  check(false, "a value is made before it is used");
  return {};
}

Value Rewriter::value(Id id) {
  Value& known = values_[static_cast<size_t>(id)];
  return known ? known : known = leaf(f_.nodes[static_cast<size_t>(id)]);
}

Values Rewriter::values(std::span<const Id> ids) {
  Values result;
  for (Id id : ids) result.push_back(value(id));
  return result;
}

Value Rewriter::copy(const Node& node, const Values& operands) {
  if (node.code == Code::shuffle) return b.shuffle(operands[0], operands[1], node.lanes);
  return b.make(node.code, node.type, operands, node.integer);
}

Values Rewriter::inside(int32_t block) {
  const Block& code = f_.blocks[static_cast<size_t>(block)];
  enter();
  for (Id id : code.nodes) make(id);
  Values yields = values(code.yields);
  leave();
  return yields;
}

void Rewriter::make(Id id) {
  const Node& node = f_.nodes[static_cast<size_t>(id)];
  if (node.code == Code::result) {
    values_[static_cast<size_t>(id)] = results_.at(node.operands[0])[static_cast<size_t>(node.integer)];
    return;
  }
  const Values operands = values(node.operands);
  if (node.code == Code::loop) {
    results_[id] = b.loop(operands[0], operands[1], node.integer, {operands.begin() + 2, operands.end()},
                          [&](Value i, const Values& carried) {
                            const Block& body = f_.blocks[static_cast<size_t>(node.blocks[0])];
                            values_[static_cast<size_t>(body.arguments[0])] = i;
                            for (size_t a = 1; a < body.arguments.size(); ++a)
                              values_[static_cast<size_t>(body.arguments[a])] = carried[a - 1];
                            return inside(node.blocks[0]);
                          });
  } else if (node.code == Code::branch) {
    std::function<Values()> otherwise;
    if (node.blocks.size() > 1) otherwise = [&] { return inside(node.blocks[1]); };
    results_[id] = b.branch(
        operands[0], [&] { return inside(node.blocks[0]); }, otherwise);
  } else {
    Value made = replace(node, operands);
    values_[static_cast<size_t>(id)] = made ? made : copy(node, operands);
  }
}

}  // namespace tenon::loop
