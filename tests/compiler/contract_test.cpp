// Contractions against a plain loop with std::fma: equal in every bit, whatever the tile, the packing, the
// layout, the thread count and the ISA.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "frame.h"

using namespace tenon;

namespace {

Scalar i(int64_t variable) { return Scalar::index(variable); }
Scalar call(Scalar::Function f, Scalar a, Scalar b) { return Scalar::call(f, {a, b}); }

// One kernel over buffers that the tests name by number: inputs 0 and 1, output 2, accumulator 3, then more.
struct Setup {
  KernelList list;

  Setup(DType dtype, Axis m, Axis n, std::vector<Axis> k) {
    list.entry = "product";
    add("a", {dtype, {}}, Storage::input, 0);
    add("b", {dtype, {}}, Storage::input, 1);
    add("y", {dtype, {}}, Storage::output, 0);
    add("acc", {dtype, {m.extent, n.extent}}, Storage::tile, -1);
    Kernel kernel;
    kernel.name = "k0";
    kernel.contraction = Contraction{{m}, {n}, k, {}, {}, 3};
    list.kernels = {kernel};
  }
  BufferId add(std::string name, Type type, Storage storage, int64_t slot) {
    list.buffers.push_back({.name = std::move(name), .type = std::move(type), .storage = storage, .slot = slot});
    return static_cast<BufferId>(list.buffers.size()) - 1;
  }
  Kernel& kernel() { return list.kernels[0]; }
  Contraction& contraction() { return *kernel().contraction; }
  DType dtype() const { return list.buffers[3].type.dtype; }
  Scalar acc() { return Scalar::read(3, dtype(), {i(contraction().m[0].variable), i(contraction().n[0].variable)}); }
  void statement(BufferId buffer, std::vector<Scalar> index, Scalar value) {
    Statement s;
    s.axes = contraction().axes();
    s.buffer = buffer, s.index = std::move(index), s.value = std::move(value);
    kernel().body.push_back(s);
  }
};

// y[i,j] = sum over k of a * b, either operand stored transposed or not.
Setup product(DType dtype, Extent m, Extent n, Extent k, bool a_transposed, bool b_transposed) {
  Setup s(dtype, {0, m}, {1, n}, {{2, k}});
  s.list.buffers[0].type = {dtype, a_transposed ? Shape{k, m} : Shape{m, k}};
  s.list.buffers[1].type = {dtype, b_transposed ? Shape{n, k} : Shape{k, n}};
  s.list.buffers[2].type = {dtype, {m, n}};
  s.contraction().a = Scalar::read(0, dtype, a_transposed ? std::vector{i(2), i(0)} : std::vector{i(0), i(2)});
  s.contraction().b = Scalar::read(1, dtype, b_transposed ? std::vector{i(1), i(2)} : std::vector{i(2), i(1)});
  s.statement(2, {i(0), i(1)}, s.acc());
  return s;
}

NativeEntry compiled(const Setup& s, std::vector<NativeCode>& keep, Isa isa = Isa::avx512) {
  keep.push_back(native::linked({s.list}, Target::host(isa)));
  return keep.back().entries[0];
}

template <typename T>
void fill(Guarded<T>& values, unsigned seed) {
  std::mt19937 random(seed);
  for (T& x : values) x = static_cast<T>(std::ldexp(static_cast<double>(random()) - 0x1p31, -31));
}

template <typename T>
void compare(Guarded<T>& got, const std::vector<T>& want) {
  REQUIRE(got.size() == want.size());
  for (size_t at = 0; at < want.size(); ++at) {
    if (std::memcmp(&got[at], &want[at], sizeof(T)) == 0) continue;
    CAPTURE(at);
    CHECK(got[at] == want[at]);
    return;
  }
}

// Blocks of points, each a chain from zero, added in order, a group of blocks at a time; then the groups in order.
template <typename T>
T sum_in_order(int64_t points, SumOrder order, const std::function<T(int64_t, T)>& add) {
  auto range = [&](int64_t begin, int64_t end) {
    T chain = 0;
    for (int64_t p = begin; p < end; ++p) chain = add(p, chain);
    return chain;
  };
  auto blocks = [&](int64_t begin, int64_t end) {
    T sum = range(begin, std::min(end, begin + order.block));
    for (int64_t p = begin + order.block; p < end; p += order.block) sum += range(p, std::min(end, p + order.block));
    return sum;
  };
  const int64_t group = order.block * order.group;
  T sum = blocks(0, std::min(points, group));
  for (int64_t p = group; p < points; p += group) sum += blocks(p, std::min(points, p + group));
  return sum;
}

template <typename T>
std::vector<T> reference(int64_t m, int64_t n, int64_t k, const std::function<T(int64_t, int64_t)>& a,
                         const std::function<T(int64_t, int64_t)>& b, SumOrder order = {}) {
  std::vector<T> y;
  for (int64_t r = 0; r < m; ++r)
    for (int64_t c = 0; c < n; ++c)
      y.push_back(sum_in_order<T>(k, order, [&](int64_t p, T sum) { return std::fma(a(r, p), b(p, c), sum); }));
  return y;
}

// The usual order, in which these short sums are one block, and such that cut them.
const SumOrder orders[] = {{}, {.block = 7, .group = 3}, {.block = 16, .group = 2}};

struct Cut {
  Tile tile;
  bool a_transposed = false, b_transposed = false;
  int64_t threads = 1;
  Isa isa = Isa::avx512;

  // Any b but one whose rows are columns can be read in place.
  void pack(uint32_t a, bool b) {
    tile.a = std::array{Layout::in_place, Layout::by_k, Layout::by_row}[a % 3];
    tile.b = b || b_transposed ? Layout::by_k : Layout::in_place;
  }
};

// Blocks of k that end where those of the sum do.
int64_t whole_blocks(int64_t k_block, SumOrder order) { return (k_block + order.block - 1) / order.block * order.block; }

template <typename T>
std::vector<std::byte> copy(Guarded<T>& values) {
  return {values.bytes(), values.bytes() + values.size() * sizeof(T)};
}

// The loops have the bits of the code, for the ISA whether or not this machine has it.
template <typename T>
void test_loops(const KernelList& list, Guarded<T>& a, Guarded<T>& b, Guarded<T>& y, int64_t size, const Cut& cut) {
  KernelMemory memory;
  memory.inputs = {copy(a), copy(b)}, memory.outputs = {std::vector<std::byte>(y.size() * sizeof(T))};
  CHECK(run_loops(list, memory, size, Target::of(cut.isa, cut.isa), cut.threads).check == -1);
  CHECK(memory.outputs[0] == copy(y));
}

// One product, cut as told, its extents constant or (one of them) the run-time size.
template <typename T>
void test_product(int64_t m, int64_t n, int64_t k, const Cut& cut, int symbolic = -1) {
  INFO(fmt::format("m {} n {} k {}, run-time axis {}, tile {} x {} by {}, pack {}{}, transposed {}{}, threads {}, isa {}", m, n,
                   k, symbolic, cut.tile.rows, cut.tile.vectors, cut.tile.k_block, static_cast<int>(cut.tile.a),
                   static_cast<int>(cut.tile.b), cut.a_transposed, cut.b_transposed, cut.threads, static_cast<int>(cut.isa)));
  int64_t counts[] = {m, n, k};
  Extent extents[] = {m, n, k};
  if (symbolic >= 0) extents[symbolic] = Extent(1, "n");
  Setup s = product(sizeof(T) == 4 ? f32 : f64, extents[0], extents[1], extents[2], cut.a_transposed, cut.b_transposed);
  s.kernel().tile = cut.tile;
  s.kernel().threads = cut.threads;
  s.contraction().order = orders[(m + n + k + cut.tile.rows + cut.threads) % 3];
  s.kernel().tile.k_block = whole_blocks(cut.tile.k_block, s.contraction().order);
  s.list.sizes = {{"n", 70}};
  std::vector<NativeCode> keep;
  NativeEntry entry = compiled(s, keep, cut.isa);
  bool at_end = (m + n + k) % 2 == 0;
  std::vector<int64_t> sizes = {1};
  if (symbolic >= 0) sizes = {0, 1, 2, 5, counts[symbolic], 70};
  for (int64_t size : sizes) {
    CAPTURE(size);
    if (symbolic >= 0) counts[symbolic] = size;
    auto [p, q, r] = std::tuple(counts[0], counts[1], counts[2]);
    Guarded<T> a(static_cast<size_t>(p * r), at_end), b(static_cast<size_t>(r * q), at_end);
    Guarded<T> y(static_cast<size_t>(p * q), at_end);
    fill(a, 1), fill(b, 2), fill(y, 3);
    run(entry, {a.bytes(), b.bytes()}, {}, {y.bytes()}, size, cut.threads);
    test_loops(s.list, a, b, y, size, cut);
    compare(y,
            reference<T>(
                p, q, r, [&](int64_t x, int64_t z) { return a[static_cast<size_t>(cut.a_transposed ? z * p + x : x * r + z)]; },
                [&](int64_t z, int64_t x) { return b[static_cast<size_t>(cut.b_transposed ? x * r + z : z * q + x)]; },
                s.contraction().order));
  }
}

const Tile tiles[] = {{.rows = 14, .vectors = 2, .k_block = 512},
                      {.rows = 8, .vectors = 3, .k_block = 16, .group = 2},
                      {.rows = 1, .vectors = 1, .k_block = 5, .group = 7},
                      {.rows = 5, .vectors = 2, .k_block = 1, .group = 1},
                      {.rows = 20, .vectors = 1, .k_block = 40}};

}  // namespace

TEST_CASE("a product is blocks of one chain of FMAs each, whatever its tile, panels, layout and threads") {
  const int64_t extents[][3] = {{1, 1, 1},   {3, 10, 7},  {14, 32, 64}, {31, 33, 50}, {29, 100, 41},
                                {45, 16, 9}, {4, 8, 200}, {61, 47, 3},  {16, 1, 130}, {1, 70, 65}};
  std::mt19937 random(7);
  for (auto [m, n, k] : extents)
    for (const Tile& tile : tiles) {
      uint32_t bits = random();
      Cut cut{.tile = tile, .a_transposed = (bits & 1) != 0, .b_transposed = (bits & 2) != 0, .threads = 1 + (bits >> 8) % 3};
      cut.pack(bits >> 4, (bits & 8) != 0);
      test_product<float>(m, n, k, cut);
    }
}

TEST_CASE("any extents under any cut") {
  std::mt19937 random(11);
  auto up_to = [&](int64_t most) { return 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(most)); };
  for (int trial = 0; trial < 24; ++trial) {
    Cut cut{.tile = {.rows = up_to(12), .vectors = up_to(4), .k_block = up_to(60), .group = up_to(6)},
            .a_transposed = random() % 2 == 0,
            .b_transposed = random() % 2 == 0,
            .threads = up_to(3)};
    cut.pack(random(), random() % 2 == 0);
    const int symbolic = static_cast<int>(random() % 4) - 1;
    test_product<float>(up_to(50), up_to(90), up_to(70), cut, symbolic);
  }
}

TEST_CASE("every layout with and without panels") {
  for (uint32_t bits = 0; bits < 24; ++bits) {
    Cut cut{.tile = {.rows = 6, .vectors = 2, .k_block = 24},
            .a_transposed = (bits & 1) != 0,
            .b_transposed = (bits & 2) != 0,
            .threads = 2};
    cut.pack(bits / 8, (bits & 4) != 0);
    test_product<float>(20, 50, 53, cut);
    cut.tile.vectors = 1;
    test_product<double>(13, 37, 53, cut);
  }
}

TEST_CASE("a run-time extent on each axis, from nothing to its maximum") {
  for (int symbolic : {0, 1, 2})
    for (int bits = 0; bits < 4; ++bits) {
      Cut cut{.tile = {.rows = 14, .vectors = 2, .k_block = 32},
              .a_transposed = (bits & 1) != 0,
              .b_transposed = (bits & 2) != 0,
              .threads = 1 + bits};
      cut.pack(bits == 1 ? 1 : bits == 3 ? 2 : 0, bits == 2);
      test_product<float>(33, 40, 21, cut, symbolic);
    }
}

TEST_CASE("extents of zero: no elements, or sums over nothing") {
  Cut cut{.tile = tiles[0]};
  test_product<float>(0, 5, 3, cut);
  test_product<float>(5, 0, 3, cut);
  test_product<float>(5, 7, 0, cut);
  cut.threads = 3;
  test_product<float>(0, 5, 3, cut);
  test_product<float>(5, 7, 0, cut);
}

TEST_CASE("every ISA gives the same bits") {
  for (Isa isa : {Isa::sse2, Isa::avx2}) {
    Cut cut{.tile = {.rows = 4, .vectors = 1, .k_block = 16}, .b_transposed = true, .isa = isa};
    cut.pack(0, true);
    test_product<float>(9, 21, 35, cut);
    cut.b_transposed = false;
    cut.pack(0, false);
    test_product<float>(9, 21, 35, cut);
    test_product<double>(9, 21, 35, cut);
  }
}

TEST_CASE("operands are expressions, k has several axes, and rows of the batch share nothing") {
  // y[r,i,j] = sum over p, q of (u8 a[r,i,p,q] / 256) * (q < j ? b[p,q,j] : 0.5)
  constexpr int64_t batch = 3, m = 17, n = 35, p = 3, q = 19;
  for (const Tile& tile : tiles)
    for (int threads : {1, 2}) {
      Setup s(f32, {1, m}, {2, n}, {{3, p}, {4, q}});
      s.contraction().order = orders[(tile.rows + threads) % 3];
      s.list.buffers[0].type = {u8, {batch, m, p, q}};
      s.list.buffers[1].type = {f32, {p, q, n}};
      s.list.buffers[2].type = {f32, {batch, m, n}};
      s.kernel().rows = {{0, batch}};
      s.kernel().tile = tile;
      s.kernel().tile.a = Layout::by_row, s.kernel().tile.b = Layout::by_k;
      s.kernel().threads = threads;
      s.contraction().a =
          call(Scalar::mul, Scalar::to(f32, Scalar::read(0, u8, {i(0), i(1), i(3), i(4)})), Scalar::number(f32, 1.0 / 256));
      s.contraction().b = Scalar::read_if(i(4) < i(2), 1, f32, {i(3), i(4), i(2)}, Scalar::number(f32, 0.5));
      s.statement(2, {i(0), i(1), i(2)}, s.acc());
      std::vector<NativeCode> keep;
      NativeEntry entry = compiled(s, keep);
      Guarded<uint8_t> a(batch * m * p * q, true);
      Guarded<float> b(p * q * n, true), y(batch * m * n, true);
      std::mt19937 random(3);
      for (uint8_t& x : a) x = static_cast<uint8_t>(random());
      fill(b, 4);
      run(entry, {a.bytes(), b.bytes()}, {}, {y.bytes()}, 1, threads);
      std::vector<float> want;
      for (int64_t r = 0; r < batch; ++r) {
        auto part = reference<float>(
            m, n, p * q,
            [&](int64_t x, int64_t z) { return static_cast<float>(a[static_cast<size_t>((r * m + x) * p * q + z)]) / 256; },
            [&](int64_t z, int64_t x) { return z % q < x ? b[static_cast<size_t>(z * n + x)] : 0.5f; }, s.contraction().order);
        want.insert(want.end(), part.begin(), part.end());
      }
      compare(y, want);
    }
}

TEST_CASE("the epilogue runs on the register tile: bias, relu and its mask, an update in place") {
  constexpr int64_t m = 23, n = 42, k = 37;
  for (const Tile& tile : tiles) {
    Setup s = product(f32, m, n, k, false, false);
    s.kernel().tile = tile;
    s.kernel().tile.k_block = whole_blocks(tile.k_block, s.contraction().order);
    BufferId bias = s.add("bias", {f32, {n}}, Storage::input, 2), rate = s.add("rate", {f32, {}}, Storage::input, 3);
    BufferId active = s.add("active", {boolean, {m, n}}, Storage::output, 1);
    BufferId weight = s.add("weight", {f32, {m, n}}, Storage::state, 0);
    Scalar z = call(Scalar::add, s.acc(), Scalar::read(bias, f32, {i(1)})), zero = Scalar::number(f32, 0);
    s.kernel().body.clear();
    s.statement(2, {i(0), i(1)}, call(Scalar::max, z, zero));
    s.statement(active, {i(0), i(1)}, call(Scalar::lt, zero, z));
    Scalar w = Scalar::read(weight, f32, {i(0), i(1)});
    s.statement(weight, {i(0), i(1)}, call(Scalar::sub, w, call(Scalar::mul, Scalar::read(rate, f32, {}), s.acc())));
    std::vector<NativeCode> keep;
    NativeEntry entry = compiled(s, keep);
    Guarded<float> a(m * k, false), b(k * n, true), y(m * n, true), bias_data(n, true), rate_data(1, true);
    Guarded<float> weights(m * n, true);
    Guarded<uint8_t> mask(m * n, true);
    fill(a, 5), fill(b, 6), fill(bias_data, 7), fill(rate_data, 8), fill(weights, 9);
    std::vector<float> old(weights.begin(), weights.end());
    run(entry, {a.bytes(), b.bytes(), bias_data.bytes(), rate_data.bytes()}, {weights.bytes()}, {y.bytes(), mask.bytes()});
    auto sums = reference<float>(
        m, n, k, [&](int64_t x, int64_t z) { return a[static_cast<size_t>(x * k + z)]; },
        [&](int64_t z, int64_t x) { return b[static_cast<size_t>(z * n + x)]; });
    std::vector<float> relu, updated;
    std::vector<uint8_t> on;
    for (size_t at = 0; at < sums.size(); ++at) {
      float value = sums[at] + bias_data[at % n];
      relu.push_back(value > 0 ? value : 0);
      on.push_back(value > 0);
      volatile float change = rate_data[0] * sums[at];  // rounded: no FMA
      updated.push_back(old[at] - change);
    }
    compare(y, relu), compare(mask, on), compare(weights, updated);
  }
}
