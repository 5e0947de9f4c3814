// Which parameters are updated in the epilogue of the contraction that computes their gradient, and why others are not:
// the exact lines of the receipt.
#include <doctest/doctest.h>
#include <tenon/tenon.h>

using namespace tenon;

namespace {

struct Model {
  Graph g;
  Extent n = g.size("n", 64);
  Value x = g.input("x", f32, {n, 20}), label = g.input("label", u8, {n});

  static constexpr int minimized = __LINE__ + 2;
  std::string receipt(Value loss, const MinimizeOptions& options = {}, Value output = {}) {
    g.entry("train", {{"y", output ? output : loss}}, minimize(loss, adam(0.01), options));
    std::string text;
    for (const std::string& line : compile(g).receipts)
      if (line.find("update") != std::string::npos) text += line + "\n";
    return text;
  }
};

}  // namespace

TEST_CASE("updates of dense layers, biases too, are fused with their gradients") {
  Model m;
  const int line = __LINE__ + 1;
  const Value loss = nll(dense(m.g, relu(dense(m.g, m.x, 32)), 10), m.label);
  std::string expected;
  for (const char* name : {"dense1/W", "dense1/b", "dense2/W", "dense2/b"})
    expected += fmt::format("receipt_test.cpp:{}: {}: update fused with its gradient\n", line, name);
  CHECK(m.receipt(loss) == expected);
}

TEST_CASE("a gradient that is an output besides is stored by the kernel that uses it") {
  Model m;
  const Value W = m.g.parameter("W", f32, {20, 10}, he());
  const int line = __LINE__ - 1;
  const Value loss = nll(matmul(m.x, W), m.label);
  const Value gradient = gradients(loss, {W})[0];
  CHECK(m.receipt(loss, {}, gradient) == fmt::format("receipt_test.cpp:{}: W: update fused with its gradient\n", line));
}

TEST_CASE("a norm over all gradients is needed before any update") {
  Model m;
  const Value W = m.g.parameter("W", f32, {20, 10}, he());
  const int line = __LINE__ - 1;
  const Value loss = nll(matmul(m.x, W), m.label);
  CHECK(m.receipt(loss, {.clip_norm = 1.0}) ==
        fmt::format("receipt_test.cpp:{}: W: update not fused: sum (receipt_test.cpp:{}) needs all of its gradient "
                    "first\n",
                    line, Model::minimized));
}

TEST_CASE("clipping each element leaves the update in the epilogue, a tied weight takes the last of its terms") {
  Model m;
  const Value W = m.g.parameter("W", f32, {20, 20}, he());
  const int line = __LINE__ - 1;
  const Value loss = nll(matmul(relu(matmul(m.x, W)), W), m.label);
  CHECK(m.receipt(loss, {.clip_value = 1.0}) == fmt::format("receipt_test.cpp:{}: W: update fused with its gradient\n", line));
}

TEST_CASE("the rows of an embedding are scattered, a scale per row is no contraction") {
  Model m;
  const Value table = m.g.parameter("table", f32, {30, 10}, he()), scale = m.g.parameter("scale", f32, {}, constant(1.0));
  const int line = __LINE__ - 1;
  const Value word = m.g.input("word", i32, {m.n});
  const Value loss = nll(gather(table, word) * scale, m.label);
  CHECK(m.receipt(loss) == fmt::format("receipt_test.cpp:{}: table: update not fused: its gradient is scattered\n"
                                       "receipt_test.cpp:{}: scale: update not fused: no contraction computes its gradient\n",
                                       line, line));
}
