// One definition, executed: its body becomes a list of steps, each of which runs over a chunk of points at a
// time; then the reduction folds the chunk's results in ascending order of the points.
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "ir/accumulate.h"
#include "ir/bound.h"
#include "ir/evaluate.h"
#include "ir/integer.h"

namespace tenon {
namespace {

constexpr int chunk = 256;
constexpr int64_t most_elements = int64_t{1} << 31;

struct Step {
  Scalar scalar;
  std::vector<int> arguments;  // steps
  bool exact;                  // no element has a bound; then `bound` stays zero
  std::vector<double> real = {}, bound = {};
  std::vector<int64_t> whole = {};
  bool of_floats = false;  // the (last) argument is a float
};

struct Loop {
  size_t variable;
  int64_t extent;
};

class Interpreter {
 public:
  Interpreter(const Definition& definition, const Application& application, std::span<const ReferenceArray* const> operands,
              const Sizes& sizes, Arithmetic arithmetic)
      : definition_(definition),
        application_(application),
        operands_(operands),
        sizes_(sizes),
        typed_(arithmetic == Arithmetic::typed) {}
  ReferenceArray run();

 private:
  int add(const Scalar& x);  // the step that computes it
  void append(const Scalar& x);
  void execute(Step& step, int count);
  void load(Step& step, int count);
  void convert(Step& step, int count);
  void choose(Step& step, int count);
  void call(Step& step, int count);
  double round(DType dtype, double x) const { return typed_ ? rounded(dtype, x) : x; }
  void nest(bool scatter);
  void advance(int count);
  [[noreturn]] void out_of_range(int64_t index, int64_t row, int64_t extent) const {
    application_.fail("index {} at row {} is out of range: it must be 0 to {}", index, row, extent - 1);
  }

  const Definition& definition_;
  const Application& application_;
  std::span<const ReferenceArray* const> operands_;
  const Sizes& sizes_;
  bool typed_;
  std::vector<Step> steps_;
  std::unordered_map<const ScalarNode*, int> known_;
  std::vector<Loop> loops_;
  int64_t outer_ = 1, inner_ = 1;                // points of the loops outside, and of those inside
  std::vector<int64_t> point_;                   // the next one
  std::vector<std::vector<int64_t>> variables_;  // per variable, its value at each point of the chunk
};

int Interpreter::add(const Scalar& x) {
  visit(x, [&](const Scalar& node) {
    if (!known_.contains(&*node)) append(node);
  });
  return known_.at(&*x);
}

void Interpreter::append(const Scalar& x) {
  Step step{.scalar = x, .arguments = {}, .exact = true};
  for (const Scalar& argument : x->arguments) step.arguments.push_back(known_.at(&*argument));
  for (int argument : step.arguments) step.exact &= steps_[static_cast<size_t>(argument)].exact;
  bool is_real = is_float(x->dtype);
  if (!x->arguments.empty()) step.of_floats = is_float(x->arguments.back()->dtype);
  if (x->function == Scalar::load) step.exact &= operands_[static_cast<size_t>(x->integer)]->bound.empty();
  if (is_real && rounds(x->function)) step.exact = false;
  if (typed_) step.exact = true;
  if (is_real) step.real.resize(chunk, x->number);
  if (!is_real)
    step.whole.resize(chunk, x->function == Scalar::size ? checked_product(x->integer, sizes_.at(x->size)) : x->integer);
  step.bound.resize(chunk);
  known_.emplace(&*x, static_cast<int>(steps_.size()));
  steps_.push_back(std::move(step));
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
        out_of_range(index[i], variables_.empty() ? 0 : variables_[0][static_cast<size_t>(i)], extent);
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
    if (is_storage(dtype)) {  // of f32; rounding is monotonic, so the ends of what it may be bound the result
      const double y = step.real[i] = rounded(dtype, from.real[i]);
      auto off = [&](double x) {
        const double other = rounded(dtype, x), distance = std::fabs(other - y);
        return other == y ? 0 : std::isnan(distance) ? undecided : distance;
      };
      if (e != 0) bound = std::max(off(from.real[i] - e), off(from.real[i] + e));
    } else if (is_float(dtype)) {
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

// Outermost first. Reduced axes are inside, except where they are scattered.
void Interpreter::nest(bool scatter) {
  size_t rank = definition_.axes.size();
  std::vector<Loop> axes, reduced;
  for (size_t i = scatter ? 1 : 0; i < rank; ++i) axes.push_back({i, definition_.axes[i].at(sizes_)});
  for (size_t i = 0; i < definition_.reduced.size(); ++i) reduced.push_back({rank + i, definition_.reduced[i].at(sizes_)});
  std::vector<Loop>&outside = scatter ? reduced : axes, &inside = scatter ? axes : reduced;
  for (const Loop& loop : outside) outer_ = checked_product(outer_, loop.extent);
  for (const Loop& loop : inside) inner_ = checked_product(inner_, loop.extent);
  loops_ = std::move(outside);
  loops_.insert(loops_.end(), inside.begin(), inside.end());
  point_.resize(loops_.size());
  variables_.assign(rank + definition_.reduced.size(), std::vector<int64_t>(chunk));
}

// Runs the steps at the next `count` points.
void Interpreter::advance(int count) {
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    for (size_t k = 0; k < loops_.size(); ++k) variables_[loops_[k].variable][i] = point_[k];
    for (size_t k = loops_.size(); k-- > 0;) {
      if (++point_[k] < loops_[k].extent) break;
      point_[k] = 0;
    }
  }
  for (Step& step : steps_) execute(step, count);
}

ReferenceArray Interpreter::run() {
  ReferenceArray result{.type = application_.result, .real = {}, .whole = {}, .bound = {}};
  for (Extent& extent : result.type.shape) extent = Extent(extent.at(sizes_));
  int64_t elements = result.type.elements().count;
  if (elements > most_elements) application_.fail("{} is too large to evaluate", result.type.str());
  bool is_real = is_float(result.type.dtype), scatter = static_cast<bool>(definition_.scatter);
  (is_real ? result.real.resize(static_cast<size_t>(elements)) : result.whole.resize(static_cast<size_t>(elements)));

  nest(scatter);
  int body = add(definition_.body);
  int target = scatter ? add(definition_.scatter) : body;
  const Step &value = steps_[static_cast<size_t>(body)], &row = steps_[static_cast<size_t>(target)];
  const bool bounded = !typed_ && (!value.exact || !row.exact || (definition_.reduction != Reduction::none && is_real));
  if (bounded) result.bound.resize(static_cast<size_t>(elements));

  const Accumulator empty(definition_.reduction, definition_.body->dtype, bounded);
  std::vector<Accumulator> scattered(static_cast<size_t>(scatter ? elements : 0), empty);
  Accumulator running = empty;
  bool astray = false;  // a row that rounding could change: then no element is decided
  int64_t element = 0, folded = 0;
  auto finish = [&](const Accumulator& from) {
    auto at = static_cast<size_t>(element++);
    if (is_real)
      result.real[at] = round(result.type.dtype, from.real());
    else
      result.whole[at] = from.whole();
    if (bounded) result.bound[at] = astray ? undecided : from.bound();
  };

  int64_t points = inner_ && outer_ ? checked_product(inner_, outer_) : 0;
  for (int64_t begin = 0; begin < points; begin += chunk) {
    int count = static_cast<int>(std::min<int64_t>(chunk, points - begin));
    advance(count);
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      Accumulator* into = &running;
      if (scatter) {
        int64_t at = row.whole[i], extent = result.type.shape[0].count, place = begin + static_cast<int64_t>(i);
        if (at < 0 || at >= extent) out_of_range(at, place / inner_, extent);
        astray |= row.bound[i] != 0;
        into = &scattered[static_cast<size_t>(at * inner_ + place % inner_)];
      }
      into->add(value.real.empty() ? 0 : value.real[i], value.whole.empty() ? 0 : value.whole[i], value.bound[i]);
      if (scatter || ++folded < inner_) continue;
      finish(running);
      running = empty;
      folded = 0;
    }
  }
  for (const Accumulator& from : scattered) finish(from);
  while (element < elements) finish(empty);  // reductions over nothing
  if (std::all_of(result.bound.begin(), result.bound.end(), [](double bound) { return bound == 0; })) result.bound.clear();
  return result;
}

}  // namespace

ReferenceArray interpret(const Definition& definition, const Application& application,
                         std::span<const ReferenceArray* const> operands, const Sizes& sizes, Arithmetic arithmetic) {
  return Interpreter(definition, application, operands, sizes, arithmetic).run();
}

}  // namespace tenon
