// The vocabulary: one line per operation, its record and its builder. The same lines, read with another
// meaning of TENON_OP, make the table that find_op searches (ops/vocabulary.cpp): a record that is missing is a
// link error, a line that is missing a compile error (-Wmissing-declarations).
//
// All builders take Operands, so that a number may stand where a Value may and the caller's line is remembered.
// The elementwise ones broadcast as NumPy does (trailing axes aligned, extents of 1 stretched) by inserting
// `broadcast`; in the graph itself both sides always have one type. Negative axes count from the end. Formulas,
// kinks and errors stand with the records in ops/.
#if defined(TENON_OP) || !defined(TENON_OPS_H)
#ifndef TENON_OPS_H
#define TENON_OPS_H
#include "ir/op.h"
#define TENON_OPS_DECLARE
#define TENON_OP(record, ...) \
  extern const Op record;     \
  __VA_ARGS__;
// clang-format off
namespace tenon {
enum class Kink : uint8_t { left, right };  // which one-sided derivative a non-smooth point has
#endif

// ---- leaves (input, parameter and state are made by Graph) ----
TENON_OP(input_op, Value input(Body& body, std::string_view name, const Type& type, Line line))
TENON_OP(parameter_op, Value parameter(Body& body, std::string_view name, const Type& type, Line line))
TENON_OP(state_op, Value state(Body& body, std::string_view name, const Type& type, Line line))
TENON_OP(constant_op, Value constant(Body& body, Literal literal, Line line = std::source_location::current()))
TENON_OP(iota_op, Value iota(Body& body, Shape shape, int64_t axis, Line line = std::source_location::current()))  // i64: the index along axis
TENON_OP(size_op, Value size_of(Body& body, Extent extent, Line line = std::source_location::current()))           // i64[]: the extent at run time

// ---- arithmetic: elementwise, operands and result of one type ----
TENON_OP(add_op, Value operator+(Operand a, Operand b))
TENON_OP(sub_op, Value operator-(Operand a, Operand b))
TENON_OP(mul_op, Value operator*(Operand a, Operand b))
TENON_OP(div_op, Value operator/(Operand a, Operand b))     // integers: toward zero; x/0 = 0, min/-1 = min
TENON_OP(neg_op, Value operator-(Operand x))
TENON_OP(abs_op, Value abs(Operand x))                      // derivative 0 at 0
TENON_OP(sign_op, Value sign(Operand x))
TENON_OP(sqrt_op, Value sqrt(Operand x))
TENON_OP(rsqrt_op, Value rsqrt(Operand x))
TENON_OP(exp_op, Value exp(Operand x))
TENON_OP(expm1_op, Value expm1(Operand x))
TENON_OP(log_op, Value log(Operand x))
TENON_OP(log1p_op, Value log1p(Operand x))
TENON_OP(pow_op, Value pow(Operand x, Operand exponent))
TENON_OP(sin_op, Value sin(Operand x))
TENON_OP(cos_op, Value cos(Operand x))
TENON_OP(erf_op, Value erf(Operand x))
TENON_OP(erfinv_op, Value erfinv(Operand x))
TENON_OP(lgamma_op, Value lgamma(Operand x))
TENON_OP(digamma_op, Value digamma(Operand x))
TENON_OP(trigamma_op, Value trigamma(Operand x))
TENON_OP(max_op, Value max(Operand a, Operand b))           // a tie goes to the literal, else to a
TENON_OP(min_op, Value min(Operand a, Operand b))
TENON_OP(clip_op, Value clip(Operand x, Operand low, Operand high))
TENON_OP(floor_op, Value floor(Operand x))
TENON_OP(ceil_op, Value ceil(Operand x))
TENON_OP(round_op, Value round(Operand x))                  // half to even
TENON_OP(equal_op, Value equal(Operand a, Operand b))
TENON_OP(not_equal_op, Value not_equal(Operand a, Operand b))
TENON_OP(less_op, Value operator<(Operand a, Operand b))
TENON_OP(less_equal_op, Value operator<=(Operand a, Operand b))
TENON_OP(logical_and_op, Value logical_and(Operand a, Operand b))
TENON_OP(logical_or_op, Value logical_or(Operand a, Operand b))
TENON_OP(logical_not_op, Value logical_not(Operand x))
TENON_OP(select_op, Value select(Operand condition, Operand a, Operand b))
TENON_OP(is_finite_op, Value is_finite(Operand x))
// To nearest even; to f16 or bf16 by way of f32, so twice if x is f64 or an integer.
TENON_OP(cast_op, Value cast(Operand x, DType to))
TENON_OP(stop_gradient_op, Value stop_gradient(Operand x))

// ---- activations ----
TENON_OP(relu_op, Value relu(Operand x, Kink at_zero = Kink::left))
TENON_OP(leaky_relu_op, Value leaky_relu(Operand x, double slope = 0.01))
TENON_OP(prelu_op, Value prelu(Operand x, Operand slope))   // slope per last axis
TENON_OP(sigmoid_op, Value sigmoid(Operand x))
TENON_OP(tanh_op, Value tanh(Operand x))
TENON_OP(softplus_op, Value softplus(Operand x))
TENON_OP(gelu_op, Value gelu(Operand x))                    // exact: x * Phi(x)
TENON_OP(silu_op, Value silu(Operand x))
TENON_OP(elu_op, Value elu(Operand x, double alpha = 1.0))

// ---- reductions: over all axes if none are named; the reduced axes disappear ----
TENON_OP(sum_op, Value sum(Operand x, Axes axes = {}))
TENON_OP(mean_op, Value mean(Operand x, Axes axes = {}))
TENON_OP(prod_op, Value prod(Operand x, Axes axes = {}))
TENON_OP(reduce_max_op, Value reduce_max(Operand x, Axes axes = {}))   // ties: the first maximum gets the gradient
TENON_OP(reduce_min_op, Value reduce_min(Operand x, Axes axes = {}))
TENON_OP(argmax_op, Value argmax(Operand x, int64_t axis = -1))        // i64; the first of equals
TENON_OP(logsumexp_op, Value logsumexp(Operand x))                     // over the last axis

// ---- shapes ----
TENON_OP(reshape_op, Value reshape(Operand x, Shape shape))
TENON_OP(transpose_op, Value transpose(Operand x, Axes permutation = {}))      // axis i of the result is axis permutation[i] of x; default: reversed
TENON_OP(broadcast_op, Value broadcast(Operand x, Shape shape, Axes axes))     // axis i of x becomes axis axes[i]; the others repeat
TENON_OP(slice_op, Value slice(Operand x, int64_t axis, Extent begin, Extent end, int64_t step = 1))
TENON_OP(concat_op, Value concat(std::vector<Value> parts, int64_t axis = 0, std::source_location at = std::source_location::current()))
TENON_OP(pad_op, Value pad(Operand x, Shape low, Shape high, Operand value = 0))  // per axis; the value is a number
TENON_OP(reverse_op, Value reverse(Operand x, Axes axes))

// ---- contraction ----
// contract(a, b, "ik,kj->ij"): the sum over the letters that the result lacks; each of those is in both operands.
TENON_OP(contract_op, Value contract(Operand a, Operand b, std::string_view spec))

// ---- choosing by index; an index out of range is an Error of the run that names row and value ----
TENON_OP(pick_op, Value pick(Operand x, Operand index))                 // y[i..] = x[i.., index[i..]]
TENON_OP(one_hot_op, Value one_hot(Operand index, int64_t classes, DType dtype = f32))
TENON_OP(gather_op, Value gather(Operand table, Operand index))         // y[i.., j..] = table[index[i..], j..]
TENON_OP(scatter_add_op, Value scatter_add(Operand index, Operand rows, Extent extent))  // y[index[i..], j..] += rows[i.., j..]

// ---- softmax and cross-entropy, over the last axis ----
TENON_OP(softmax_op, Value softmax(Operand z))                          // softargmax
TENON_OP(log_softmax_op, Value log_softmax(Operand z))
TENON_OP(cross_entropy_op, Value cross_entropy(Operand p, Operand target))             // -log p[label], or -sum q log p
TENON_OP(softmax_cross_entropy_op, Value softmax_cross_entropy(Operand z, Operand target))  // target: labels or a distribution
TENON_OP(sigmoid_cross_entropy_op, Value sigmoid_cross_entropy(Operand z, Operand target))  // elementwise

// ---- random numbers: functions of (seed, stream of the scope, step, element) ----
TENON_OP(random_bits_op, Value random_bits(Operand seed, Operand step, Shape shape, int64_t stream))  // i64 in [0, 2^32)
TENON_OP(uniform_op, Value uniform(Graph& graph, DType dtype, Shape shape, std::source_location at = std::source_location::current()))   // [0, 1)
TENON_OP(normal_op, Value normal(Graph& graph, DType dtype, Shape shape, std::source_location at = std::source_location::current()))
TENON_OP(bernoulli_op, Value bernoulli(Graph& graph, Operand p, Shape shape, std::source_location at = std::source_location::current())) // bool

#undef TENON_OP
#ifdef TENON_OPS_DECLARE
#undef TENON_OPS_DECLARE

// ---- builders made of the above ----
Value constant(Body& body, DType dtype, double value, Line line = std::source_location::current());         // a scalar
Value full(Body& body, const Type& type, double value, Line line = std::source_location::current());        // a scalar, broadcast
Value full(Body& body, const Type& type, Value value, Line line = std::source_location::current());         // a scalar of the type's elements
Value whole_constant(Body& body, DType dtype, int64_t value, Line line = std::source_location::current());  // exact also beyond 2^53
template <std::integral T>
Value constant(Body& body, DType dtype, T value, Line line = std::source_location::current()) {
  return whole_constant(body, dtype, static_cast<int64_t>(value), line);
}
template <std::integral T>
Value full(Body& body, const Type& type, T value, Line line = std::source_location::current()) {
  return full(body, type, whole_constant(body, type.dtype, static_cast<int64_t>(value), line), line);
}
Value full_like(Value x, double value, Line line = std::source_location::current());
Value zeros_like(Value x, Line line = std::source_location::current());
Value ones_like(Value x, Line line = std::source_location::current());
// x stretched to the shape as NumPy does it; x itself if it has that shape.
Value broadcast_to(Operand x, const Shape& shape);
// a, b made to have one type: numbers take the other's element type, shapes are broadcast. Error names `operation`.
void unify(std::string_view operation, Operand& a, Operand& b);
Value operator>(Operand a, Operand b);
Value operator>=(Operand a, Operand b);
Value matmul(Operand a, Operand b, bool transpose_a = false, bool transpose_b = false);  // 2-D, or batched over equal leading axes
Value expand_dims(Operand x, int64_t axis);                                        // a reshape
Value softmax(Operand z, int64_t axis);                                            // over another axis: transposes around it
Value log_softmax(Operand z, int64_t axis);
Value dropout(Graph& graph, Operand x, double rate);                               // zero with probability rate, else x / (1 - rate)

}  // namespace tenon
// clang-format on
#endif
#endif
