// Prints kernels as the head of kernel.h shows them. Dumps and golden tests read this text; nothing parses it.
#include "compiler/kernel/kernel.h"

namespace tenon {
namespace {

class Printer {
 public:
  explicit Printer(const KernelList& list) : list_(list) {}

  std::string name(int64_t buffer) const {
    // A list that is broken is printed all the same.
    if (buffer < 0 || buffer >= static_cast<int64_t>(list_.buffers.size())) return fmt::format("?{}", buffer);
    return list_.buffers[static_cast<size_t>(buffer)].name;
  }
  std::string text(const Scalar& x) const {
    return str(x, [&](int64_t buffer) { return name(buffer); });
  }

  static std::string loops(const std::vector<Axis>& axes) {
    std::string result;
    for (const Axis& axis : axes)
      result += fmt::format("{}{}<{}", result.empty() ? "" : ", ", variable_name(axis.variable), axis.extent.str());
    return result;
  }

  std::string statement(const Statement& s) const {
    std::string index;
    for (const Scalar& i : s.index) index += (index.empty() ? "" : ",") + text(i);
    std::string line = fmt::format("{}[{}]", name(s.buffer), index);
    if (!s.axes.empty()) line += " for " + loops(s.axes);
    line += s.scatter ? " += " : " = ";
    if (s.reduction != Reduction::none) line += fmt::format("{} over {} of ", tenon::name(s.reduction), loops(s.reduced));
    return line + text(s.value);
  }

  std::string kernel(const Kernel& k) const {
    std::string head = k.name, body;
    std::vector<Axis> outer = k.rows;
    if (k.contraction) {
      outer.push_back(k.contraction->m);
      outer.push_back(k.contraction->n);
    }
    if (!outer.empty()) head += " for " + loops(outer);
    if (k.check) {
      head += fmt::format(" check 0 <= {} < {} ({})", name(k.check->index), k.check->extent.str(), k.check->message);
    } else if (k.contraction) {
      const Contraction& c = *k.contraction;
      head += fmt::format(": {} = sum over {} of {} * {}", name(c.accumulator), loops(c.k), factor(c.a), factor(c.b));
    }
    for (const Statement& s : k.body) body += "  " + statement(s) + "\n";
    return head + notes(k) + "\n" + body;
  }

  std::string buffer(const Buffer& b) const {
    constexpr std::string_view storages[] = {"input", "state", "output", "constant", "arena", "row", "tile", "argument"};
    std::string line = fmt::format("{} {} {}", storages[static_cast<size_t>(b.storage)], b.name, b.type.str());
    if (b.slot >= 0) line += fmt::format(" slot {}", b.slot);
    if (b.storage == Storage::arena) line += fmt::format(" at {} alive k{}..k{}", b.offset, b.first + 1, b.last + 1);
    return line;
  }

 private:
  // In parentheses unless it is one load or a number.
  std::string factor(const Scalar& x) const {
    bool plain = x->function == Scalar::load ? !x->guarded : x->function == Scalar::constant;
    return plain ? text(x) : "(" + text(x) + ")";
  }

  static std::string notes(const Kernel& k) {
    std::string result;
    auto add = [&](const std::string& note) { result += (result.empty() ? "  # " : ", ") + note; };
    if (k.contraction) {
      add(fmt::format("tile {}x{} k {}", k.tile.rows, 16 * k.tile.vectors, k.tile.k_block));
      if (k.tile.pack_a) add("pack a");
      if (k.tile.pack_b) add("pack b");
    }
    if (k.threads > 1) add(fmt::format("{} threads", k.threads));
    if (k.barrier) add("barrier");
    for (const Line& line : k.lines)
      if (line.known()) add(line.str());
    return result;
  }

  const KernelList& list_;
};

}  // namespace

std::string str(const Kernel& kernel, const KernelList& list) { return Printer(list).kernel(kernel); }

std::string str(const KernelList& list) {
  Printer printer(list);
  std::string text = fmt::format("entry {}", list.entry);
  if (list.size) text += fmt::format(" for {}<={}", list.size, list.maximum);
  text += fmt::format("  # arena {} bytes, at least {}\n", list.arena_bytes, list.lower_bound);
  for (const IndexCheck& check : list.door)
    text += fmt::format("door: check 0 <= {} < {} ({})\n", printer.name(check.index), check.extent.str(), check.message);
  for (const Kernel& kernel : list.kernels) text += printer.kernel(kernel);
  for (const Buffer& buffer : list.buffers) text += printer.buffer(buffer) + "\n";
  for (const std::string& note : list.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace tenon
