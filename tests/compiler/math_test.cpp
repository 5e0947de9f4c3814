// Emitted functions against the references in double: within the bound of the table in f32, equal in f64. The
// test of all 2^32 arguments is skipped here; ctest runs it under the label `long`.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "frame.h"

using namespace tenon;

namespace {

constexpr int64_t batch = 1 << 14;

// y[i] = f(x[i], z[i]) for i < n, or one element at a time if `single`.
KernelList applied(Scalar::Function f, DType dtype, bool single) {
  KernelList list;
  list.entry = fmt::format("{}_{}{}", function(f).name, name(dtype), single ? "_single" : "");
  list.sizes = {{"n", batch}};
  Shape shape = single ? Shape{} : Shape{Extent(1, "n")};
  auto add = [&](std::string name, Storage storage, int64_t slot) {
    list.buffers.push_back({.name = std::move(name), .type = {dtype, shape}, .storage = storage, .slot = slot});
  };
  add("x", Storage::input, 0), add("z", Storage::input, 1), add("y", Storage::output, 0);
  std::vector<Scalar> index = single ? std::vector<Scalar>{} : std::vector{Scalar::index(0)};
  std::vector<Scalar> arguments = {Scalar::read(0, dtype, index)};
  if (function(f).arity == 2) arguments.push_back(Scalar::read(1, dtype, index));
  Statement s;
  if (!single) s.axes = {{0, Extent(1, "n")}};
  s.value = Scalar::call(f, arguments), s.buffer = 2, s.index = index;
  Kernel kernel;
  kernel.name = "k0", kernel.body = {s};
  list.kernels = {kernel};
  return list;
}

NativeCode compiled(const std::vector<Scalar::Function>& functions, DType dtype, Isa isa = Isa::avx512) {
  std::vector<KernelList> lists;
  for (Scalar::Function f : functions)
    for (bool single : {false, true}) lists.push_back(applied(f, dtype, single));
  return native::linked(lists, Target::host(isa));
}

template <typename T>
void call(const NativeEntry& entry, std::vector<T>& x, std::vector<T>& z, std::vector<T>& y) {
  auto bytes = [](std::vector<T>& values) { return reinterpret_cast<std::byte*>(values.data()); };
  run(entry, {bytes(x), bytes(z)}, {}, {bytes(y)}, static_cast<int64_t>(x.size()));
}

// The distance of y from what it should be, in units of the last place of an f32 there (beyond the greatest
// f32: of 2^127).
double ulps(float y, double want) {
  float rounded = static_cast<float>(want);
  double wrong = std::numeric_limits<double>::infinity();
  if (std::isnan(want) || std::isnan(y)) return std::isnan(want) && std::isnan(y) ? 0 : wrong;
  if (y == rounded) return std::signbit(y) == std::signbit(rounded) ? 0 : wrong;
  auto finite = [](double x) { return std::isinf(x) ? std::copysign(0x1p128, x) : x; };
  int exponent = 0;
  std::frexp(finite(want), &exponent);
  return std::fabs(finite(y) - finite(want)) / std::ldexp(1, std::clamp(exponent, -125, 128) - 24);
}

const std::vector<Scalar::Function> unary = {Scalar::sqrt,   Scalar::exp,    Scalar::expm1,   Scalar::log,     Scalar::log1p,
                                             Scalar::sin,    Scalar::cos,    Scalar::tanh,    Scalar::sigmoid, Scalar::erf,
                                             Scalar::erfinv, Scalar::lgamma, Scalar::digamma, Scalar::trigamma};

std::vector<float> special_values() {
  std::vector<float> x;
  for (float v : {0.0f,
                  0x1p-149f,
                  0x1p-127f,
                  0x1p-126f,
                  1e-30f,
                  1e-8f,
                  0.55f,
                  0.5f,
                  1.0f,
                  1.0000001f,
                  2.0f,
                  3.9f,
                  4.0f,
                  9.01f,
                  9.02f,
                  16.0f,
                  17.33f,
                  87.33f,
                  88.0f,
                  88.72283f,
                  88.72284f,
                  103.9f,
                  103.972f,
                  104.0f,
                  0x1p20f,
                  1048577.0f,
                  1e10f,
                  1e30f,
                  std::numeric_limits<float>::max(),
                  std::numeric_limits<float>::infinity(),
                  std::numeric_limits<float>::quiet_NaN()})
    x.push_back(v), x.push_back(-v);
  for (int quarter = 1; quarter < 100; ++quarter)
    x.push_back(static_cast<float>(quarter * 0.78539816339744831)), x.push_back(-x.back());
  return x;
}

struct Worst {
  double ulp = 0;
  float at = 0, got = 0;
};
void compare(Scalar::Function f, const std::vector<float>& x, const std::vector<float>& z, const std::vector<float>& y,
             Worst& worst) {
  for (size_t i = 0; i < x.size(); ++i) {
    double distance = ulps(y[i], function(f).reference(x[i], z[i], 0));
    if (!(distance <= worst.ulp)) worst = {distance, x[i], y[i]};
  }
}

// All f32 whose bits are multiples of the stride.
Worst sweep(Scalar::Function f, const NativeEntry& entry, uint64_t stride) {
  Worst worst;
  std::vector<float> x, y, z;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32;) {
    x.clear();
    for (; x.size() < batch && bits < uint64_t{1} << 32; bits += stride)
      x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    y.resize(x.size()), z.resize(x.size());
    call(entry, x, z, y);
    compare(f, x, z, y, worst);
  }
  return worst;
}

void report(Scalar::Function f, const Worst& worst) {
  INFO(fmt::format("{}({:a}) gives {:a}: {:.3f} ulp", function(f).name, worst.at, worst.got, worst.ulp));
  CHECK(worst.ulp <= function(f).ulp);
}

}  // namespace

TEST_CASE("a function of f32 is within the bound of its row: special values and a sample of all bits") {
  NativeCode code = compiled(unary, f32);
  for (size_t i = 0; i < unary.size(); ++i) {
    bool slow = unary[i] >= Scalar::erfinv;
    report(unary[i], sweep(unary[i], code.entries[2 * i], slow ? 65521 : 4093));
    std::vector<float> x = special_values(), y(x.size()), z(x.size());
    call(code.entries[2 * i], x, z, y);
    Worst worst;
    compare(unary[i], x, z, y, worst);
    report(unary[i], worst);
  }
}

TEST_CASE("a lane has the bits of the scalar, on every ISA those of AVX-512") {
  std::vector<float> x = special_values(), z(x.size());
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 16777213)
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  z.resize(x.size());
  std::vector<std::vector<float>> first;
  for (Isa isa : {Isa::avx512, Isa::avx2, Isa::sse2}) {
    NativeCode code = compiled(unary, f32, isa);
    for (size_t i = 0; i < unary.size(); ++i) {
      std::vector<float> y(x.size());
      call(code.entries[2 * i], x, z, y);
      if (isa == Isa::avx512) first.push_back(y);
      size_t differences = 0;
      for (size_t at = 0; at < x.size(); ++at) {
        std::vector<float> one = {x[at]}, none = {0}, result = {0};
        call(code.entries[2 * i + 1], one, none, result);
        auto same = [](float a, float b) {
          return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
        };
        differences += !same(result[0], y[at]) + !same(y[at], first[i][at]);
      }
      INFO(function(unary[i]).name);
      CHECK(differences == 0);
    }
  }
}

TEST_CASE("powers in f32") {
  NativeCode code = compiled({Scalar::pow}, f32);
  std::vector<float> x, z;
  for (float base : special_values())
    for (float exponent : special_values()) x.push_back(base), z.push_back(exponent);
  std::vector<float> y(x.size());
  call(code.entries[0], x, z, y);
  Worst worst;
  compare(Scalar::pow, x, z, y, worst);
  report(Scalar::pow, worst);
}

TEST_CASE("in f64 a function is its reference") {
  std::vector<Scalar::Function> functions = unary;
  functions.push_back(Scalar::pow);
  NativeCode code = compiled(functions, f64);
  std::vector<double> x;
  for (float v : special_values()) x.push_back(v), x.push_back(v * 1.1), x.push_back(v * 1e200);
  std::vector<double> z(x.size(), 1.7), y(x.size());
  for (size_t i = 0; i < functions.size(); ++i) {
    call(code.entries[2 * i], x, z, y);
    size_t differences = 0;
    for (size_t at = 0; at < x.size(); ++at) {
      double want = function(functions[i]).reference(x[at], z[at], 0);
      differences +=
          std::bit_cast<uint64_t>(want) != std::bit_cast<uint64_t>(y[at]) && !(std::isnan(want) && std::isnan(y[at]));
    }
    INFO(function(functions[i]).name);
    CHECK(differences == 0);
  }
}

TEST_CASE("every f32 argument" * doctest::skip()) {
  NativeCode code = compiled(unary, f32);
  for (size_t i = 0; i < unary.size(); ++i) {
    if (unary[i] >= Scalar::erfinv) continue;  // the reference itself, rounded
    report(unary[i], sweep(unary[i], code.entries[2 * i], 1));
  }
}
