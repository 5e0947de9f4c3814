// One differentiator: values against known ones, sums in a fixed order, second order, size, and each error's
// text.
#include "compiler/graph/differentiate.h"

#include <doctest/doctest.h>

#include "compiler/graph/update.h"
#include "ir/evaluate.h"
#include "ir/op.h"
#include "ir/ops.h"
#include "tests/message.h"

using namespace tenon;
using test::message;

namespace {

Initializer zeros_of_type() {
  return [](Graph& graph, const Type& type) { return full(graph.body(), type, 0); };
}

ReferenceArray array(DType dtype, Shape shape, std::vector<double> values) {
  return ReferenceArray::of(Type{dtype, std::move(shape)}, values);
}

std::vector<double> values(Value value, const Bindings& bindings, int64_t n = 1) {
  ReferenceArray result = evaluate(value, bindings, n);
  std::vector<double> list;
  for (int64_t i = 0; i < result.elements(); ++i) list.push_back(result.at(i));
  return list;
}

std::string line_name(int line) { return fmt::format("differentiate_test.cpp:{}", line); }
template <typename... Args>
std::string at(int line, fmt::format_string<Args...> format, Args&&... args) {
  return line_name(line) + ": " + fmt::format(format, std::forward<Args>(args)...);
}

Type first_type(const Application& a) { return a.operand(0); }
constinit const Op blind_op = {.name = "blind", .operands = 1, .type = first_type, .compute = pointwise<Scalar::neg>};

}  // namespace

TEST_CASE("the gradient of a product reaches both factors, and of a shared value is the sum") {
  Graph g;
  Value x = g.input("x", f64, {3}), y = g.input("y", f64, {3});
  Value loss = sum(x * y + x * x);
  auto d = gradients(loss, {x, y});
  Bindings at{{"x", array(f64, {3}, {1, 2, 3})}, {"y", array(f64, {3}, {5, 7, 11})}};
  CHECK(values(d[0], at) == std::vector<double>{7, 11, 17});
  CHECK(values(d[1], at) == std::vector<double>{1, 2, 3});
  CHECK(d[0].node().origin.backward);
  CHECK_FALSE(d[0].node().origin.lines.empty());
  CHECK(d[0].line().file.ends_with("differentiate_test.cpp"));
}

TEST_CASE("a wrt may be any value on the way, and one wrt may lie behind another") {
  Graph g;
  Value x = g.input("x", f64, {}), h = x * x;
  auto d = gradients(h * h, {h, x});
  Bindings at{{"x", array(f64, {}, {3})}};
  CHECK(values(d[0], at) == std::vector<double>{18});
  CHECK(values(d[1], at) == std::vector<double>{108});
}

TEST_CASE("the gradient of a gradient is the second derivative") {
  Graph g;
  Value x = g.input("x", f64, {2}), v = g.input("v", f64, {2});
  Value dx = gradients(sum(x * x * x), {x})[0];
  Value hessian_vector = gradients(sum(dx * v), {x})[0];
  Bindings at{{"x", array(f64, {2}, {2, -1})}, {"v", array(f64, {2}, {1, 10})}};
  CHECK(values(hessian_vector, at) == std::vector<double>{12, -60});

  Value third = gradients(sum(gradients(sum(sin(x)), {x})[0]), {x})[0];
  CHECK(values(third, at)[0] == doctest::Approx(-std::sin(2.0)));
  Value relu_twice = sum(relu(x) * x);
  Value d = gradients(relu_twice, {x})[0];
  CHECK(values(gradients(sum(d), {x})[0], at) == std::vector<double>{2, 0});
}

TEST_CASE("the gradient with respect to probabilities is that of the naive form") {
  Graph g;
  Value z = g.input("z", f64, {2, 3}), y = g.input("y", i64, {2});
  Value p = softmax(z);
  Value loss = mean(-log(pick(p, y)));
  Value dp = gradients(loss, {p})[0];
  Bindings at{{"z", array(f64, {2, 3}, {0, 0, 0, 0, 0, 0})}, {"y", array(i64, {2}, {2, 0})}};
  auto d = values(dp, at);
  CHECK(d[2] == doctest::Approx(-1.5));
  CHECK(d[3] == doctest::Approx(-1.5));
  CHECK(d[0] == 0);
  auto dz = values(gradients(loss, {z})[0], at);
  CHECK(dz[2] == doctest::Approx(-1.0 / 3));
  CHECK(dz[0] == doctest::Approx(1.0 / 6));
}

TEST_CASE("a chain of shared squares takes linearly many nodes") {
  auto nodes_for = [](int depth) {
    Graph g;
    Value x = g.input("x", f64, {}), y = x;
    for (int i = 0; i < depth; ++i) y = tanh(y) + y * y;
    (void)gradients(y, {x});
    return g.body().size();
  };
  CHECK(nodes_for(40) - nodes_for(20) == nodes_for(60) - nodes_for(40));
  CHECK(nodes_for(60) < 60 * 20);
}

TEST_CASE("a run-time size goes through") {
  Graph g;
  Extent n = g.size("n", 8);
  Value x = g.input("x", f64, {n, 2}), w = g.parameter("w", f64, {2}, zeros_of_type());
  Value loss = mean(x * w);
  Bindings at{{"x", array(f64, {3, 2}, {1, 2, 3, 4, 5, 6})}, {"w", array(f64, {2}, {1, 1})}};
  auto d = values(gradients(loss, {w})[0], at, 3);
  CHECK(d[0] == doctest::Approx(1.5));
  CHECK(d[1] == doctest::Approx(2));
}

TEST_CASE("what is no loss is an error") {
  Graph g, other;
  Value x = g.input("x", f32, {4}), i = g.input("i", i64, {}), strange = other.input("x", f32, {4});
  int line = __LINE__ + 1;
  std::string text = message([&] { gradients(x * 2, {x}); });
  CHECK(text == at(line, "gradients: the loss is f32[4], not a scalar; take its mean() or sum() first"));
  line = __LINE__ + 1;
  text = message([&] { gradients(i, {x}); });
  CHECK(text == at(line, "gradients: the loss is i64[]; only a float has gradients"));
  line = __LINE__ + 1;
  text = message([&] { gradients(sum(x), {i}); });
  CHECK(text == at(line, "gradients: wrt 0 is i64[]; only a float has gradients"));
  line = __LINE__ + 1;
  text = message([&] { gradients(sum(x), {strange}); });
  CHECK(text == at(line, "gradients: wrt 0 is not of the loss's graph"));
}

TEST_CASE("a missing rule names the operation and its path from the loss") {
  Graph g;
  Value x = g.input("x", f32, {4});
  const int blind = __LINE__ + 1;
  Value hidden = apply(blind_op, {x * 3}, {}, std::source_location::current());
  const int sums = __LINE__ + 1;
  Value loss = sum(exp(hidden));
  CHECK(message([&] { gradients(loss, {x}); }) ==
        at(blind, "gradients: 'blind' has no gradient rule; path from the loss: sum ({1}) <- exp ({1}) <- blind ({0})",
           line_name(blind), line_name(sums)));
}

TEST_CASE("a wrt that no gradient reaches is an error that says why") {
  Graph g;
  const int made = __LINE__ + 1;
  Value x = g.input("x", f32, {4}), y = g.input("y", f32, {4});
  int line = __LINE__ + 1;
  std::string text = message([&] { gradients(sum(x), {y}); });
  CHECK(text == at(line, "gradients: no gradient reaches wrt 0 (input ({})): the loss does not depend on it", line_name(made)));
  line = __LINE__ + 1;
  text = message([&] { gradients(sum(x + floor(y)), {x, y}); });
  CHECK(text == at(line,
                   "gradients: no gradient reaches wrt 1 (input ({})): the loss depends on it only through 'floor "
                   "({})', whose gradient is zero everywhere",
                   line_name(made), line_name(line)));
}
