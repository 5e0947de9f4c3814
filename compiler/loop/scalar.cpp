// Expressions: where an expression is made, and the nodes of every scalar function.
#include <algorithm>
#include <bit>
#include <cmath>

#include "compiler/loop/functions.h"
#include "compiler/loop/lowering.h"

namespace tenon::loop {

const Lowering::Facts& Lowering::facts(const Scalar& x) {
  if (auto it = facts_.find(&*x); it != facts_.end()) return it->second;
  Facts result{.expression = x, .variables = {}, .reads = {}};
  for (const Scalar& argument : x->arguments) {
    const Facts& inner = facts(argument);
    result.variables.insert(result.variables.end(), inner.variables.begin(), inner.variables.end());
    result.reads.insert(result.reads.end(), inner.reads.begin(), inner.reads.end());
    result.reads_row |= inner.reads_row;
  }
  if (x->function == Scalar::variable) result.variables.push_back(x->integer);
  if (x->function == Scalar::load) {
    Storage storage = list.buffers[static_cast<size_t>(x->integer)].storage;
    if (storage == Storage::tile || written_[static_cast<size_t>(x->integer)]) result.reads.push_back(x->integer);
    result.reads_row |= storage == Storage::row;
  }
  auto unique = [](auto& values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
  };
  unique(result.variables);
  unique(result.reads);
  return facts_.emplace(&*x, std::move(result)).first->second;
}

bool Lowering::varies(const Facts& facts) const {
  const Level* vector = vector_level();
  if (!vector) return false;
  if (row_lanes && facts.reads_row) return true;
  if (std::binary_search(facts.variables.begin(), facts.variables.end(), vector->vector_variable)) return true;
  return std::any_of(facts.reads.begin(), facts.reads.end(),
                     [&](BufferId id) { return list.buffers[static_cast<size_t>(id)].storage == Storage::tile; });
}

// The outermost level at which the value can be computed.
size_t Lowering::level(const Facts& facts) const {
  size_t result = 0;
  for (int64_t variable : facts.variables) {
    size_t at = levels_.size();
    while (at > 0 && !levels_[at - 1].bound.count(variable)) --at;
    check(at > 0, "every loop variable of an expression is bound");
    result = std::max(result, at - 1);
  }
  if (varies(facts)) result = std::max(result, static_cast<size_t>(vector_level() - levels_.data()));
  for (BufferId read : facts.reads) {
    size_t at = levels_.size();
    while (at > 0 && !levels_[at - 1].settled) --at;
    bool settled = at > 0 && list.buffers[static_cast<size_t>(read)].storage != Storage::tile;
    if (settled)
      for (BufferId written : levels_[at - 1].written) settled &= !share_bytes(list, written, read);
    result = std::max(result, settled ? at - 1 : levels_.size() - 1);
  }
  return result;
}

Value Lowering::scalar(const Scalar& x) { return value(x, false); }
Value Lowering::vector(const Scalar& x) { return value(x, true); }

Value Lowering::value(const Scalar& x, bool wide) {
  const Facts& about = facts(x);
  const size_t at = level(about);
  const auto& memo = wide ? levels_[at].vectors : levels_[at].scalars;
  if (auto it = memo.find(&*x); it != memo.end()) return it->second;
  Builder::Position position(b, at + 1);
  Value result = wide && !varies(about) ? b.splat(value(x, false)) : make(x, wide);
  return (wide ? levels_[at].vectors : levels_[at].scalars)[&*x] = result;
}

namespace {

// Truncates toward zero; x / 0 is 0 and the least integer / -1 is itself. Never traps, not in a masked lane either.
Value divide(Builder& b, Value x, Value y) {
  Value zero = b.zero(x.type), one = b.number(x.type, 1), nothing = b.eq(y, zero);
  if (!is_signed(x.type.dtype)) return b.select(nothing, zero, b.udiv(x, b.select(nothing, one, y)));
  Value minus = b.eq(y, b.number(x.type, -1));
  Value quotient = b.div(x, b.select(b.bit_or(nothing, minus), one, y));
  return b.select(nothing, zero, b.select(minus, b.neg(x), quotient));
}

// The quotient that floors, or what is left; the divisor is positive (any other gives some value, and no trap).
Value floor_divide(Builder& b, Value x, Value y, bool quotient) {
  Value zero = b.zero(x.type), one = b.number(x.type, 1);
  if (!is_signed(x.type.dtype)) {
    y = b.select(b.eq(y, zero), one, y);
    return quotient ? b.udiv(x, y) : b.urem(x, y);
  }
  y = b.select(b.le(y, zero), one, y);
  Value remainder = b.rem(x, y), below = b.lt(remainder, zero);
  if (!quotient) return b.select(below, b.add(remainder, y), remainder);
  Value truncated = b.div(x, y);
  return b.select(below, b.sub(truncated, one), truncated);
}

// x / c for a pixel x (a u8 as a float) without a division, if that gives the rounded quotient for each of the 256; else
// none. The remainder of the product with 1 / c corrects it.
Value divide_pixel(Builder& b, const ScalarNode& division, Value x) {
  const Scalar &pixel = division.arguments[0], &divisor = division.arguments[1];
  bool fits = division.dtype == f32 && pixel->function == Scalar::cast && pixel->arguments[0]->dtype == u8 &&
              divisor->function == Scalar::constant;
  float c = static_cast<float>(divisor->number), inverse = 1 / c;
  for (int i = 0; fits && i < 256; ++i) {
    float y = static_cast<float>(i), quotient = y * inverse, rest = std::fma(-c, quotient, y);
    float corrected = std::fma(rest, inverse, quotient), exact = y / c;
    fits = std::bit_cast<uint32_t>(corrected) == std::bit_cast<uint32_t>(exact);
  }
  if (!fits) return {};
  Value factor = b.number(x.type, inverse), quotient = b.mul(x, factor);
  return b.fma(b.fma(b.number(x.type, -c), quotient, x), factor, quotient);
}

Value sign(Builder& b, Value x) {
  Value zero = b.zero(x.type), one = b.number(x.type, 1), minus = b.number(x.type, -1);
  if (is_float(x.type.dtype)) return b.select(b.gt(x, zero), one, b.select(b.lt(x, zero), minus, x));
  Value positive = b.cast(b.ne(x, zero), x.type.dtype);
  return is_signed(x.type.dtype) ? b.select(b.lt(x, zero), minus, positive) : positive;
}

}  // namespace

Value Lowering::make(const Scalar& x, bool wide) {
  const ScalarNode& node = *x;
  const ValueType type{node.dtype, wide};
  switch (node.function) {
    case Scalar::constant:
      return is_float(node.dtype) ? b.number(type, node.number) : b.bit_pattern(type, static_cast<uint64_t>(node.integer));
    case Scalar::variable: {
      for (auto it = levels_.rbegin(); it != levels_.rend(); ++it)
        if (auto bound = it->bound.find(node.integer); bound != it->bound.end())
          return wide ? b.add(b.splat(bound->second), b.lane_numbers(i64)) : bound->second;
      return {};
    }
    case Scalar::size: return b.extent(Extent(node.integer, node.size));
    case Scalar::load: return load(x, wide);
    case Scalar::select: {
      const bool wide_condition = wide && varies(facts(node.arguments[0]));
      Value condition = value(node.arguments[0], wide_condition), then = value(node.arguments[1], wide);
      return b.select(condition, then, value(node.arguments[2], wide));
    }
    case Scalar::add:
    case Scalar::sub:
    case Scalar::mul:
    case Scalar::floordiv:
    case Scalar::mod:
      if (node.dtype == i64)
        if (Value index = make_index(x, wide)) return index;
      break;
    default: break;
  }
  Values arguments;
  for (const Scalar& argument : node.arguments) arguments.push_back(value(argument, wide));
  return make_call(x, type, arguments);
}

// Index arithmetic as its simplest linear form; null if that is x itself.
Value Lowering::make_index(const Scalar& x, bool wide) {
  const Linear form = forms_.linear(x);
  if (form.terms.size() == 1 && form.terms[0].atom == x) return {};
  if (!wide) return all(form);
  Value same = linear(form, Terms::common, {i64, true});
  return b.add(same, linear(form, Terms::of_lanes, {i64, true}));
}

Value Lowering::make_call(const Scalar& x, ValueType type, const Values& a) {
  const DType from = a[0].type.dtype;
  const bool floating = is_float(from);
  switch (x->function) {
    case Scalar::add: return b.add(a[0], a[1]);
    case Scalar::sub: return b.sub(a[0], a[1]);
    case Scalar::mul: return b.mul(a[0], a[1]);
    case Scalar::div: {
      if (!floating) return divide(b, a[0], a[1]);
      Value quotient = target.isa == Isa::sse2 ? Value() : divide_pixel(b, *x, a[0]);
      return quotient ? quotient : b.div(a[0], a[1]);
    }
    case Scalar::floordiv:
    case Scalar::mod: {
      const bool quotient = x->function == Scalar::floordiv;
      if (floating) {
        Value floor = b.unary(Code::floor, b.div(a[0], a[1]));
        return quotient ? floor : b.sub(a[0], b.mul(a[1], floor));
      }
      const auto dividend = forms_.range(x->arguments[0], list.sizes), divisor = forms_.range(x->arguments[1], list.sizes);
      if (from == i64 && dividend && dividend->least >= 0 && divisor && divisor->least > 0) {
        // 32 bits suffice, and vectors of them divide by a constant cheaply.
        Value p = b.cast(a[0], i32), q = b.cast(a[1], i32);
        return b.zero_extend(quotient ? b.udiv(p, q) : b.urem(p, q), i64);
      }
      return floor_divide(b, a[0], a[1], quotient);
    }
    case Scalar::neg: return b.neg(a[0]);
    case Scalar::abs: return floating || is_signed(from) ? b.abs(a[0]) : a[0];
    case Scalar::sign: return sign(b, a[0]);
    case Scalar::fma: return floating ? b.fma(a[0], a[1], a[2]) : b.add(b.mul(a[0], a[1]), a[2]);
    case Scalar::eq: return b.eq(a[0], a[1]);
    case Scalar::ne: return b.ne(a[0], a[1]);
    case Scalar::lt: return b.lt(a[0], a[1]);
    case Scalar::le: return b.le(a[0], a[1]);
    case Scalar::logical_and: return b.bit_and(a[0], a[1]);
    case Scalar::logical_or: return b.bit_or(a[0], a[1]);
    case Scalar::logical_not: return b.bit_not(a[0]);
    case Scalar::is_finite:
      if (!floating) return b.bit_pattern(type, 1);
      return b.lt(b.abs(a[0]), b.number(a[0].type, std::numeric_limits<double>::infinity()));
    case Scalar::cast: return convert(b, target.isa, a[0], type.dtype);
    case Scalar::max: return b.max(a[0], a[1]);
    case Scalar::min: return b.min(a[0], a[1]);
    case Scalar::floor: return floating ? b.unary(Code::floor, a[0]) : a[0];
    case Scalar::ceil: return floating ? b.unary(Code::ceil, a[0]) : a[0];
    case Scalar::round: return floating ? b.unary(Code::round, a[0]) : a[0];
    case Scalar::sqrt: return b.unary(Code::sqrt, a[0]);
    case Scalar::philox: return philox(b, a);
    default: return expand(b, target.isa, x->function, a);
  }
}

}  // namespace tenon::loop
