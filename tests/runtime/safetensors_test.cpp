#include "runtime/safetensors.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/runtime/folder.h"

using namespace tenon;
using namespace tenon::test;
using namespace std::string_literals;

namespace {
std::string file(const std::string& header, const std::string& data) {
  std::string size;
  for (int i = 0; i < 8; ++i) size += static_cast<char>(header.size() >> 8 * i);
  return size + header + data;
}

SafeTensors parse(const std::string& text) { return parse_safetensors(std::as_bytes(std::span(text)), "m"); }
std::string parse_message(const std::string& text) {
  return message([&] { parse(text); });
}
std::string header_message(const std::string& header, const std::string& data = "") {
  return parse_message(file(header, data));
}

const std::string good_header = R"({"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                R"( "y":{"data_offsets":[4,6],"shape":[2,1],"dtype":"BOOL"}})";
const std::string good = file(good_header, "\0\0\x80\x3f\1\0"s);
}  // namespace

TEST_CASE("a file by another program is read") {
  const SafeTensors s = parse(good);
  CHECK(s.metadata == std::map<std::string, std::string>{{"a", "b"}});
  REQUIRE(s.tensors.size() == 2);
  CHECK(s.find("x")->same_bits(Tensor::of<float>({1}, {1})));
  CHECK(s.find("y")->same_bits(Tensor::of<bool>({2, 1}, {true, false})));
  CHECK(s.find("z") == nullptr);
  CHECK(parse(file("{}", "")).tensors.empty());
  CHECK(parse(file(R"( { "\u00e9\ud83d\ude00\n" : {"dtype":"U8","shape":[],"data_offsets":[0,1]} } )", "a")).tensors[0].first ==
        "é😀\n");
}

TEST_CASE("what is written is read back, aligned") {
  const Folder folder;
  SafeTensors s;
  s.metadata = {{"quote \" and \\", "line\nbreak"}, {"é", ""}};
  std::mt19937 random(1);
  for (DType dtype : {u8, f32, bf16, i64, f16, f64, i32}) {
    Tensor t(dtype, {3, 1, 5});
    for (int64_t i = 0; i < t.byte_count(); ++i) t.writable_data()[i] = static_cast<std::byte>(random());
    s.tensors.emplace_back(fmt::format("layer.{}/W", name(dtype)), t);
  }
  s.tensors.emplace_back("flag", Tensor::of<bool>({2}, {true, false}));
  s.tensors.emplace_back("nothing", Tensor(f32, {0, 3}));
  write_safetensors(folder / "m", s);
  const SafeTensors back = read_safetensors(folder / "m");
  CHECK(back.metadata == s.metadata);
  CHECK(back.tensors.size() == s.tensors.size());
  for (const auto& [key, tensor] : s.tensors) {
    REQUIRE(back.find(key));
    CHECK(back.find(key)->same_bits(tensor));
  }
  CHECK(static_cast<unsigned char>(contents(folder / "m")[0]) % 8 == 0);
  s.tensors.emplace_back("flag", Tensor(u8, {1}));
  CHECK(message(folder, [&] { write_safetensors(folder / "m", s); }) == "m: two tensors are called flag");
}

TEST_CASE("a bad header is an error with the offset and the reason") {
  const std::string bad = "m: bad safetensors header at byte ";
  CHECK(header_message("") == bad + "8: expected '{'");
  CHECK(header_message("{") == bad + "9: expected '\"'");
  CHECK(header_message("{} x") == bad + "11: expected the end of the header");
  CHECK(header_message("{\"a") == bad + "11: the string is never closed");
  CHECK(header_message("{\"a\\x\"") == bad + "13: unknown escape");
  CHECK(header_message(R"({"\ud800x")") == bad + "16: half a surrogate pair");
  CHECK(header_message("{\"a\n\":") == bad + "12: a control character in a string");
  CHECK(header_message(R"({"__metadata__":{"a":"b","a":"c"}})") == bad + "36: key \"a\" is given twice");
  CHECK(header_message(R"({"__metadata__":{"a":1}})") == bad + "29: expected '\"'");
  CHECK(header_message(R"({"x":{"dtype":"F8"}})") == bad + "26: dtype F8, supported are F64 F32 I64 I32 U8 BOOL F16 BF16");
  CHECK(header_message(R"({"x":{"shape":[-1]}})") == bad + "23: expected a non-negative integer");
  CHECK(header_message(R"({"x":{"shape":[01]}})") == bad + "25: expected a non-negative integer");
  CHECK(header_message(R"({"x":{"shape":[99999999999999999999]}})") == bad + "41: the number overflows 63 bits");
  CHECK(header_message(R"({"x":{"data_offsets":[0]}})") == bad + "32: data_offsets are not [begin, end]");
  CHECK(header_message(R"({"x":{"data_offsets":[4,0]}})") == bad + "34: data_offsets are not [begin, end]");
  CHECK(header_message(R"({"x":{"colour":1}})") == bad + "23: unknown key \"colour\"");
  CHECK(header_message(R"({"x":{"dtype":"U8","shape":[]}})") == bad + "38: dtype, shape or data_offsets of \"x\" is missing");
  CHECK(header_message(R"({"x":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,8]}})") ==
        bad + "81: the shape of \"x\" overflows");
  CHECK(header_message(R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "12345678") ==
        bad + "61: \"x\" is f32[3] of 12 bytes, but its range has 8");
  const std::string x = R"({"dtype":"U8","shape":[2],"data_offsets":)";
  CHECK(header_message("{\"x\":" + x + "[0,2]},\"x\":" + x + "[2,4]}}", "abcd") == bad + "64: key \"x\" is given twice");
}

TEST_CASE("ranges must tile the data") {
  const std::string x = R"({"dtype":"U8","shape":[2],"data_offsets":)";
  auto two = [&](const char* a, const char* b, const char* data) {
    return parse_message(file("{\"x\":" + x + a + "},\"y\":" + x + b + "}}", data));
  };
  const std::string bad = "m: bad safetensors file at byte ";
  CHECK(two("[2,4]", "[0,2]", "abcd") == "no error");
  CHECK(two("[0,2]", "[1,3]", "abc") == bad + "114: \"y\" begins at 1 of the data, overlapping what ends at 2");
  CHECK(two("[0,2]", "[0,2]", "ab") == bad + "113: \"y\" begins at 0 of the data, overlapping what ends at 2");
  CHECK(two("[0,2]", "[3,5]", "abcde") == bad + "115: \"y\" begins at 3 of the data, after a gap from 2");
  CHECK(two("[0,2]", "[2,4]", "abc") == bad + "116: truncated: \"y\" ends at 4 of the data, which has 3 bytes");
  CHECK(two("[0,2]", "[2,4]", "abcde") == bad + "117: 1 trailing bytes");
}

TEST_CASE("bad sizes are errors before anything is allocated") {
  CHECK(parse_message("1234567") == "m: bad safetensors file at byte 7: truncated: the size of the header is missing");
  CHECK(parse_message("\xff\xff\xff\xff\xff\xff\xff\xff{}"s) ==
        "m: bad safetensors file at byte 0: the header has 18446744073709551615 bytes, but the file 2 and "
        "the limit is "
        "100000000");
  CHECK(parse_message("\3\0\0\0\0\0\0\0{}"s) ==
        "m: bad safetensors file at byte 0: the header has 3 bytes, but the file 2 and the limit is 100000000");
  std::string two = good;
  two.back() = 2;
  CHECK(parse_message(two) == fmt::format("m: bad safetensors file at byte {}: the byte is no BOOL", good.size() - 1));
}

TEST_CASE("20,000 mutated files give tensors or an Error, nothing else") {
  std::mt19937 random(11);
  const std::string alphabet = "{}[]\",:\\0149xF3U8 ";
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = good;
    for (unsigned k = 0; k <= random() % 4; ++k) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text[at] = alphabet[random() % alphabet.size()]; break;
        case 2: text.erase(at, random() % 3); break;
        case 3: text.insert(at, text, random() % text.size(), random() % 20); break;
      }
    }
    try {
      parse(text);
      ++accepted;
    } catch (const Error&) {
    }
  }
  CHECK(accepted > 20);
  CHECK(accepted < 10000);
}
