#pragma once
// What a graph means: runs nodes slowly from their compute definitions, or else their expansions. The tests'
// oracle and the engine of constant folding. Integers wrap in their own type. Floats are doubles, in one of
// two ways:
//   bounded  nothing is rounded, and each element carries a bound on how far a correct f32 (or f64) program
//   may be off:
//            inputs' bounds propagate, each operation adds (ulp + 1/2) units in the last place, a sum of m
//            terms min(m, 8 + 4 sqrt m) half-units of the sum of magnitudes. Where the rounding could flip a
//            comparison, an argmax or an index, or overflow, the element is undecided: its bound is infinite.
//   typed    each operation is rounded to its type, so + - * / sqrt and fma have the bits of compiled code;
//   no bounds.
#include <map>
#include <span>

#include "ir/compute.h"
#include "ir/graph.h"
#include "ir/op.h"

namespace tenon {

struct ReferenceArray {
  Type type;                   // no symbolic extent
  std::vector<double> real;    // row-major, of a float type
  std::vector<int64_t> whole;  // of an integer type or bool (0, 1)
  std::vector<double> bound;   // per element; infinite: undecided; empty: all exact

  static ReferenceArray of(const Type& type, std::span<const std::byte> bytes);
  static ReferenceArray of(const Literal& literal) { return of(literal.type, *literal.bytes); }
  static ReferenceArray of(const Type& type, std::span<const double> values);  // as Literal::of
  Literal literal() const;  // rounded to the type; its bytes are what compiled code holds
  int64_t elements() const { return type.elements().count; }
  double at(int64_t i) const;
  double bound_at(int64_t i) const { return bound.empty() ? 0 : bound[static_cast<size_t>(i)]; }
};

enum class Arithmetic : uint8_t { bounded, typed };

// Inputs and states by name.
using Bindings = std::map<std::string, ReferenceArray, std::less<>>;

// The values of the nodes `wanted`, with those run-time sizes. Error: a name is not bound or has another type, a size is not in
// 1..maximum, an index is out of range (names row and value).
std::vector<ReferenceArray> evaluate(const Body& body, std::span<const NodeId> wanted, const Bindings& bindings,
                                     const Sizes& sizes = 1, Arithmetic arithmetic = Arithmetic::bounded);
ReferenceArray evaluate(Value value, const Bindings& bindings = {}, const Sizes& sizes = 1,
                        Arithmetic arithmetic = Arithmetic::bounded);

struct EntryResult {
  Bindings outputs;
  Bindings states;  // all states, after the updates
};
// One run of an entry: all reads see the states as bound, the updates apply at the end.
EntryResult evaluate_entry(const Body& body, std::string_view entry, const Bindings& bindings, const Sizes& sizes = 1,
                           Arithmetic arithmetic = Arithmetic::bounded);
// All states as the entry `init` sets them; "seed" is `seed` and "step" 0.
Bindings evaluate_initial(const Body& body, int64_t seed, Arithmetic arithmetic = Arithmetic::bounded);

// How bytes of compiled code agree with a reference: |actual - expected| <= slack * bound for every decided
// element, NaN with NaN, infinities by sign, integers exactly.
struct Comparison {
  int64_t elements = 0, undecided = 0, mismatches = 0;
  int64_t worst = -1;  // the element with the largest |actual - expected| / bound, a mismatch first
  double ratio = 0;    // there; infinite if the bound is 0
  double expected = 0, actual = 0, bound = 0;
  bool agree() const { return mismatches == 0; }
  std::string str() const;  // "2 of 40 elements differ (3 undecided); worst [17]: 0.5 is not 0.25 +- 1e-08"
};
Comparison compare(const ReferenceArray& expected, std::span<const std::byte> actual, double slack = 1);

// One definition over its operands (interpret.cpp). `application` names the operation and the line in errors.
ReferenceArray interpret(const Definition& definition, const Application& application,
                         std::span<const ReferenceArray* const> operands, const Sizes& sizes, Arithmetic arithmetic);

}  // namespace tenon
