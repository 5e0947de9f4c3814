#include "compiler/kernel/flatten.h"

#include <algorithm>

#include "compiler/kernel/index.h"

namespace tenon {
namespace {

class Flattener {
 public:
  Flattener(const Kernel& kernel, const KernelList& list) : kernel_(kernel), list_(list), c_(*kernel_.contraction) {
    for (const Axis& axis : kernel_.loops()) fresh_ = std::max(fresh_, axis.variable + 1);
    for (const Axis& axis : c_.k) fresh_ = std::max(fresh_, axis.variable + 1);
  }

  Kernel run() {
    if (c_.m.size() != 1) flatten(c_.m);
    if (c_.n.size() != 1) flatten(c_.n);
    for (Statement& statement : kernel_.body) statement.axes = {c_.m[0], c_.n[0]};
    auto shape = [&](int64_t source) -> const Shape& { return list_.buffers[static_cast<size_t>(source)].type.shape; };
    for (size_t i = c_.k.size(); i-- > 1;) {
      const Axis outer = c_.k[i - 1], inner = c_.k[i];
      if (!merges(c_.a, outer, inner, shape) || !merges(c_.b, outer, inner, shape)) continue;
      std::vector<Axis> both{outer, inner};
      flatten(both);
      c_.k[i - 1] = both[0];
      c_.k.erase(c_.k.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return std::move(kernel_);
  }

 private:
  // The axes become one, and their variables what they are of its number.
  void flatten(std::vector<Axis>& axes) {
    Axis flat{fresh_++, 1};
    const Scalar number = Scalar::index(flat.variable);
    std::vector<std::pair<Scalar, Scalar>> values;
    for (size_t i = axes.size(); i-- > 0;) {
      Scalar value = floordiv(number, Scalar::extent(flat.extent));
      if (i > 0) value = mod(value, Scalar::extent(axes[i].extent));
      values.emplace_back(Scalar::index(axes[i].variable), value);
      flat.extent = flat.extent * axes[i].extent;
    }
    auto replace = [&](Scalar& x) {
      x = substitute(x, [&](const Scalar& leaf) {
        for (const auto& [variable, value] : values)
          if (bool(leaf == variable)) return value;
        return Scalar();
      });
    };
    replace(c_.a), replace(c_.b);
    for (Statement& statement : kernel_.body) {
      replace(statement.value);
      std::ranges::for_each(statement.index, replace);
    }
    axes = {flat};
  }

  Kernel kernel_;
  const KernelList& list_;
  Contraction& c_;
  int64_t fresh_ = 0;
};

}  // namespace

bool merges(const Scalar& x, const Axis& outer, const Axis& inner, const std::function<const Shape&(int64_t source)>& shape) {
  if (!multiplies(outer.extent, inner.extent)) return false;
  const Scalar rest = substitute(x, [&](const Scalar& leaf) {
    if (leaf->function != Scalar::load || leaf->guarded) return Scalar();
    IndexForms forms;
    const auto step = forms.stride(shape(leaf->integer), leaf->indices(), inner.variable);
    const auto stride = forms.stride(shape(leaf->integer), leaf->indices(), outer.variable);
    if (!step || !stride || !multiplies(*step, inner.extent) || *step * inner.extent != *stride) return Scalar();
    return Scalar::to(leaf->dtype, Scalar::integer(0));
  });
  bool apart = false;
  visit(rest, [&](const Scalar& leaf) {
    if (leaf->function == Scalar::variable) apart |= leaf->integer == outer.variable || leaf->integer == inner.variable;
  });
  return !apart;
}

Kernel flattened(const Kernel& kernel, const KernelList& list) { return Flattener(kernel, list).run(); }

}  // namespace tenon
