#include "compiler/native/prefetch.h"

#include <algorithm>

namespace tenon {

std::vector<Scalar> epilogue_loads(const Emitter& e) {
  const Contraction& c = *e.kernel.contraction;
  std::vector<Scalar> loads;
  for (const Statement& s : e.kernel.body)
    visit(s.value, [&](const Scalar& x) {
      if (x->function != Scalar::load || x->guarded || x->integer == c.accumulator) return;
      const Type& type = e.list.buffers[static_cast<size_t>(x->integer)].type;
      if (type.bytes(e.list.maximum) <= e.target.l1_bytes / 2) return;  // it may still lie there
      auto across = e.stride(x->integer, x->indices(), c.m.variable);
      if (!across || *across == Extent(0) || e.stride(x->integer, x->indices(), c.n.variable) != Extent(1)) return;
      if (std::find(loads.begin(), loads.end(), x) == loads.end()) loads.push_back(x);
    });
  return loads;
}

void prefetch(Emitter& e, const std::vector<Scalar>& loads, llvm::Value* m, const Columns& columns) {
  auto& b = e.b;
  const Contraction& c = *e.kernel.contraction;
  e.open();
  e.bind(c.m.variable, m);
  e.bind(c.n.variable, columns.n);
  for (const Scalar& x : loads) {
    llvm::Value* address = e.address(x->integer, x->indices());
    for (int64_t v = 0; v < columns.vectors; ++v) {
      llvm::Value* line = b.CreateGEP(e.stored_type(x->dtype), address, e.integer(v * lanes));
      b.CreateIntrinsic(llvm::Intrinsic::prefetch, {b.getPtrTy()},
                        {line, b.getInt32(0), b.getInt32(3), b.getInt32(1)});  // to read, into all caches, data
    }
  }
  e.close();
}

}  // namespace tenon
