#include "ir/compute.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "ir/special.h"

namespace tenon {
namespace {

using Row = ScalarFunction;
double is_true(bool value) { return value ? 1 : 0; }

double maximum(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return a < b ? b : a;
}
double minimum(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  if (a == 0 && b == 0) return std::signbit(a) ? a : b;
  return b < a ? b : a;
}
double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

constexpr ScalarKind leaf = ScalarKind::leaf, arithmetic = ScalarKind::arithmetic, real = ScalarKind::real;

#define TENON_ROW(name, kind, cost, arity, ulp, expression) \
  Row {                                                     \
    name, kind, cost, arity,                                \
        [](double a, double b, double c) -> double {        \
          (void)a, (void)b, (void)c;                        \
          return expression;                                \
        },                                                  \
        ulp                                                 \
  }

// In the order of Scalar::Function.
const Row rows[] = {
    {"constant", leaf, 0, 0, nullptr, 0},
    {"variable", leaf, 0, 0, nullptr, 0},
    {"size", leaf, 0, 0, nullptr, 0},
    {"load", leaf, 0, -1, nullptr, 0},
    TENON_ROW("add", arithmetic, 1, 2, 0, a + b),
    TENON_ROW("sub", arithmetic, 1, 2, 0, a - b),
    TENON_ROW("mul", arithmetic, 1, 2, 0, a* b),
    TENON_ROW("div", arithmetic, 4, 2, 0, a / b),
    TENON_ROW("floordiv", arithmetic, 1, 2, 0, std::floor(a / b)),
    TENON_ROW("mod", arithmetic, 1, 2, 0, a - b * std::floor(a / b)),
    TENON_ROW("neg", arithmetic, 1, 1, 0, -a),
    TENON_ROW("abs", arithmetic, 1, 1, 0, std::fabs(a)),
    TENON_ROW("sign", arithmetic, 1, 1, 0,
              std::isnan(a) ? a
              : a > 0       ? 1.0
              : a < 0       ? -1.0
                            : a),
    TENON_ROW("fma", arithmetic, 1, 3, 0, std::fma(a, b, c)),
    TENON_ROW("eq", arithmetic, 1, 2, 0, is_true(a == b)),
    TENON_ROW("ne", arithmetic, 1, 2, 0, is_true(a != b)),
    TENON_ROW("lt", arithmetic, 1, 2, 0, is_true(a < b)),
    TENON_ROW("le", arithmetic, 1, 2, 0, is_true(a <= b)),
    TENON_ROW("and", arithmetic, 1, 2, 0, is_true(a != 0 && b != 0)),
    TENON_ROW("or", arithmetic, 1, 2, 0, is_true(a != 0 || b != 0)),
    TENON_ROW("not", arithmetic, 1, 1, 0, is_true(a == 0)),
    {"select", arithmetic, 1, 3, nullptr, 0},
    TENON_ROW("is_finite", arithmetic, 1, 1, 0, is_true(std::isfinite(a))),
    {"cast", arithmetic, 1, 1, nullptr, 0},
    TENON_ROW("max", arithmetic, 1, 2, 0, maximum(a, b)),
    TENON_ROW("min", arithmetic, 1, 2, 0, minimum(a, b)),
    TENON_ROW("floor", arithmetic, 1, 1, 0, std::floor(a)),
    TENON_ROW("ceil", arithmetic, 1, 1, 0, std::ceil(a)),
    TENON_ROW("round", arithmetic, 1, 1, 0, std::nearbyint(a)),
    TENON_ROW("sqrt", real, 4, 1, 0, std::sqrt(a)),
    TENON_ROW("exp", real, 16, 1, 2, std::exp(a)),
    TENON_ROW("expm1", real, 16, 1, 2, std::expm1(a)),
    TENON_ROW("log", real, 16, 1, 2, std::log(a)),
    TENON_ROW("log1p", real, 16, 1, 2, std::log1p(a)),
    TENON_ROW("pow", real, 16, 2, 2, std::pow(a, b)),
    TENON_ROW("sin", real, 16, 1, 2, std::sin(a)),
    TENON_ROW("cos", real, 16, 1, 2, std::cos(a)),
    TENON_ROW("tanh", real, 16, 1, 2, std::tanh(a)),
    TENON_ROW("sigmoid", real, 16, 1, 2, sigmoid(a)),
    TENON_ROW("erf", real, 16, 1, 2, std::erf(a)),
    TENON_ROW("erfinv", real, 16, 1, 4, special::erfinv(a)),
    TENON_ROW("lgamma", real, 16, 1, 4, special::lgamma(a)),
    TENON_ROW("digamma", real, 16, 1, 4, special::digamma(a)),
    TENON_ROW("trigamma", real, 16, 1, 4, special::trigamma(a)),
    {"philox", ScalarKind::bits, 24, 4, nullptr, 0},
};
#undef TENON_ROW
static_assert(std::size(rows) == scalar_functions);

bool is_index(const Scalar& x) { return x->dtype == i64; }
std::optional<int64_t> literal(const Scalar& x) {
  if (x->function == Scalar::constant && is_index(x)) return x->integer;
  return {};
}

}  // namespace

const ScalarFunction& function(Scalar::Function function) { return rows[function]; }

std::span<const Scalar> ScalarNode::indices() const { return std::span(arguments).first(arguments.size() - (guarded ? 2 : 0)); }
Scalar ScalarNode::guard() const { return guarded ? arguments[arguments.size() - 2] : Scalar(); }
Scalar ScalarNode::otherwise() const { return guarded ? arguments.back() : Scalar(); }

namespace {
// Whether two nodes are equal but for their arguments.
bool alike(const ScalarNode& a, const ScalarNode& b) {
  return a.function == b.function && a.dtype == b.dtype && a.integer == b.integer && a.guarded == b.guarded &&
         a.size == b.size && std::bit_cast<uint64_t>(a.number) == std::bit_cast<uint64_t>(b.number) &&
         a.arguments.size() == b.arguments.size();
}
}  // namespace

bool Scalar::operator==(const Scalar& other) const {
  using Pair = std::pair<const ScalarNode*, const ScalarNode*>;
  if (node_ == other.node_) return true;
  if (!node_ || !other.node_ || !alike(*node_, *other.node_)) return false;
  std::vector<Pair> open{{node_.get(), other.node_.get()}};
  std::set<Pair> seen;
  while (!open.empty()) {
    const Pair pair = open.back();
    open.pop_back();
    const std::vector<Scalar>&left = pair.first->arguments, &right = pair.second->arguments;
    if (left.empty() || !seen.insert(pair).second) continue;
    for (size_t i = 0; i < left.size(); ++i) {
      if (left[i].node_ == right[i].node_) continue;
      if (!alike(*left[i], *right[i])) return false;
      open.emplace_back(&*left[i], &*right[i]);
    }
  }
  return true;
}

// Takes the arguments out of every node that dies with this one, so that their own destructors find none.
ScalarNode::~ScalarNode() {
  std::vector<Scalar> open = std::move(arguments);
  while (!open.empty()) {
    const Scalar last = std::move(open.back());
    open.pop_back();
    if (last.node_.use_count() != 1) continue;
    std::atomic_thread_fence(std::memory_order_acquire);  // another thread may have been the last but one to hold it
    std::vector<Scalar> inner = std::move(const_cast<ScalarNode&>(*last).arguments);
    std::move(inner.begin(), inner.end(), std::back_inserter(open));
  }
}

Scalar Scalar::make(Function function, DType dtype, std::vector<Scalar> arguments, int64_t integer, double number,
                    const char* size, bool guarded) {
  Scalar result;
  result.node_ = std::make_shared<ScalarNode>(function, dtype, std::move(arguments), integer, number, size, guarded);
  return result;
}

Scalar Scalar::number(DType dtype, double value) {
  if (!is_float(dtype)) return make(constant, dtype, {}, static_cast<int64_t>(value));
  return make(constant, dtype, {}, 0, rounded(dtype, value));
}
Scalar Scalar::integer(int64_t value) { return make(constant, i64, {}, value); }
Scalar Scalar::boolean(bool value) { return make(constant, DType::boolean, {}, value); }
Scalar Scalar::index(int64_t number) { return make(variable, i64, {}, number); }
Scalar Scalar::extent(Extent extent) {
  if (!extent.symbolic()) return integer(extent.count);
  Scalar product;
  for (std::string_view size : extent.names()) {
    Scalar factor = make(Scalar::size, i64, {}, product ? 1 : extent.count, 0, size.data());
    product = product ? product * factor : factor;
  }
  return product;
}
Scalar Scalar::read(int64_t source, DType dtype, std::vector<Scalar> indices) {
  return make(load, dtype, std::move(indices), source);
}
Scalar Scalar::read_if(Scalar guard, int64_t source, DType dtype, std::vector<Scalar> indices, Scalar otherwise) {
  indices.push_back(std::move(guard));
  indices.push_back(std::move(otherwise));
  return make(load, dtype, std::move(indices), source, 0, nullptr, true);
}

Scalar Scalar::call(Function function, std::vector<Scalar> arguments) {
  check(function > load && function != cast && static_cast<int>(arguments.size()) == rows[function].arity,
        "a scalar function gets as many arguments as it takes");
  DType dtype = arguments[0]->dtype;
  switch (function) {
    case eq:
    case ne:
    case lt:
    case le:
    case is_finite:
    case logical_and:
    case logical_or:
    case logical_not: dtype = DType::boolean; break;
    case select: dtype = arguments[1]->dtype; break;
    case philox: dtype = i64; break;
    default: break;
  }
  for (size_t i = function == select ? 2 : 1; i < arguments.size(); ++i)
    check(arguments[i]->dtype == arguments[function == select ? 1 : 0]->dtype,
          "the arguments of a scalar function have one type");
  check(function == select || !is_storage(arguments[0]->dtype), "f16 and bf16 are not computed with");
  return make(function, dtype, std::move(arguments));
}

Scalar Scalar::to(DType dtype, Scalar x) {
  if (x->dtype == dtype) return x;
  return make(cast, dtype, {std::move(x)});
}

Scalar operator+(Scalar a, Scalar b) {
  auto x = literal(a), y = literal(b);
  if (x && y) return Scalar::integer(*x + *y);
  if (x == 0) return b;
  if (y == 0) return a;
  return Scalar::call(Scalar::add, {a, b});
}
Scalar operator-(Scalar a, Scalar b) {
  auto x = literal(a), y = literal(b);
  if (x && y) return Scalar::integer(*x - *y);
  if (y == 0) return a;
  return Scalar::call(Scalar::sub, {a, b});
}
Scalar operator*(Scalar a, Scalar b) {
  auto x = literal(a), y = literal(b);
  if (x && y) return Scalar::integer(*x * *y);
  if (x == 0 || y == 1) return a;
  if (y == 0 || x == 1) return b;
  return Scalar::call(Scalar::mul, {a, b});
}
Scalar operator-(Scalar a) { return Scalar::call(Scalar::neg, {a}); }
Scalar floordiv(Scalar a, Scalar b) {
  auto x = literal(a), y = literal(b);
  if (y == 1) return a;
  if (x && y) return Scalar::integer(*x / *y - (*x % *y < 0));
  return Scalar::call(Scalar::floordiv, {a, b});
}
Scalar mod(Scalar a, Scalar b) {
  auto x = literal(a), y = literal(b);
  if (y == 1) return Scalar::integer(0);
  if (x && y) return Scalar::integer((*x % *y + *y) % *y);
  return Scalar::call(Scalar::mod, {a, b});
}
Scalar operator<(Scalar a, Scalar b) { return Scalar::call(Scalar::lt, {a, b}); }
Scalar operator<=(Scalar a, Scalar b) { return Scalar::call(Scalar::le, {a, b}); }
Scalar operator==(Scalar a, int64_t b) {
  return Scalar::call(Scalar::eq, {a, a->dtype == i64 ? Scalar::integer(b) : Scalar::number(a->dtype, static_cast<double>(b))});
}
Scalar operator&&(Scalar a, Scalar b) { return Scalar::call(Scalar::logical_and, {a, b}); }
Scalar select(Scalar condition, Scalar a, Scalar b) { return Scalar::call(Scalar::select, {condition, a, b}); }

uint32_t philox_bits(int64_t seed, int64_t stream, int64_t step, int64_t index) {
  // Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (2011), Philox4x32 with 10 rounds.
  auto low = [](int64_t x) { return static_cast<uint32_t>(x); };
  auto high = [](int64_t x) { return static_cast<uint32_t>(static_cast<uint64_t>(x) >> 32); };
  int64_t block = index >> 2;
  uint32_t counter[4] = {low(block), low(stream), high(stream), low(step)};
  uint32_t key[2] = {low(seed), high(seed) ^ high(block) ^ (high(step) << 16)};
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t{0xD2511F53} * counter[0], b = uint64_t{0xCD9E8D57} * counter[2];
    uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
                        static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    std::copy(next, next + 4, counter);
    key[0] += 0x9E3779B9, key[1] += 0xBB67AE85;
  }
  return counter[index & 3];
}

Scalar with_arguments(const Scalar& x, std::vector<Scalar> a) {
  switch (x->function) {
    case Scalar::load: {
      if (!x->guarded) return Scalar::read(x->integer, x->dtype, std::move(a));
      Scalar otherwise = a.back(), guard = a[a.size() - 2];
      a.resize(a.size() - 2);
      return Scalar::read_if(guard, x->integer, x->dtype, std::move(a), otherwise);
    }
    case Scalar::cast: return Scalar::to(x->dtype, a[0]);
    case Scalar::add: return a[0] + a[1];
    case Scalar::sub: return a[0] - a[1];
    case Scalar::mul: return a[0] * a[1];
    case Scalar::floordiv: return floordiv(a[0], a[1]);
    case Scalar::mod: return mod(a[0], a[1]);
    default: return Scalar::call(x->function, std::move(a));
  }
}

Scalar substitute(const Scalar& x, const std::function<Scalar(const Scalar&)>& replace) {
  std::unordered_map<const ScalarNode*, Scalar> done;
  visit(x, [&](const Scalar& old) {
    std::vector<Scalar> arguments;
    bool changed = false;
    for (const Scalar& argument : old->arguments) {
      arguments.push_back(done.at(&*argument));
      changed |= &*arguments.back() != &*argument;
    }
    Scalar result = changed ? with_arguments(old, std::move(arguments)) : old;
    if (old->function == Scalar::load || old->function == Scalar::variable)
      if (Scalar replaced = replace(result)) result = replaced;
    done.emplace(&*old, std::move(result));
  });
  return done.at(&*x);
}

void visit(const Scalar& x, const std::function<void(const Scalar&)>& visit) {
  std::unordered_set<const ScalarNode*> seen{&*x};
  std::vector<std::pair<const Scalar*, size_t>> open{{&x, 0}};  // nodes, and how many of their arguments were visited
  while (!open.empty()) {
    auto& [node, next] = open.back();
    const std::vector<Scalar>& arguments = (*node)->arguments;
    if (next < arguments.size()) {
      const Scalar& argument = arguments[next++];
      if (seen.insert(&*argument).second) open.emplace_back(&argument, 0);
      continue;
    }
    const Scalar& left = *node;
    open.pop_back();
    visit(left);
  }
}

std::string_view name(Reduction reduction) {
  constexpr std::string_view names[] = {"none", "sum", "product", "max", "min", "argmax"};
  return names[static_cast<size_t>(reduction)];
}

}  // namespace tenon
