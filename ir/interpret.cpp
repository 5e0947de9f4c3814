// One definition, executed: its body becomes a list of steps, each of which runs over a chunk of points at a time; then
// the reduction folds the chunk's results in ascending order of the points.
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "ir/bound.h"
#include "ir/evaluate.h"

namespace tenon {
namespace {

constexpr int chunk = 256;
constexpr double undecided = std::numeric_limits<double>::infinity();
constexpr int64_t most_elements = int64_t{1} << 31;

int64_t wrap(DType dtype, uint64_t x) {
  switch (dtype) {
    case i32: return static_cast<int32_t>(x);
    case u8: return static_cast<uint8_t>(x);
    case boolean: return x & 1;
    default: return static_cast<int64_t>(x);
  }
}
int64_t least(DType dtype) {
  return dtype == i64 ? std::numeric_limits<int64_t>::min() : dtype == i32 ? std::numeric_limits<int32_t>::min() : 0;
}
int64_t greatest(DType dtype) {
  return dtype == i64   ? std::numeric_limits<int64_t>::max()
         : dtype == i32 ? std::numeric_limits<int32_t>::max()
         : dtype == u8  ? 255
                        : 1;
}

// Truncates; saturates; NaN to 0.
int64_t to_integer(DType dtype, double x) {
  if (std::isnan(x)) return 0;
  if (x <= static_cast<double>(least(dtype))) return least(dtype);
  if (x >= static_cast<double>(greatest(dtype))) return greatest(dtype);
  return static_cast<int64_t>(x);
}

int64_t integer_function(Scalar::Function function, DType dtype, int64_t a, int64_t b, int64_t c) {
  auto u = [](int64_t x) { return static_cast<uint64_t>(x); };
  switch (function) {
    case Scalar::add: return wrap(dtype, u(a) + u(b));
    case Scalar::sub: return wrap(dtype, u(a) - u(b));
    case Scalar::mul: return wrap(dtype, u(a) * u(b));
    case Scalar::fma: return wrap(dtype, u(a) * u(b) + u(c));
    case Scalar::div: return b == 0 ? 0 : b == -1 ? wrap(dtype, -u(a)) : a / b;
    case Scalar::floordiv: return b == 0 ? 0 : b == -1 ? wrap(dtype, -u(a)) : a / b - (a % b != 0 && (a < 0) != (b < 0));
    case Scalar::mod: return b == 0 || b == -1 ? 0 : (a % b != 0 && (a < 0) != (b < 0)) ? a % b + b : a % b;
    case Scalar::neg: return wrap(dtype, -u(a));
    case Scalar::abs: return a < 0 ? wrap(dtype, -u(a)) : a;
    case Scalar::sign: return (a > 0) - (a < 0);
    case Scalar::eq: return a == b;
    case Scalar::ne: return a != b;
    case Scalar::lt: return a < b;
    case Scalar::le: return a <= b;
    case Scalar::logical_and: return a && b;
    case Scalar::logical_or: return a || b;
    case Scalar::logical_not: return !a;
    case Scalar::max: return std::max(a, b);
    case Scalar::min: return std::min(a, b);
    case Scalar::floor:
    case Scalar::ceil:
    case Scalar::round: return a;
    case Scalar::is_finite: return 1;
    default: check(false, "the function is one of integers"); return 0;
  }
}

double integer_bound(Scalar::Function function, const int64_t* x, const double* e, int arity) {
  double sum = 0;
  for (int i = 0; i < arity; ++i) sum += e[i];
  if (sum == 0) return 0;
  switch (function) {
    case Scalar::add: case Scalar::sub: case Scalar::neg: case Scalar::abs: case Scalar::logical_not: return sum;
    case Scalar::max: case Scalar::min: return std::max(e[0], e[1]);
    case Scalar::logical_and: return (e[0] == 0 && !x[0]) || (e[1] == 0 && !x[1]) ? 0 : undecided;
    case Scalar::logical_or: return (e[0] == 0 && x[0]) || (e[1] == 0 && x[1]) ? 0 : undecided;
    case Scalar::eq: case Scalar::ne: case Scalar::lt: case Scalar::le: {
      double values[] = {static_cast<double>(x[0]), static_cast<double>(x[1])};
      return decided(function, values, e);
    }
    default: return undecided;
  }
}

struct Step {
  Scalar scalar;
  std::vector<int> arguments;  // steps
  bool exact;                  // no element has a bound; then `bound` stays zero
  std::vector<double> real = {}, bound = {};
  std::vector<int64_t> whole = {};
  bool of_floats = false;      // the (last) argument is a float
};

// Folds the values of one element of the result.
struct Accumulator {
  double total, magnitude = 0, error = 0, high, low;  // sum, product; high and low bound the extremum
  int64_t whole, count = 0, best = 0;
  double rival = -undecided;       // argmax: the largest x + e of an inexact other
  double exact_rival = -undecided;  // and of an exact other
  double best_error = 0;
};

class Interpreter {
 public:
  Interpreter(const Definition& definition, const Application& application,
              std::span<const ReferenceArray* const> operands, int64_t n, Arithmetic arithmetic)
      : definition_(definition), application_(application), operands_(operands), n_(n),
        typed_(arithmetic == Arithmetic::typed) {}
  ReferenceArray run();

 private:
  int add(const Scalar& x);
  void execute(Step& step, int count);
  void load(Step& step, int count);
  void convert(Step& step, int count);
  void choose(Step& step, int count);
  void call(Step& step, int count);
  double round(DType dtype, double x) const { return typed_ && dtype == f32 ? static_cast<float>(x) : x; }
  Accumulator start() const;
  void fold(Accumulator& into, const Step& value, size_t lane) const;
  void finish(const Accumulator& from, size_t element, ReferenceArray& result) const;

  const Definition& definition_;
  const Application& application_;
  std::span<const ReferenceArray* const> operands_;
  int64_t n_;
  bool typed_;
  std::vector<Step> steps_;
  std::unordered_map<const ScalarNode*, int> known_;
  std::vector<std::vector<int64_t>> variables_;  // per variable, its value at each point of the chunk
};

int Interpreter::add(const Scalar& x) {
  if (auto known = known_.find(&*x); known != known_.end()) return known->second;
  Step step{.scalar = x, .arguments = {}, .exact = true};
  for (const Scalar& argument : x->arguments) step.arguments.push_back(add(argument));
  for (int argument : step.arguments) step.exact &= steps_[static_cast<size_t>(argument)].exact;
  bool is_real = is_float(x->dtype);
  if (!x->arguments.empty()) step.of_floats = is_float(x->arguments.back()->dtype);
  if (x->function == Scalar::load) step.exact &= operands_[static_cast<size_t>(x->integer)]->bound.empty();
  if (is_real && rounds(x->function)) step.exact = false;
  if (typed_) step.exact = true;
  if (is_real) step.real.resize(chunk, x->number);
  if (!is_real)
    step.whole.resize(chunk, x->function == Scalar::size ? checked_product(x->integer, n_) : x->integer);
  step.bound.resize(chunk);
  int id = static_cast<int>(steps_.size());
  steps_.push_back(std::move(step));
  known_.emplace(&*x, id);
  return id;
}

void Interpreter::load(Step& step, int count) {
  const ScalarNode& node = *step.scalar;
  const ReferenceArray& source = *operands_[static_cast<size_t>(node.integer)];
  size_t rank = node.indices().size();
  check(rank == source.type.shape.size(), "a load has one index per axis");
  int64_t offset[chunk] = {};
  const Step* guard = node.guarded ? &steps_[static_cast<size_t>(step.arguments[rank])] : nullptr;
  const Step* otherwise = node.guarded ? &steps_[static_cast<size_t>(step.arguments[rank + 1])] : nullptr;
  for (size_t axis = 0; axis < rank; ++axis) {
    const int64_t* index = steps_[static_cast<size_t>(step.arguments[axis])].whole.data();
    int64_t extent = source.type.shape[axis].count;
    for (int i = 0; i < count; ++i) {
      if (guard && !guard->whole[static_cast<size_t>(i)]) continue;
      if (static_cast<uint64_t>(index[i]) >= static_cast<uint64_t>(extent)) [[unlikely]]
        application_.fail("index {} at row {} is out of range: it must be 0 to {}", index[i],
                          variables_.empty() ? 0 : variables_[0][static_cast<size_t>(i)], extent - 1);
      offset[i] = offset[i] * extent + index[i];
    }
  }
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    bool taken = !guard || guard->whole[i];
    auto at = static_cast<size_t>(offset[i]);
    if (is_float(node.dtype))
      step.real[i] = taken ? source.real[at] : otherwise->real[i];
    else
      step.whole[i] = taken ? source.whole[at] : otherwise->whole[i];
    if (step.exact) continue;
    double bound = !taken ? otherwise->bound[i] : source.bound.empty() ? 0 : source.bound[at];
    for (size_t argument = 0; argument < rank + (guard ? 1 : 0); ++argument)
      if (steps_[static_cast<size_t>(step.arguments[argument])].bound[i] != 0) bound = undecided;
    step.bound[i] = bound;
  }
}

void Interpreter::convert(Step& step, int count) {
  const Step& from = steps_[static_cast<size_t>(step.arguments[0])];
  DType dtype = step.scalar->dtype;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    double e = from.bound[i], bound = e;
    if (is_float(dtype)) {
      double x = step.of_floats ? from.real[i] : static_cast<double>(from.whole[i]);
      step.real[i] = round(dtype, x);
      if (from.scalar->dtype == boolean && e != 0) bound = 1;
      bound += rounding(dtype, x, bound, 0);
    } else if (dtype == boolean) {
      double x[] = {step.of_floats ? from.real[i] : static_cast<double>(from.whole[i]), 0}, slack[] = {e, 0};
      step.whole[i] = x[0] != 0;
      bound = decided(Scalar::ne, x, slack);
    } else if (step.of_floats) {
      int64_t x = step.whole[i] = to_integer(dtype, from.real[i]);
      auto off = [&](double y) { return std::fabs(static_cast<double>(to_integer(dtype, y)) - static_cast<double>(x)); };
      if (e != 0) bound = std::isinf(e) ? undecided : std::max(off(from.real[i] - e), off(from.real[i] + e));
    } else {
      step.whole[i] = wrap(dtype, static_cast<uint64_t>(from.whole[i]));
    }
    if (!step.exact) step.bound[i] = bound;
  }
}

void Interpreter::choose(Step& step, int count) {
  const Step* part[3];
  for (size_t k = 0; k < 3; ++k) part[k] = &steps_[static_cast<size_t>(step.arguments[k])];
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const Step& taken = *part[part[0]->whole[i] ? 1 : 2];
    double bound = taken.bound[i];
    if (is_float(step.scalar->dtype)) {
      double a = part[1]->real[i], b = part[2]->real[i];
      step.real[i] = taken.real[i];
      if (part[0]->bound[i] != 0) {
        bool same = a == b || (std::isnan(a) && std::isnan(b));
        bound = (same ? 0 : std::fabs(a - b)) + std::max(part[1]->bound[i], part[2]->bound[i]);
        if (std::isnan(bound)) bound = undecided;
      }
    } else {
      step.whole[i] = taken.whole[i];
      if (part[0]->bound[i] != 0 && (part[1]->whole[i] != part[2]->whole[i] || part[1]->bound[i] + part[2]->bound[i] != 0))
        bound = undecided;
    }
    if (!step.exact) step.bound[i] = bound;
  }
}

void Interpreter::call(Step& step, int count) {
  const ScalarNode& node = *step.scalar;
  auto arity = step.arguments.size();
  const Step* part[4] = {};
  for (size_t k = 0; k < arity; ++k) part[k] = &steps_[static_cast<size_t>(step.arguments[k])];
  const ScalarFunction& row = function(node.function);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    double x[max_arity] = {}, e[4] = {};
    int64_t w[4] = {};
    for (size_t k = 0; k < arity; ++k) {
      if (step.of_floats)
        x[k] = part[k]->real[i];
      else
        w[k] = part[k]->whole[i];
      e[k] = part[k]->bound[i];
    }
    if (node.function == Scalar::philox) {
      step.whole[i] = philox_bits(w[0], w[1], w[2], w[3]);
      if (!step.exact) step.bound[i] = e[0] + e[1] + e[2] + e[3] == 0 ? 0 : undecided;
    } else if (!step.of_floats) {
      step.whole[i] = integer_function(node.function, node.dtype, w[0], w[1], w[2]);
      if (!step.exact) step.bound[i] = integer_bound(node.function, w, e, static_cast<int>(arity));
    } else if (is_float(node.dtype)) {
      double y = row.reference(x[0], x[1], x[2]);
      step.real[i] = round(node.dtype, y);
      if (!step.exact) step.bound[i] = float_bound(node.function, node.dtype, x, e, y);
    } else {
      step.whole[i] = row.reference(x[0], x[1], x[2]) != 0;
      if (!step.exact) step.bound[i] = decided(node.function, x, e);
    }
  }
}

void Interpreter::execute(Step& step, int count) {
  switch (step.scalar->function) {
    case Scalar::constant:
    case Scalar::size: break;
    case Scalar::variable: step.whole = variables_[static_cast<size_t>(step.scalar->integer)]; break;
    case Scalar::load: load(step, count); break;
    case Scalar::cast: convert(step, count); break;
    case Scalar::select: choose(step, count); break;
    default: call(step, count);
  }
}

Accumulator Interpreter::start() const {
  DType dtype = definition_.body->dtype;
  bool product = definition_.reduction == Reduction::product, min = definition_.reduction == Reduction::min;
  bool max = definition_.reduction == Reduction::max || definition_.reduction == Reduction::argmax;
  double extreme = min ? undecided : -undecided;
  return {.total = product ? 1 : max || min ? extreme : 0, .high = extreme, .low = extreme,
          .whole = product ? 1 : max ? least(dtype) : min ? greatest(dtype) : 0};
}

void Interpreter::fold(Accumulator& into, const Step& value, size_t lane) const {
  DType dtype = definition_.body->dtype;
  bool is_real = is_float(dtype);
  double e = value.bound[lane];
  int64_t w = is_real ? 0 : value.whole[lane];
  double x = is_real ? value.real[lane] : static_cast<double>(w);
  switch (definition_.reduction) {
    case Reduction::none:
    case Reduction::sum:
      into.whole = wrap(dtype, static_cast<uint64_t>(into.whole) + static_cast<uint64_t>(w));
      if (into.count == 0) into.total = x;  // so that -0 stays where there is one term
      else into.total += x;
      into.magnitude += std::fabs(x);
      into.error += e;
      break;
    case Reduction::product: {
      into.whole = wrap(dtype, static_cast<uint64_t>(into.whole) * static_cast<uint64_t>(w));
      double parts[] = {into.total, x, 0}, errors[] = {into.error, e, 0};
      into.total *= x;
      into.error = is_real && !value.exact ? float_bound(Scalar::mul, dtype, parts, errors, into.total) : into.error + e;
      break;
    }
    case Reduction::max:
    case Reduction::min: {
      bool max = definition_.reduction == Reduction::max;
      const auto& reference = function(max ? Scalar::max : Scalar::min).reference;
      into.whole = max ? std::max(into.whole, w) : std::min(into.whole, w);
      into.total = reference(into.total, x, 0);
      if (std::isinf(e)) {
        into.error = undecided;
        break;
      }
      into.high = reference(into.high, x + e, 0);
      into.low = reference(into.low, x - e, 0);
      break;
    }
    case Reduction::argmax: {
      bool wins = into.count == 0 || (is_real ? !std::isnan(into.total) && (std::isnan(x) || x > into.total) : w > into.whole);
      double loser = wins ? into.total : x, loser_error = wins ? into.best_error : e;
      if (into.count > 0 && loser_error == 0) into.exact_rival = std::max(into.exact_rival, loser);
      if (into.count > 0 && loser_error != 0) into.rival = std::max(into.rival, loser + loser_error);
      if (wins) into.total = x, into.whole = w, into.best = into.count, into.best_error = e;
      break;
    }
  }
  ++into.count;
}

void Interpreter::finish(const Accumulator& from, size_t element, ReferenceArray& result) const {
  DType dtype = definition_.body->dtype;
  double error = from.error;
  if (definition_.reduction == Reduction::argmax) {
    result.whole[element] = from.best;
    double floor = from.total - from.best_error;
    bool clear = std::isnan(from.total) ? from.best_error == 0
                                        : from.rival < floor && (from.best_error == 0 || from.exact_rival < floor);
    error = clear || from.count < 2 ? 0 : undecided;
  } else if (!is_float(dtype)) {
    result.whole[element] = from.whole;
    if (definition_.reduction == Reduction::max || definition_.reduction == Reduction::min)
      error = std::max({error, from.high - from.total, from.total - from.low});
    if (error != 0) error = definition_.reduction == Reduction::product ? undecided : error;
  } else {
    result.real[element] = round(dtype, from.total);
    if (definition_.reduction == Reduction::max || definition_.reduction == Reduction::min) {
      if (std::isfinite(from.total)) error = std::max({error, from.high - from.total, from.total - from.low});
    } else if (definition_.reduction == Reduction::sum) {
      auto count = static_cast<double>(from.count);
      double unit = dtype == f32 ? 0x1p-24 : 0x1p-53;
      if (!std::isfinite(from.total) && !std::isinf(error)) error = 0;
      if (std::isfinite(from.total) && from.count > 1)
        error += unit * from.magnitude * std::min(count, 8 + 4 * std::sqrt(count));
      if (dtype == f32 && std::isfinite(from.total) && std::fabs(from.total) + error > std::numeric_limits<float>::max())
        error = undecided;
    }
  }
  if (!result.bound.empty()) result.bound[element] = std::isnan(error) ? undecided : error;
}

ReferenceArray Interpreter::run() {
  ReferenceArray result{.type = application_.result, .real = {}, .whole = {}, .bound = {}};
  for (Extent& extent : result.type.shape) extent = Extent(extent.at(n_));
  bool scatter = static_cast<bool>(definition_.scatter);
  size_t rank = definition_.axes.size();
  // The loops, outermost first: (variable, extent). Reduced axes are inside, except where they are scattered.
  std::vector<std::pair<size_t, int64_t>> loops;
  int64_t inner = 1, outer = 1;
  for (size_t i = 0; i < rank; ++i)
    if (!scatter || i > 0) loops.emplace_back(i, definition_.axes[i].at(n_));
  for (size_t i = 0; i < definition_.reduced.size(); ++i)
    loops.emplace(scatter ? loops.begin() + static_cast<std::ptrdiff_t>(i) : loops.end(), rank + i,
                  definition_.reduced[i].at(n_));
  for (auto [variable, extent] : loops) {
    bool reduced = variable >= rank;
    (reduced != scatter ? inner : outer) = checked_product(reduced != scatter ? inner : outer, extent);
  }
  int64_t elements = result.type.elements().count;
  if (elements > most_elements) application_.fail("{} is too large to evaluate", result.type.str());
  if (is_float(result.type.dtype))
    result.real.resize(static_cast<size_t>(elements));
  else
    result.whole.resize(static_cast<size_t>(elements));

  variables_.assign(rank + definition_.reduced.size(), std::vector<int64_t>(chunk));
  int body = add(definition_.body);
  int target = scatter ? add(definition_.scatter) : -1;
  const bool bounded = !typed_ && (!steps_[static_cast<size_t>(body)].exact ||
                                   (definition_.reduction != Reduction::none && is_float(result.type.dtype)));
  if (bounded) result.bound.resize(static_cast<size_t>(elements));

  std::vector<Accumulator> scattered;
  if (scatter) scattered.assign(static_cast<size_t>(elements), start());
  bool astray = false;  // a row that rounding could change: no element is decided then
  Accumulator running = start();
  if (inner == 0)
    for (int64_t i = 0; i < elements; ++i) finish(running, static_cast<size_t>(i), result);

  std::vector<int64_t> point(loops.size());
  int64_t points = inner && outer ? checked_product(inner, outer) : 0, element = 0, folded = 0;
  for (int64_t begin = 0; begin < points; begin += chunk) {
    int count = static_cast<int>(std::min<int64_t>(chunk, points - begin));
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      for (size_t k = 0; k < loops.size(); ++k) variables_[loops[k].first][i] = point[k];
      for (size_t k = loops.size(); k-- > 0;) {
        if (++point[k] < loops[k].second) break;
        point[k] = 0;
      }
    }
    for (Step& step : steps_) execute(step, count);
    const Step& value = steps_[static_cast<size_t>(body)];
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      if (scatter) {
        const Step& row = steps_[static_cast<size_t>(target)];
        int64_t at = row.whole[i], extent = result.type.shape[0].count, place = begin + static_cast<int64_t>(i);
        if (at < 0 || at >= extent)
          application_.fail("index {} at row {} is out of range: it must be 0 to {}", at, place / inner, extent - 1);
        astray |= row.bound[i] != 0;
        fold(scattered[static_cast<size_t>(at * inner + place % inner)], value, i);
        continue;
      }
      fold(running, value, i);
      if (++folded < inner) continue;
      finish(running, static_cast<size_t>(element++), result);
      running = start();
      folded = 0;
    }
  }
  for (size_t i = 0; i < scattered.size(); ++i) finish(scattered[i], i, result);
  if (astray && !typed_) result.bound.assign(static_cast<size_t>(elements), undecided);
  if (std::all_of(result.bound.begin(), result.bound.end(), [](double bound) { return bound == 0; })) result.bound.clear();
  return result;
}

}  // namespace

ReferenceArray interpret(const Definition& definition, const Application& application,
                         std::span<const ReferenceArray* const> operands, int64_t n, Arithmetic arithmetic) {
  return Interpreter(definition, application, operands, n, arithmetic).run();
}

}  // namespace tenon
