// What is fused with what, as the text of the kernels.
#include <doctest/doctest.h>

#include "tests/compiler/kernels.h"

using namespace tenon;

TEST_CASE("a dense layer is one contraction: pixels are read as bytes, bias and relu ride on it") {
  Graph g;
  Extent n = g.size("n", 512);
  Value x = g.input("x", u8, {n, 784});
  Value w = g.parameter("W", f32, {784, 128}, zeros()), b = g.parameter("b", f32, {128}, zeros());
  g.entry("predict", {{"h", relu(matmul(cast(x, f32) * 0.5, w) + b)}});
  CHECK(kernels(g, "predict") == R"(
k1: acc[i<n; j<128] = sum over k<784 by 512 by 64 of (f32(x[i,k]) * 0.5) * W[k,j]
  h[i,j] for i<n, j<128 = max(acc[i,j] + b[j],0.0)
)");
}

TEST_CASE("the optimiser's chain rides on the contraction that computes the gradient") {
  Graph g;
  Extent n = g.size("n", 512);
  Value x = g.input("x", f32, {n, 7}), dy = g.input("dy", f32, {n, 5}), rate = g.input("rate", f32, {});
  Value w = g.parameter("W", f32, {7, 5}, zeros()), m = g.state("m", f32, {7, 5}, zeros());
  Value gradient = matmul(x, dy, true);
  Value next = m * 0.5 + gradient;
  g.entry("train", {}, {{w, w - rate * next}, {m, next}});
  CHECK(kernels(g, "train") == R"(
k1: acc[i<7; j<5] = sum over k<n of x[k,i] * dy[k,j]
  m[i,j] for i<7, j<5 = m[i,j] * 0.5 + acc[i,j]
  W[i,j] for i<7, j<5 = W[i,j] - rate[] * m[i,j]
)");
}

TEST_CASE("a softmax row is one kernel; what only it reads stays in the row") {
  Graph g;
  Extent n = g.size("n", 512);
  Value z = g.input("z", f32, {n, 10});
  Value m = reduce_max(z, {1});
  Value e = exp(z - broadcast(m, {n, 10}, {0}));
  g.entry("predict", {{"p", e / broadcast(sum(e, {1}), {n, 10}, {0})}});
  CHECK(kernels(g, "predict") == R"(
k1 for i<n
  reduce_max[] = max over j<10 of z[i,j]
  exp[j] for j<10 = exp(z[i,j] - reduce_max[])
  sum[] = sum over j<10 of exp[j]
  p[i,j] for j<10 = exp[j] / sum[]
)");
}

TEST_CASE("a sum of a product is a sum; only contract is a contraction") {
  Graph g;
  Value a = g.input("a", f32, {100}), b = g.input("b", f32, {100});
  g.entry("dot", {{"sum", sum(a * b)}, {"contraction", contract(a, b, "i,i->")}});
  CHECK(kernels(g, "dot") == R"(
k1
  sum[] = sum over i<100 of a[i] * b[i]
k2: acc[;] = sum over i<100 of a[i] * b[i]
  contraction[] = acc[]
)");
}

TEST_CASE("views cost nothing: reshape, transpose, slice and reverse are index arithmetic") {
  Graph g;
  Extent n = g.size("n", 64);
  Value x = g.input("x", f32, {n, 6, 4});
  Value flat = reshape(x, {n, 24});
  Value back = reshape(flat, {n, 6, 4});
  g.entry("views",
          {{"same", back + x}, {"turned", transpose(slice(flat, 1, 2, 10, 2)) * 2}, {"flat", -reshape(x, {Extent(24, "n")})}});
  CHECK(kernels(g, "views") == R"(
k1 for i<n, j<6
  same[i,j,k] for k<4 = x[i,j,k] + x[i,j,k]
k2 for i<4
  turned[i,j] for j<n = x[j,(2 + 2 * i) // 4,(2 + 2 * i) % 4] * 2.0
k3
  flat[i] for i<24n = -x[i // 24,i // 4 % 6,i % 4]
)");
}

TEST_CASE("every reader of a state comes before the kernel that updates it") {
  Graph g;
  Value w = g.parameter("W", f32, {4, 4}, zeros()), x = g.input("x", f32, {4, 4});
  Value d = matmul(x, x, true);
  Value next = w - d;
  g.entry("train", {{"y", matmul(x, w)}, {"old", w}}, {{w, next}});
  CHECK(kernels(g, "train") == R"(
k1: acc[i<4; j<4] = sum over k<4 of x[i,k] * W[k,j]
  y[i,j] for i<4, j<4 = acc[i,j]
k2 for i<4
  old[i,j] for j<4 = W[i,j]
k3: acc.2[i<4; j<4] = sum over k<4 of x[k,i] * x[k,j]
  W[i,j] for i<4, j<4 = W[i,j] - acc.2[i,j]
)");
}

TEST_CASE("an update that cannot be made in place is copied at the end, and a note says so") {
  Graph g;
  Value a = g.parameter("a", f32, {4, 4}, zeros()), b = g.parameter("b", f32, {4, 4}, zeros());
  g.entry("swap", {}, {{a, b}, {b, a}});
  g.entry("turn", {}, {{a, transpose(a) * 2}});
  g.entry("square", {}, {{a, matmul(a, a)}});
  CHECK(kernels(g, "swap") == R"(
k1 for i<4
  copy[i,j] for j<4 = a[i,j]
k2 for i<4
  a[i,j] for j<4 = b[i,j]
k3 for i<4
  b[i,j] for j<4 = copy[i,j]
note: b: updated by a copy: its old value is read after its new value
)");
  CHECK(kernels(g, "turn") == R"(
k1 for i<4
  mul[i,j] for j<4 = a[j,i] * 2.0
k2 for i<4
  a[i,j] for j<4 = mul[i,j]
note: a: updated by a copy: the kernel that computes it reads other elements of the old value
)");
  CHECK(kernels(g, "square") == R"(
k1: acc[i<4; j<4] = sum over k<4 of a[i,k] * a[k,j]
  contract[i,j] for i<4, j<4 = acc[i,j]
k2 for i<4
  a[i,j] for j<4 = contract[i,j]
note: a: updated by a copy: the kernel that computes it reads other elements of the old value
)");
}

TEST_CASE("index inputs are checked at the door, computed indices before anything persistent is written") {
  Graph g;
  Extent n = g.size("n", 64);
  Value table = g.parameter("table", f32, {100, 8}, zeros());
  Value word = g.input("word", i32, {n}), shift = g.input("shift", i32, {n});
  g.entry("door", {{"y", gather(table, word)}});
  g.entry("computed", {{"y", gather(table, word + shift)}},
          {{table, table - scatter_add(word + shift, gather(table, word + shift), 100)}});
  CHECK(kernels(g, "door") == R"(
door word < 100
k1 for i<n
  y[i,j] for j<8 = table[i64(word[i]),j]
)");
  CHECK(kernels(g, "computed") == R"(
k1
  add[i] for i<n = word[i] + shift[i]
k2 check 0 <= add < 100 "gather: index"
k3 for i<n
  y[i,j] for j<8 = table[i64(add[i]),j]
k4
  scatter_add[i64(add[j]),i] for i<8 += sum over j<n of y[j,i]
k5 for i<100
  table[i,j] for j<8 = table[i,j] - scatter_add[i,j]
)");
}

TEST_CASE("an index that was cast to fewer bits is checked after the cast") {
  Graph g;
  Value table = g.input("table", f32, {3}), index = g.input("index", i64, {2});
  g.entry("wide", {{"y", gather(table, cast(cast(index, i64), i64))}});
  g.entry("narrow", {{"y", gather(table, cast(cast(index, u8), i64))}});
  CHECK(kernels(g, "wide").find("door index < 3") != std::string::npos);
  CHECK(kernels(g, "narrow").find("door") == std::string::npos);
}
