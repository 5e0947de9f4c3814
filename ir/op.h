#pragma once
// An operation is one record that answers: what is its type, what is its gradient, and how is one element computed, or
// else which simpler operations is it made of. Nothing else in the library knows an operation by name.
#include "ir/compute.h"
#include "ir/graph.h"

namespace tenon {

// One application of an operation, as its type rule and its definition see it.
struct Application {
  const Op& op;
  std::vector<Type> operands;
  const Attributes& attributes;
  Line line;
  Type result{};  // known to compute(), not to type()

  const Type& operand(size_t i) const { return operands[i]; }
  // Throws Error "line: op: message".
  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_text(fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void fail_text(const std::string& message) const;
};

// y = op(x...), dy is the gradient of the loss with respect to y. The rule returns, per operand, the gradient or a null
// Value where it is zero; an empty vector where all are. A gradient has gradient_type() of its value.
struct Pullback {
  Value y;
  Value dy;
  std::vector<Value> x;
  const Attributes& attributes;
};

// The type of the gradient of such a value: of f16 or bf16 it is an f32, which nothing has rounded.
inline Type gradient_type(Type of) { return {arithmetic_of(of.dtype), std::move(of.shape)}; }

struct Op {
  std::string_view name;
  int operands;  // how many it takes; -1: one or more
  // The result's type; Error through Application::fail.
  Type (*type)(const Application&);
  // Null: missing, an error when differentiation reaches it. zero_gradient: zero everywhere.
  std::vector<Value> (*gradient)(const Pullback&) = nullptr;
  // One of compute and expand, except for leaves, which have neither. With both, expand returns
  // a null Value where one definition will do: concat does for a few parts.
  Definition (*compute)(const Application&) = nullptr;
  Value (*expand)(std::span<const Value> x, const Attributes& attributes) = nullptr;
  // Bound or given, not computed: an input, a parameter, a state or a constant.
  bool leaf = false;
  // The elements of the result are elements of the operands: f16 and bf16 may be among them, which arithmetic refuses.
  bool moves = false;
};

// The type of an application by the op's rule. Error also where f16 or bf16 would be computed with.
Type type_of(const Application& a);

std::vector<Value> zero_gradient(const Pullback&);

// The sum of two gradients of one value. A mask that both have stays outside: select(c, a, 0) + select(c, b, 0) is
// select(c, a + b, 0), so that what follows is masked as well.
Value add_gradients(const Value& a, const Value& b);

// The operation with that name: the vocabulary of ops.h, then those added by register_op; null if there is none.
const Op* find_op(std::string_view name);
// Makes an operation defined outside the library known to the parser. Error if another one has its name.
void register_op(const Op& op);
// All operations that find_op knows, in the order of ops.h.
std::vector<const Op*> vocabulary();

// Type rules and definitions that many operations share.
Type same_shape(const Application& a);                      // all operands have one type, the result's
Type same_float(const Application& a);                      // same, and the type is f32 or f64
Definition elementwise(const Application& a, Scalar body);  // body's loads read at the result's own index
Scalar read_operand(const Application& a, size_t operand);  // operand[v0, v1, ...]
template <Scalar::Function function>
Definition pointwise(const Application& a) {
  std::vector<Scalar> arguments;
  for (size_t i = 0; i < a.operands.size(); ++i) arguments.push_back(read_operand(a, i));
  return elementwise(a, Scalar::call(function, std::move(arguments)));
}

}  // namespace tenon
