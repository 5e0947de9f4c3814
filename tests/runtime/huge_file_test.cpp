// Files of 4 TiB that take no room on the disk, and files that fit the disk but not the memory: every reader
// says so, before it asks for that much.
#include <doctest/doctest.h>

#include "runtime/checkpoint.h"
#include "runtime/data/csv.h"
#include "runtime/data/idx.h"
#include "runtime/data/mnist.h"
#include "runtime/data/npy.h"
#include "runtime/file.h"
#include "runtime/safetensors.h"
#include "tests/runtime/folder.h"
#include "tests/system.h"

using namespace tenon;
using namespace tenon::test;
using namespace std::string_literals;

namespace {
constexpr int64_t size = int64_t{1} << 42, ram = 64 << 20;

// A file of `size` bytes that begins with `head`.
std::filesystem::path put_sparse(const std::filesystem::path& path, const std::string& head) {
  put(path, head);
  std::filesystem::resize_file(path, size);
  return path;
}

std::string little_endian(int64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i);
  return text;
}

std::string npy_head(const std::string& shape) {
  const std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + "}";
  return "\x93NUMPY\1\0"s + little_endian(static_cast<int64_t>(header.size()), 2) + header;
}

std::string safetensors_head(const std::string& begin, int64_t bytes) {
  const std::string header =
      fmt::format(R"({{{}"W":{{"dtype":"U8","shape":[{}],"data_offsets":[0,{}]}}}})", begin, bytes, bytes);
  return little_endian(static_cast<int64_t>(header.size()), 8) + header;
}

void load_weights(const std::filesystem::path& path) {
  const Program program = linear_program();
  Session session(program);
  load(session, path);
}

// What the reader says of such a file, on a machine with 64 MiB; it never asks for 2 MiB.
std::string refusal(const Folder& folder, const std::function<void(const std::filesystem::path&)>& read,
                    const std::string& head) {
  const Setting small(machine.memory, ram);
  const Setting refused(machine.largest_block, ram);  // so that a fault here does not fill the machine
  const Setting most(seen.largest, int64_t{0});
  const std::filesystem::path path = put_sparse(folder / "f", head);
  const std::string text = message(folder, [&] { read(path); });
  CHECK(seen.largest < 2 << 20);
  return text;
}
}  // namespace

TEST_CASE("4 TiB of zeros are in no format") {
  const Folder folder;
  CHECK(refusal(folder, read_idx, "") ==
        "f: not IDX: it begins with 00 00 00 00, expected 00 00, a type (08, 09, 0b to 0e) and the rank");
  CHECK(refusal(folder, read_npy, "") == "f: not NPY 1.0, 2.0 or 3.0 at byte 0");
  CHECK(refusal(
            folder, [](auto& path) { read_csv(path); }, "") == "f:1:1: a zero byte, which no text has");
  CHECK(refusal(
            folder, [](auto& path) { read_csv(path, {.skip = 1}); }, "") == "f:1:1: a zero byte, which no text has");
  CHECK(refusal(
            folder, [](auto& path) { read_csv(path); }, "1,2\n3,\"4") == "f:2:5: a zero byte, which no text has");
  CHECK(refusal(folder, read_safetensors, "") == "f: bad safetensors header at byte 8: expected '{'");
  CHECK(refusal(folder, load_weights, "") == "f: bad safetensors header at byte 8: expected '{'");
  CHECK(refusal(folder, read_file, "") ==
        "f: cannot be read: 4398046511104 bytes of memory for all of the file, where at most 67108864 can be "
        "had");
}

TEST_CASE("contents that fit 4 TiB on the disk do not fit the memory") {
  const Folder folder;
  const std::string but = ", where at most 67108864 can be had";
  const std::string idx_extents = "\0\0\x04\0\x3f\xff\xff\xff"s;  // 1,024 times 1,073,741,823
  CHECK(refusal(folder, read_idx, "\0\0\x0c\2"s + idx_extents) ==
        "f: cannot be read: 4398046507008 bytes of memory for the elements of i32[1024,1073741823]" + but);
  // A byte or two in the file, four in memory.
  CHECK(refusal(folder, read_idx, "\0\0\x09\2"s + idx_extents) ==
        "f: cannot be read: 4398046507008 bytes of memory for the elements of i32[1024,1073741823]" + but);
  CHECK(refusal(folder, read_idx, "\0\0\x0b\2"s + idx_extents) ==
        "f: cannot be read: 4398046507008 bytes of memory for the elements of i32[1024,1073741823]" + but);
  CHECK(refusal(folder, read_npy, npy_head("(4, 1000000000000)")) ==
        "f: cannot be read: 4000000000000 bytes of memory for the elements of u8[4,1000000000000]" + but);
  CHECK(refusal(folder, read_npy, "\x93NUMPY\2\0\xff\xff\xff\xff"s) ==
        "f: bad NPY header at byte 8: it has 4294967295 bytes, the limit is 1048576");
  const int64_t bytes = size - 85;  // what the head leaves
  CHECK(refusal(folder, read_safetensors, safetensors_head("", bytes)) ==
        "f: cannot be read: 4398046511019 bytes of memory for the tensors" + but);
  CHECK(refusal(folder, load_weights, safetensors_head("", bytes)) ==
        "f: cannot be read: 4398046511019 bytes of memory for the tensors" + but);
  CHECK(refusal(folder, read_safetensors, safetensors_head("", 10)) ==
        "f: bad safetensors file at byte 73: 4398046511031 trailing bytes");
  put_sparse(folder / "train-images-idx3-ubyte", "\0\0\x08\3\0\0\x04\0\0\0\x04\0\0\x3f\xff\xff"s);
  const Setting refused(machine.largest_block, ram);
  CHECK(message(folder, [&] { load_mnist(folder.path()); }).starts_with("train-images-idx3-ubyte: cannot be read: 439"));
}

TEST_CASE("a table that outgrows the memory is an error before it does") {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "1,2\n";
  put_gzip(folder / "t.gz", text);
  const Setting small(machine.memory, int64_t{1} << 20);
  CHECK(message(folder, [&] { read_csv(folder / "t.gz"); }) ==
        "t.gz: cannot be read: 2097152 bytes of memory for the table up to line 65537, where at most 1048576 "
        "can be had");
  put_gzip(folder / "t.gz", "1,2\n3," + std::string(1 << 20, '0') + "\n");
  CHECK(message(folder, [&] { read_csv(folder / "t.gz"); }) == "no error");
  put_gzip(folder / "t.gz", "1,2\n3," + std::string((1 << 20) + 1, '0') + "\n");
  CHECK(message(folder, [&] { read_csv(folder / "t.gz"); }) == "t.gz:2:3: the field has more than 1048576 bytes");
}

TEST_CASE("a refused allocation is an error that names the file, whoever asked for it") {
  const Folder folder;
  auto read = [&](const auto& reader, const std::string& text) {
    put(folder / "f", text);
    const Setting small(machine.largest_block, int64_t{20'000});
    return message(folder, [&] { reader(folder / "f"); });
  };
  auto no_more = [](size_t bytes) { return fmt::format("f: cannot be read: there is no more memory for its {} bytes", bytes); };
  const std::string zeros(50'000, '\0');
  CHECK(read(read_idx, "\0\0\x08\1\0\0\xc3\x50"s + zeros) == no_more(50'008));
  CHECK(read(read_npy, npy_head("(50000,)") + zeros) == no_more(npy_head("(50000,)").size() + 50'000));
  const std::string blanks = "\x93NUMPY\1\0"s + little_endian(50'000, 2) + std::string(50'000, ' ');
  CHECK(read(read_npy, blanks) == no_more(50'010));
  std::string names = "a";
  for (int i = 0; i < 5'000; ++i) names += ",a";
  CHECK(read([](const auto& path) { read_csv(path, {.header = true}); }, names + "\n") == no_more(10'002));
  const std::string padding(50'000, ' ');
  for (const std::string& text : {safetensors_head(padding, 10), safetensors_head("", 50'000) + zeros}) {
    CHECK(read(read_safetensors, text) == no_more(text.size()));
    CHECK(read(load_weights, text) == no_more(text.size()));
  }
  CHECK(read(read_file, zeros) == no_more(50'000));
  // Large tensors come from the kernel.
  const std::string large = "\0\0\x08\1\0\x20\0\0"s + std::string(2 << 20, '\0');
  CHECK(read(read_idx, large) == "f: cannot be read: 2097152 bytes of memory cannot be had: Cannot allocate memory");
}

TEST_CASE("the memory that can be had is that of the machine or of the container") {
  const Folder folder;
  const Setting small(machine.memory, ram);
  CHECK(memory_bytes(folder.path()) == ram);
  put(folder / "memory.max", "max\n");
  CHECK(memory_bytes(folder.path()) == ram);
  put(folder / "memory.max", "1048576\n");
  CHECK(memory_bytes(folder.path()) == 1048576);
  std::filesystem::create_directory(folder / "memory");
  put(folder / "memory/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(memory_bytes(folder.path()) == 1048576);
  put(folder / "memory/memory.limit_in_bytes", "4096\n");
  CHECK(memory_bytes(folder.path()) == 4096);
  CHECK(message([] { require_memory(ram, "it"); }) == "no error");
  CHECK(message([] { require_memory(ram + 1, "it"); }) == "67108865 bytes of memory for it, where at most 67108864 can be had");
}
