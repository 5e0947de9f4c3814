// Random numbers: pure functions of (seed, stream, step, element), so that neither threads nor other layers
// change them. Bits are 32 per element; f32 uses the upper 24 (23 for normal), f64 all 32, which is its
// resolution here.
#include <numbers>

#include "ir/ops/build.h"

namespace tenon {
namespace {

void need_keys(const Application& a, size_t seed) {
  for (size_t i : {seed, seed + 1})
    if (a.operand(i) != Type{i64, {}})
      a.fail("{} is {}; it must be i64[]", i == seed ? "the seed" : "the step", a.operand(i).str());
  attribute<int64_t>(a, "stream");
}

Type drawn(const Application& a) {
  need_keys(a, 0);
  Type result{attribute<DType>(a, "dtype"), attribute<Shape>(a, "shape")};
  if (!is_float(result.dtype)) a.fail("draws f32 or f64, not {}", result.str());
  return result;
}

// The upper `bits` of 32 random ones, as an i64.
Value upper_bits(std::span<const Value> key, const Attributes& attributes, const Shape& shape, int bits) {
  Value random = random_bits(key[0], key[1], shape, attributes.get<int64_t>("stream"));
  return bits == 32 ? random : random / std::exp2(32 - bits);
}

// k / 2^bits for the random k: [0, 1), exact.
Value unit(std::span<const Value> key, const Attributes& attributes, const Shape& shape, DType dtype) {
  int bits = std::min(traits(dtype).digits, 32);
  return cast(upper_bits(key, attributes, shape, bits), dtype) * std::exp2(-bits);
}

Value draw(const Op& op, Graph& graph, DType dtype, Shape shape, Line line) {
  return apply(op, {graph.seed(), graph.step()},
               attributes({{"dtype", dtype}, {"shape", std::move(shape)}, {"stream", graph.body().next_stream()}}), line);
}

}  // namespace

constinit const Op random_bits_op = {
    .name = "random_bits",
    .operands = 2,
    .type =
        [](const Application& a) {
          need_keys(a, 0);
          return Type{i64, attribute<Shape>(a, "shape")};
        },
    .gradient = zero_gradient,
    .compute =
        [](const Application& a) {
          Scalar element = Scalar::integer(0);
          for (int64_t i = 0; i < a.result.rank(); ++i)
            element = element * Scalar::extent(a.result.shape[static_cast<size_t>(i)]) + Scalar::index(i);
          Scalar stream = Scalar::integer(a.attributes.get<int64_t>("stream"));
          return elementwise(a, Scalar::call(Scalar::philox, {read_operand(a, 0), stream, read_operand(a, 1), element}));
        },
};

constinit const Op uniform_op = {
    .name = "uniform",
    .operands = 2,
    .type = drawn,
    .gradient = zero_gradient,
    .expand =
        [](std::span<const Value> x, const Attributes& attributes) {
          return unit(x, attributes, attributes.get<Shape>("shape"), attributes.get<DType>("dtype"));
        },
};

// sqrt(2) * erfinv(v) for v = (2k + 1) / 2^b - 1, which is exact, symmetric and never +-1, so that every draw
// is finite.
constinit const Op normal_op = {
    .name = "normal",
    .operands = 2,
    .type = drawn,
    .gradient = zero_gradient,
    .expand =
        [](std::span<const Value> x, const Attributes& attributes) {
          DType dtype = attributes.get<DType>("dtype");
          int bits = std::min(traits(dtype).digits - 1, 32);
          Value odd = 2 * upper_bits(x, attributes, attributes.get<Shape>("shape"), bits) + 1;
          return std::numbers::sqrt2 * erfinv(cast(odd, dtype) * std::exp2(-bits) - 1);
        },
};

// True with probability p: uniform < p, so never for p = 0 and always for p = 1.
constinit const Op bernoulli_op = {
    .name = "bernoulli",
    .operands = 3,
    .type =
        [](const Application& a) {
          need_keys(a, 1);
          if (!is_float(a.operand(0).dtype)) a.fail("the probability is {}; it must be f32 or f64", a.operand(0).str());
          return Type{boolean, a.operand(0).shape};
        },
    .gradient = zero_gradient,
    .expand = [](std::span<const Value> x,
                 const Attributes& attributes) { return unit(x.subspan(1), attributes, x[0].shape(), x[0].dtype()) < x[0]; },
};

Value random_bits(Operand seed, Operand step, Shape shape, int64_t stream) {
  return apply(random_bits_op, {value_of("random_bits", seed), value_of("random_bits", step)},
               attributes({{"shape", std::move(shape)}, {"stream", stream}}), line_of(seed, step));
}
Value uniform(Graph& graph, DType dtype, Shape shape, std::source_location at) {
  return draw(uniform_op, graph, dtype, std::move(shape), at);
}
Value normal(Graph& graph, DType dtype, Shape shape, std::source_location at) {
  return draw(normal_op, graph, dtype, std::move(shape), at);
}
Value bernoulli(Graph& graph, Operand p, Shape shape, std::source_location at) {
  Body& body = graph.body();
  check_type(body, "bernoulli", {boolean, shape}, at);
  if (!p.value && !(p.number >= 0 && p.number <= 1))
    fail(at, "bernoulli: the probability is {}; it must be in [0, 1]", p.number);
  Value probability = p.value ? broadcast_to(p, shape) : full(body, {f32, shape}, p.number, at);
  return apply(bernoulli_op, {probability, graph.seed(), graph.step()}, attributes({{"stream", body.next_stream()}}), at);
}

Value dropout(Graph& graph, Operand x, double rate) {
  Value of = value_of("dropout", x);
  if (!(rate >= 0 && rate < 1)) fail(x.line, "dropout: the rate is {}; it must be in [0, 1)", rate);
  if (rate == 0) return of;
  Scope scope(of.body(), "dropout", x.line);
  Value kept = bernoulli(graph, 1 - rate, of.shape());
  return select(kept, x / (1 - rate), 0);
}

}  // namespace tenon
