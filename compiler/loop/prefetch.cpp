#include "compiler/loop/prefetch.h"

#include <algorithm>

namespace tenon::loop {

std::vector<Scalar> epilogue_loads(Lowering& low) {
  const Contraction& c = *low.kernel.contraction;
  std::vector<Scalar> loads;
  for (const Statement& s : low.kernel.body)
    visit(s.value, [&](const Scalar& x) {
      if (x->function != Scalar::load || x->guarded || x->integer == c.accumulator) return;
      const tenon::Type& type = low.list.buffers[static_cast<size_t>(x->integer)].type;
      if (type.bytes(low.list.sizes) <= low.target.l1_bytes / 2) return;  // it may still lie there
      auto across = low.stride(x->integer, x->indices(), c.m[0].variable);
      if (!across || *across == Extent(0) || low.stride(x->integer, x->indices(), c.n[0].variable) != Extent(1)) return;
      if (std::find(loads.begin(), loads.end(), x) == loads.end()) loads.push_back(x);
    });
  return loads;
}

void prefetch(Lowering& low, const std::vector<Scalar>& loads, Value m, const Columns& columns) {
  Builder& b = low.b;
  const Contraction& c = *low.kernel.contraction;
  low.open();
  low.bind(c.m[0].variable, m);
  low.bind(c.n[0].variable, columns.n);
  for (const Scalar& x : loads) {
    Value address = low.address(x->integer, x->indices());
    for (int64_t v = 0; v < columns.vectors; ++v) b.prefetch(b.at(address, b.integer(v * lanes)));
  }
  low.close();
}

}  // namespace tenon::loop
