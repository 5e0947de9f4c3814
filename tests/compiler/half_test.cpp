// f16 and bf16 against LLVM's APFloat: all of their values as f32, and as f32 goes to them every value, what
// lies next to it, every midpoint and what lies next to that; by the C++ types, by the loops' interpreter and
// by every ISA of this machine.
#include <doctest/doctest.h>
#include <llvm/ADT/APFloat.h>

#include <random>

#include "compiler/loop/functions.h"
#include "compiler/loop/verify.h"
#include "tests/compiler/loop_machine.h"

namespace tenon::loop {
namespace {

constexpr DType stored_types[] = {f16, bf16};

const llvm::fltSemantics& semantics(DType dtype) {
  if (dtype == f32) return llvm::APFloat::IEEEsingle();
  return dtype == f16 ? llvm::APFloat::IEEEhalf() : llvm::APFloat::BFloat();
}

uint32_t by_llvm(uint32_t bits, DType from, DType to) {
  llvm::APFloat x(semantics(from), llvm::APInt(static_cast<unsigned>(8 * byte_size(from)), bits));
  bool inexact = false;
  x.convert(semantics(to), llvm::APFloat::rmNearestTiesToEven, &inexact);
  return static_cast<uint32_t>(x.bitcastToAPInt().getZExtValue());
}

uint32_t by_cpp(uint32_t bits, DType from, DType to) {
  return with_type(from, [&]<typename From>(From) {
    const float value = static_cast<float>(std::bit_cast<From>(static_cast<BitsOf<From>>(bits)));
    return with_type(to,
                     [&]<typename To>(To) { return static_cast<uint32_t>(std::bit_cast<BitsOf<To>>(static_cast<To>(value))); });
  });
}

bool is_nan(uint32_t bits, DType dtype) { return std::isnan(as_double(bits, dtype)); }

// What differs. A NaN stays one, and is quiet where it was rounded.
std::string difference(DType from, DType to, std::span<const uint32_t> x, std::span<const uint32_t> y) {
  for (size_t i = 0; i < x.size(); ++i) {
    const uint32_t expected = by_llvm(x[i], from, to), quiet = to == f16 ? 0x200 : 0x40;
    const bool fits = is_nan(expected, to) ? is_nan(y[i], to) && (to == f32 || y[i] & quiet) : y[i] == expected;
    if (!fits)
      return fmt::format("{} {:#x} gives {} {:#x}, not {:#x}", tenon::name(from), x[i], tenon::name(to), y[i], expected);
  }
  return "";
}

std::vector<uint32_t> all_values() {
  std::vector<uint32_t> result;
  for (uint32_t bits = 0; bits < 1 << 16; ++bits) result.push_back(bits);
  return result;
}

// The f32 at which rounding to the type could go wrong.
std::vector<uint32_t> critical_numbers(DType dtype) {
  std::vector<uint32_t> result;
  const auto around = [&](double x) {
    for (double sign : {1.0, -1.0}) {
      const auto bits = std::bit_cast<uint32_t>(static_cast<float>(sign * x));
      for (uint32_t near : {bits - 1, bits, bits + 1}) result.push_back(near);
    }
  };
  const auto infinity = static_cast<uint32_t>(from_double(INFINITY, dtype));
  for (uint32_t bits = 0; bits < infinity; ++bits) {
    const double x = as_double(bits, dtype), next = as_double(bits + 1, dtype);
    around(x);
    around(std::isinf(next) ? x + (x - as_double(bits - 1, dtype)) / 2 : (x + next) / 2);
  }
  for (uint32_t bits : {0x7f800000u, 0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0x7f7fffffu, 1u, 0x7fffffu, 0x800000u})
    result.push_back(bits), result.push_back(bits | 0x80000000);
  std::mt19937 random(1);
  while (result.size() % (2 * lanes) || result.size() < 500'000) result.push_back(static_cast<uint32_t>(random()));
  return result;
}

// y[i] = x[i] in the other type, the first half by vectors and the second by elements.
Function conversion(Isa isa, DType from, DType to, int64_t count) {
  Builder b("f.0");
  b.function().sizes = {intern("n")};
  const Value x = b.base(b.buffer({Buffer::Place::argument, from, count, 0}));
  const Value y = b.base(b.buffer({Buffer::Place::argument, to, count, 1}));
  for (bool vector : {true, false})
    b.loop(b.integer(vector ? 0 : count / 2), b.integer(vector ? count / 2 : count), vector ? lanes : 1, {},
           [&](Value i, const Values&) {
             b.store(convert(b, isa, b.load(b.at(x, i), vector), to), b.at(y, i));
             return Values();
           });
  return b.finish();
}

std::vector<Bytes> packed(DType from, DType to, std::span<const uint32_t> x) {
  std::vector<Bytes> result{Bytes(x.size() * static_cast<size_t>(byte_size(from))),
                            Bytes(x.size() * static_cast<size_t>(byte_size(to)))};
  for (size_t i = 0; i < x.size(); ++i) put_bits(result[0], i, from, x[i]);
  return result;
}
std::vector<uint32_t> unpacked(DType dtype, const Bytes& bytes) {
  std::vector<uint32_t> result;
  for (size_t i = 0; i < bytes.size() / static_cast<size_t>(byte_size(dtype)); ++i)
    result.push_back(static_cast<uint32_t>(raw_bits_at(bytes, i, dtype)));
  return result;
}

// By vectors and by elements: the halves of x are the same numbers.
void check_loops(DType from, DType to, std::vector<uint32_t> x) {
  const std::vector half = x;
  x.insert(x.end(), half.begin(), half.end());
  for (Isa isa : {Isa::sse2, Isa::avx2, Isa::avx512}) {
    const Function function = conversion(isa, from, to, std::ssize(x));
    verify(function);
    CHECK(parse(str(function)) == function);
    std::vector<Bytes> bytes = packed(from, to, x);
    Call call{.sizes = 1};
    for (Bytes& argument : bytes) call.arguments.push_back(argument);
    interpret(function, call);
    CHECK(difference(from, to, x, unpacked(to, bytes[1])) == "");
    if (Target::host().isa < isa) continue;
    bytes = packed(from, to, x);
    run_machine(function, Target::host(isa), bytes, 1);
    CHECK_MESSAGE(difference(from, to, x, unpacked(to, bytes[1])) == "", int(isa));
  }
}

void check_all(DType from, DType to, const std::vector<uint32_t>& x) {
  std::vector<uint32_t> y;
  for (uint32_t bits : x) y.push_back(by_cpp(bits, from, to));
  CHECK(difference(from, to, x, y) == "");
  check_loops(from, to, x);
}

}  // namespace

TEST_CASE("every f16 and bf16 becomes the f32 that LLVM says") {
  for (DType stored : stored_types) check_all(stored, f32, all_values());
}

TEST_CASE("an f32 becomes the f16 or bf16 that LLVM says") {
  for (DType stored : stored_types) check_all(f32, stored, critical_numbers(stored));
}

TEST_CASE("the traits of f16 and bf16 are those of their values") {
  for (DType stored : stored_types) {
    const ElementType& type = traits(stored);
    const llvm::fltSemantics& of = semantics(stored);
    CHECK(type.digits == static_cast<int>(llvm::APFloat::semanticsPrecision(of)));
    CHECK(type.largest == llvm::APFloat::getLargest(of).convertToDouble());
    CHECK(std::ldexp(1, type.tiny) == llvm::APFloat::getSmallest(of).convertToDouble());
  }
}

TEST_CASE("a conversion is no call, and an instruction where there is one") {
  for (DType stored : stored_types)
    for (Isa isa : {Isa::sse2, Isa::avx2, Isa::avx512}) {
      std::string assembly;
      for (const Function& function : {conversion(isa, f32, stored, 64), conversion(isa, stored, f32, 64)})
        assembly += machine_code(function, Target::of(isa, isa), 2, {.assembly = true}).code.assembly[0];
      CAPTURE(assembly);
      CHECK(assembly.find("__") == std::string::npos);  // as in __truncsfhf2
      CHECK((assembly.find("vcvtps2ph") != std::string::npos) == (stored == f16 && isa != Isa::sse2));
      CHECK((assembly.find("vcvtph2ps") != std::string::npos) == (stored == f16 && isa != Isa::sse2));
    }
}

}  // namespace tenon::loop
