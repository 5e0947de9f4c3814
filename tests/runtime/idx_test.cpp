#include "runtime/data/idx.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/runtime/folder.h"

using namespace tenon;
using namespace tenon::test;
using namespace std::string_literals;

namespace {
const std::string matrix = "\0\0\x08\x02\0\0\0\x02\0\0\0\x03"s + "\x01\x02\x03\x04\x05\xff"s;
}

TEST_CASE("IDX is read plain or gzip, with every element type") {
  const Folder folder;
  const Tensor bytes = Tensor::of<uint8_t>({2, 3}, {1, 2, 3, 4, 5, 255});
  CHECK(read_idx(put(folder / "a", matrix)).same_bits(bytes));
  CHECK(read_idx(put_gzip(folder / "a.gz", matrix)).same_bits(bytes));
  auto read = [&](const std::string& text) { return read_idx(put(folder / "b", text)); };
  CHECK(read("\0\0\x09\x01\0\0\0\x02\xff\x7f"s).same_bits(Tensor::of<int32_t>({2}, {-1, 127})));
  CHECK(read("\0\0\x0b\x01\0\0\0\x02\xff\xfe\x01\x02"s).same_bits(Tensor::of<int32_t>({2}, {-2, 258})));
  CHECK(read("\0\0\x0c\x01\0\0\0\x01\x01\x02\x03\x04"s).same_bits(Tensor::of<int32_t>({1}, {0x01020304})));
  CHECK(read("\0\0\x0d\x01\0\0\0\x01\x3f\x80\0\0"s).same_bits(Tensor::of<float>({1}, {1})));
  CHECK(read("\0\0\x0e\x01\0\0\0\x01\xc0\0\0\0\0\0\0\0"s).same_bits(Tensor::of<double>({1}, {-2})));
  CHECK(read("\0\0\x08\x02\0\0\0\0\0\0\0\x03"s).str() == "u8[0,3]");
}

TEST_CASE("what is written is read back") {
  const Folder folder;
  for (DType dtype : {u8, i32, f32, f64}) {
    Tensor t(dtype, {3, 5, 2});
    std::mt19937 random(1);
    for (int64_t i = 0; i < t.byte_count(); ++i) t.writable_data()[i] = static_cast<std::byte>(random());
    write_idx(folder / "t", t);
    CHECK(read_idx(folder / "t").same_bits(t));
  }
  CHECK(contents((write_idx(folder / "m", Tensor::of<uint8_t>({2, 3}, {1, 2, 3, 4, 5, 255})), folder / "m")) == matrix);
  CHECK(message(folder, [&] { write_idx(folder / "t", Tensor(i64, {1})); }) ==
        "t: IDX cannot hold i64[1]: it has u8, i32, f32, f64 and ranks to 255");
  CHECK(message(folder, [&] { write_idx(folder / "no/t", Tensor(u8, {1})); }) ==
        "no/t: cannot be written: No such file or directory");
}

TEST_CASE("a file that is no IDX, or not all of one, is an error with the offset") {
  const Folder folder;
  auto read = [&](const std::string& text) { return message(folder, [&] { read_idx(put(folder / "x.idx", text)); }); };
  CHECK(message(folder, [&] { read_idx(folder / "none"); }) == "none: cannot be read: No such file or directory");
  CHECK(message(folder, [&] { read_idx(folder.path()); }).ends_with("cannot be read: it is a folder"));
  CHECK(read("") == "x.idx: truncated at byte 0: 4 more bytes expected for the magic number");
  CHECK(read("\x89PNG\r\n"s) ==
        "x.idx: not IDX: it begins with 89 50 4e 47, expected 00 00, a type (08, 09, 0b to 0e) "
        "and the rank");
  CHECK(read("\0\0\x07\x01"s).starts_with("x.idx: not IDX: it begins with 00 00 07 01"));
  CHECK(read(matrix.substr(0, 10)) == "x.idx: truncated at byte 10: 2 more bytes expected for the extents");
  CHECK(read(matrix.substr(0, 17)) == "x.idx: truncated at byte 17: 1 more bytes expected for the elements of u8[2,3]");
  CHECK(read(matrix + "!") == "x.idx: trailing bytes: the data ends at byte 18");
  const std::string huge = "\xff\xff\xff\xff"s;
  CHECK(read("\0\0\x08\x03"s + huge + huge + huge) == "x.idx: the extents [4294967295,4294967295] overflow at byte 12");
  // A header that claims 2^62 bytes costs no allocation.
  CHECK(read("\0\0\x08\x02\x40\0\0\0\x10\0\0\0"s).starts_with("x.idx: truncated at byte 12: 288230376151711744 more"));
}

TEST_CASE("a damaged gzip file is an error") {
  const Folder folder;
  put_gzip(folder / "x.gz", matrix + std::string(1000, 'x'));
  const std::string whole = contents(folder / "x.gz");
  auto read = [&](const std::string& text) { return message(folder, [&] { read_idx(put(folder / "y.gz", text)); }); };
  CHECK(read(whole) == "y.gz: trailing bytes: the data ends at byte 18");
  put_gzip(folder / "z.gz", matrix);
  const std::string good = contents(folder / "z.gz");
  CHECK(read(good) == "no error");
  std::string wrong_sum = good;
  wrong_sum[good.size() - 6] ^= 1;
  CHECK(read(wrong_sum) == "y.gz: damaged after byte 0: incorrect data check");
  for (size_t size = 3; size < good.size(); ++size) CHECK(read(good.substr(0, size)) != "no error");
}

TEST_CASE("mutated files give a tensor or an Error, nothing else") {
  const Folder folder;
  std::mt19937 random(7);
  int good = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text = matrix;
    for (unsigned k = 0; k <= random() % 3; ++k) text[random() % text.size()] = static_cast<char>(random());
    if (random() % 4 == 0) text.resize(random() % (text.size() + 4));
    put(folder / "f", text);
    try {
      good += read_idx(folder / "f").elements() >= 0;
    } catch (const Error&) {
    }
  }
  CHECK(good > 100);
  CHECK(good < 3900);
}

TEST_CASE("MNIST" * doctest::skip(!std::filesystem::exists(TENON_DATA "/mnist"))) {
  const std::filesystem::path folder = TENON_DATA "/mnist";
  const Tensor images = read_idx(folder / "t10k-images-idx3-ubyte.gz");
  const Tensor labels = read_idx(folder / "t10k-labels-idx1-ubyte.gz");
  CHECK(images.str() == "u8[10000,28,28]");
  CHECK(labels.str() == "u8[10000]");
  int64_t sevens = 0;
  for (uint8_t label : labels.read<uint8_t>()) sevens += label == 7;
  CHECK(sevens == 1028);
}
