// The builders: types, broadcasting, numbers as operands, kinks and tie rules, error messages word for word.
#include "ir/ops.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "ir/evaluate.h"
#include "ir/model/optimizers.h"

using namespace tenon;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

struct Inputs {
  Graph g;
  Extent n = g.size("n", 64);
  Value x = g.input("x", f32, {n, 4}), row = g.input("row", f32, {4}), square = g.input("square", f32, {4, 5}),
        whole = g.input("whole", i32, {n}), flag = g.input("flag", boolean, {n, 4}), wide = g.input("wide", f64, {4});
};

// The message without the line, which must be this file's.
template <typename F>
std::string message(F f) {
  try {
    f();
  } catch (const Error& error) {
    std::string text = error.what();
    CHECK(text.starts_with("ops_test.cpp:"));
    return text.substr(std::min(text.size(), text.find(": ") + 2));
  }
  return "no error";
}

std::string type(const Value& x) { return x.type().str(); }
Value vector(Graph& g, std::vector<double> values) {
  return constant(g.body(), Literal::of({f64, {static_cast<int64_t>(values.size())}}, values));
}
std::vector<double> run(const Value& x) {
  ReferenceArray result = evaluate(x);
  std::vector<double> values;
  for (int64_t i = 0; i < result.elements(); ++i) values.push_back(result.at(i));
  return values;
}
// The rule's own answer to dy = 1.
std::vector<Value> pull(const Value& y) {
  std::vector<Value> x;
  for (size_t i = 0; i < y.operand_count(); ++i) x.push_back(y.operand(i));
  return y.op().gradient({y, ones_like(y), x, y.attributes()});
}

}  // namespace

TEST_CASE("operands broadcast as in NumPy, visibly") {
  Inputs in;
  CHECK(type(in.x + in.row) == "f32[n,4]");
  CHECK((in.x + in.row).operand(1).op().name == "broadcast");
  CHECK(type(in.row + reshape(in.square, {5, 4, 1})) == "f32[5,4,4]");
  CHECK(type(in.x * 2) == "f32[n,4]");
  CHECK((in.x * 2) == (in.x * 2.0));
  CHECK(type(select(in.flag, in.row, 0)) == "f32[n,4]");
  CHECK(type(select(is_finite(in.row), in.x, 0)) == "f32[n,4]");
  CHECK(broadcast_to(in.x, in.x.shape()) == in.x);
  CHECK(message([&] { in.x + in.square; }) == "add: shapes do not broadcast: a is f32[n,4], b is f32[4,5]");
  CHECK(message([&] { in.x + in.wide; }) == "add: element types differ: a is f32[n,4], b is f64[4]; cast one of them");
  CHECK(message([&] { broadcast_to(in.square, {4}); }) == "broadcast_to: f32[4,5] does not stretch to [4]");
}

TEST_CASE("a number takes the other operand's type or is an error") {
  Inputs in;
  CHECK(type(in.whole + 3) == "i32[n]");
  CHECK(type(1 / in.wide) == "f64[4]");
  CHECK(message([&] { in.whole + 0.5; }) == "add: 0.5 is not a value of i32; the other side is i32[n]");
  CHECK(message([&] { in.whole * 3e9; }) == "mul: 3000000000 is not a value of i32; the other side is i32[n]");
  CHECK(message([&] { in.x * 1e39; }) == "mul: 1e+39 is not a value of f32; the other side is f32[n,4]");
  CHECK(type(in.x * inf) == "f32[n,4]");
  CHECK(message([&] { max(1, 2); }) == "max: needs a Value, not only numbers");
  CHECK(message([&] { relu(1); }) == "relu: needs a Value, not only numbers");
  CHECK(message([&] { select(in.flag, 1, 0); }) ==
        "select: one of the choices must be a Value, to give the numbers 1 and 0 a type");
}

TEST_CASE("types of views, reductions and choices") {
  Inputs in;
  CHECK(type(sum(in.x)) == "f32[]");
  CHECK(type(mean(in.x, {-1})) == "f32[n]");
  CHECK(type(argmax(in.x)) == "i64[n]");
  CHECK(type(reshape(in.x, {in.n, 2, 2})) == "f32[n,2,2]");
  CHECK(type(transpose(in.x)) == "f32[4,n]");
  CHECK(type(slice(in.x, 1, 1, -1)) == "f32[n,2]");
  CHECK(slice(in.x, 1, 0, 4) == in.x);
  CHECK(type(concat({in.x, in.x}, -1)) == "f32[n,8]");
  CHECK(type(pad(in.square, {1, 0}, {2, 3})) == "f32[7,8]");
  CHECK(type(matmul(in.x, in.square)) == "f32[n,5]");
  CHECK(type(pick(in.x, in.whole)) == "f32[n]");
  CHECK(type(one_hot(in.whole, 10)) == "f32[n,10]");
  CHECK(type(gather(in.square, in.whole)) == "f32[n,5]");
  CHECK(type(scatter_add(in.whole, in.x, 7)) == "f32[7,4]");
  CHECK(type(softmax_cross_entropy(in.x, in.whole)) == "f32[n]");
  CHECK(type(in.x < 0) == "bool[n,4]");
  CHECK(cast(in.x, f32) == in.x);
}

TEST_CASE("errors name the operation and both sides") {
  Inputs in;
  Value a = in.square, b = in.g.input("b", f32, {6, 3}), cube = in.g.input("cube", f32, {2, 4, 5});
  CHECK(message([&] { matmul(a, b); }) == "matmul: inner extents differ: a is f32[4,5], b is f32[6,3]");
  CHECK(message([&] { matmul(a, b, true); }) == "matmul: inner extents differ: a is f32[4,5] transposed, b is f32[6,3]");
  CHECK(message([&] { matmul(a, cube); }) == "matmul: leading axes differ: a is f32[4,5], b is f32[2,4,5]");
  CHECK(message([&] { matmul(a, in.row); }) ==
        "matmul: needs matrices (rank 2, or more with equal leading axes): a is f32[4,5], b is f32[4]");
  CHECK(message([&] { contract(a, b, "ij,kl->ik"); }) == "contract: 'ij,kl->ik': 'j' is in a only; sum it first");
  CHECK(message([&] { contract(a, b, "ij,jk->ik"); }) ==
        "contract: 'ij,jk->ik': extents of 'j' differ: a is f32[4,5], b is f32[6,3]");
  CHECK(message([&] { contract(a, b, "ij->i"); }) == "contract: 'ij->i' is not of the form \"ik,kj->ij\"");
  CHECK(message([&] { contract(a, b, "ii,jk->ik"); }) == "contract: 'ii,jk->ik': 'i' is twice in a");
  CHECK(message([&] { sum(a, {2}); }) == "sum: axis 2 is not one of f32[4,5], which has 2");
  CHECK(message([&] { sum(a, {1, -1}); }) == "sum: axis 1 of f32[4,5] is named twice");
  CHECK(message([&] { reshape(a, {3, 7}); }) == "reshape: f32[4,5] has 20 elements, f32[3,7] has 21");
  CHECK(message([&] { slice(a, 0, 2, 9); }) == "slice: [2, 9) is not within axis 0 of f32[4,5]");
  CHECK(message([&] { slice(in.x, 0, 0, 3); }) == "slice: [0, 3) is not within axis 0 of f32[n,4], where n may be 1");
  CHECK(message([&] {
          concat({a, b}, 0);
        }) == "concat: part 1 is f32[6,3], part 0 is f32[4,5]; they may differ on axis 0 only");
  CHECK(message([&] { exp(in.whole); }) == "exp: needs a float type (f32 or f64), got i32[n]; cast it first");
  CHECK(message([&] { logical_not(in.x); }) == "logical_not: needs bool, got f32[n,4]; compare first");
  CHECK(message([&] { select(in.x, in.x, 0); }) ==
        "select: the condition is f32[n,4], the choices are f32[n,4]; it must be bool of their shape");
  CHECK(message([&] { pick(in.x, in.row); }) == "pick: indices are i64, i32 or u8, not f32[4]");
  CHECK(message([&] { softmax_cross_entropy(in.x, in.row); }) ==
        "softmax_cross_entropy: the target is f32[4], the scores are f32[n,4]; it must be integer labels [n] "
        "or a "
        "distribution f32[n,4]");
  CHECK(message([&] { dropout(in.g, in.x, 1.5); }) == "dropout: the rate is 1.5; it must be in [0, 1)");
}

TEST_CASE("the four spellings of relu have the derivative 0 at 0") {
  Graph g;
  Value x = vector(g, {-1, -0.0, 0, 1});
  std::vector<double> step{0, 0, 0, 1};
  CHECK(run(pull(relu(x))[0]) == step);
  CHECK(run(pull(max(x, 0))[0]) == step);
  CHECK(run(pull(max(0, x))[1]) == step);
  CHECK(run(pull(select(x > 0, x, 0))[1]) == step);
  CHECK(run(pull(relu(x, Kink::right))[0]) == std::vector<double>{0, 1, 1, 1});
  CHECK(run(pull(min(x, 0))[0]) == std::vector<double>{1, 0, 0, 0});
  CHECK(run(pull(abs(x))[0]) == std::vector<double>{-1, -0.0, 0, 1});
  CHECK(run(pull(clip(x, -1, 1))[0]) == std::vector<double>{0, 1, 1, 0});
  CHECK(max(x, 0).attributes().get<int64_t>("tie") == 1);
  CHECK(max(0, x).attributes().get<int64_t>("tie") == 0);
  CHECK(relu(x).attributes().get<std::string>("kink") == "left");
}

TEST_CASE("a tie goes to the first of two variables and to the first maximum") {
  Graph g;
  Value a = vector(g, {1, 2, 3}), b = vector(g, {1, 3, 2});
  CHECK(run(pull(max(a, b))[0]) == std::vector<double>{1, 0, 1});
  CHECK(run(pull(max(a, b))[1]) == std::vector<double>{0, 1, 0});
  CHECK(run(pull(reduce_max(vector(g, {1, 3, 3, 0})))[0]) == std::vector<double>{0, 1, 0, 0});
  CHECK(run(pull(reduce_min(vector(g, {1, 0, 3, 0})))[0]) == std::vector<double>{0, 1, 0, 0});
}

TEST_CASE("gradients at singular points follow the stated conventions") {
  Graph g;
  Value x = vector(g, {0, 4});
  CHECK(run(pull(sqrt(x))[0]) == std::vector<double>{0, 0.25});
  Value zeros = vector(g, {0, 0, 0, 2}), exponents = vector(g, {0, 1, 2, 0});
  CHECK(run(pull(pow(zeros, exponents))[0]) == std::vector<double>{0, 1, 0, 0});
  CHECK(run(pull(pow(zeros, exponents))[1]) == std::vector<double>{0, 0, 0, std::log(2.0)});
}

TEST_CASE("a mask stays outside of what follows, so that 0 * inf does not arise") {
  Graph g;
  Value x = vector(g, {0, 2}), y = log(x);
  Value dy = pull(select(x > 0, y, 0))[1];
  std::vector<Value> dx = log_op.gradient({y, dy, {x}, y.attributes()});
  CHECK(run(dx[0]) == std::vector<double>{0, 0.5});
  Value shaped = reshape(y, {2, 1});
  std::vector<Value> back =
      reshape_op.gradient({shaped, pull(select(reshape(x, {2, 1}) > 0, shaped, 0))[1], {y}, shaped.attributes()});
  CHECK(run(log_op.gradient({y, back[0], {x}, {}})[0]) == std::vector<double>{0, 0.5});
}

TEST_CASE("softmax and log-sum-exp of infinite logits hold no NaN where a limit exists") {
  Graph g;
  Value masked = reshape(vector(g, {-inf, 1, 1, -inf, -inf, -inf}), {2, 3});
  CHECK(run(softmax(masked)) == std::vector<double>{0, 0.5, 0.5, 0, 0, 0});
  Value rows = reshape(vector(g, {-inf, -inf, inf, 0, inf, inf, -inf, 0}), {4, 2});
  CHECK(run(logsumexp(rows)) == std::vector<double>{-inf, inf, inf, 0});
  Value labels = constant(g.body(), Literal::of({i32, {2}}, std::vector<double>{1, 0}));
  Value loss = softmax_cross_entropy(masked, labels);
  CHECK(run(loss)[0] == doctest::Approx(std::log(2.0)));
  CHECK(std::isfinite(run(loss)[1]));
  CHECK(run(pull(loss)[0]) == std::vector<double>{0, -0.5, 0.5, -0.0, 0, 0});
}

TEST_CASE("softmax with cross-entropy is precise and finite at large gaps") {
  for (double gap : {1.0, 20.0, 40.0, 80.0}) {
    Graph g;
    Value z = constant(g.body(), Literal::of({f32, {2, 2}}, std::vector<double>{gap, 0, gap, 0}));
    Value labels = constant(g.body(), Literal::of({u8, {2}}, std::vector<double>{0, 1}));
    Value loss = softmax_cross_entropy(z, labels);
    std::vector<double> losses = run(loss), slopes = run(pull(loss)[0]);
    double small = std::log1p(std::exp(-gap)), p = std::exp(-gap) / (1 + std::exp(-gap));
    CHECK(losses[0] == doctest::Approx(small).epsilon(1e-12));
    CHECK(losses[1] == doctest::Approx(gap + small).epsilon(1e-12));
    CHECK(slopes[0] == doctest::Approx(-p).epsilon(1e-12));
    CHECK(slopes[1] == doctest::Approx(p).epsilon(1e-12));
    CHECK(slopes[2] == doctest::Approx(1 - p).epsilon(1e-12));
  }
  Graph g;
  Value z = constant(g.body(), Literal::of({f32, {2}}, std::vector<double>{3e38, -3e38}));
  Value label = constant(g.body(), Literal::of({u8, {}}, std::vector<double>{1}));
  ReferenceArray loss = evaluate(softmax_cross_entropy(z, label), {}, 1, Arithmetic::typed);
  CHECK(loss.at(0) == std::numeric_limits<float>::max());
  ReferenceArray slope = evaluate(pull(softmax_cross_entropy(z, label))[0], {}, 1, Arithmetic::typed);
  CHECK(slope.at(0) == 1);
  CHECK(slope.at(1) == -1);
}

TEST_CASE("published values") {
  Graph g;
  auto at = [&](Value (*f)(Operand), double x) { return run(f(vector(g, {x})))[0]; };
  // Abramowitz and Stegun, tables 7.1, 6.1, 26.1.
  CHECK(at(erf, 0.5) == doctest::Approx(0.5204998778).epsilon(1e-10));
  CHECK(at(lgamma, 0.5) == doctest::Approx(0.5723649429).epsilon(1e-9));
  CHECK(at(digamma, 1) == doctest::Approx(-0.5772156649).epsilon(1e-9));
  CHECK(at(trigamma, 1) == doctest::Approx(1.6449340668).epsilon(1e-10));
  CHECK(at(gelu, 1) == doctest::Approx(0.8413447461).epsilon(1e-10));
  // Random123's known answer for Philox4x32-10 of zero counter and zero key.
  Value zero = constant(g.body(), i64, 0);
  CHECK(run(random_bits(zero, zero, {4}, 0)) == std::vector<double>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
}

TEST_CASE("random draws: each call its own stream, moments as they should be, dropout keeps the mean") {
  Graph g;
  Value a = uniform(g, f32, {4000}), b = uniform(g, f32, {4000});
  CHECK(a != b);
  Value coin = bernoulli(g, 0.25, {4000});
  Value kept = dropout(g, ones_like(a), 0.25);
  Bindings keys{{"seed", ReferenceArray::of({i64, {}}, std::vector<double>{1})},
                {"step", ReferenceArray::of({i64, {}}, std::vector<double>{0})}};
  auto average = [&](const Value& x) { return evaluate(mean(x), keys).at(0); };
  CHECK(average(a) == doctest::Approx(0.5).epsilon(0.03));
  CHECK(average(a * b) == doctest::Approx(0.25).epsilon(0.05));
  Value z = normal(g, f32, {4000});
  CHECK(std::fabs(average(z)) < 0.06);
  CHECK(average(z * z) == doctest::Approx(1).epsilon(0.08));
  CHECK(average(cast(coin, f32)) == doctest::Approx(0.25).epsilon(0.1));
  CHECK(average(kept) == doctest::Approx(1).epsilon(0.03));
}

TEST_CASE("an empty Value, or one of another graph, is an error and never read") {
  Graph g, other;
  Value x = other.input("x", f32, {2});
  CHECK_THROWS_WITH_AS(apply(tanh_op, {Value()}), "tanh: an operand is an empty Value", Error);
  for (Value value : {Value(), x}) {
    const std::string here = "ops_test.cpp:" + std::to_string(__LINE__ + 2);
    const std::string below = "ops_test.cpp:" + std::to_string(__LINE__ + 2);
    CHECK_THROWS_WITH_AS(g.require_fused(value), (here + ": require_fused: the loss is not of this graph").c_str(), Error);
    CHECK_THROWS_WITH_AS(g.allow_unreached(value), (below + ": allow_unreached: the parameter is not of this graph").c_str(),
                         Error);
  }
  const std::string here = "ops_test.cpp:" + std::to_string(__LINE__ + 1);
  CHECK_THROWS_WITH_AS(other.allow_unreached(x), (here + ": allow_unreached: input is no parameter or state").c_str(), Error);
}

TEST_CASE("an empty Value is not the number 0, in whatever takes either") {
  Graph g;
  Value x = g.input("x", f32, {2}), none;
#define REFUSED(call)                                                                                \
  CHECK_THROWS_WITH_AS(call,                                                                         \
                       ("ops_test.cpp:" + std::to_string(__LINE__) +                                 \
                        ": an operand is an empty Value; it must be a node of a graph, or a number") \
                           .c_str(),                                                                 \
                       Error)
  REFUSED(x + none);
  REFUSED(none * x);
  REFUSED(max(x, none));
  REFUSED(pow(x, none));
  REFUSED(clip(x, none, 1));
  REFUSED(select(x < 0, none, x));
  REFUSED(pick(x, none));
  REFUSED(tanh(none));
  REFUSED(bernoulli(g, none, {2}));
  REFUSED(sgd(none));
  REFUSED(adamw(0.1, none));
#undef REFUSED
}

TEST_CASE("a number that a type does not hold is refused, as a constant and as a probability") {
  Graph g;
  auto refused = [](DType dtype, double value) { return message([&] { Literal::of({dtype, {1}}, std::vector{value}); }); };
  CHECK(refused(f32, 1e300) == "constant: 1e+300 is not a value of f32");
  CHECK(refused(u8, -1) == "constant: -1 is not a value of u8");
  CHECK(refused(boolean, 2) == "constant: 2 is not a value of bool");
  CHECK(std::isinf(Literal::of({f32, {1}}, std::vector<double>{HUGE_VAL}).at(0)));
  for (double p : {-0.5, 2.0}) {
    const std::string here = "ops_test.cpp:" + std::to_string(__LINE__ + 1);
    CHECK_THROWS_WITH_AS(bernoulli(g, p, {2}),
                         fmt::format("{}: bernoulli: the probability is {}; it must be in [0, 1]", here, p).c_str(), Error);
  }
}
