// Reductions, but for short sums over leading axes, which are contractions. The order of a float sum (or product) over L
// points depends on L alone: up to 16 points in order; else point k goes to chain k mod 16 of its block of 4096 points,
// the chains of a block combine pairwise (8, 4, 2, 1), and the blocks pairwise in ascending order. Every chain starts
// from the identity, so that a dead lane changes nothing.
#include <bit>
#include <limits>
#include <tuple>

#include "compiler/native/emit.h"

namespace tenon {
namespace {

constexpr int64_t block_points = 4096;

struct Fold {
  Emitter& e;
  Reduction reduction;
  DType dtype;
  llvm::Type* type;  // of the result

  bool ordered() const {
    return is_float(dtype) && (reduction == Reduction::sum || reduction == Reduction::product);
  }
  llvm::Constant* identity(llvm::Type* type) const {
    bool max = reduction == Reduction::max || reduction == Reduction::argmax;
    if (reduction == Reduction::sum) return llvm::Constant::getNullValue(type);
    if (is_float(dtype))
      return reduction == Reduction::product ? llvm::ConstantFP::get(type, 1) : llvm::ConstantFP::getInfinity(type, max);
    if (reduction == Reduction::product) return llvm::ConstantInt::get(type, 1);
    unsigned bits = type->getScalarSizeInBits();
    if (dtype == u8 || dtype == boolean)
      return llvm::ConstantInt::get(type, max ? llvm::APInt::getZero(bits) : llvm::APInt::getAllOnes(bits));
    return llvm::ConstantInt::get(type, max ? llvm::APInt::getSignedMinValue(bits) : llvm::APInt::getSignedMaxValue(bits));
  }
  llvm::Value* operator()(llvm::Value* x, llvm::Value* y) const {
    switch (reduction) {
      case Reduction::sum: return is_float(dtype) ? e.b.CreateFAdd(x, y) : e.b.CreateAdd(x, y);
      case Reduction::product: return is_float(dtype) ? e.b.CreateFMul(x, y) : e.b.CreateMul(x, y);
      default: return extreme(e.b, reduction == Reduction::max, dtype, x, y);
    }
  }

  llvm::Value* pairwise(std::vector<llvm::Value*> chains) const {
    for (size_t half = chains.size() / 2; half > 0; half /= 2)
      for (size_t i = 0; i < half; ++i) chains[i] = (*this)(chains[i], chains[i + half]);
    return chains[0];
  }
  llvm::Value* in_order(const std::vector<llvm::Value*>& chains, int64_t count) const {
    llvm::Value* sum = identity(chains[0]->getType());
    for (int64_t i = 0; i < count; ++i) sum = (*this)(sum, chains[static_cast<size_t>(i)]);
    return sum;
  }
  // Combines the 16 chains of a block of a reduction over `points` points.
  llvm::Value* combine(const std::function<llvm::Value*()>& pairs, const std::function<std::vector<llvm::Value*>()>& chains,
                 Extent points) const {
    int64_t least = points.count, most = points.at(e.list.maximum);
    if (!ordered() || least > lanes) return pairs();
    if (most <= lanes) return in_order(chains(), most);
    // Only the run decides. Dead chains hold the identity, so that as many as there may be are added in order.
    llvm::Value *result = e.stack(type), *count = e.extent(points);
    llvm::Value *more = e.b.CreateICmpSGT(count, e.integer(lanes)), *few = e.b.CreateICmpSLE(count, e.integer(lanes / 4));
    e.when(few, [&] { e.b.CreateStore(in_order(chains(), lanes / 4), result); });
    e.when(e.b.CreateNot(e.b.CreateOr(few, more)), [&] { e.b.CreateStore(in_order(chains(), lanes), result); });
    e.when(more, [&] { e.b.CreateStore(pairs(), result); });
    return e.b.CreateLoad(type, result);
  }
};

// The partial results of blocks, combined as a binary counter counts: partial[l] holds 2^l blocks.
class BlockTree {
 public:
  BlockTree(const Fold& fold, int64_t most_points)
      : fold_(fold), type_(fold.type), levels_(std::bit_width(static_cast<uint64_t>((most_points + block_points - 1) / block_points))),
        partial_(fold.e.stack(type_, levels_)) {
    for (int64_t l = 0; l < levels_; ++l) fold.e.b.CreateStore(fold.identity(type_), slot(l));
  }
  void push(llvm::Value* block, llvm::Value* count) {  // `count` blocks are in it
    auto& b = fold_.e.b;
    llvm::Value* carry = b.getTrue();
    for (int64_t l = 0; l < levels_; ++l) {
      llvm::Value *old = b.CreateLoad(type_, slot(l)), *full = bit(count, l);
      llvm::Value *take = b.CreateAnd(carry, full), *put = b.CreateAnd(carry, b.CreateNot(full));
      b.CreateStore(b.CreateSelect(put, block, old), slot(l));
      block = b.CreateSelect(take, fold_(old, block), block);
      carry = take;
    }
  }
  llvm::Value* finish(llvm::Value* count) {
    auto& b = fold_.e.b;
    llvm::Value *sum = fold_.identity(type_), *begun = b.getFalse();
    for (int64_t l = 0; l < levels_; ++l) {
      llvm::Value *old = b.CreateLoad(type_, slot(l)), *full = bit(count, l);
      llvm::Value* joined = b.CreateSelect(begun, fold_(old, sum), old);
      sum = b.CreateSelect(full, joined, sum);
      begun = b.CreateOr(begun, full);
    }
    return sum;
  }

 private:
  llvm::Value* slot(int64_t l) { return fold_.e.b.CreateConstInBoundsGEP1_64(type_, partial_, static_cast<uint64_t>(l)); }
  llvm::Value* bit(llvm::Value* count, int64_t l) {
    auto& b = fold_.e.b;
    return b.CreateTrunc(b.CreateLShr(count, static_cast<uint64_t>(l)), b.getInt1Ty());
  }

  const Fold& fold_;
  llvm::Type* type_;
  int64_t levels_;
  llvm::Value* partial_;
};

// Runs `block(begin, end)` over the blocks of the axis and combines what it returns.
llvm::Value* over_blocks(const Fold& fold, Extent points, const std::function<llvm::Value*(llvm::Value*, llvm::Value*)>& block) {
  Emitter& e = fold.e;
  int64_t most = points.at(e.list.maximum);
  llvm::Value* total = e.extent(points);
  if (!fold.ordered() || most <= block_points) return block(e.integer(0), total);
  BlockTree tree(fold, most);
  e.loop(e.integer(0), total, block_points, [&](llvm::Value* begin) {
    llvm::Value* end = e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, e.b.CreateAdd(begin, e.integer(block_points)), total);
    tree.push(block(begin, end), e.b.CreateUDiv(begin, e.integer(block_points)));
  });
  return tree.finish(e.b.CreateUDiv(e.b.CreateAdd(total, e.integer(block_points - 1)), e.integer(block_points)));
}

// The lanes of each half of a vector of 2 * half.
std::pair<std::vector<int>, std::vector<int>> halves(int half) {
  std::vector<int> low, high;
  for (int lane = 0; lane < half; ++lane) low.push_back(lane), high.push_back(lane + half);
  return {low, high};
}

std::vector<llvm::Value*> lanes_of(llvm::IRBuilder<>& b, llvm::Value* vector) {
  std::vector<llvm::Value*> result;
  for (unsigned lane = 0; lane < lanes; ++lane) result.push_back(b.CreateExtractElement(vector, lane));
  return result;
}

// carried = step(carried, mask) over [begin, end) with the lanes along the axis: whole vectors, then the rest.
Emitter::Values along_lanes(Emitter& e, const Axis& axis, llvm::Value* begin, llvm::Value* end, Emitter::Values carried,
                            const std::function<Emitter::Values(const Emitter::Values&, llvm::Value* mask)>& step) {
  llvm::Value* whole = e.b.CreateAnd(e.b.CreateSub(end, begin), e.integer(-int64_t{lanes}));
  whole = e.b.CreateAdd(begin, whole);
  carried = e.loop(begin, whole, lanes, carried, [&](llvm::Value* i, const Emitter::Values& now) {
    e.bind_vector(axis.variable, i, nullptr);
    return step(now, nullptr);
  });
  if (axis.extent.count % lanes == 0) return carried;
  e.open();
  llvm::Value* mask = e.first_lanes(e.b.CreateSub(end, whole));
  e.bind_vector(axis.variable, whole, mask);
  Emitter::Values last = step(carried, mask);
  for (size_t i = 0; i < last.size(); ++i) last[i] = e.b.CreateSelect(mask, last[i], carried[i]);
  e.close();
  return last;
}

// Where any order will do, a short expression is folded into four accumulators, since max takes long for its result: returns
// what they hold together, and how far they came.
std::pair<llvm::Value*, llvm::Value*> four_at_a_time(const Fold& fold, const Statement& s, llvm::Value* begin,
                                                     llvm::Value* end) {
  constexpr int64_t stride = 4 * lanes, longest = 16;
  Emitter& e = fold.e;
  const Axis& axis = s.reduced[0];
  llvm::Value* identity = fold.identity(e.vector_type(fold.dtype));
  int64_t nodes = 0;
  visit(s.value, [&](const Scalar&) { ++nodes; });
  if (nodes > longest || axis.extent.at(e.list.maximum) < 2 * stride) return {identity, begin};
  llvm::Value* whole = e.b.CreateAdd(begin, e.b.CreateAnd(e.b.CreateSub(end, begin), e.integer(-stride)));
  auto chains = e.loop(begin, whole, stride, Emitter::Values(4, identity), [&](llvm::Value* i, Emitter::Values now) {
    for (size_t u = 0; u < 4; ++u) {
      e.open();
      e.bind_vector(axis.variable, e.b.CreateAdd(i, e.integer(static_cast<int64_t>(u) * lanes)), nullptr);
      now[u] = fold(now[u], e.vector(s.value));
      e.close();
    }
    return now;
  });
  return {fold.pairwise(chains), whole};
}

// argmax: the greatest value so far and its position, from the least value at the first position on.
struct Best {
  Emitter& e;
  DType dtype;

  // Whether a later y takes the place of x: a NaN is the maximum, and the first of equals stays.
  llvm::Value* wins(llvm::Value* y, llvm::Value* x) const {
    if (is_float(dtype)) return e.b.CreateAnd(e.b.CreateFCmpUGT(y, x), e.b.CreateFCmpORD(x, x));
    return dtype == i64 || dtype == i32 ? e.b.CreateICmpSGT(y, x) : e.b.CreateICmpUGT(y, x);
  }
  Emitter::Values choose(llvm::Value* take, const Emitter::Values& y, const Emitter::Values& x) const {
    return {e.b.CreateSelect(take, y[0], x[0]), e.b.CreateSelect(take, y[1], x[1])};
  }
  // Of two that may stand in either order.
  Emitter::Values either(const Emitter::Values& y, const Emitter::Values& x) const {
    llvm::Value* earlier = e.b.CreateICmpSLT(y[1], x[1]);
    return choose(e.b.CreateSelect(earlier, e.b.CreateNot(wins(x[0], y[0])), wins(y[0], x[0])), y, x);
  }
};

llvm::Value* argmax_lanes(Emitter& e, const Statement& s, const Fold& fold) {
  auto& b = e.b;
  const Axis& axis = s.reduced[0];
  const Best best{e, s.value->dtype};
  const bool narrow = axis.extent.at(e.list.maximum) <= std::numeric_limits<int32_t>::max();
  llvm::Type* position = narrow ? b.getInt32Ty() : b.getInt64Ty();
  // A lane that has no point keeps its number, which is behind that of every point.
  Emitter::Values now = {fold.identity(e.vector_type(s.value->dtype)), e.lane_numbers(position)};
  now = along_lanes(e, axis, e.integer(0), e.extent(axis.extent), now, [&](const Emitter::Values& x, llvm::Value*) {
    llvm::Value *y = e.vector(s.value), *j = e.vector(Scalar::index(axis.variable));
    return best.choose(best.wins(y, x[0]), {y, b.CreateTrunc(j, x[1]->getType())}, x);
  });
  for (int half = lanes / 2; half > 0; half /= 2) {
    auto [low, high] = halves(half);
    Emitter::Values first, second;
    for (llvm::Value* x : now) {
      first.push_back(b.CreateShuffleVector(x, low));
      second.push_back(b.CreateShuffleVector(x, high));
    }
    now = best.either(second, first);
  }
  return b.CreateSExt(b.CreateExtractElement(now[1], uint64_t{0}), b.getInt64Ty());
}

llvm::Value* argmax_serial(Emitter& e, const Statement& s, const Fold& fold, bool wide) {
  const Axis& axis = s.reduced[0];
  const Best best{e, s.value->dtype};
  llvm::Type* position = wide ? static_cast<llvm::Type*>(e.vector_type(i64)) : e.type(i64);
  Emitter::Values now = {fold.identity(fold.type), llvm::Constant::getNullValue(position)};
  return e.loop(e.integer(0), e.extent(axis.extent), 1, now, [&](llvm::Value* i, const Emitter::Values& x) {
    e.bind(axis.variable, i);
    llvm::Value* y = wide ? e.vector(s.value) : e.scalar(s.value);
    return best.choose(best.wins(y, x[0]), {y, wide ? e.splat(i) : i}, x);
  })[1];
}

}  // namespace

llvm::Value* reduce_lanes(Emitter& e, const Statement& s) {
  const Axis& axis = s.reduced[0];
  Fold fold{.e = e, .reduction = s.reduction, .dtype = s.value->dtype, .type = e.type(s.value->dtype)};
  if (s.reduction == Reduction::argmax) return argmax_lanes(e, s, fold);
  auto* type = e.vector_type(s.value->dtype);
  return over_blocks(fold, axis.extent, [&](llvm::Value* begin, llvm::Value* end) {
    llvm::Value* start = fold.identity(type);
    if (!fold.ordered()) std::tie(start, begin) = four_at_a_time(fold, s, begin, end);
    llvm::Value* chains = along_lanes(e, axis, begin, end, {start}, [&](const Emitter::Values& now, llvm::Value*) {
      return Emitter::Values{fold(now[0], e.vector(s.value))};
    })[0];
    auto pairs = [&] {
      llvm::Value* sum = chains;
      for (int half = lanes / 2; half > 0; half /= 2) {
        auto [low, high] = halves(half);
        sum = fold(e.b.CreateShuffleVector(sum, low), e.b.CreateShuffleVector(sum, high));
      }
      return e.b.CreateExtractElement(sum, uint64_t{0});
    };
    return fold.combine(pairs, [&] { return lanes_of(e.b, chains); }, axis.extent);
  });
}

llvm::Value* reduce_serial(Emitter& e, const Statement& s, bool wide) {
  const Axis& axis = s.reduced[0];
  DType dtype = s.value->dtype;
  llvm::Type* type = wide ? static_cast<llvm::Type*>(e.vector_type(dtype)) : e.type(dtype);
  Fold fold{.e = e, .reduction = s.reduction, .dtype = dtype, .type = type};
  if (s.reduction == Reduction::argmax) return argmax_serial(e, s, fold, wide);
  auto element = [&] { return wide ? e.vector(s.value) : e.scalar(s.value); };
  if (!fold.ordered() || axis.extent.at(e.list.maximum) <= lanes)
    return e.loop(e.integer(0), e.extent(axis.extent), 1, {fold.identity(type)},
                  [&](llvm::Value* k, const Emitter::Values& now) {
                    e.bind(axis.variable, k);
                    return Emitter::Values{fold(now[0], element())};
                  })[0];
  llvm::Value* memory = e.stack(type, lanes);
  auto chain = [&](llvm::Value* k) { return e.b.CreateInBoundsGEP(type, memory, k); };
  return over_blocks(fold, axis.extent, [&](llvm::Value* begin, llvm::Value* end) {
    for (unsigned c = 0; c < lanes; ++c) e.b.CreateStore(fold.identity(type), chain(e.integer(c)));
    e.loop(begin, end, 1, [&](llvm::Value* k) {
      e.bind(axis.variable, k);
      llvm::Value* x = element();
      llvm::Value* at = chain(e.b.CreateAnd(k, e.integer(lanes - 1)));
      e.b.CreateStore(fold(e.b.CreateLoad(type, at), x), at);
    });
    auto chains = [&] {
      std::vector<llvm::Value*> result;
      for (unsigned c = 0; c < lanes; ++c) result.push_back(e.b.CreateLoad(type, chain(e.integer(c))));
      return result;
    };
    return fold.combine([&] { return fold.pairwise(chains()); }, chains, axis.extent);
  });
}

}  // namespace tenon
