#include "runtime/data/npy.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/runtime/folder.h"

using namespace tenon;
using namespace tenon::test;
using namespace std::string_literals;

namespace {
std::string npy(std::string header, const std::string& data, char version = 1) {
  std::string text = "\x93NUMPY"s + version + '\0';
  text += static_cast<char>(header.size());
  text += static_cast<char>(header.size() >> 8);
  if (version > 1) text += "\0\0"s;
  return text + header + data;
}
}  // namespace

TEST_CASE("NPY is read in all versions, and what is written is read back") {
  const Folder folder;
  const std::string header = "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2), }   \n";
  const Tensor expected = Tensor::of<int32_t>({1, 2}, {1, -1});
  for (char version : {1, 2, 3})
    CHECK(read_npy(put(folder / "a", npy(header, "\1\0\0\0\xff\xff\xff\xff"s, version))).same_bits(expected));
  CHECK(read_npy(put(folder / "a", npy("{'shape':(2,),'descr':'|u1','fortran_order':False}", "ab"))).str() == "u8[2]");
  for (const Tensor& t : {expected, Tensor::scalar(2.5), Tensor::of<float>({3}, {1, 2, 3}), Tensor(i64, {0, 4}),
                          Tensor::of<bool>({2}, {true, false}), Tensor::of<uint8_t>({1, 1, 1}, {7}),
                          Tensor::of<half>({2}, {half(0.1f), half(-1e9)})}) {
    write_npy(folder / "t", t);
    CHECK(read_npy(folder / "t").same_bits(t));
    CHECK((contents(folder / "t").size() - static_cast<size_t>(t.byte_count())) % 64 == 0);
  }
}

TEST_CASE("what NPY has no type for is an error that says what to do") {
  const Folder folder;
  CHECK(message(folder, [&] {
          write_npy(folder / "a.npy", Tensor(bf16, {2, 3}));
        }) == "a.npy: NPY cannot hold bf16[2,3]: cast it to f32, or write safetensors");
}

TEST_CASE("a bad NPY file is an error with the offset") {
  const Folder folder;
  auto read = [&](const std::string& text) { return message(folder, [&] { read_npy(put(folder / "a.npy", text)); }); };
  auto header = [&](const std::string& text) { return read(npy(text, "")); };
  CHECK(read("not at all numpy") == "a.npy: not NPY 1.0, 2.0 or 3.0 at byte 0");
  CHECK(header("{'descr': '>f4'}") ==
        "a.npy: bad NPY header at byte 25: element type '>f4', supported are <f8 <f4 <i8 <i4 |u1 |b1 <f2");
  CHECK(header("{'descr': '<f4', 'descr': '<f4'}") == "a.npy: bad NPY header at byte 35: descr is given twice");
  CHECK(header("{'fortran_order': True}") ==
        "a.npy: bad NPY header at byte 28: Fortran order is not supported: save a C-ordered array");
  CHECK(header("{'shape': (2, -3)}") == "a.npy: bad NPY header at byte 24: expected an extent");
  CHECK(header("{}") == "a.npy: bad NPY header at byte 12: descr, fortran_order or shape is missing");
  CHECK(header("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}") ==
        "a.npy: the extents [4294967296,4294967296] overflow");
  const std::string good = npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\1\0"s);
  CHECK(read(good) == "no error");
  CHECK(read(good + "x") == fmt::format("a.npy: trailing bytes: the data ends at byte {}", good.size()));
  CHECK(read(good.substr(0, good.size() - 1)) ==
        fmt::format("a.npy: truncated at byte {}: 1 more bytes expected for the elements of bool[2]", good.size() - 1));
  std::string two = good;
  two.back() = 2;
  CHECK(read(two) == fmt::format("a.npy: byte {} is no bool", good.size() - 1));
}

TEST_CASE("mutated files give a tensor or an Error, nothing else") {
  const Folder folder;
  std::mt19937 random(3);
  const std::string good = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}", "12345678");
  for (int i = 0; i < 4000; ++i) {
    std::string text = good;
    for (unsigned k = 0; k <= random() % 3; ++k) text[random() % text.size()] = static_cast<char>(random());
    try {
      read_npy(put(folder / "f", text));
    } catch (const Error&) {
    }
  }
}
