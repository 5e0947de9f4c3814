#pragma once
// Runs placed kernels one statement at a time, in double: the obvious meaning of the loop language, for tests of what
// the kernel room makes without any emitted code. Arena buffers live at their offsets, so a bad placement shows.
// Parallel rows are run backwards, and statements of an epilogue element by element, as emitted code may do. Kernels of
// two threads are shared out row by row; between two barriers the second thread runs all its part first.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/kernel/kernel.h"
#include "ir/evaluate.h"

namespace tenon {

class KernelRunner {
 public:
  KernelRunner(const KernelList& list, const Body& body, const Bindings& bindings, int64_t n)
      : list_(list), n_(n), arena_(static_cast<size_t>(list.arena_bytes), nan) {
    for (NodeId id : list.inputs) inputs_.push_back(values(bindings, body.node(id)));
    for (const State& state : body.states) states_.push_back(values(bindings, body.node(state.node)));
    for (const Literal& literal : list.constants) {
      constants_.emplace_back();
      for (int64_t i = 0; i < literal.type.elements().count; ++i) constants_.back().push_back(literal.at(i));
    }
    outputs_.resize(list.outputs.size());
    own_.resize(list.buffers.size());
  }

  // False if an index was out of range: then no state has changed.
  bool run() {
    for (const IndexCheck& check : list_.door)
      if (!in_range(check)) return false;
    const std::vector<Kernel>& kernels = list_.kernels;
    for (size_t first = 0, next; first < kernels.size(); first = next) {
      next = first + 1;
      if (kernels[first].check) {
        if (!in_range(*kernels[first].check)) return false;
        continue;
      }
      while (next < kernels.size() && !kernels[next].barrier && !kernels[next].check) ++next;
      for (int64_t thread : {1, 0})
        for (size_t k = first; k < next; ++k)
          if (kernels[k].threads > 1 || thread == 0) run_part(kernels[k], thread);
    }
    return true;
  }

  const std::vector<double>& output(size_t slot) const { return outputs_[slot]; }
  const std::vector<double>& state(size_t slot) const { return states_[slot]; }

 private:
  static constexpr double nan = std::numeric_limits<double>::quiet_NaN();

  static std::vector<double> values(const Bindings& bindings, const Node& node) {
    const ReferenceArray& array = bindings.find(node.attributes.get<std::string>("name"))->second;
    std::vector<double> result;
    for (int64_t i = 0; i < array.elements(); ++i) result.push_back(array.at(i));
    return result;
  }

  const Buffer& buffer(BufferId id) const { return list_.buffers[static_cast<size_t>(id)]; }
  int64_t extent(const Axis& axis) const { return axis.extent.at(n_); }

  double& element(BufferId id, const std::vector<int64_t>& index) {
    const Buffer& b = buffer(id);
    int64_t position = 0;
    check(index.size() == b.type.shape.size(), "an index per axis");
    for (size_t i = 0; i < index.size(); ++i) {
      int64_t count = b.type.shape[i].at(n_);
      check(index[i] >= 0 && index[i] < count, "an index within the buffer");
      position = position * count + index[i];
    }
    auto in = [&](std::vector<double>& array) -> double& {
      array.resize(static_cast<size_t>(b.type.elements().at(n_)), nan);
      return array[static_cast<size_t>(position)];
    };
    size_t slot = static_cast<size_t>(b.slot);
    switch (b.storage) {
      case Storage::input: return in(inputs_[slot]);
      case Storage::state: return in(states_[slot]);
      case Storage::output: return in(outputs_[slot]);
      case Storage::constant: return in(constants_[slot]);
      case Storage::arena: break;
      default: return in(own_[static_cast<size_t>(id)]);
    }
    size_t bytes = static_cast<size_t>(byte_size(b.type.dtype));
    size_t at = static_cast<size_t>(b.offset) + static_cast<size_t>(position) * bytes;
    check(b.offset >= 0 && b.offset % 64 == 0 && at + bytes <= arena_.size(), "an arena buffer lies in the arena");
    for (size_t i = 1; i < bytes; ++i) arena_[at + i] = nan;
    return arena_[at];
  }

  double value(const Scalar& x) {
    const ScalarNode& node = *x;
    auto argument = [&](size_t i) { return value(node.arguments[i]); };
    switch (node.function) {
      case Scalar::constant: return is_float(node.dtype) ? node.number : static_cast<double>(node.integer);
      case Scalar::variable: return static_cast<double>(variables_.at(node.integer));
      case Scalar::size: return static_cast<double>(node.integer * n_);
      case Scalar::load: {
        if (node.guarded && value(node.guard()) == 0) return value(node.otherwise());
        std::vector<int64_t> index;
        for (const Scalar& i : node.indices()) index.push_back(static_cast<int64_t>(value(i)));
        return element(node.integer, index);
      }
      case Scalar::select: return argument(0) != 0 ? argument(1) : argument(2);
      case Scalar::cast: return is_float(node.dtype) ? argument(0) : std::trunc(argument(0));
      case Scalar::div:
        if (!is_float(node.dtype)) return argument(1) == 0 ? 0 : std::trunc(argument(0) / argument(1));
        break;
      case Scalar::philox:
        return philox_bits(static_cast<int64_t>(argument(0)), node.arguments[1]->integer,
                           static_cast<int64_t>(argument(2)), static_cast<int64_t>(argument(3)));
      default: break;
    }
    double a = argument(0), b = node.arguments.size() > 1 ? argument(1) : 0;
    return function(node.function).reference(a, b, node.arguments.size() > 2 ? argument(2) : 0);
  }

  template <typename Do>
  void forwards(const std::vector<Axis>& axes, size_t depth, const Do& body) {
    if (depth == axes.size()) return body();
    for (int64_t i = 0; i < extent(axes[depth]); ++i) {
      variables_[axes[depth].variable] = i;
      forwards(axes, depth + 1, body);
    }
  }

  void run_part(const Kernel& kernel, int64_t thread) {
    kernel_ = &kernel;
    thread_ = thread;
    std::vector<Axis> rows = kernel.rows;
    if (kernel.contraction) rows.push_back(kernel.contraction->m), rows.push_back(kernel.contraction->n);
    backwards(rows, 0);
  }

  void backwards(const std::vector<Axis>& rows, size_t depth) {
    if (depth < rows.size()) {
      for (int64_t i = extent(rows[depth]); i-- > 0;) {
        if (depth == 0 && kernel_->threads > 1 && i % 2 != thread_) continue;
        variables_[rows[depth].variable] = i;
        backwards(rows, depth + 1);
      }
      return;
    }
    for (const Buffer& b : list_.buffers)
      if (b.storage == Storage::row) own_[static_cast<size_t>(&b - list_.buffers.data())].clear();
    if (kernel_->contraction) {
      const Contraction& c = *kernel_->contraction;
      double sum = 0;
      forwards(c.k, 0, [&] { sum += value(c.a) * value(c.b); });
      element(c.accumulator, {variables_[c.m.variable], variables_[c.n.variable]}) = sum;
      for (const Statement& s : kernel_->body) store(s, value(s.value));
    } else {
      for (const Statement& s : kernel_->body) run(s);
    }
  }

  void store(const Statement& s, double x) {
    std::vector<int64_t> index;
    for (const Scalar& i : s.index) index.push_back(static_cast<int64_t>(value(i)));
    element(s.buffer, index) = x;
  }

  void run(const Statement& s) {
    if (s.scatter) {
      std::vector<int64_t> zero(s.index.size());
      element(s.buffer, zero) = 0;
      clear(s.buffer);
      forwards(s.axes, 0, [&] {
        forwards(s.reduced, 0, [&] {
          std::vector<int64_t> index;
          for (const Scalar& i : s.index) index.push_back(static_cast<int64_t>(value(i)));
          double x = value(s.value);
          element(s.buffer, index) += x;
        });
      });
      return;
    }
    forwards(s.axes, 0, [&] {
      double result = 0, best = 0;
      int64_t count = 0;
      switch (s.reduction) {
        case Reduction::none: return store(s, value(s.value));
        case Reduction::sum: forwards(s.reduced, 0, [&] { result += value(s.value); }); break;
        case Reduction::product:
          result = 1;
          forwards(s.reduced, 0, [&] { result *= value(s.value); });
          break;
        case Reduction::max:
        case Reduction::min: {
          auto better = s.reduction == Reduction::max ? Scalar::max : Scalar::min;
          result = s.reduction == Reduction::max ? -INFINITY : INFINITY;
          forwards(s.reduced, 0, [&] { result = function(better).reference(result, value(s.value), 0); });
          break;
        }
        case Reduction::argmax:
          forwards(s.reduced, 0, [&] {
            double x = value(s.value);
            if (count == 0 || x > best || (std::isnan(x) && !std::isnan(best)))
              best = x, result = static_cast<double>(count);
            ++count;
          });
      }
      store(s, result);
    });
  }

  void clear(BufferId id) {
    const Buffer& b = buffer(id);
    std::vector<int64_t> index(b.type.shape.size());
    for (int64_t i = 0; i < b.type.elements().at(n_); ++i) {
      int64_t left = i;
      for (size_t axis = index.size(); axis-- > 0;) {
        index[axis] = left % b.type.shape[axis].at(n_);
        left /= b.type.shape[axis].at(n_);
      }
      element(id, index) = 0;
    }
  }

  bool in_range(const IndexCheck& check) {
    const Buffer& b = buffer(check.index);
    std::vector<int64_t> index(b.type.shape.size());
    for (int64_t i = 0; i < b.type.elements().at(n_); ++i) {
      int64_t left = i;
      for (size_t axis = index.size(); axis-- > 0;) {
        index[axis] = left % b.type.shape[axis].at(n_);
        left /= b.type.shape[axis].at(n_);
      }
      double x = element(check.index, index);
      if (!(x >= 0 && x < static_cast<double>(check.extent.at(n_)))) return false;
    }
    return true;
  }

  const KernelList& list_;
  int64_t n_;
  const Kernel* kernel_ = nullptr;
  int64_t thread_ = 0;
  std::vector<double> arena_;  // an element stands at its first byte; its other bytes are cleared
  std::vector<std::vector<double>> inputs_, states_, outputs_, constants_, own_;
  std::map<int64_t, int64_t> variables_;
};

}  // namespace tenon
