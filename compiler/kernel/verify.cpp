#include "compiler/kernel/verify.h"

#include <algorithm>
#include <map>

#include "compiler/kernel/index.h"

namespace tenon {
namespace {

template <typename... Args>
[[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) {
  throw InternalError(fmt::format(format, std::forward<Args>(args)...));
}

// One kernel: what its statements store, and that each of their loads finds a value.
class KernelVerifier {
 public:
  KernelVerifier(const Kernel& kernel, const KernelList& list, const std::vector<char>& written)
      : kernel_(kernel), list_(list), written_(written), outer_(kernel.loops()) {}

  void run() {
    for (size_t s = 0; s < kernel_.body.size(); ++s) writers_[kernel_.body[s].buffer].push_back(s);
    if (kernel_.check) operand("check", kernel_.check->index);
    if (kernel_.contraction)
      for (const Scalar& x : {kernel_.contraction->a, kernel_.contraction->b})
        each_load(x, [&](const Scalar& load) { operand("sum", load->integer); });
    shape();
    for (size_t s = 0; s < kernel_.body.size(); ++s) {
      stores_once(s);
      const Statement& statement = kernel_.body[s];
      auto look = [&](const Scalar& load) { read(s, load); };
      each_load(statement.value, look);
      for (const Scalar& index : statement.index) each_load(index, look);
    }
  }

 private:
  const Buffer& buffer(BufferId id) const {
    if (id < 0 || id >= static_cast<BufferId>(list_.buffers.size())) broken("there is no buffer {}", id);
    return list_.buffers[static_cast<size_t>(id)];
  }

  static void each_load(const Scalar& x, const std::function<void(const Scalar&)>& found) {
    visit(x, [&](const Scalar& node) {
      if (node->function == Scalar::load) found(node);
    });
  }

  // What stands where, and that every variable is that of a loop.
  void shape() const {
    if (kernel_.check && (kernel_.contraction || !kernel_.body.empty())) broken("{}: a check does nothing else", kernel_.name);
    if (kernel_.contraction) {
      const Contraction& c = *kernel_.contraction;
      std::vector<Axis> loops = outer_;
      loops.insert(loops.end(), c.k.begin(), c.k.end());
      bound("its sum", loops, {c.a, c.b});
      constexpr int64_t most = INT32_MAX;
      if (c.order.block < 1 || c.order.group < 1 || c.order.block > most || c.order.group > most)
        broken("{}: its sum is cut into blocks of {} points and groups of {} blocks; each is from 1 to {}", kernel_.name,
               c.order.block, c.order.group, most);
      if (c.k.empty()) broken("{}: its sum runs over no loop", kernel_.name);
      apart("first", c.a, c.n);
      apart("second", c.b, c.m);
    }
    for (size_t s = 0; s < kernel_.body.size(); ++s) {
      const Statement& statement = kernel_.body[s];
      const std::string reader = fmt::format("statement {}", s + 1);
      std::vector<Axis> loops = outer_;
      if (!kernel_.contraction)
        loops.insert(loops.end(), statement.axes.begin(), statement.axes.end());
      else if (statement.reduction != Reduction::none || statement.scatter || statement.axes != kernel_.contraction->axes())
        broken("{}: {} is no epilogue: it reduces, scatters or has other loops than the sum", kernel_.name, reader);
      loops.insert(loops.end(), statement.reduced.begin(), statement.reduced.end());
      if ((statement.reduction == Reduction::none) != statement.reduced.empty() ||
          (statement.reduction == Reduction::argmax && statement.reduced.size() != 1))
        broken("{}: {} has loops to reduce and no reduction, or the other way round", kernel_.name, reader);
      const ChainOrder& order = statement.order;
      constexpr int64_t usual = ChainOrder().chains;
      if (order != ChainOrder() && !statement.ordered())
        broken("{}: {} is no sum or product of floats, and has an order", kernel_.name, reader);
      if (order.chains != usual || order.block < usual || order.block % usual != 0 || order.block > INT32_MAX)
        broken("{}: {} is in {} chains by {}; there are {} chains, and a block is a multiple of them", kernel_.name, reader,
               order.chains, order.block, usual);
      std::vector<Scalar> all = statement.index;
      all.push_back(statement.value);
      bound(reader, loops, all);
    }
  }

  void apart(std::string_view factor, const Scalar& x, const std::vector<Axis>& loops) const {
    visit(x, [&](const Scalar& node) {
      for (const Axis& axis : loops)
        if (node == Scalar::index(axis.variable))
          broken("{}: the {} factor of its sum depends on {}, which the other has", kernel_.name, factor,
                 variable_name(axis.variable));
    });
  }

  void bound(std::string_view reader, const std::vector<Axis>& loops, const std::vector<Scalar>& expressions) const {
    std::set<int64_t> variables;
    for (const Axis& axis : loops)
      if (axis.variable >= first_given)
        broken("{}: {} runs over {}, which stands for a number that is given", kernel_.name, reader,
               variable_name(axis.variable));
      else if (!variables.insert(axis.variable).second)
        broken("{}: {} runs over {} twice", kernel_.name, reader, variable_name(axis.variable));
    for (const Scalar& x : expressions)
      visit(x, [&](const Scalar& node) {
        if (node->function != Scalar::variable || variables.contains(node->integer)) return;
        if (node->integer < first_given || node->integer - first_given >= list_.numbers)
          broken("{}: {} uses {}, which no loop around it runs over", kernel_.name, reader, variable_name(node->integer));
      });
    inside(reader, loops, expressions);
  }

  // Of loads that stand under no guard.
  void inside(std::string_view reader, const std::vector<Axis>& loops, const std::vector<Scalar>& expressions) const {
    IndexForms forms;
    for (const Axis& axis : loops) {
      if (axis.extent.count == 0) return;
      forms.bound(axis.variable, axis.extent);
    }
    for (const Scalar& x : expressions)
      each_load(x, [&](const Scalar& load) {
        const Shape& shape = buffer(load->integer).type.shape;
        if (load->guarded || load->indices().size() != shape.size()) return;
        for (size_t i = 0; i < shape.size(); ++i)
          if (forms.leaves(load->indices()[i], shape[i], list_.sizes))
            broken("{}: {} reads '{}', which is {}, outside of its axis {}", kernel_.name, reader, buffer(load->integer).name,
                   buffer(load->integer).type.str(), i);
      });
  }

  // Whether memory holds a value of the buffer before this kernel begins.
  bool available(BufferId id) const {
    const Storage storage = buffer(id).storage;
    if (storage == Storage::arena || storage == Storage::output) return written_[static_cast<size_t>(id)];
    return in_memory(storage);
  }

  [[noreturn]] void unwritten(std::string_view reader, BufferId id) const {
    for (const Kernel& other : list_.kernels)
      for (const Statement& statement : other.body)
        if (statement.buffer == id)
          broken("{}: {} reads '{}' before {} writes it", kernel_.name, reader, buffer(id).name, other.name);
    broken("{}: {} reads '{}', which nothing writes", kernel_.name, reader, buffer(id).name);
  }

  // A buffer that is read while elements of the result are already being written.
  void operand(std::string_view reader, BufferId id) const {
    if (auto it = writers_.find(id); it != writers_.end())
      broken("{}: its {} reads '{}' while its statement {} writes it", kernel_.name, reader, buffer(id).name,
             it->second.front() + 1);
    if (!available(id)) unwritten(fmt::format("its {}", reader), id);
  }

  void read(size_t s, const Scalar& load) const {
    const BufferId id = load->integer;
    auto reader = [&] { return fmt::format("statement {}", s + 1); };
    if (buffer(id).storage == Storage::tile) {
      const Contraction* c = kernel_.contraction ? &*kernel_.contraction : nullptr;
      const bool own = c && c->accumulator == id &&
                       std::ranges::equal(load->indices(), c->axes(), [](const Scalar& index, const Axis& axis) {
                         return index == Scalar::index(axis.variable);
                       });
      if (!own) broken("{}: {} reads '{}' at another place than its own", kernel_.name, reader(), buffer(id).name);
      return;
    }
    const auto it = writers_.find(id);
    const bool before = it != writers_.end() && it->second.front() < s;
    if (!before && !available(id)) unwritten(reader(), id);
    if (it == writers_.end()) return;
    for (size_t writer : it->second)
      if (!same_place(load, kernel_.body[writer], writer == s))
        broken("{}: {} reads '{}' at another place than statement {} writes it", kernel_.name, reader(), buffer(id).name,
               writer + 1);
  }

  // Statements of a row follow one another, so there the same row is enough; elements of a tile, and one
  // statement's elements among themselves, have no order.
  bool same_place(const Scalar& load, const Statement& writer, bool one_statement) const {
    std::span<const Scalar> read = load->indices();
    if (writer.scatter || read.size() != writer.index.size()) return false;
    if (kernel_.contraction || one_statement) return std::equal(read.begin(), read.end(), writer.index.begin());
    if (buffer(writer.buffer).storage == Storage::row) return true;
    for (const Axis& row : kernel_.rows)
      for (size_t i = 0; i < read.size(); ++i)
        if (writer.index[i] == Scalar::index(row.variable) && !(read[i] == writer.index[i])) return false;
    return true;
  }

  // The indices are the loops themselves, each once, over the whole extents of the buffer; of a scatter the
  // first one is data.
  void stores_once(size_t s) const {
    const Statement& statement = kernel_.body[s];
    const Buffer& target = buffer(statement.buffer);
    auto wrong = [&](std::string_view what) {
      broken("{}: statement {} stores '{}' {}", kernel_.name, s + 1, target.name, what);
    };
    if (target.storage == Storage::input || target.storage == Storage::constant || target.storage == Storage::tile)
      wrong("which it may only read");
    std::vector<Axis> loops = statement.axes;
    if (!kernel_.contraction && target.storage != Storage::row)
      loops.insert(loops.begin(), kernel_.rows.begin(), kernel_.rows.end());
    if (kernel_.contraction) loops = outer_;
    if (statement.index.size() != target.type.shape.size()) wrong("with another number of indices than it has axes");
    for (size_t i = statement.scatter; i < statement.index.size(); ++i) {
      auto loop = std::find_if(loops.begin(), loops.end(), [&](const Axis& axis) {
        return statement.index[i] == Scalar::index(axis.variable) && axis.extent == target.type.shape[i];
      });
      if (loop == loops.end()) wrong("elsewhere than at its loops");
      loops.erase(loop);
    }
    for (const Axis& axis : loops)
      if (axis.extent != Extent(1)) wrong("more than once");
  }

  const Kernel& kernel_;
  const KernelList& list_;
  const std::vector<char>& written_;  // by buffer: by earlier kernels
  std::vector<Axis> outer_;
  std::map<BufferId, std::vector<size_t>> writers_;  // statements of this kernel, ascending
};

}  // namespace

void verify(const KernelList& list) {
  std::vector<char> written(list.buffers.size());
  for (const Kernel& kernel : list.kernels) {
    KernelVerifier(kernel, list, written).run();
    for (BufferId id : touched_buffers(kernel, list).written) written[static_cast<size_t>(id)] = true;
  }
  std::vector<char> outputs(list.outputs.size()), states(list.states.size());
  for (size_t id = 0; id < list.buffers.size(); ++id) {
    const Buffer& buffer = list.buffers[id];
    if (!written[id]) continue;
    if (buffer.storage == Storage::output) outputs.at(static_cast<size_t>(buffer.slot)) = true;
    if (buffer.storage == Storage::state) states.at(static_cast<size_t>(buffer.slot)) = true;
  }
  for (size_t slot = 0; slot < outputs.size(); ++slot)
    if (!outputs[slot]) broken("nothing writes the output '{}'", list.outputs[slot].name);
  for (int64_t slot : list.updated)
    if (!states.at(static_cast<size_t>(slot)))
      broken("nothing writes the state '{}'", list.states[static_cast<size_t>(slot)].name);
  verify_memory(list);
}

}  // namespace tenon
