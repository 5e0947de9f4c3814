// Compiled code on disk: found again, never wrong, whatever lies in the folder.
#include <doctest/doctest.h>

#include <thread>

#include "compiler/native/cache.h"
#include "compiler/tenon.h"
#include "tests/runtime/folder.h"
#include "tests/system.h"

using namespace tenon;
using test::Folder;

namespace {

Graph model() {
  Graph graph;
  Value x = graph.input("x", f32, {8, 20}), label = graph.input("label", i32, {8});
  Value z = dense(graph, relu(dense(graph, x, 30)), 5);
  Value loss = mean(softmax_cross_entropy(z, label));
  graph.entry("train", {{"loss", loss}}, minimize(loss, adam(1e-2)));
  return graph;
}

// The bytes of all states after three steps.
std::vector<std::byte> trained(const Program& program) {
  Session session(program);
  session.init(5);
  Tensor x(f32, {8, 20}), label(i32, {8});
  float next = 0;
  for (float& value : x.write<float>()) value = std::sin(next += 1);
  for (int step = 0; step < 3; ++step) session.run("train", {{"x", x}, {"label", label}});
  std::vector<std::byte> bytes;
  for (const StateBinding& state : program.states) {
    Tensor value = session.read(state.name);
    bytes.insert(bytes.end(), value.data(), value.data() + value.byte_count());
  }
  return bytes;
}

bool says(const Program& program, const std::string& what) { return program.summary().find(what) != std::string::npos; }

Program compile_in(const Folder& folder, CompileOptions options = {}) {
  options.cache = folder.path().string();
  return compile(model(), options);
}

std::filesystem::path only_file(const Folder& folder) {
  REQUIRE(folder.files() == 1);
  return *std::filesystem::directory_iterator(folder.path());
}

}  // namespace

TEST_CASE("code from the cache gives the bits of code just compiled") {
  Folder folder;
  const Program plain = compile(model()), cold = compile_in(folder), warm = compile_in(folder);
  CHECK(!says(plain, "cache"));
  CHECK(says(cold, "the code was added to the cache"));
  CHECK(says(warm, "the code was found in the cache"));
  CHECK(trained(cold) == trained(plain));
  CHECK(trained(warm) == trained(plain));
}

TEST_CASE("the environment names the folder where the options do not") {
  Folder folder;
  setenv("TENON_CACHE", folder.path().c_str(), 1);
  const Program cold = compile(model()), warm = compile(model());
  unsetenv("TENON_CACHE");
  CHECK(says(cold, "added to the cache"));
  CHECK(says(warm, "found in the cache"));
  CHECK(!says(compile(model()), "cache"));
}

TEST_CASE("a cache filled for one instruction set is not used for another") {
  Folder folder;
  for (Isa isa : {Isa::sse2, Isa::avx2, Isa::avx512}) {
    if (Target::host().isa < isa) continue;
    const Program cold = compile_in(folder, {.target = Target::host(isa)}),
                  warm = compile_in(folder, {.target = Target::host(isa)});
    CHECK(says(cold, "added to the cache"));
    CHECK(says(warm, "found in the cache"));
    CHECK(trained(warm) == trained(cold));
  }
  CHECK(folder.files() == static_cast<int>(Target::host().isa) + 1);
}

TEST_CASE("a file that is damaged anywhere, cut or longer is not read") {
  Folder folder;
  const std::vector<std::string> parts{"an object", std::string("\0\1\2", 3), "", std::string(300, 'x')};
  store_code(folder.path(), "the key", parts);
  const std::filesystem::path path = only_file(folder);
  const std::string good = test::contents(path);
  CHECK(load_code(folder.path(), "the key") == parts);
  for (size_t i = 0; i < good.size(); ++i)
    for (int bit : {0, 7}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      test::put(path, bad);
      CHECK_MESSAGE(!load_code(folder.path(), "the key"), "byte " << i);
    }
  for (size_t size = 0; size < good.size(); ++size) {
    test::put(path, good.substr(0, size));
    CHECK_MESSAGE(!load_code(folder.path(), "the key"), size << " bytes");
  }
  test::put(path, good + "x");
  CHECK(!load_code(folder.path(), "the key"));
  test::put(path, good);
  CHECK(load_code(folder.path(), "the key") == parts);
}

TEST_CASE("a file under the name of another key is not read, whatever the two have in common") {
  Folder folder;
  const std::string key = "the key";
  for (const std::string other : {"another", "the kez", "The key", "the ke", "the key2", ""}) {
    store_code(folder.path(), key, std::vector<std::string>{"an object"});
    std::filesystem::rename(cache_file(folder.path(), key), cache_file(folder.path(), other));
    CHECK_MESSAGE(!load_code(folder.path(), other), other);
    CHECK_MESSAGE(!load_code(folder.path(), key), other);
  }
}

TEST_CASE("a file of 4 TiB is not read, and is written anew") {
  Folder folder;
  const std::vector<std::string> parts{"an object"};
  store_code(folder.path(), "the key", parts);
  std::filesystem::resize_file(only_file(folder), int64_t{1} << 42);
  {
    const test::Setting small(test::machine.memory, int64_t{64 << 20});
    const test::Setting refused(test::machine.largest_block, int64_t{64 << 20});
    const test::Setting largest(test::seen.largest, int64_t{0});
    CHECK(!load_code(folder.path(), "the key"));
    CHECK(test::seen.largest < 1 << 20);
  }
  store_code(folder.path(), "the key", parts);
  CHECK(load_code(folder.path(), "the key") == parts);
}

TEST_CASE("a damaged file is written anew") {
  Folder folder;
  const std::vector<std::byte> bits = trained(compile_in(folder));
  const std::filesystem::path path = only_file(folder);
  std::string bytes = test::contents(path);
  bytes[bytes.size() / 2] ^= 1;
  test::put(path, bytes);
  const Program again = compile_in(folder);
  CHECK(says(again, "added to the cache"));
  CHECK(trained(again) == bits);
  CHECK(says(compile_in(folder), "found in the cache"));
}

TEST_CASE("compilations that share a folder at the same time leave one whole file") {
  Folder folder;
  const std::vector<std::byte> bits = trained(compile(model()));
  std::vector<std::vector<std::byte>> results(4);
  std::vector<std::thread> team;
  for (auto& result : results) team.emplace_back([&] { result = trained(compile_in(folder)); });
  for (std::thread& thread : team) thread.join();
  for (const auto& result : results) CHECK(result == bits);
  only_file(folder);
  CHECK(says(compile_in(folder), "found in the cache"));
}

TEST_CASE("a folder that cannot be written is no error, and is named") {
  Folder folder;
  const std::filesystem::path file = test::put(folder / "file", "x");
  const Program program = compile(model(), {.cache = (file / "folder").string()});
  CHECK(says(program, "not added to the cache: "));
  CHECK(says(program, "folder"));
  CHECK(trained(program) == trained(compile(model())));
}

TEST_CASE("native listings are of code that is compiled") {
  Folder folder;
  compile_in(folder);
  const Program listed = compile_in(folder, {.native_listings = true});
  CHECK(!listed.listing(Stage::assembly).empty());
  CHECK(!says(listed, "cache"));
}

// The last one: ctest finds a test by its file.
TEST_CASE("another program, and the same one at other places in its source, are told apart by what they compute") {
  Folder folder;
  compile_in(folder);
  Graph graph;
  Value x = graph.input("x", f32, {8});
  graph.entry("f", {{"y", x + 1}});
  CHECK(says(compile(graph, {.cache = folder.path().string()}), "added"));
  Graph renamed;
#line 7000 "elsewhere.cpp"
  Value other = renamed.input("other", f32, {8});
  renamed.entry("f", {{"z", other + 1}});
  CHECK(says(compile(renamed, {.cache = folder.path().string()}), "found"));
}
