// Row kernels and their loops against the interpreter of kernels, bit by bit: the loops for every ISA, the code for those
// that the machine has, with one and three threads, for several sizes, between guard pages.
#include <doctest/doctest.h>

#include <random>

#include "tests/compiler/native.h"

using namespace tenon;
using namespace tenon::native;

namespace {

double ordinary(BufferId id, int64_t i) {
  std::mt19937_64 generator(static_cast<uint64_t>(id * 1000003 + i));
  return std::uniform_int_distribution<int>(-1000, 1000)(generator) / 64.0;
}
double special(BufferId id, int64_t i) {
  constexpr double values[] = {0.0,    -0.0, 1.0,   -1.0, INFINITY, -INFINITY, NAN, 1e-40,
                               -1e-40, 3e38, -3e38, 0.5,  2.5,      -2.5,      1e10};
  std::mt19937_64 generator(static_cast<uint64_t>(id * 7919 + i));
  return values[generator() % std::size(values)];
}

using Elements = std::function<double(BufferId, int64_t)>;

void expect_same(const KernelList& list, std::vector<int64_t> sizes = {1}, const Elements& elements = ordinary) {
  std::map<int64_t, Memory> expected;
  for (int64_t n : sizes) {
    Memory& memory = expected.emplace(n, fill(list, n, elements)).first->second;
    expect(list, n, memory);
  }
  for (Isa isa : {Isa::avx512, Isa::avx2, Isa::sse2}) {
    CAPTURE(name(isa));
    for (int64_t n : sizes)
      for (int64_t threads : {1, 3}) {
        Memory memory = fill(list, n, elements);
        run_loops(list, Target::of(isa, isa), n, threads, memory);
        CHECK_MESSAGE(difference(list, n, expected.at(n), memory) == "", "loops, n " << n << ", threads " << threads);
      }
    Target target = Target::host(isa);
    if (target.isa != isa) continue;
    NativeCode code = linked({list}, target);
    for (int64_t n : sizes)
      for (int64_t threads : {1, 3}) {
        CAPTURE(n);
        CAPTURE(threads);
        Memory memory = fill(list, n, elements);
        run(list, code, n, threads, threads == 1, memory);
        CHECK(difference(list, n, expected.at(n), memory) == "");
      }
  }
}

}  // namespace

TEST_CASE("an elementwise kernel with a broadcast operand") {
  for (int64_t columns : {1, 5, 16, 37, 64}) {
    Sketch s;
    Extent n = s.n(50);
    BufferId x = s.buffer(Storage::input, f32, {n, columns}), b = s.buffer(Storage::state, f32, {columns});
    BufferId y = s.buffer(Storage::output, f32, {n, columns}), z = s.buffer(Storage::arena, f32, {n, columns});
    Scalar sum = s.at(x, {i(), j()}) * s.at(b, {j()});
    s.kernel({{0, n}},
             {{.axes = {{1, columns}}, .value = sum, .buffer = z, .index = {i(), j()}},
              {.axes = {{2, columns}}, .value = s.at(z, {i(), k()}) + s.at(x, {i(), k()}), .buffer = y, .index = {i(), k()}}},
             3);
    expect_same(s.list, {1, 2, 17, 50});
  }
}

TEST_CASE("sums of every length in every direction") {
  for (int64_t length : {1, 15, 16, 17, 40, 4100, 13000})
    for (bool lanes_reduce : {true, false}) {
      CAPTURE(length);
      CAPTURE(lanes_reduce);
      Sketch s;
      int64_t kept = length > 1000 ? 3 : 20;
      BufferId x = s.buffer(Storage::input, f32, lanes_reduce ? Shape{kept, length} : Shape{length, kept});
      BufferId y = s.buffer(Storage::output, f32, {kept});
      Scalar value = lanes_reduce ? s.at(x, {j(), k()}) : s.at(x, {k(), j()});
      s.kernel({}, {{.axes = {{1, kept}},
                     .reduced = {{2, length}},
                     .reduction = Reduction::sum,
                     .value = value,
                     .buffer = y,
                     .index = {j()}}});
      s.kernel({{0, kept}},
               {{.reduced = {{2, length}},
                 .reduction = Reduction::sum,
                 .value = substitute(value, [](const Scalar& x) { return x == j() ? i() : Scalar(); }),
                 .buffer = s.buffer(Storage::output, f32, {kept}),
                 .index = {i()}}},
               2);
      expect_same(s.list);
    }
}

TEST_CASE("sums over the run-time size") {
  for (int64_t factor : {1, 3}) {
    Sketch s;
    [[maybe_unused]] Extent n = s.n(6000), axis(factor, "n");
    BufferId x = s.buffer(Storage::input, f32, {axis, 5}), y = s.buffer(Storage::output, f32, {5}),
             all = s.buffer(Storage::output, f32, {});
    s.kernel({}, {{.axes = {{1, 5}},
                   .reduced = {{2, axis}},
                   .reduction = Reduction::sum,
                   .value = s.at(x, {k(), j()}),
                   .buffer = y,
                   .index = {j()}}});
    s.kernel({}, {{.reduced = {{0, axis}, {1, 5}},
                   .reduction = Reduction::sum,
                   .value = s.at(x, {i(), j()}),
                   .buffer = all,
                   .index = {}}});
    expect_same(s.list, {1, 3, 5, 6, 15, 16, 17, 100, 1365, 4096, 5000});
  }
}

TEST_CASE("a row of softmax, with row buffers") {
  for (int64_t classes : {3, 10, 50, 1500}) {
    CAPTURE(classes);
    Sketch s;
    Extent n = s.n(40);
    BufferId z = s.buffer(Storage::input, f32, {n, classes}), p = s.buffer(Storage::output, f32, {n, classes});
    BufferId most = s.buffer(Storage::row, f32, {}), e = s.buffer(Storage::row, f32, {classes}),
             total = s.buffer(Storage::row, f32, {});
    BufferId which = s.buffer(Storage::output, i64, {n}), chosen = s.buffer(Storage::output, f32, {n, 4});
    Scalar some = mod(s.at(which, {i()}) + k(), Scalar::integer(classes)), before = some - Scalar::integer(1);
    std::vector<Axis> inner{{1, classes}};
    s.kernel(
        {{0, n}},
        {{.reduced = inner, .reduction = Reduction::max, .value = s.at(z, {i(), j()}), .buffer = most, .index = {}},
         {.axes = inner, .value = call(Scalar::abs, {s.at(z, {i(), j()}) - s.at(most, {})}), .buffer = e, .index = {j()}},
         {.reduced = inner, .reduction = Reduction::sum, .value = s.at(e, {j()}), .buffer = total, .index = {}},
         {.axes = inner, .value = call(Scalar::div, {s.at(e, {j()}), s.at(total, {})}), .buffer = p, .index = {i(), j()}},
         {.reduced = inner, .reduction = Reduction::argmax, .value = s.at(z, {i(), j()}), .buffer = which, .index = {i()}},
         {.axes = {{2, 4}},
          .value = s.at(e, {some}) + Scalar::read_if(Scalar::integer(0) <= before, e, f32, {before}, Scalar::number(f32, 7)),
          .buffer = chosen,
          .index = {i(), k()}}},
        2);
    expect_same(s.list, {1, 16, 39});
    expect_same(s.list, {1, 16, 39}, special);
  }
}

TEST_CASE("max, min, product and argmax propagate NaN and tell zeros apart") {
  for (DType dtype : {f32, f64, i64, i32, u8})
    for (Reduction reduction : {Reduction::max, Reduction::min, Reduction::product, Reduction::argmax}) {
      CAPTURE(name(dtype));
      CAPTURE(name(reduction));
      Sketch s;
      BufferId x = s.buffer(Storage::input, dtype, {7, 35});
      DType result = reduction == Reduction::argmax ? i64 : dtype;
      for (auto [a, b] : {std::pair{i(), j()}, std::pair{j(), i()}}) {
        int64_t kept = a == i() ? 7 : 35, reduced = 42 - kept;
        s.kernel({}, {{.axes = {{0, kept}},
                       .reduced = {{1, reduced}},
                       .reduction = reduction,
                       .value = s.at(x, {a, b}),
                       .buffer = s.buffer(Storage::output, result, {kept}),
                       .index = {i()}}});
      }
      expect_same(s.list, {1},
                  is_float(dtype) ? Elements(special) : Elements([](BufferId, int64_t e) { return double(e * 37 % 101); }));
    }
}

TEST_CASE("every function without a polynomial, on special values") {
  using F = Scalar::Function;
  for (DType dtype : {f32, f64, i64, i32, u8}) {
    CAPTURE(name(dtype));
    Sketch s;
    constexpr int64_t count = 300;
    BufferId x = s.buffer(Storage::input, dtype, {count}), y = s.buffer(Storage::input, dtype, {count});
    Scalar a = s.at(x, {i()}), b = s.at(y, {i()});
    std::vector<Scalar> values;
    for (F f : {F::add, F::sub, F::mul, F::div, F::max, F::min, F::eq, F::ne, F::lt, F::le}) values.push_back(call(f, {a, b}));
    for (F f : {F::neg, F::abs, F::sign}) values.push_back(call(f, {a}));
    values.push_back(select(a < b, a, b));
    for (DType to : {f32, f64, i64, i32, u8, boolean}) values.push_back(Scalar::to(to, a));
    if (is_float(dtype)) {
      for (F f : {F::floor, F::ceil, F::round, F::sqrt, F::is_finite}) values.push_back(call(f, {a}));
      values.push_back(call(F::fma, {a, b, a}));
    } else {
      Scalar three = Scalar::number(dtype, 3);
      for (F f : {F::div, F::floordiv, F::mod}) values.push_back(call(f, {a, three}));
    }
    for (const Scalar& value : values)
      s.kernel(
          {},
          {{.axes = {{0, count}}, .value = value, .buffer = s.buffer(Storage::output, value->dtype, {count}), .index = {i()}}});
    constexpr double least[] = {-0x1p63, -0x1p31, 0};
    expect_same(s.list, {1}, is_float(dtype) ? Elements(special) : Elements([&](BufferId id, int64_t e) {
                  if (dtype == u8) return double((e * 37 + id * 11) % 256 * (e % 5 != 0));
                  double choices[] = {0, 1, -1, least[dtype == i32], 7, -7, 100, -100, 12345};
                  return choices[(e + id * (e / 9)) % 9];
                }));
  }
}

TEST_CASE("pixels are divided to the last bit without a division") {
  for (float c : {255.0f, 256.0f, 127.5f, 3.0f, 0x1.fffffep0f, 1e-39f, INFINITY}) {
    Sketch s;
    BufferId x = s.buffer(Storage::input, u8, {256}), y = s.buffer(Storage::output, f32, {256});
    Scalar quotient = call(Scalar::div, {Scalar::to(f32, s.at(x, {i()})), Scalar::number(f32, c)});
    s.kernel({}, {{.axes = {{0, 256}}, .value = quotient, .buffer = y, .index = {i()}}});
    expect_same(s.list, {1}, [](BufferId, int64_t e) { return double(e); });
    if (c == 255 && Target::host().isa == Isa::avx512) {
      std::string assembly = machine_code({s.list}, Target::host(), {.assembly = true}).code.assembly[0];
      CHECK(assembly.find("vdivps") == std::string::npos);
    }
  }
}

TEST_CASE("views: transposed, reversed, strided, reshaped, padded, gathered") {
  Sketch s;
  Extent n = s.n(30);
  BufferId x = s.buffer(Storage::input, f32, {n, 6, 7}), index = s.buffer(Storage::input, u8, {n});
  auto out = [&](Scalar value, Shape shape) {
    std::vector<Scalar> places;
    std::vector<Axis> axes;
    for (size_t d = 0; d < shape.size(); ++d)
      places.push_back(Scalar::index(int64_t(d))), axes.push_back({int64_t(d), shape[d]});
    std::vector<Axis> rows(axes.begin(), axes.end() - 1), inner(axes.end() - 1, axes.end());
    s.kernel(rows, {{.axes = inner, .value = value, .buffer = s.buffer(Storage::output, f32, shape), .index = places}}, 2);
  };
  Scalar six = Scalar::integer(6), seven = Scalar::integer(7);
  out(s.at(x, {i(), k(), j()}), {n, 7, 6});
  out(s.at(x, {k(), i(), j()}), {6, 7, n});
  out(s.at(x, {i(), j(), six - k()}), {n, 6, 7});
  out(s.at(x, {i(), j(), Scalar::integer(2) * k() + Scalar::integer(1)}), {n, 6, 3});
  out(s.at(x, {i(), floordiv(j(), seven), mod(j(), seven)}), {n, 42});
  out(s.at(x, {floordiv(i(), Scalar::integer(42)), mod(floordiv(i(), seven), six), mod(i(), seven)}), {Extent(42, "n")});
  Scalar inside = Scalar::integer(1) <= k() && k() < Scalar::integer(8);
  out(Scalar::read_if(inside, x, f32, {i(), j(), k() - Scalar::integer(1)}, Scalar::number(f32, -5)), {n, 6, 9});
  out(s.at(x, {Scalar::to(i64, s.at(index, {i()})), j(), k()}), {n, 6, 7});
  BufferId column = s.buffer(Storage::input, i32, {40});
  out(s.at(x, {i(), floordiv(s.at(index, {i()}), Scalar::number(u8, 9)), s.at(column, {j()})}), {n, 40});
  out(Scalar::to(f32, i() + Scalar::integer(3) * floordiv(j(), Scalar::integer(5)) + Scalar::integer(1)), {n, 23});
  auto elements = [&](BufferId id, int64_t e) { return id == column ? double(e * 3 % 7) : ordinary(id, e); };
  expect_same(s.list, {1, 2, 19}, [&](BufferId id, int64_t e) { return id == index ? 0 : elements(id, e); });
  expect_same(s.list, {19}, [&](BufferId id, int64_t e) { return id == index ? double(e * 5 % 19) : elements(id, e); });
}

TEST_CASE("scatter adds repeated indices in order and skips what lies outside") {
  Sketch s;
  Extent n = s.n(64);
  BufferId index = s.buffer(Storage::input, i32, {n}), dy = s.buffer(Storage::input, f32, {n, 19});
  BufferId table = s.buffer(Storage::output, f32, {9, 19}), count = s.buffer(Storage::output, f32, {9});
  s.kernel({}, {{.axes = {{1, 19}},
                 .reduced = {{2, n}},
                 .reduction = Reduction::sum,
                 .value = s.at(dy, {k(), j()}),
                 .buffer = table,
                 .index = {s.at(index, {k()}), j()},
                 .scatter = true}});
  s.kernel({}, {{.axes = {},
                 .reduced = {{2, n}},
                 .reduction = Reduction::sum,
                 .value = s.at(dy, {k(), Scalar::integer(3)}),
                 .buffer = count,
                 .index = {s.at(index, {k()})},
                 .scatter = true}});
  expect_same(s.list, {1, 7, 64},
              [&](BufferId id, int64_t e) { return id == index ? double(e * 5 % 11 - 1) : ordinary(id, e); });
}

TEST_CASE("states are updated in place, several statements sharing a loop") {
  Sketch s;
  BufferId g = s.buffer(Storage::input, f32, {13, 29}), w = s.buffer(Storage::state, f32, {13, 29}),
           m = s.buffer(Storage::state, f32, {13, 29});
  BufferId rate = s.buffer(Storage::input, f32, {});
  Scalar half = Scalar::number(f32, 0.5);
  s.kernel({{0, 13}},
           {{.axes = {{1, 29}}, .value = s.at(m, {i(), j()}) * half + s.at(g, {i(), j()}), .buffer = m, .index = {i(), j()}},
            {.axes = {{1, 29}},
             .value = s.at(w, {i(), j()}) - s.at(rate, {}) * s.at(m, {i(), j()}),
             .buffer = w,
             .index = {i(), j()}}},
           3);
  expect_same(s.list);
}

TEST_CASE("random bits are those of philox_bits") {
  Sketch s;
  Extent n = s.n(50);
  BufferId seed = s.buffer(Storage::state, i64, {}), y = s.buffer(Storage::output, i64, {n, 9});
  Scalar at = i() * Scalar::integer(9) + j();
  s.kernel({{0, n}},
           {{.axes = {{1, 9}},
             .value = call(Scalar::philox, {s.at(seed, {}), Scalar::integer(0x123456789abcdef), Scalar::integer(77), at}),
             .buffer = y,
             .index = {i(), j()}}});
  expect_same(s.list, {1, 50}, [](BufferId, int64_t) { return 1234567890123.0; });
}

TEST_CASE("a check finds the least bad element of the first check and stops the entry") {
  Sketch s;
  Extent n = s.n(100);
  BufferId first = s.buffer(Storage::input, i32, {n}), second = s.buffer(Storage::input, i64, {n, 3}),
           y = s.buffer(Storage::state, f32, {});
  s.kernel({}, {}).check = IndexCheck{first, 10, {}, "pick: index"};
  s.kernel({}, {}).check = IndexCheck{second, n, {}, "gather: index"};
  s.kernel({}, {{.value = Scalar::number(f32, 42), .buffer = y, .index = {}}}, 1, true);
  NativeCode code = linked({s.list}, Target::host());
  struct Row {
    int64_t bad_first, bad_second;
    Fault fault;
  };
  for (Row row : {Row{-1, -1, {}}, Row{50, -1, {0, 50, -3}}, Row{-1, 299, {1, 299, 100}}, Row{99, 4, {0, 99, -3}},
                  Row{-1, 17, {1, 17, 100}}})
    for (int64_t threads : {1, 2}) {
      Memory memory = fill(s.list, 100, [&](BufferId id, int64_t e) {
        if (id == first) return row.bad_first >= 0 && e >= row.bad_first ? -3.0 : 9.0;
        return id == second && row.bad_second >= 0 && e >= row.bad_second ? 100.0 : 0.0;
      });
      Fault fault = run(s.list, code, 100, threads, true, memory);
      CHECK(fault.check == row.fault.check);
      CHECK(fault.element == row.fault.element);
      CHECK(fault.value == row.fault.value);
      CHECK(load_number(memory.bytes[size_t(y)].data(), f32, 0).real == (row.fault.check < 0 ? 42 : 0));
    }
}
