#pragma once
// The scalar language: how one element of a result is computed, in index notation.
//   y[i,j] = sum over k of a[i,k] * b[k,j]
// A Definition names the loops (axes of the result, then reduced axes) and a Scalar body over them. The evaluator
// and the compiler read definitions and never operation names. A Scalar is an immutable expression DAG; index
// arithmetic is i64 and uses the same language, so a gather is a load whose index holds a load. Nothing here recurses:
// an expression may be as deep as the user's graph, and sharing may make it exponentially long when written out.
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "ir/type.h"

namespace tenon {

struct ScalarNode;

class Scalar {
 public:
  // clang-format off
  enum Function : uint8_t {
    // Leaves.
    constant, variable, size, load,
    // Index and element arithmetic. div truncates toward zero for integers; floordiv and mod floor (divisor > 0).
    add, sub, mul, div, floordiv, mod, neg, abs, sign, fma,
    // Comparisons and logic give bool.
    eq, ne, lt, le, logical_and, logical_or, logical_not, select, is_finite, cast,
    // max and min propagate NaN; max(-0, +0) = +0, min(-0, +0) = -0. round goes to even.
    max, min, floor, ceil, round,
    sqrt, exp, expm1, log, log1p, pow, sin, cos, tanh, sigmoid, erf, erfinv, lgamma, digamma, trigamma,
    // philox(seed, stream, step, index): 32 random bits of Philox4x32-10 as an i64 in [0, 2^32).
    philox,
  };
  // clang-format on

  Scalar() = default;
  explicit operator bool() const { return node_ != nullptr; }
  const ScalarNode& operator*() const { return *node_; }
  const ScalarNode* operator->() const { return node_.get(); }
  bool operator==(const Scalar& other) const;  // structural

  static Scalar number(DType dtype, double value);  // a constant of an element type
  static Scalar integer(int64_t value);             // a constant i64
  static Scalar boolean(bool value);
  static Scalar index(int64_t variable);  // the loop variable with that number, an i64
  static Scalar extent(Extent extent);    // its value at run time, an i64: a product of sizes
  static Scalar read(int64_t source, DType dtype, std::vector<Scalar> indices);
  // Reads only where `guard` holds and is `otherwise` elsewhere.
  static Scalar read_if(Scalar guard, int64_t source, DType dtype, std::vector<Scalar> indices, Scalar otherwise);
  static Scalar call(Function function, std::vector<Scalar> arguments);  // dtype by the rules in compute.cpp
  static Scalar to(DType dtype, Scalar x);                               // cast; x itself if it has that type

 private:
  friend struct ScalarNode;
  static Scalar make(Function function, DType dtype, std::vector<Scalar> arguments, int64_t integer = 0, double number = 0,
                     const char* size = nullptr, bool guarded = false);
  std::shared_ptr<const ScalarNode> node_;
};

struct ScalarNode {
  Scalar::Function function;
  DType dtype;
  std::vector<Scalar> arguments;  // of a load: one index per axis of the source; if guarded, then guard, otherwise
  int64_t integer = 0;            // variable: its number; load: the source (operand number, later a buffer);
                                  // constant of integer or bool type: the value; size: the factor c
  double number = 0;              // constant of float type
  const char* size = nullptr;     // size: its name, interned (the value is integer times that size)
  bool guarded = false;           // load only

  ~ScalarNode();
  std::span<const Scalar> indices() const;  // of a load
  Scalar guard() const;                     // of a guarded load
  Scalar otherwise() const;
};

// Index arithmetic; folds constants of i64 (x+0, x*1, x*0, c+d, ...), never of floats.
Scalar operator+(Scalar a, Scalar b);
Scalar operator-(Scalar a, Scalar b);
Scalar operator*(Scalar a, Scalar b);
Scalar operator-(Scalar a);
Scalar floordiv(Scalar a, Scalar b);
Scalar mod(Scalar a, Scalar b);
Scalar operator<(Scalar a, Scalar b);
Scalar operator<=(Scalar a, Scalar b);
Scalar operator==(Scalar a, int64_t b);
Scalar operator&&(Scalar a, Scalar b);
Scalar select(Scalar condition, Scalar a, Scalar b);

enum class ScalarKind : uint8_t {
  leaf,
  arithmetic,  // of any type
  real,        // of floats, by its reference where nothing better is known
  bits,        // of random numbers
};

// One row per function of one element: how many arguments it takes, what it means on doubles, and the largest error
// of the compiled f32 version in units in the last place (0: correctly rounded or exact).
struct ScalarFunction {
  std::string_view name;
  ScalarKind kind;
  int cost;  // of one element, in additions, roughly
  int arity;
  double (*reference)(double a, double b, double c);  // null for leaves and for functions of types (cast, select)
  double ulp;
};
const ScalarFunction& function(Scalar::Function function);
inline constexpr int scalar_functions = Scalar::philox + 1;

// 32 random bits of Philox4x32-10: key = seed (64 bits), counter = (index / 4, stream, step), word index % 4.
uint32_t philox_bits(int64_t seed, int64_t stream, int64_t step, int64_t index);

// The load or call x with other arguments; index arithmetic on constants is folded.
Scalar with_arguments(const Scalar& x, std::vector<Scalar> arguments);

// Rebuilds `x` with every leaf (load, variable) replaced by what `replace` returns for it; a null Scalar keeps it. The
// indices of a load are rewritten before `replace` sees the load.
Scalar substitute(const Scalar& x, const std::function<Scalar(const Scalar&)>& replace);

// Calls `visit` once for each distinct node of x, arguments first.
void visit(const Scalar& x, const std::function<void(const Scalar&)>& visit);

std::string variable_name(int64_t variable);  // i, j, k, l, m, o, p, q, i8, i9, ... in the text form (scalar_text.h)

enum class Reduction : uint8_t { none, sum, product, max, min, argmax };
std::string_view name(Reduction reduction);

// result[v0, ..., v(r-1)] = reduction over v(r), v(r+1), ... of body, where the variables 0 to r-1 run over the
// result's axes and the next ones over `reduced`. Values of a reduction over nothing: sum 0, product 1, max -inf or
// the least integer, min +inf or the greatest; argmax 0.
// argmax gives, as an i64, the first position of the maximum (a NaN is the maximum) along one reduced axis.
//
// With `scatter`, the sum runs only over those reduced points where scatter == v0: result[scatter, v1, ...] += body.
// Variable 0 then does not occur in the body. Terms are added in ascending order of the reduced points.
struct Definition {
  Shape axes;
  Shape reduced;
  Reduction reduction = Reduction::none;
  Scalar body;
  Scalar scatter;  // sum only
};

}  // namespace tenon
