// Kernels -> text, which parse.cpp reads back. The user's lines are comments. The grammar stands in
// compiler/README.md.
#include "compiler/kernel/kernel.h"
#include "ir/scalar_text.h"

namespace tenon {
namespace {

class Printer {
 public:
  explicit Printer(const KernelList& list) : list_(list), scalars_([this](int64_t buffer) { return name(buffer); }) {}

  std::string name(BufferId buffer) const {
    // A list that is broken is printed all the same.
    if (buffer < 0 || buffer >= static_cast<BufferId>(list_.buffers.size())) return fmt::format("?{}", buffer);
    return plain_or_quoted(list_.buffers[static_cast<size_t>(buffer)].name);
  }

  std::string head() const {
    std::string text = "kernels 1\n";
    for (const auto& [name, maximum] : list_.sizes) text += fmt::format("size {} <= {}\n", name, maximum);
    text += fmt::format("entry {}\narena {} bytes, at least {}\n", quoted(list_.entry), list_.arena_bytes, list_.lower_bound);
    if (list_.numbers) text += fmt::format("numbers {}\n", list_.numbers);
    for (const Named& input : list_.inputs) text += fmt::format("input {} {}\n", quoted(input.name), input.type.str());
    for (const Named& output : list_.outputs) text += fmt::format("output {} {}\n", quoted(output.name), output.type.str());
    for (size_t slot = 0; slot < list_.states.size(); ++slot) {
      const Named& state = list_.states[slot];
      const bool updated =
          std::find(list_.updated.begin(), list_.updated.end(), static_cast<int64_t>(slot)) != list_.updated.end();
      text += fmt::format("state {} {}{}\n", quoted(state.name), state.type.str(), updated ? " updated" : "");
    }
    for (const Literal& literal : list_.constants) text += fmt::format("constant {}\n", text_of(literal));
    for (const Buffer& buffer : list_.buffers) text += this->buffer(buffer) + "\n";
    for (const IndexCheck& check : list_.door) text += fmt::format("on entry {}\n", this->check(check));
    for (const std::string& receipt : list_.receipts) text += fmt::format("receipt {}\n", quoted(receipt));
    for (const std::string& note : list_.notes) text += fmt::format("note {}\n", quoted(note));
    return text;
  }

  std::string kernel(const Kernel& k) {
    std::string head = plain_or_quoted(k.name), body;
    if (!k.rows.empty()) head += " for " + loops(k.rows);
    if (k.check) head += " " + check(*k.check);
    if (k.contraction) {
      const Contraction& c = *k.contraction;
      const Scalar factors[] = {c.a, c.b};
      body += shared(factors);
      const std::string a = factor(c.a), b = factor(c.b);
      head += fmt::format(": {}[{};{}{}] = sum over {}{} of {} * {}", name(c.accumulator), loops(c.m), c.n.empty() ? "" : " ",
                          loops(c.n), loops(c.k), order(c), a, b);
    }
    for (const Statement& s : k.body) body += statement(s);
    return head + choices(k) + lines(k) + "\n" + body;
  }

 private:
  double points(const std::vector<Axis>& axes) const {
    double product = 1;
    for (const Axis& axis : axes) product *= static_cast<double>(axis.extent.at(list_.sizes));
    return product;
  }
  // How a sum is cut, unless it is the usual way and a single block.
  std::string order(const Statement& s) const {
    if (s.order == ChainOrder() && (!s.ordered() || points(s.reduced) <= static_cast<double>(s.order.block))) return {};
    return fmt::format(" in {} chains by {}", s.order.chains, s.order.block);
  }
  std::string order(const Contraction& c) const {
    if (c.order == SumOrder() && points(c.k) <= static_cast<double>(c.order.block)) return {};
    return fmt::format(" by {} by {}", c.order.block, c.order.group);
  }

  static std::string loops(const std::vector<Axis>& axes) {
    std::string result;
    for (const Axis& axis : axes)
      result += fmt::format("{}{}<{}", result.empty() ? "" : ", ", variable_name(axis.variable), axis.extent.str());
    return result;
  }

  std::string shared(std::span<const Scalar> expressions) {
    std::string text;
    for (const std::string& definition : scalars_.share(expressions)) text += "  " + definition + "\n";
    return text;
  }

  std::string statement(const Statement& s) {
    std::vector<Scalar> expressions = s.index;
    expressions.push_back(s.value);
    std::string text = shared(expressions), index;
    for (const Scalar& i : s.index) index += (index.empty() ? "" : ",") + scalars_.text(i);
    text += fmt::format("  {}[{}]", name(s.buffer), index);
    if (!s.axes.empty()) text += " for " + loops(s.axes);
    text += s.scatter ? " += " : " = ";
    if (s.reduction != Reduction::none)
      text += fmt::format("{} over {}{} of ", tenon::name(s.reduction), loops(s.reduced), order(s));
    return text + scalars_.text(s.value) + "\n";
  }

  std::string buffer(const Buffer& b) const {
    std::string line = fmt::format("buffer {} {} {}", plain_or_quoted(b.name), tenon::name(b.storage), b.type.str());
    if (b.slot >= 0) line += fmt::format(" slot {}", b.slot);
    if (b.offset >= 0) line += fmt::format(" at {}", b.offset);
    if (b.first >= 0) line += fmt::format(" alive {} to {}", b.first + 1, b.last + 1);
    return line;
  }

  std::string check(const IndexCheck& c) const {
    return fmt::format("check 0 <= {} < {} {}", name(c.index), c.extent.str(), quoted(c.message));
  }

  // In parentheses unless it is one load or a number.
  std::string factor(const Scalar& x) const {
    const bool plain = x->function == Scalar::load ? !x->guarded : x->function == Scalar::constant;
    std::string text = scalars_.text(x);
    return plain ? text : "(" + text + ")";
  }

  // What tile has decided.
  static std::string choices(const Kernel& k) {
    std::string result;
    auto add = [&](const std::string& choice) { result += (result.empty() ? "  | " : ", ") + choice; };
    if (k.contraction) {
      add(fmt::format("tile {}x{} k {} group {}", k.tile.rows, 16 * k.tile.vectors, k.tile.k_block, k.tile.group));
      auto pack = [&](char operand, Layout layout) {
        if (layout != Layout::in_place) add(fmt::format("pack {} by {}", operand, layout == Layout::by_k ? "k" : "row"));
      };
      pack('a', k.tile.a), pack('b', k.tile.b);
    }
    if (k.threads > 1) add(fmt::format("{} threads", k.threads));
    if (k.barrier) add("barrier");
    return result;
  }

  static std::string lines(const Kernel& k) {
    std::string result;
    for (const Line& line : k.lines)
      if (line.known()) result += (result.empty() ? "  # " : ", ") + line.str();
    return result;
  }

  const KernelList& list_;
  ScalarPrinter scalars_;
};

}  // namespace

std::string_view name(Storage storage) {
  constexpr std::string_view names[] = {"input", "state", "output", "constant", "arena", "row", "tile", "argument"};
  return names[static_cast<size_t>(storage)];
}

std::string str(const Kernel& kernel, const KernelList& list) { return Printer(list).kernel(kernel); }

std::string str(const KernelList& list) {
  Printer printer(list);
  std::string text = printer.head();
  for (const Kernel& kernel : list.kernels) text += printer.kernel(kernel);
  return text;
}

}  // namespace tenon
