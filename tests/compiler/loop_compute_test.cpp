// What the loop language's codes give for one element: chosen values. See loop_compute_random_test.cpp too.
#include "compiler/loop/compute.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "ir/compute.h"

using namespace tenon;
using loop::Code;

namespace {

uint64_t bits_of(const std::string& text, DType dtype) {
  if (dtype == f32) return std::bit_cast<uint32_t>(std::strtof(text.c_str(), nullptr));
  if (dtype == f64) return std::bit_cast<uint64_t>(std::strtod(text.c_str(), nullptr));
  return loop::low_bits(static_cast<uint64_t>(std::strtoll(text.c_str(), nullptr, 10)), dtype);
}
std::string text_of(uint64_t bits, DType dtype) {
  if (!is_float(dtype)) return std::to_string(loop::as_integer(bits, dtype));
  if (std::isnan(loop::as_double(bits, dtype))) return "nan";
  return dtype == f32 ? fmt::format("{}", std::bit_cast<float>(static_cast<uint32_t>(bits)))
                      : fmt::format("{}", std::bit_cast<double>(bits));
}

bool is_comparison(Code code) { return code >= Code::eq && code <= Code::ult; }

// Of operands as text, for a node of the type `to`.
std::string made(Code code, DType dtype, const std::string& operands, DType to, int64_t integer = 0) {
  std::vector<uint64_t> bits;
  std::istringstream words(operands);
  for (std::string word; words >> word;) bits.push_back(bits_of(word, code == Code::select && bits.empty() ? boolean : dtype));
  const auto result = loop::compute({.code = code, .type = {to}, .integer = integer}, dtype, bits);
  return result ? text_of(*result, to) : "none";
}
std::string made(Code code, DType dtype, const std::string& operands) {
  return made(code, dtype, operands, is_comparison(code) ? boolean : dtype);
}

}  // namespace

TEST_CASE("floats are added, multiplied and divided as IEEE 754 says, each in its own type") {
  CHECK(made(Code::add, f32, "16777216 1") == "16777216");
  CHECK(made(Code::add, f64, "16777216 1") == "16777217");
  CHECK(made(Code::add, f32, "1e-45 1e-45") == "3e-45");
  CHECK(made(Code::add, f32, "-0 -0") == "-0");
  CHECK(made(Code::add, f32, "-0 0") == "0");
  CHECK(made(Code::add, f64, "inf -inf") == "nan");
  CHECK(made(Code::sub, f32, "0 0") == "0");
  CHECK(made(Code::sub, f32, "nan 1") == "nan");
  CHECK(made(Code::sub, f64, "1 5e-324") == "1");
  CHECK(made(Code::mul, f32, "3e38 10") == "inf");
  CHECK(made(Code::mul, f64, "3e38 10") == "3e+39");
  CHECK(made(Code::mul, f32, "1e-40 -1e-40") == "-0");
  CHECK(made(Code::mul, f32, "0 inf") == "nan");
  CHECK(made(Code::div, f32, "1 3") == "0.33333334");
  CHECK(made(Code::div, f64, "1 3") == "0.3333333333333333");
  CHECK(made(Code::div, f32, "-1 0") == "-inf");
  CHECK(made(Code::div, f64, "0 -0") == "nan");
  CHECK(made(Code::rem, f32, "7 2") == "none");
  CHECK(made(Code::sqrt, f32, "2") == "1.4142135");
  CHECK(made(Code::sqrt, f64, "2") == "1.4142135623730951");
  CHECK(made(Code::sqrt, f32, "-0") == "-0");
  CHECK(made(Code::sqrt, f32, "-1e-45") == "nan");
}

TEST_CASE("a fused multiply-add rounds once") {
  // (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24, of which a rounded product leaves nothing.
  CHECK(made(Code::fma, f32, "0x1.001p0 0x1.001p0 -0x1.002p0") == "5.9604645e-08");
  CHECK(made(Code::fma, f64, "0x1.0000001p0 0x1.0000001p0 -0x1.0000002p0") == "1.3877787807814457e-17");
  // 97 * 172961 / 2^24 is 1 + 2^-24; with 2^-80 more it is above the middle, which a sum in double cannot
  // see.
  CHECK(made(Code::fma, f32, "97 0x1.51d08p-7 0x1p-80") == "1.0000001");
  CHECK(made(Code::fma, f32, "97 0x1.51d08p-7 0") == "1");
  CHECK(made(Code::fma, f32, "0 inf 1") == "nan");
  CHECK(made(Code::fma, f64, "1e200 1e200 -inf") == "-inf");
  CHECK(made(Code::fma, i32, "65536 65536 7") == "7");
  CHECK(made(Code::fma, i64, "3 4 -13") == "-1");
  CHECK(made(Code::fma, u8, "16 16 255") == "255");
}

TEST_CASE("signs are bits, of a NaN too") {
  auto bits = [](Code code, DType dtype, uint64_t x, uint64_t y = 0) {
    return *loop::compute({.code = code, .type = {dtype}}, dtype, std::array{x, y});
  };
  CHECK(bits(Code::neg, f32, 0x7fa00001) == 0xffa00001);
  CHECK(bits(Code::neg, f64, 0) == uint64_t{1} << 63);
  CHECK(bits(Code::abs, f32, 0xffa00001) == 0x7fa00001);
  CHECK(bits(Code::abs, f64, 0x8000000000000001) == 1);
  CHECK(bits(Code::copysign, f32, 0x7fa00001, 0x80000000) == 0xffa00001);
  CHECK(bits(Code::copysign, f64, 0xbff0000000000000, 0x7ff8000000000000) == 0x3ff0000000000000);
  CHECK(made(Code::copysign, i32, "1 -1") == "none");
  CHECK(made(Code::neg, i32, "-2147483648") == "-2147483648");
  CHECK(made(Code::neg, u8, "1") == "255");
  CHECK(made(Code::neg, boolean, "1") == "1");
  CHECK(made(Code::abs, i32, "-2147483648") == "-2147483648");
  CHECK(made(Code::abs, i64, "-9223372036854775808") == "-9223372036854775808");
  CHECK(made(Code::abs, i64, "-9") == "9");
  CHECK(made(Code::abs, u8, "200") == "200");
  CHECK(made(Code::abs, boolean, "1") == "1");
}

TEST_CASE("a NaN is the maximum and the minimum, and -0 is less than +0") {
  for (DType dtype : {f32, f64}) {
    CHECK(made(Code::max, dtype, "1 nan") == "nan");
    CHECK(made(Code::max, dtype, "nan inf") == "nan");
    CHECK(made(Code::min, dtype, "nan -inf") == "nan");
    CHECK(made(Code::min, dtype, "1 nan") == "nan");
    CHECK(made(Code::max, dtype, "-0 0") == "0");
    CHECK(made(Code::max, dtype, "0 -0") == "0");
    CHECK(made(Code::min, dtype, "-0 0") == "-0");
    CHECK(made(Code::min, dtype, "0 -0") == "-0");
    CHECK(made(Code::max, dtype, "-inf -2") == "-2");
    CHECK(made(Code::min, dtype, "1.5 -2") == "-2");
  }
  CHECK(*loop::compute({.code = Code::max, .type = {f32}}, f32, std::array<uint64_t, 2>{0x7fa00001, 0}) == 0x7fe00001);
  CHECK(made(Code::max, i32, "-1 1") == "1");
  CHECK(made(Code::min, i64, "-1 1") == "-1");
  CHECK(made(Code::max, u8, "255 1") == "255");
  CHECK(made(Code::min, u8, "255 1") == "1");
  CHECK(made(Code::max, boolean, "0 1") == "1");
  CHECK(made(Code::min, boolean, "0 1") == "0");
}

TEST_CASE("floats are rounded to whole numbers, halves to even ones") {
  for (DType dtype : {f32, f64}) {
    CHECK(made(Code::round, dtype, "0.5") == "0");
    CHECK(made(Code::round, dtype, "-0.5") == "-0");
    CHECK(made(Code::round, dtype, "1.5") == "2");
    CHECK(made(Code::round, dtype, "-2.5") == "-2");
    CHECK(made(Code::floor, dtype, "-0.5") == "-1");
    CHECK(made(Code::floor, dtype, "-0") == "-0");
    CHECK(made(Code::ceil, dtype, "-0.5") == "-0");
    CHECK(made(Code::ceil, dtype, "1e-45") == "1");
    for (Code code : {Code::floor, Code::ceil, Code::round}) {
      CHECK(made(code, dtype, "nan") == "nan");
      CHECK(made(code, dtype, "-inf") == "-inf");
    }
  }
  CHECK(made(Code::round, f32, "8388609") == "8388609");
  CHECK(made(Code::floor, i32, "1") == "none");
}

TEST_CASE("scale multiplies by a power of two and rounds once, as vscalef does") {
  CHECK(made(Code::scale, f32, "3 2.9") == "12");
  CHECK(made(Code::scale, f32, "3 -0.1") == "1.5");
  CHECK(made(Code::scale, f32, "1 1000") == "inf");
  CHECK(made(Code::scale, f32, "-1 -1e30") == "-0");
  CHECK(made(Code::scale, f64, "1 1e300") == "inf");
  CHECK(made(Code::scale, f64, "1 -1074") == "5e-324");
  CHECK(made(Code::scale, f64, "5e-324 2000") == "5.67251933470834e+278");
  // Just above half of the least subnormal, and half of it; just below the least normal number.
  CHECK(made(Code::scale, f32, "0x1.000002p0 -150") == "1e-45");
  CHECK(made(Code::scale, f32, "1 -150") == "0");
  CHECK(made(Code::scale, f32, "0x1.fffffep0 -127") == "1.1754944e-38");
  for (DType dtype : {f32, f64}) {
    const std::string table[][3] = {
        // x, n, x * 2^n
        {"nan", "nan", "nan"},   {"nan", "inf", "inf"},  {"nan", "-inf", "0"},  {"nan", "1", "nan"},    {"inf", "nan", "nan"},
        {"inf", "inf", "inf"},   {"inf", "-inf", "nan"}, {"inf", "-9", "inf"},  {"-inf", "nan", "nan"}, {"-inf", "inf", "-inf"},
        {"-inf", "-inf", "nan"}, {"-inf", "9", "-inf"},  {"-0", "nan", "nan"},  {"-0", "inf", "nan"},   {"-0", "-inf", "-0"},
        {"-0", "9", "-0"},       {"-2", "nan", "nan"},   {"-2", "inf", "-inf"}, {"-2", "-inf", "-0"},   {"2", "-inf", "0"},
    };
    for (const auto& row : table) {
      const std::string operands = row[0] + " " + row[1];
      INFO(operands);
      CHECK(made(Code::scale, dtype, operands) == row[2]);
    }
  }
  const std::array<uint64_t, 2> signalling{0x7fa00001, 0x7f800000};
  CHECK(*loop::compute({.code = Code::scale, .type = {f32}}, f32, signalling) == 0x7fe00001);
  CHECK(made(Code::scale, i32, "1 1") == "none");
}

TEST_CASE("integers wrap, bools too") {
  CHECK(made(Code::add, i32, "2147483647 1") == "-2147483648");
  CHECK(made(Code::add, i64, "9223372036854775807 1") == "-9223372036854775808");
  CHECK(made(Code::add, u8, "255 2") == "1");
  CHECK(made(Code::add, boolean, "1 1") == "0");
  CHECK(made(Code::sub, i32, "-2147483648 1") == "2147483647");
  CHECK(made(Code::sub, u8, "0 1") == "255");
  CHECK(made(Code::sub, boolean, "0 1") == "1");
  CHECK(made(Code::mul, i32, "65537 65537") == "131073");
  CHECK(made(Code::mul, i64, "-4294967296 4294967296") == "0");
  CHECK(made(Code::mul, u8, "16 17") == "16");
  CHECK(made(Code::mul, boolean, "1 1") == "1");
}

TEST_CASE("division goes toward zero; by zero there is none") {
  CHECK(made(Code::div, i32, "-7 2") == "-3");
  CHECK(made(Code::rem, i32, "-7 2") == "-1");
  CHECK(made(Code::div, u8, "254 2") == "127");
  CHECK(made(Code::rem, boolean, "1 1") == "0");
  CHECK(made(Code::udiv, i32, "-2 2") == "2147483647");
  CHECK(made(Code::urem, i32, "-1 10") == "5");
  CHECK(made(Code::udiv, i64, "-1 -1") == "1");
  CHECK(made(Code::urem, u8, "255 16") == "15");
  CHECK(made(Code::udiv, f32, "4 2") == "none");
  for (Code code : {Code::div, Code::rem, Code::udiv, Code::urem})
    for (DType dtype : {i64, i32, u8, boolean}) CHECK(made(code, dtype, "1 0") == "none");
  for (Code code : {Code::div, Code::rem}) {
    CHECK(made(code, i32, "-2147483648 -1") == "none");
    CHECK(made(code, i64, "-9223372036854775808 -1") == "none");
    CHECK(made(code, u8, "128 255") == (code == Code::div ? "0" : "128"));
  }
  CHECK(made(Code::udiv, i32, "-2147483648 -1") == "0");
}

TEST_CASE("bits are combined and shifted by less than the width") {
  CHECK(made(Code::bit_and, i32, "-2 7") == "6");
  CHECK(made(Code::bit_or, u8, "129 2") == "131");
  CHECK(made(Code::bit_xor, i64, "-1 1") == "-2");
  CHECK(made(Code::bit_xor, boolean, "1 1") == "0");
  CHECK(made(Code::bit_or, f32, "1 1") == "none");
  CHECK(made(Code::shift_left, i32, "3 31") == "-2147483648");
  CHECK(made(Code::shift_left, u8, "129 1") == "2");
  CHECK(made(Code::shift_left, i64, "1 63") == "-9223372036854775808");
  CHECK(made(Code::shift_right, i32, "-5 1") == "-3");
  CHECK(made(Code::shift_right, u8, "128 7") == "1");
  CHECK(made(Code::shift_right_unsigned, i32, "-1 31") == "1");
  CHECK(made(Code::shift_right_unsigned, i64, "-1 1") == "9223372036854775807");
  for (Code code : {Code::shift_left, Code::shift_right, Code::shift_right_unsigned}) {
    CHECK(made(code, i64, "1 64") == "none");
    CHECK(made(code, i32, "1 32") == "none");
    CHECK(made(code, i32, "1 -1") == "none");
    CHECK(made(code, u8, "1 8") == "none");
    CHECK(made(code, boolean, "1 1") == "none");
    CHECK(made(code, boolean, "1 0") == "1");
    CHECK(made(code, f32, "1 1") == "none");
  }
}

TEST_CASE("a NaN is unequal to everything and neither less nor greater") {
  for (DType dtype : {f32, f64}) {
    for (const char* pair : {"nan nan", "nan 1", "1 nan", "inf nan"}) {
      CHECK(made(Code::eq, dtype, pair) == "0");
      CHECK(made(Code::ne, dtype, pair) == "1");
      CHECK(made(Code::lt, dtype, pair) == "0");
      CHECK(made(Code::le, dtype, pair) == "0");
    }
    CHECK(made(Code::eq, dtype, "-0 0") == "1");
    CHECK(made(Code::lt, dtype, "-0 0") == "0");
    CHECK(made(Code::le, dtype, "inf inf") == "1");
    CHECK(made(Code::lt, dtype, "-inf 1") == "1");
    CHECK(made(Code::ult, dtype, "1 2") == "none");
  }
  CHECK(made(Code::lt, i32, "-1 0") == "1");
  CHECK(made(Code::ult, i32, "-1 0") == "0");
  CHECK(made(Code::ult, i64, "0 -1") == "1");
  CHECK(made(Code::lt, u8, "255 0") == "0");
  CHECK(made(Code::lt, boolean, "0 1") == "1");
  CHECK(made(Code::le, i64, "5 5") == "1");
  CHECK(made(Code::ne, boolean, "1 0") == "1");
  CHECK(made(Code::eq, i64, "4294967296 0") == "0");
}

TEST_CASE("select takes one of two values as they are") {
  const uint64_t nan = 0xffa00001;
  CHECK(*loop::compute({.code = Code::select, .type = {f32}}, f32, std::array<uint64_t, 3>{1, nan, 2}) == nan);
  CHECK(made(Code::select, f64, "0 1 -0") == "-0");
  CHECK(made(Code::select, boolean, "1 0 1") == "0");
  CHECK(made(Code::select, i32, "0 5 -6") == "-6");
}

TEST_CASE("a float becomes the nearest integer of the type toward zero, a NaN 0") {
  CHECK(made(Code::cast, f32, "-2.9", i32) == "-2");
  CHECK(made(Code::cast, f32, "2147483648", i32) == "2147483647");
  CHECK(made(Code::cast, f32, "-2147483648", i32) == "-2147483648");
  CHECK(made(Code::cast, f64, "2147483647.9", i32) == "2147483647");
  CHECK(made(Code::cast, f64, "-2147483648.9", i32) == "-2147483648");
  CHECK(made(Code::cast, f64, "9223372036854775808", i64) == "9223372036854775807");
  CHECK(made(Code::cast, f64, "9223372036854774784", i64) == "9223372036854774784");
  CHECK(made(Code::cast, f32, "-inf", i64) == "-9223372036854775808");
  CHECK(made(Code::cast, f32, "255.9", u8) == "255");
  CHECK(made(Code::cast, f32, "256", u8) == "255");
  CHECK(made(Code::cast, f64, "-0.9", u8) == "0");
  CHECK(made(Code::cast, f64, "-7", u8) == "0");
  for (DType from : {f32, f64}) {
    for (DType to : {i32, i64, u8}) CHECK(made(Code::cast, from, "nan", to) == "0");
    CHECK(made(Code::cast, from, "inf", i32) == "2147483647");
    CHECK(made(Code::cast, from, "nan", boolean) == "1");
    CHECK(made(Code::cast, from, "-0", boolean) == "0");
    CHECK(made(Code::cast, from, "1e-45", boolean) == "1");
  }
}

TEST_CASE("an integer becomes the nearest float, directly, or an integer of the same low bits") {
  // 2^60 + 2^36 + 1 is just above the middle of two f32; a double in between would lose the 1.
  CHECK(made(Code::cast, i64, "1152921573326323713", f32) == "1.1529216e+18");
  CHECK(made(Code::cast, i64, "1152921573326323712", f32) == "1.1529215e+18");
  CHECK(made(Code::cast, i64, "9007199254740993", f64) == "9007199254740992");
  CHECK(made(Code::cast, i32, "16777217", f32) == "16777216");
  CHECK(made(Code::cast, i32, "-1", f64) == "-1");
  CHECK(made(Code::cast, u8, "255", f32) == "255");
  CHECK(made(Code::cast, boolean, "1", f64) == "1");
  CHECK(made(Code::cast, i32, "-1", i64) == "-1");
  CHECK(made(Code::cast, u8, "255", i32) == "255");
  CHECK(made(Code::cast, boolean, "1", i64) == "1");
  CHECK(made(Code::cast, i64, "4294967295", i32) == "-1");
  CHECK(made(Code::cast, i32, "-1", u8) == "255");
  CHECK(made(Code::cast, i64, "256", boolean) == "1");
  CHECK(made(Code::cast, u8, "0", boolean) == "0");
  CHECK(made(Code::cast, f64, "1e-46", f32) == "0");
  CHECK(made(Code::cast, f64, "3.5e38", f32) == "inf");
  CHECK(made(Code::cast, f32, "1e-45", f64) == "1.401298464324817e-45");
  CHECK(made(Code::zero_extend, i32, "-1", i64) == "4294967295");
  CHECK(made(Code::zero_extend, u8, "255", i32) == "255");
  CHECK(made(Code::zero_extend, boolean, "1", i32) == "1");
  CHECK(made(Code::zero_extend, i64, "1", i32) == "none");
  CHECK(made(Code::zero_extend, f32, "1", i64) == "none");
  CHECK(made(Code::bits, f32, "-0", i32) == "-2147483648");
  CHECK(made(Code::bits, i32, "1065353216", f32) == "1");
  CHECK(made(Code::bits, f64, "1", i64) == "4607182418800017408");
  CHECK(made(Code::bits, i64, "1", f64) == "5e-324");
  CHECK(made(Code::bits, f32, "1", i64) == "none");
  CHECK(made(Code::bits, i32, "1", i32) == "none");
}

TEST_CASE("reference is a function of the scalar language in double") {
  CHECK(made(Code::reference, f32, "1", f32, Scalar::exp) == "2.7182817");
  CHECK(made(Code::reference, f64, "1", f64, Scalar::exp) == "2.718281828459045");
  CHECK(made(Code::reference, f32, "2 0.5", f32, Scalar::pow) == "1.4142135");
  CHECK(made(Code::reference, f32, "nan", f32, Scalar::tanh) == "nan");
  CHECK(made(Code::reference, f32, "1", f32, Scalar::philox) == "none");
  CHECK(made(Code::reference, f32, "1", f32, Scalar::load) == "none");
  CHECK(made(Code::reference, f32, "1", f32, -1) == "none");
  CHECK(made(Code::reference, f32, "1", f32, 1000) == "none");
  CHECK(made(Code::reference, i32, "1", i32, Scalar::exp) == "none");
}
