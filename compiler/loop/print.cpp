// Loops -> text, which parse.cpp reads back. The grammar stands there. A function that is broken is printed
// all the same, with a ? where something is out of range.
#include <bit>

#include "compiler/loop/text.h"
#include "ir/text.h"

namespace tenon::loop {
namespace {

// The type stands after it: 0:f32 needs no point.
std::string element(int64_t bits, DType dtype) {
  if (dtype == boolean) return bits ? "true" : "false";
  return with_type(dtype, [&]<typename T>(T) {
    const auto value = std::bit_cast<T>(static_cast<BitsOf<T>>(bits));
    if constexpr (std::is_integral_v<T>)
      return std::to_string(value);
    else {
      std::string text = exact(value);
      if (text.ends_with(".0")) text.resize(text.size() - 2);
      return text;
    }
  });
}

std::string leaf(const Function& f, const Node& node) {
  switch (node.code) {
    case Code::constant: {
      const std::string text = element(node.integer, node.type.dtype);
      const bool plain = node.type == ValueType{i64} || node.type == ValueType{boolean};
      return plain ? text : text + ":" + node.type.str();
    }
    case Code::lane_numbers: return fmt::format("lanes:{}", tenon::name(node.type.dtype));
    case Code::base: return fmt::format("@{}", node.integer);
    case Code::size: {
      const auto which = static_cast<size_t>(node.integer);
      return which < f.sizes.size() ? fmt::format("size.{}", f.sizes[which]) : fmt::format("size.?{}", node.integer);
    }
    case Code::number:
    case Code::parameter: return fmt::format("{}{}", name(node.code), node.integer);
    default: return std::string(name(node.code));
  }
}

class Printer {
 public:
  explicit Printer(const Function& f) : f_(f), shown_(f.blocks.size()) {}

  std::string run() {
    for (const auto& function : f_.functions)
      if (function) text_ += loop::str(*function);
    text_ += "function " + quoted(f_.name);
    if (f_.threads) text_ += " threads";
    if (f_.numbers) text_ += fmt::format(" numbers {}", f_.numbers);
    if (!f_.sizes.empty()) text_ += fmt::format(" sizes {}", fmt::join(f_.sizes, ", "));
    text_ += '\n';
    for (size_t i = 0; i < f_.parameters.size(); ++i) text_ += (i ? ", " : "parameters ") + f_.parameters[i].str();
    if (!f_.parameters.empty()) text_ += '\n';
    for (size_t i = 0; i < f_.buffers.size(); ++i) buffer(i);
    block(0, 1);
    return std::move(text_);
  }

 private:
  void buffer(size_t i) {
    const Buffer& b = f_.buffers[i];
    text_ += fmt::format("buffer {} {}[{}] {}", i, tenon::name(b.dtype), b.count.str(), name(b.place));
    const bool slotted = b.place == Buffer::Place::argument || b.place == Buffer::Place::scratch;
    if (slotted || b.slot) text_ += fmt::format(" {}", b.slot);
    text_ += '\n';
  }

  void begin(int depth) { text_.append(static_cast<size_t>(2 * depth), ' '); }

  const Node* node(Id id) const { return id >= 0 && id < std::ssize(f_.nodes) ? &f_.nodes[static_cast<size_t>(id)] : nullptr; }
  std::string value(Id id) const {
    const Node* made = node(id);
    if (!made) return fmt::format("?{}", id);
    return is_leaf(made->code) ? leaf(f_, *made) : fmt::format("%{}", id);
  }
  std::string values(const std::vector<Id>& ids, size_t from = 0, size_t to = SIZE_MAX) const {
    std::string text;
    for (size_t i = from; i < std::min(to, ids.size()); ++i) text += (i > from ? ", " : "") + value(ids[i]);
    return text;
  }

  void block(int32_t id, int depth) {
    if (id < 0 || id >= std::ssize(f_.blocks) || shown_[static_cast<size_t>(id)] || depth > deepest + 1) {
      begin(depth);
      text_ += fmt::format("?{}\n", id);
      return;
    }
    shown_[static_cast<size_t>(id)] = true;
    const Block& block = f_.blocks[static_cast<size_t>(id)];
    for (size_t i = 0; i < block.nodes.size(); ++i) {
      const Id made = block.nodes[i];
      begin(depth);
      const Node* n = node(made);
      if (!n) {
        text_ += fmt::format("?{}\n", made);
      } else if (n->code == Code::loop || n->code == Code::branch) {
        nest(*n, depth);
        std::vector<Id> results;
        for (; i + 1 < block.nodes.size() && is_result(block.nodes[i + 1], made); ++i) results.push_back(block.nodes[i + 1]);
        text_ += (results.empty() ? "end" : "end gives " + values(results)) + "\n";
      } else {
        statement(made, *n);
      }
    }
    if (block.yields.empty()) return;
    begin(depth);
    text_ += "yield " + values(block.yields) + "\n";
  }

  bool is_result(Id id, Id of) const {
    const Node* n = node(id);
    return n && n->code == Code::result && n->operands == std::vector{of};
  }

  // All but its last line.
  void nest(const Node& n, int depth) {
    if (n.code == Code::loop) {
      const int32_t inside = n.blocks.empty() ? -1 : n.blocks[0];
      std::vector<Id> arguments;
      if (inside >= 0 && inside < std::ssize(f_.blocks)) arguments = f_.blocks[static_cast<size_t>(inside)].arguments;
      const size_t count = std::max(arguments.size() + 1, n.operands.size());  // the end has no argument
      auto at = [&](const std::vector<Id>& ids, size_t i) { return i < ids.size() ? value(ids[i]) : "?"; };
      text_ += fmt::format("loop {} = {} to {} by {}", at(arguments, 0), at(n.operands, 0), at(n.operands, 1), n.integer);
      for (size_t i = 2; i < count; ++i)
        text_ += fmt::format("{}{} = {}", i > 2 ? ", " : " carry ", at(arguments, i - 1), at(n.operands, i));
    } else {
      text_ += "if " + values(n.operands);
    }
    text_ += '\n';
    for (size_t i = 0; i < n.blocks.size(); ++i) {
      if (i) begin(depth), text_ += "else\n";
      block(n.blocks[i], depth + 1);
    }
    begin(depth);
  }

  std::string callee(int64_t number) const {
    if (number < 0 || number >= std::ssize(f_.functions)) return fmt::format("?{}", number);
    const auto& function = f_.functions[static_cast<size_t>(number)];
    return function ? quoted(function->name) : "?";
  }

  // What stands between the code and the operands.
  void named(const Node& n) {
    const auto by = static_cast<Code>(n.integer);
    std::string unknown = fmt::format("?{}", n.integer);
    if (n.code == Code::reference)
      text_ += fmt::format(" {}", is_reference(n.integer) ? reference_of(n).name : std::string_view(unknown));
    if (n.code == Code::reduce) text_ += fmt::format(" {}", combines(by) ? name(by) : std::string_view(unknown));
    if (n.code == Code::call) text_ += " " + callee(n.integer);
  }

  void statement(Id id, const Node& n) {
    if (makes_value(n.code)) text_ += fmt::format("%{} = ", id);
    text_ += name(n.code);
    named(n);
    const size_t plain = std::min(unmasked_operands(n), n.operands.size());
    if (plain) text_ += " " + values(n.operands, 0, plain);
    if (n.code == Code::load || n.code == Code::store) text_ += fmt::format(" align {}", n.integer);
    if (n.code == Code::extract) text_ += fmt::format(" lane {}", n.integer);
    if (n.code == Code::shuffle) text_ += fmt::format(" [{}]", fmt::join(n.lanes, ","));
    if (n.operands.size() > plain) text_ += " mask " + value(n.operands[plain]);
    if (n.operands.size() > plain + 1) text_ += " rest " + values(n.operands, plain + 1);
    if (makes_value(n.code)) text_ += " : " + n.type.str();
    text_ += '\n';
  }

  const Function& f_;
  std::vector<char> shown_;
  std::string text_;
};

}  // namespace

std::string str(const Function& function) { return Printer(function).run(); }

}  // namespace tenon::loop
