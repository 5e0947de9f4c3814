#include "runtime/tensor.h"

#include <doctest/doctest.h>

#include <limits>

#include "tests/runtime/program.h"

using namespace tenon;
using tenon::test::message;

TEST_CASE("a tensor owns aligned zeros, and a copy shares them") {
  for (int64_t rows : {0, 1, 7, 100000}) {
    Tensor t(f32, {rows, 3});
    CHECK(reinterpret_cast<uintptr_t>(t.data()) % 64 == 0);
    for (float v : t.read<float>()) REQUIRE(v == 0);
  }
  Tensor a = Tensor::of<int32_t>({2, 2}, {1, 2, 3, 4});
  Tensor shared = a, own = a.clone();
  a.write<int32_t>()[3] = 9;
  CHECK(shared.at(3) == 9);
  CHECK(own.integer_at(3) == 4);
  CHECK(a.str() == "i32[2,2]");
  CHECK(Tensor::scalar(2.5f).str() == "f32[]");
  CHECK(a.rows(1, 2).same_bits(Tensor::of<int32_t>({1, 2}, {3, 9})));
  CHECK(a.reshaped({4}).extents() == Extents{4});
}

TEST_CASE("a view takes any element-aligned pointer, and a view of const is read-only") {
  const std::vector<float> values = {1, 2, 3};
  Tensor v = Tensor::view(values.data() + 1, {2});
  CHECK(v.data() == reinterpret_cast<const std::byte*>(values.data() + 1));
  CHECK(v.at(1) == 3);
  float one = 1;
  Tensor writable = Tensor::view(&one, {});
  writable.write<float>()[0] = 5;
  CHECK(one == 5);
}

TEST_CASE("misuse of a tensor is an error") {
  const float value = 1;
  Tensor view = Tensor::view(&value, {1});
  CHECK(message([&] { view.write<float>(); }) == "tensor: f32[1] is a read-only view");
  CHECK(message([&] { (void)view.read<double>(); }) == "tensor: f32[1] is read as f64");
  CHECK(message([&] { Tensor(f32, {2, -1}); }) == "tensor: extent -1 is negative in [2,-1]");
  CHECK(message([&] {
          Tensor(f32, {int64_t{1} << 40, int64_t{1} << 40});
        }) == "extents overflow: 1099511627776 * 1099511627776");
  CHECK(message([&] { Tensor::of<float>({3}, {1, 2}); }) == "tensor: f32[3] has 3 elements, given 2");
  CHECK(message([&] { Tensor(f32, {2}).number(); }) == "tensor: f32[2] is read as one number");
  CHECK(message([&] { Tensor(f32, {2}).at(2); }) == "tensor: element 2 of f32[2], valid is 0 <= element < 2");
  CHECK(message([&] { Tensor::view(static_cast<float*>(nullptr), {1}); }) == "tensor: a view of f32[1] from a null pointer");
  alignas(8) std::byte bytes[16] = {};
  CHECK(message([&] { Tensor::view(f32, {1}, bytes + 1, nullptr); }) ==
        "tensor: a view of f32[1] from a pointer that is not a multiple of 4 bytes");
  CHECK(message([&] { Tensor(f32, {4}).reshaped({3}); }) == "tensor: f32[4] cannot be read as [3]: 4 elements against 3");
  CHECK(message([&] { Tensor(f32, {4}).rows(2, 5); }) == "tensor: rows 2 to 5 of f32[4]");
}

TEST_CASE("f16 and bf16 are read, written and cast, to nearest even") {
  const Tensor h = Tensor::of<half>({3}, {half(0.1f), half(65520.0f), half(-2)});
  CHECK(h.str() == "f16[3]");
  CHECK(h.byte_count() == 6);
  CHECK(h.at(0) == 0.0999755859375);
  CHECK(h.at(1) == std::numeric_limits<double>::infinity());
  CHECK(static_cast<float>(h.read<half>()[2]) == -2);
  CHECK(h.rows(2, 3).cast(i32).integer_at(0) == -2);
  CHECK(h.cast(bf16).same_bits(Tensor::of<bfloat>({3}, {bfloat(0.1f), bfloat(1e39), bfloat(-2)})));
  CHECK(h.cast(f32).cast(f16).same_bits(h));
  CHECK(Tensor::scalar(bfloat(3.14159f)).number() == 3.140625);
  CHECK(message([&] { h.cast(u8); }) == "tensor: element 0 of f16[3] is 0.099975586, which u8 cannot hold");
  CHECK(message([&] { (void)h.read<bfloat>(); }) == "tensor: f16[3] is read as bf16");
  CHECK(message([&] { (void)h.integer_at(0); }) == "tensor: f16[3] is read as integers");
}

TEST_CASE("a cast is exact into integers, and columns are copied") {
  const Tensor t = Tensor::of<double>({2, 3}, {1, 2, 3, 4, 5, 300});
  CHECK(t.columns(1, 3).same_bits(Tensor::of<double>({2, 2}, {2, 3, 5, 300})));
  CHECK(t.cast(i32).same_bits(Tensor::of<int32_t>({2, 3}, {1, 2, 3, 4, 5, 300})));
  CHECK(t.columns(0, 2).cast(u8).cast(f32).same_bits(Tensor::of<float>({2, 2}, {1, 2, 4, 5})));
  CHECK(message([&] { t.cast(u8); }) == "tensor: element 5 of f64[2,3] is 300, which u8 cannot hold");
  CHECK(message([&] { Tensor::scalar(0.5).cast(i64); }) == "tensor: element 0 of f64[] is 0.5, which i64 cannot hold");
  CHECK(message([&] { Tensor::scalar(9.3e18).cast(i64); }) != "no error");
  CHECK(Tensor::scalar<int64_t>(INT64_MAX).cast(i64).integer_at(0) == INT64_MAX);
  CHECK(message([&] { t.columns(2, 4); }) == "tensor: columns 2 to 4 of f64[2,3]");
}
