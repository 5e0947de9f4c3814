// What every kernel list must hold, and what is said of one that does not: each promise is broken once, by
// hand.
#include "compiler/kernel/verify.h"

#include <doctest/doctest.h>

#include "compiler/kernel/place.h"
#include "compiler/kernel/tile.h"
#include "tests/compiler/kernels.h"
#include "tests/message.h"

using namespace tenon;

namespace {

std::string fault(const KernelList& list) {
  return test::message<InternalError>([&] { verify(list); });
}

// e = exp(x); m = the greatest of each row of e; y = e - m: as rows of one kernel or as three, e in the
// arena.
struct Rows {
  KernelList list;
  BufferId x, e, m, y;

  explicit Rows(bool together, Storage of_m = Storage::arena) {
    list.outputs = {{"y", {f32, {8, 4}}, {}}};
    x = buffer("x", {8, 4}, Storage::input), e = buffer("e", {8, 4}, Storage::arena);
    m = buffer("m", of_m == Storage::row ? Shape{} : Shape{8}, of_m), y = buffer("y", {8, 4}, Storage::output);
    std::vector<Scalar> row_m;
    if (of_m != Storage::row) row_m = {i()};
    Statement first{.axes = {{1, 4}}, .value = Scalar::call(Scalar::exp, {at(x)}), .buffer = e, .index = {i(), j()}};
    Statement second{.reduced = {{1, 4}}, .reduction = Reduction::max, .value = at(e), .buffer = m, .index = row_m};
    Statement third{.axes = {{1, 4}},
                    .value = Scalar::call(Scalar::sub, {at(e), Scalar::read(m, f32, row_m)}),
                    .buffer = y,
                    .index = {i(), j()}};
    for (const Statement& statement : {first, second, third}) {
      if (list.kernels.empty() || !together) kernel();
      list.kernels.back().body.push_back(statement);
    }
  }

  static Scalar i() { return Scalar::index(0); }
  static Scalar j() { return Scalar::index(1); }
  static Scalar at(BufferId id) { return Scalar::read(id, f32, {i(), j()}); }

  BufferId buffer(const std::string& name, Shape shape, Storage storage) {
    list.buffers.push_back({.name = name, .type = {f32, std::move(shape)}, .storage = storage, .slot = 0});
    return static_cast<BufferId>(list.buffers.size()) - 1;
  }
  void kernel() {
    Kernel made;
    made.name = fmt::format("k{}", list.kernels.size() + 1);
    made.rows = {{0, 8}};
    list.kernels.push_back(std::move(made));
  }
};

// y = W - sum over k of x[i,k] * x[k,j], with the statement that writes y, or W in its place.
struct Product : Rows {
  BufferId w, acc;

  explicit Product(bool in_place) : Rows(true) {
    list = {};
    if (!in_place) list.outputs = {{"y", {f32, {4, 4}}, {}}};
    list.states = {{"W", {f32, {4, 4}}, {}}};
    x = buffer("x", {4, 4}, Storage::input), w = buffer("W", {4, 4}, Storage::state);
    y = buffer("y", {4, 4}, Storage::output), acc = buffer("acc", {4, 4}, Storage::tile);
    kernel();
    Kernel& k = list.kernels[0];
    k.rows = {};
    Scalar l = Scalar::index(2);
    k.contraction =
        Contraction{{{0, 4}}, {{1, 4}}, {{2, 4}}, Scalar::read(x, f32, {i(), l}), Scalar::read(x, f32, {l, j()}), acc};
    k.body.push_back({.axes = {{0, 4}, {1, 4}},
                      .value = Scalar::call(Scalar::sub, {at(w), at(acc)}),
                      .buffer = in_place ? w : y,
                      .index = {i(), j()}});
  }
};

}  // namespace

TEST_CASE("lists that keep every promise") {
  CHECK(fault(Rows(true).list) == "no error");
  CHECK(fault(Rows(true, Storage::row).list) == "no error");
  CHECK(fault(Rows(false).list) == "no error");
  CHECK(fault(Product(false).list) == "no error");
  CHECK(fault(Product(true).list) == "no error");
}

TEST_CASE("a value is written before it is read, within a kernel and between kernels") {
  Rows within(true), between(false), of_row(true, Storage::row), nothing(false);
  std::swap(within.list.kernels[0].body[0], within.list.kernels[0].body[1]);
  CHECK(fault(within.list) == "k1: statement 1 reads 'e' before k1 writes it");
  std::swap(between.list.kernels[0], between.list.kernels[2]);
  CHECK(fault(between.list) == "k3: statement 1 reads 'e' before k1 writes it");
  std::swap(of_row.list.kernels[0].body[1], of_row.list.kernels[0].body[2]);
  CHECK(fault(of_row.list) == "k1: statement 2 reads 'm' before k1 writes it");
  nothing.list.kernels.erase(nothing.list.kernels.begin());
  CHECK(fault(nothing.list) == "k2: statement 1 reads 'e', which nothing writes");
}

TEST_CASE("a sum does not read what its own kernel writes, and an epilogue reads its own element") {
  Product own(true), other(true), unwritten(false);
  own.list.kernels[0].contraction->a = Scalar::read(own.w, f32, {Rows::i(), Scalar::index(2)});
  CHECK(fault(own.list) == "k1: its sum reads 'W' while its statement 1 writes it");
  other.list.kernels[0].body[0].value = Scalar::read(other.w, f32, {Rows::j(), Rows::i()});
  CHECK(fault(other.list) == "k1: statement 1 reads 'W' at another place than statement 1 writes it");
  BufferId e = unwritten.buffer("e", {4, 4}, Storage::arena);
  unwritten.list.kernels[0].contraction->b = Scalar::read(e, f32, {Scalar::index(2), Rows::j()});
  CHECK(fault(unwritten.list) == "k1: its sum reads 'e', which nothing writes");
  other.list.kernels[0].body[0].value = Scalar::read(other.acc, f32, {Rows::j(), Rows::i()});
  CHECK(fault(other.list) == "k1: statement 1 reads 'acc' at another place than its own");
}

TEST_CASE("a row reads its own row of what the kernel writes") {
  Rows rows(true);
  Scalar turned = Scalar::read(rows.e, f32, {Scalar::integer(7) - Rows::i(), Rows::j()});
  rows.list.kernels[0].body[2].value = turned;
  CHECK(fault(rows.list) == "k1: statement 3 reads 'e' at another place than statement 1 writes it");
  Rows columns(true);  // another column of the same row is well
  columns.list.kernels[0].body[2].value = Scalar::read(columns.e, f32, {Rows::i(), Scalar::integer(3) - Rows::j()});
  CHECK(fault(columns.list) == "no error");
}

TEST_CASE("every element is stored once") {
  Rows twice(true), half(true), moved(true), input(true), ranks(true);
  twice.list.buffers[static_cast<size_t>(twice.m)].type.shape = {};
  twice.list.kernels[0].body[1].index = {};
  CHECK(fault(twice.list) == "k1: statement 2 stores 'm' more than once");
  half.list.kernels[0].body[0].axes = {{1, 2}};
  CHECK(fault(half.list) == "k1: statement 1 stores 'e' elsewhere than at its loops");
  moved.list.kernels[0].body[0].index[1] = Rows::j() + Scalar::integer(1);
  CHECK(fault(moved.list) == "k1: statement 1 stores 'e' elsewhere than at its loops");
  input.list.kernels[0].body[0].buffer = input.x;
  CHECK(fault(input.list) == "k1: statement 1 stores 'x' which it may only read");
  ranks.list.kernels[0].body[0].index.pop_back();
  CHECK(fault(ranks.list) == "k1: statement 1 stores 'e' with another number of indices than it has axes");
}

TEST_CASE("outputs and updated states are written") {
  Rows rows(true);
  rows.list.outputs.push_back({"z", {f32, {8, 4}}, {}});
  CHECK(fault(rows.list) == "nothing writes the output 'z'");
  Product product(false);
  product.list.updated = {0};
  CHECK(fault(product.list) == "nothing writes the state 'W'");
}

TEST_CASE("threads meet before one touches what another has written") {
  Rows rows(false);
  for (Kernel& kernel : rows.list.kernels) kernel.threads = 2, kernel.barrier = true;
  CHECK(fault(rows.list) == "no error");
  rows.list.kernels[1].barrier = false;
  CHECK(fault(rows.list) == "k1 and k2 touch 'e' on different threads, and no barrier is between them");
  rows.list.kernels[0].threads = 1;
  CHECK(fault(rows.list) == "k1 and k2 touch 'e' on different threads, and no barrier is between them");
  rows.list.kernels[1].threads = 1;
  CHECK(fault(rows.list) == "no error");
}

TEST_CASE("arena buffers that are alive together share no byte") {
  Rows rows(false);
  place(rows.list);
  CHECK(fault(rows.list) == "no error");
  Buffer &e = rows.list.buffers[static_cast<size_t>(rows.e)], &m = rows.list.buffers[static_cast<size_t>(rows.m)];
  m.offset = e.offset + 64;
  CHECK(fault(rows.list) == "'e' (k1 to k3) and 'm' (k2 to k3) share bytes while both are alive");
  m.offset = 1024;
  CHECK(fault(rows.list) == "'m' at 1024 does not lie in the arena of 192 bytes");
}

TEST_CASE("kernels that run beside each other are alive together") {
  Rows rows(false);  // k1 writes e, k2 and k3 read it; beside k3, k4 writes f where e lies
  rows.kernel();
  BufferId f = rows.buffer("f", {8, 4}, Storage::arena);
  rows.list.kernels[3].body.push_back(
      {.axes = {{1, 4}}, .value = Rows::at(rows.x), .buffer = f, .index = {Rows::i(), Rows::j()}});
  for (Kernel& kernel : rows.list.kernels) kernel.threads = 2, kernel.barrier = &kernel != &rows.list.kernels[3];
  place(rows.list);
  CHECK(fault(rows.list) == "no error");
  rows.list.buffers[static_cast<size_t>(f)].offset = rows.list.buffers[static_cast<size_t>(rows.e)].offset;
  CHECK(fault(rows.list) == "'e' (k1 to k4) and 'f' (k3 to k4) share bytes while both are alive");
}

TEST_CASE("a load that leaves its buffer at some size is found before anything runs") {
  auto read = [](const std::string& index) {
    const std::string text =
        "kernels 1\nsize n <= 64\nentry \"f\"\narena 0 bytes, at least 0\ninput \"x\" f32[n,4]\ninput \"z\" f32[8n]\n"
        "output \"y\" f32[n,4]\nbuffer x input f32[n,4] slot 0\nbuffer z input f32[8n] slot 1\n"
        "buffer y output f32[n,4] slot 0\nk1 for i<n\n  y[i,j] for j<4 = " +
        index + "\n";
    const std::string said = test::message([&] { parse_kernels(text, "a.kernels"); });
    return said.substr(0, said.find('\n'));
  };
  const std::string x = "a.kernels:1:1: k1: statement 1 reads 'x', which is f32[n,4], outside of its axis ";
  const std::string z = "a.kernels:1:1: k1: statement 1 reads 'z', which is f32[8n], outside of its axis 0";
  CHECK(read("x[i,j]") == "no error");
  CHECK(read("x[i,3 - j]") == "no error");
  CHECK(read("x[n - 1 - i,j]") == "no error");
  CHECK(read("x[i,j + 1]") == x + "1");
  CHECK(read("x[i,j - 1]") == x + "1");
  CHECK(read("x[i + 1,j]") == x + "0");
  CHECK(read("x[n - i,j]") == x + "0");
  CHECK(read("x[2 * i,j]") == x + "0");
  CHECK(read("x[1,j]") == x + "0");  // of one row there is no second
  CHECK(read("z[8 * i + j]") == "no error");
  CHECK(read("z[2 * j * n + i]") == "no error");  // 6n + n - 1
  CHECK(read("z[3 * j * n + i]") == z);
  CHECK(read("z[4 * i + 5 * j]") == z);  // 4n + 11 is more than 8n while n is less than 3
  CHECK(read("z[i * n - i]") == z);      // 63 * 63 at the maximum
  CHECK(read("sum over i2000<8 of z[i2000]") == "no error");
  CHECK(read("sum over i2000<9 of z[i2000]") == z);
  CHECK(read("z[j + i // 2]") == "no error");  // a quotient: the run looks at it
  // Nothing that a text says makes this check fail itself.
  CHECK(read("z[5 // 0]") == "no error");
  CHECK(read("z[i // 0 // 4 + i % (j - j)]") == "no error");
  CHECK(read("z[i * 9223372036854775807 * 4]") == "no error");
  std::string doubled = "1.0\n  $1 = i\n", deep = doubled;
  for (int k = 2; k < 60; ++k) doubled += fmt::format("  ${} = ${} + ${}\n", k, k - 1, k - 1);
  for (int k = 2; k < 100000; ++k) deep += fmt::format("  ${} = ${} + i\n", k, k - 1);
  const std::string second = "a.kernels:1:1: k1: statement 2 reads 'z', which is f32[8n], outside of its axis 0";
  CHECK(read(doubled + "  y[i,j] for j<4 = z[$59]") == second);
  CHECK(read(deep + "  y[i,j] for j<4 = z[$99999]") == second);
  CHECK(read("(x[i + 1,j] if i + 1 < n else 0.0)") == "no error");
}

// A sum reads a computed value of its own result's shape: that value is made by an earlier kernel, not by its
// epilogue.
TEST_CASE("a sum is cut into blocks and groups of 1 to 2^31 - 1") {
  for (const char* order : {"0 by 64", "512 by 0", "4294967296 by 4294967296"}) {
    const std::string cut = order;
    const std::string text =
        "kernels 1\nentry \"f\"\narena 0 bytes, at least 0\ninput \"x\" f32[4,4]\noutput \"y\" f32[4,4]\n"
        "buffer x input f32[4,4] slot 0\nbuffer y output f32[4,4] slot 0\nbuffer acc tile f32[4,4]\n"
        "k1: acc[i<4; j<4] = sum over k<4 by " +
        cut + " of x[i,k] * x[k,j]\n  y[i,j] for i<4, j<4 = acc[i,j]\n";
    const std::string message = test::message([&] { parse_kernels(text); });
    CAPTURE(message);
    CHECK(message.find("k1: its sum is cut into blocks of ") != std::string::npos);
    CHECK(message.find("; each is from 1 to 2147483647") != std::string::npos);
  }
}

TEST_CASE("what a contraction reads is not taken for its epilogue") {
  Graph g;
  Extent n = g.size("n", 64);
  Value c = g.input("c", f32, {16}), a = g.input("a", f32, {n});
  Value row = broadcast(exp(c), {n, 16}, {1});
  g.entry("sum", {{"y", sum(row, {0})}});
  g.entry("contract", {{"y", contract(a, row, "i,ij->j")}});
  CHECK(kernels(g, "sum") == R"(
k1
  exp[i] for i<16 = exp(c[i])
k2: acc[; i<16] = sum over j<n of 1.0 * exp[i]
  y[i] for i<16 = acc[i]
)");
  CHECK(kernels(g, "contract") == R"(
k1
  exp[i] for i<16 = exp(c[i])
k2: acc[; i<16] = sum over j<n of a[j] * exp[i]
  y[i] for i<16 = acc[i]
)");
}
