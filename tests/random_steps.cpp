// The steps of a random program: each reads values of the pool and leaves one or two there. One row per kind.
#include <algorithm>

#include "random_graph.h"

namespace tenon::testing {
namespace {

constexpr int64_t extents[] = {1, 2, 3, 5, 8, 16, 17, 33, 64, 65};

bool rows_of_classes(Value x) { return x.rank() > 0 && !x.shape().back().symbolic() && x.shape().back().count > 0; }

void unary(Pool& p) {
  Value x = p.recent();
  switch (p.dice.below(28)) {
    case 0: return p.keep(tanh(x));
    case 1: return p.keep(sigmoid(x));
    case 2: return p.keep(relu(x, p.dice.coin() ? Kink::left : Kink::right));
    case 3: return p.keep(exp(clip(x, -3, 3)));
    case 4: return p.keep(log(p.positive(x)));
    case 5: return p.keep(sqrt(x * x + 0.25));
    case 6: return p.keep(softplus(x));
    case 7: return p.keep(x * p.dice.real(-1, 1));
    case 8: return p.keep(sin(x) + cos(x));
    case 9: return p.keep(erf(x));
    case 10: return p.keep(log1p(abs(x)));
    case 11: return p.keep(elu(x));
    case 12: return p.keep(gelu(x));
    case 13: return p.keep(cast(cast(x, p.real == f32 ? f64 : f32) * 0.75, p.real));
    case 14: return p.keep(select(is_finite(x), floor(x * 0.25 + 1000) * 0.001, 0));
    case 15: return p.keep(pow(p.positive(x), tanh(p.like(x))));
    case 16: return p.keep(pow(x, p.dice.coin() ? 2 : 3) * 0.1);
    case 17: return p.keep(lgamma(p.positive(x)) * 0.1);
    case 18: return p.keep(digamma(p.positive(x)) * 0.5);
    case 19: return p.keep(erfinv(tanh(x) * 0.9));
    case 20: return p.keep(expm1(clip(x, -2, 2)) * 0.5);
    case 21: return p.keep(rsqrt(p.positive(x)));
    case 22: return p.keep(silu(x));
    case 23: return p.keep(leaky_relu(x, 0.1));
    case 24: return p.keep(x.rank() && !x.shape().back().symbolic() ? prelu(x, p.parameter({x.shape().back()})) : -x);
    case 25: return p.keep(round(x * 3) * 0.25 + sign(x) * 0.1 + ceil(x) * 0.1);
    case 26: return p.keep(cast(cast(x, p.dice.coin() ? f16 : bf16), p.real));
    default: return p.keep(1 - x);
  }
}

void binary(Pool& p) {
  Value a = p.recent(), b = p.like(a);
  switch (p.dice.below(7)) {
    case 0: return p.keep(a + b);
    case 1: return p.keep(a - b);
    case 2: return p.keep(tanh(a) * b);
    case 3: return p.keep(a / (abs(b) + 1));
    case 4: return p.keep(max(a, b));
    case 5: return p.keep(min(a, b) + stop_gradient(b) * 0.5);
    default: return p.keep(select(a < b, a, b * 0.5));
  }
}

void reduce(Pool& p) {
  Value x = p.recent();
  if (x.rank() == 0) return;
  Axes axes;
  for (int64_t axis = 0; axis < x.rank(); ++axis)
    if (p.dice.coin()) axes.push_back(axis);
  Extent points;
  for (int64_t axis : axes) points = points * x.shape()[static_cast<size_t>(axis)];
  const bool many = axes.empty() || points.at(largest_maximum) > most_elements / 4;  // a product's gradient multiplies pairs
  switch (p.dice.below(5)) {
    case 0: return p.keep(sum(x, axes) * 0.1);
    case 1:
      if (many) return p.keep(sum(x * x, axes) * 0.1);
      return p.keep(prod(1 + tanh(x) * 0.01, axes));
    case 2: return p.keep(mean(x, axes));
    case 3: return p.keep(reduce_max(x, axes));
    default: return p.keep(reduce_min(x, axes));
  }
}

void rearrange(Pool& p) {
  Value x = p.recent();
  if (x.rank() == 0) return p.keep(broadcast_to(x, {p.extent(), p.extent()}));
  int64_t axis = p.dice.below(x.rank());
  const size_t at = static_cast<size_t>(axis);
  Extent along = x.shape()[at];
  switch (p.dice.below(8)) {
    case 0: {
      Axes order;
      for (int64_t i = 0; i < x.rank(); ++i) order.insert(order.begin() + p.dice.below(i + 1), i);
      return p.keep(transpose(x, order));
    }
    case 1: return p.keep(reverse(x, {axis}));
    case 2: {
      if (along.symbolic() && p.dice.coin()) return p.keep(slice(x, axis, 0, 1 + p.dice.below(along.count)));
      if (along.count < 2) return;
      const int64_t begin = p.dice.below(along.count - 1), step = 1 + p.dice.below(2);
      const Extent from = along.symbolic() ? Extent(begin, along.sizes) : Extent(begin);
      return p.keep(slice(x, axis, from, along, (along - from).count % step && along.symbolic() ? 1 : step));
    }
    case 3: return p.keep(concat({x, tanh(x)}, axis));
    case 4: {
      Shape low(x.shape().size(), 0), high = low;
      low[at] = Extent(p.dice.below(3), along.sizes);
      high[at] = Extent(p.dice.below(3), along.sizes);
      return p.keep(pad(x, low, high, 0.5));
    }
    case 5: {  // two neighbouring axes become one
      if (x.rank() < 2) return;
      Shape shape = x.shape();
      const size_t first = std::min(at, shape.size() - 2);
      shape[first] = shape[first] * shape[first + 1];
      shape.erase(shape.begin() + static_cast<int64_t>(first) + 1);
      return p.keep(reshape(x, shape));
    }
    case 6: {  // and one two
      if (x.rank() > 4) return;
      Shape shape = x.shape();
      if (along.symbolic() && along.sizes->names.size() > 1) {
        const Extent factor(1, along.sizes->names[0]);
        Extent rest = along.count;
        for (size_t i = 1; i < along.sizes->names.size(); ++i) rest = rest * Extent(1, along.sizes->names[i]);
        shape[at] = rest;
        shape.insert(shape.begin() + axis + p.dice.below(2), factor);
        return p.keep(reshape(x, shape));
      }
      for (int64_t factor : {2, 3, 5})
        if (along.count > 0 && along.count % factor == 0) {
          shape[at].count /= factor;
          shape.insert(shape.begin() + axis + p.dice.below(2), factor);
          return p.keep(reshape(x, shape));
        }
      return p.keep(expand_dims(x, axis));
    }
    default: return p.keep(reshape(x, {x.type().elements()}));
  }
}

void product(Pool& p) {
  Value a = p.recent();
  if (a.rank() != 2 || a.shape()[1].symbolic()) return unary(p);
  Value y = matmul(a, p.parameter({a.shape()[1], p.extent()}, 0.5));
  p.keep(p.dice.coin() ? relu(y + 0.1) : y);
}

void rows(Pool& p) {
  Value x = p.recent();
  if (!rows_of_classes(x)) return;
  switch (p.dice.below(4)) {
    case 0: return p.keep(softmax(x));
    case 1: return p.keep(log_softmax(x));
    case 2: return p.keep(logsumexp(x));
    default: return p.keep(x - broadcast_to(expand_dims(mean(x, {-1}), -1), x.shape()));
  }
}

void choose(Pool& p) {
  Value x = p.recent();
  if (!rows_of_classes(x)) return;
  Value index = argmax(x);
  if (p.dice.coin()) return p.keep(pick(x, index));
  p.keep(x * one_hot(index, x.shape().back().count, p.real));
}

// Two values with an extent in common, or one with itself.
void contract_two(Pool& p) {
  Value a = p.recent(), b = a;
  for (int attempt = 0; attempt < 8; ++attempt) {
    Value candidate = p.any();
    if (candidate.rank() != a.rank() || (a.rank() > 1 && candidate.shape() != a.shape())) continue;
    b = candidate;
    break;
  }
  b = tanh(b) * 0.2;
  auto sized = [&](size_t axis) { return a.shape()[axis].symbolic() && p.dice.below(3); };
  if (a.rank() == 1 && a.shape() == b.shape()) return p.keep(contract(a, b, "i,i->"));
  if (a.rank() == 1) return p.keep(contract(a, b, "i,j->ij"));
  if (a.rank() == 2 && p.dice.coin()) return p.keep(contract(a, b, p.dice.coin() ? "ij,ij->j" : "ij,ij->i"));
  if (a.rank() == 2) return p.keep(contract(a, b, sized(0) ? "ki,kj->ij" : "ik,jk->ij"));
  if (a.rank() == 3) return p.keep(contract(a, b, sized(1) ? "bki,bkj->bij" : "bik,bjk->bij"));
  if (a.rank() == 4) return p.keep(contract(a, b, sized(2) ? "abki,abkj->abij" : "abik,abjk->abij"));
}

// A computed factor, broadcast, before a contraction or a sum over leading axes.
void broadcast_factor(Pool& p) {
  Value x = p.recent(), factor;
  for (int attempt = 0; attempt < 8; ++attempt)
    if (factor = p.any(); factor.rank() == 1) break;
  if (factor.rank() != 1) factor = p.parameter({p.extent()});
  factor = p.dice.coin() ? exp(clip(factor, -2, 2)) : tanh(factor);
  Extent outer = !p.sizes.empty() && p.dice.coin() ? p.size() : Extent(p.extent());
  const bool inner = p.dice.coin();
  const Extent own = factor.shape()[0];
  Value wide = broadcast(factor, inner ? Shape{outer, own} : Shape{own, outer}, {inner ? 1 : 0});
  if (!p.small(wide)) return;
  switch (p.dice.below(6)) {
    case 0: return p.keep(sum(wide, {0}) * 0.1);
    case 1: return p.keep(sum(wide, {1}) * 0.1);
    case 2: {
      if (x.rank() != 2 || x.shape()[0] != wide.shape()[0]) return p.keep(contract(wide, tanh(wide), "ij,ij->j"));
      const bool square = x.shape()[1].symbolic() && wide.shape()[1].symbolic() && p.dice.coin();
      return p.keep(
          contract(rows_of_classes(x) && p.dice.coin() ? softmax(x) : tanh(x), wide, square ? "ij,ij->i" : "ij,ik->jk"));
    }
    case 3:
      if (wide.shape()[0].symbolic()) return p.keep(contract(wide, tanh(wide), "ij,ij->i"));
      return p.keep(contract(p.parameter({wide.shape()[0]}), wide, "i,ij->j"));
    case 4: return p.keep(contract(wide, tanh(sum(wide, {1})), "ij,i->j"));
    default: return p.keep(contract(tanh(sum(wide, {0})), wide, "j,ij->i"));
  }
}

// Rows of a table, rows added to a table, and one-hot: computed indices and bound ones.
void by_index(Pool& p) {
  if (p.indices.empty()) return unary(p);
  Value index = p.one_of(p.indices);
  int64_t count = 1 + p.dice.below(40);
  Value wide = cast(index, i64);
  Value within = wide - wide / count * count;
  switch (p.dice.below(4)) {
    case 0:
      if (index.dtype() == u8) return p.keep(gather(p.parameter({256, extents[p.dice.below(4)]}), index));
      return p.keep(gather(p.parameter({count}), within));
    case 1: {
      Value at = p.dice.coin() ? within : cast(within, i32);
      return p.keep(gather(p.parameter({count, p.extent()}), at));
    }
    case 2: return p.keep(one_hot(within, count, p.real) * 0.5);
    default: {
      Value x = p.recent();
      if (x.rank() < index.rank() || !std::equal(index.shape().begin(), index.shape().end(), x.shape().begin()))
        x = cast(index, p.real) * 0.01;
      return p.keep(scatter_add(within, x, count) * 0.1);
    }
  }
}

// Cross-entropy of labels, of soft targets and of bits, in several spellings.
void cross(Pool& p) {
  Value z = p.recent();
  if (!rows_of_classes(z)) return;
  const int64_t classes = z.shape().back().count;
  Shape outer(z.shape().begin(), z.shape().end() - 1);
  Value label;
  for (Value index : p.indices)
    if (index.shape() == outer) label = cast(index, i64) - cast(index, i64) / classes * classes;
  if (!label) label = argmax(sin(z * 7));
  switch (p.dice.below(6)) {
    case 0: return p.keep(softmax_cross_entropy(z, label));
    case 1: return p.keep(-log(pick(softmax(z), label)));
    case 2: return p.keep(-pick(log_softmax(z), label));
    case 3: return p.keep(-sum(one_hot(label, classes, p.real) * log(softmax(z)), {-1}));
    case 4: return p.keep(softmax_cross_entropy(z, softmax(sin(z))));
    default: return p.keep(sigmoid_cross_entropy(z, sigmoid(sin(z))));
  }
}

// A chain of sums of neighbours: each reads the one before at two places.
void neighbours(Pool& p) {
  Value x = p.recent();
  if (x.rank() == 0 || x.shape().back().symbolic()) return;
  for (int64_t links = 1 + p.dice.below(3); links > 0 && x.shape().back().count > 1; --links) {
    int64_t count = x.shape().back().count, axis = x.rank() - 1;
    x = slice(x, axis, 1, count) * 0.5 + slice(x, axis, 0, count - 1);
  }
  p.keep(x);
}

void draw(Pool& p) {
  Value x = p.recent();
  switch (p.dice.below(4)) {
    case 0: return p.keep(dropout(p.graph, x, 0.25));
    case 1: return p.keep(x + normal(p.graph, p.real, x.shape()) * 0.1);
    case 2: return p.keep(select(bernoulli(p.graph, cast(sigmoid(x), f64), x.shape()), x, 0));
    default: return p.keep(x + uniform(p.graph, p.real, x.shape()));
  }
}

// Integers and truth values: wrapping arithmetic, comparisons, reductions, casts there and back.
void integers(Pool& p) {
  if (p.whole.empty()) {
    Value x = p.recent();
    return p.keep_whole(rows_of_classes(x) ? argmax(x) : x < 0);
  }
  Value a = p.one_of(p.whole), b = a;
  for (Value candidate : p.whole)
    if (candidate.type() == a.type() && p.dice.coin()) b = candidate;
  if (a.dtype() == boolean) {
    switch (p.dice.below(4)) {
      case 0: return p.keep_whole(logical_and(a, logical_not(b)));
      case 1: return p.keep_whole(logical_or(a, b));
      case 2: return p.keep_whole(cast(a, p.dice.coin() ? i32 : u8));
      default: return p.keep(cast(a, p.real));
    }
  }
  const DType wide = p.dice.coin() ? i64 : i32;
  switch (p.dice.below(11)) {
    case 0: return p.keep_whole(a + b);
    case 1: return p.keep_whole(a - b * 3);
    case 2: return p.keep_whole(a / b);
    case 3: return p.keep_whole(p.dice.coin() ? max(a, b) : min(a, b));
    case 4: return p.keep_whole(p.dice.coin() ? a < b : equal(a, b));
    case 5: return p.keep_whole(a.rank() ? sum(cast(a, wide), {p.dice.below(a.rank())}) : cast(a, wide));
    case 6: return p.keep_whole(a.rank() ? reduce_max(a, {p.dice.below(a.rank())}) : abs(cast(a, i64)));
    case 7: return p.keep_whole(select(a < b, b, a));
    case 8: return p.keep_whole(-cast(a, wide) + sign(cast(b, wide)));
    case 9: return p.keep_whole(a.rank() ? prod(a, {a.rank() - 1}) : not_equal(a, b));
    default: return p.keep(cast(a, p.real) / 255);
  }
}

struct Row {
  int64_t weight;
  void (*step)(Pool&);
};
constexpr Row table[] = {{4, unary}, {2, binary},     {2, reduce},       {2, rearrange},        {2, product},
                         {2, rows},  {1, choose},     {2, contract_two}, {2, broadcast_factor}, {2, by_index},
                         {1, cross}, {1, neighbours}, {1, draw},         {2, integers}};

}  // namespace

int64_t Pool::extent() {
  if (empty && dice.below(4) == 0) return 0;
  return extents[dice.below(std::size(extents))];
}
Value Pool::recent() {
  auto size = static_cast<int64_t>(values.size());
  return values[static_cast<size_t>(size - 1 - dice.below(std::min<int64_t>(size, 4)))];
}
void Pool::keep(Value value) {
  if (value.dtype() == boolean || is_integer(value.dtype())) return keep_whole(value);
  if (small(value) && value.rank() <= 6) values.push_back(value);
}
void Pool::keep_whole(Value value) {
  if (small(value)) whole.push_back(value);
}
// Mostly not drawn, but of a formula whose code is short.
Value Pool::parameter(Shape shape, double scale) {
  const bool drawn = dice.below(4) == 0;
  auto initial = [scale, drawn](Graph& g, const Type& type) {
    if (drawn) return (uniform(g, type.dtype, type.shape) - 0.5) * scale;
    Value number = full(g.body(), {i64, type.shape}, 5);
    for (int64_t axis = 0; axis < type.rank(); ++axis) number = number * 7 + iota(g.body(), type.shape, axis);
    return cast(number - number / 11 * 11, type.dtype) * (scale / 11) - scale / 2;
  };
  parameters.push_back(graph.parameter("w" + std::to_string(parameters.size()), real, std::move(shape), initial));
  return parameters.back();
}
Value Pool::like(Value x) {
  for (int attempt = 0; attempt < 8; ++attempt)
    if (Value candidate = any(); candidate.shape() == x.shape() || candidate.rank() == 0)
      return broadcast_to(candidate, x.shape());
  return broadcast_to(sum(tanh(any())) * 0.01, x.shape());
}

void add_step(Pool& pool) {
  int64_t all = 0;
  for (const Row& row : table) all += row.weight;
  int64_t at = pool.dice.below(all);
  for (const Row& row : table)
    if ((at -= row.weight) < 0) return row.step(pool);
}

}  // namespace tenon::testing
