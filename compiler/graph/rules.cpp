#include "compiler/graph/rules.h"

#include "ir/ops.h"

namespace tenon {
namespace {

constexpr Rule::Kind exact = Rule::exact, stabilising = Rule::stabilising;

std::vector<Type> floats(size_t count) { return std::vector<Type>(count, Type{f32, {3, 4}}); }
std::vector<Type> with_row() { return {Type{f32, {3, 4}}, Type{f32, {3}}}; }
std::vector<Type> with_bool(size_t floats) {
  std::vector<Type> types(floats + 1, Type{f32, {3, 4}});
  types[0].dtype = boolean;
  return types;
}

Axes last(Value x) { return {x.rank() - 1}; }
// One number per row, repeated along the row.
Value along(Value row, Value x) {
  Axes axes;
  for (int64_t axis = 0; axis + 1 < x.rank(); ++axis) axes.push_back(axis);
  return broadcast(row, x.shape(), axes);
}

}  // namespace

std::span<const Rule> canonical_rules() {
  static const std::vector<Rule> table = {
      {"neg of neg", exact, floats(1), [](Holes x) { return -(-x[0]); }, [](Holes x) { return x[0]; }},
      {"not of not", exact, with_bool(0), [](Holes x) { return logical_not(logical_not(x[0])); }, [](Holes x) { return x[0]; }},
      {"times 1", exact, floats(1), [](Holes x) { return x[0] * 1; }, [](Holes x) { return x[0]; }},
      {"times -1", exact, floats(1), [](Holes x) { return x[0] * -1; }, [](Holes x) { return -x[0]; }},
      {"over 1", exact, floats(1), [](Holes x) { return x[0] / 1; }, [](Holes x) { return x[0]; }},
      {"over -1", exact, floats(1), [](Holes x) { return x[0] / -1; }, [](Holes x) { return -x[0]; }},
      {"plus neg", exact, floats(2), [](Holes x) { return x[0] + -x[1]; }, [](Holes x) { return x[0] - x[1]; }},
      {"neg plus", exact, floats(2), [](Holes x) { return -x[0] + x[1]; }, [](Holes x) { return x[1] - x[0]; }},
      {"minus neg", exact, floats(2), [](Holes x) { return x[0] - -x[1]; }, [](Holes x) { return x[0] + x[1]; }},
      {"neg times", exact, floats(2), [](Holes x) { return -x[0] * x[1]; }, [](Holes x) { return -(x[0] * x[1]); }},
      {"times neg", exact, floats(2), [](Holes x) { return x[0] * -x[1]; }, [](Holes x) { return -(x[0] * x[1]); }},
      {"neg over", exact, floats(2), [](Holes x) { return -x[0] / x[1]; }, [](Holes x) { return -(x[0] / x[1]); }},
      {"over neg", exact, floats(2), [](Holes x) { return x[0] / -x[1]; }, [](Holes x) { return -(x[0] / x[1]); }},
      {"select of not", exact, with_bool(2), [](Holes x) { return select(logical_not(x[0]), x[1], x[2]); },
       [](Holes x) { return select(x[0], x[2], x[1]); }},
  };
  return table;
}

std::span<const Rule> stable_rules() {
  static const std::vector<Rule> table = {
      {"log of softmax", stabilising, floats(1), [](Holes x) { return log(softmax(x[0])); },
       [](Holes x) { return log_softmax(x[0]); }, "-inf where the probability underflows"},
      {"log of exp", stabilising, floats(1), [](Holes x) { return log(exp(x[0])); }, [](Holes x) { return x[0]; },
       "infinite where exp over- or underflows"},
      {"log of a sum of exp", stabilising, floats(1), [](Holes x) { return log(sum(exp(x[0]), last(x[0]))); },
       [](Holes x) { return logsumexp(x[0]); }, "infinite where exp overflows, or all of a row underflow"},
      {"log of sigmoid", stabilising, floats(1), [](Holes x) { return log(sigmoid(x[0])); },
       [](Holes x) { return -softplus(-x[0]); }, "-inf where the sigmoid underflows"},
      {"log(1 - sigmoid)", stabilising, floats(1), [](Holes x) { return log(1 - sigmoid(x[0])); },
       [](Holes x) { return -softplus(x[0]); }, "-inf where the sigmoid rounds to 1, with digits lost before"},
      {"log(exp + 1)", stabilising, floats(1), [](Holes x) { return log(exp(x[0]) + 1); },
       [](Holes x) { return softplus(x[0]); }, "inf where exp overflows, 0 where 1 + exp rounds to 1"},
      {"log1p of exp", stabilising, floats(1), [](Holes x) { return log1p(exp(x[0])); }, [](Holes x) { return softplus(x[0]); },
       "inf where exp overflows"},
      {"log(x + 1)", stabilising, floats(1), [](Holes x) { return log(x[0] + 1); }, [](Holes x) { return log1p(x[0]); },
       "0 where 1 + x rounds to 1"},
      {"log(1 - exp)", stabilising, floats(1), [](Holes x) { return log(1 - exp(x[0])); },
       [](Holes x) { return log(-expm1(x[0])); }, "-inf where exp rounds to 1"},
      {"log(1 - x)", stabilising, floats(1), [](Holes x) { return log(1 - x[0]); }, [](Holes x) { return log1p(-x[0]); },
       "0 where 1 - x rounds to 1"},
      {"exp - 1", stabilising, floats(1), [](Holes x) { return exp(x[0]) + -1; }, [](Holes x) { return expm1(x[0]); },
       "0 where exp rounds to 1, with digits lost before"},
      {"sigmoid by hand", stabilising, floats(1), [](Holes x) { return 1 / (exp(-x[0]) + 1); },
       [](Holes x) { return sigmoid(x[0]); }, "0 where exp overflows: the sigmoid is subnormal there"},
      {"softmax by hand", stabilising, floats(1), [](Holes x) { return exp(x[0]) / along(sum(exp(x[0]), last(x[0])), x[0]); },
       [](Holes x) { return softmax(x[0]); }, "NaN where exp overflows, or all of a row underflow"},
      {"softmax of shifted", stabilising, with_row(), [](Holes x) { return softmax(x[0] - along(x[1], x[0])); },
       [](Holes x) { return softmax(x[0]); }, "NaN where the shift overflows; it cancels"},
      {"log-softmax of shifted", stabilising, with_row(), [](Holes x) { return log_softmax(x[0] - along(x[1], x[0])); },
       [](Holes x) { return log_softmax(x[0]); }, "NaN where the shift overflows; it cancels"},
      {"log-softmax by hand", stabilising, floats(1), [](Holes x) { return x[0] - along(logsumexp(x[0]), x[0]); },
       [](Holes x) { return log_softmax(x[0]); }, "a difference that loses digits where both are large"},
      {"square by pow", stabilising, floats(1), [](Holes x) { return pow(x[0], 2); }, [](Holes x) { return x[0] * x[0]; },
       "slower and no more accurate"},
  };
  return table;
}

std::span<const Rule> simple_rules() {
  static const std::vector<Rule> table = {
      {"plus -0", exact, floats(1), [](Holes x) { return x[0] + -0.0; }, [](Holes x) { return x[0]; }},
      {"abs of neg", exact, floats(1), [](Holes x) { return abs(-x[0]); }, [](Holes x) { return abs(x[0]); }},
      {"abs of abs", exact, floats(1), [](Holes x) { return abs(abs(x[0])); }, [](Holes x) { return abs(x[0]); }},
      {"select of equals", exact, with_bool(1), [](Holes x) { return select(x[0], x[1], x[1]); }, [](Holes x) { return x[1]; }},
      {"select in select's first", exact, with_bool(3), [](Holes x) { return select(x[0], select(x[0], x[1], x[2]), x[3]); },
       [](Holes x) { return select(x[0], x[1], x[3]); }},
      {"select in select's second", exact, with_bool(3), [](Holes x) { return select(x[0], x[1], select(x[0], x[2], x[3])); },
       [](Holes x) { return select(x[0], x[1], x[3]); }},
      {"and with itself", exact, with_bool(0), [](Holes x) { return logical_and(x[0], x[0]); }, [](Holes x) { return x[0]; }},
      {"or with itself", exact, with_bool(0), [](Holes x) { return logical_or(x[0], x[0]); }, [](Holes x) { return x[0]; }},
  };
  return table;
}

}  // namespace tenon
