#include "runtime/checkpoint.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "runtime/safetensors.h"
#include "tests/runtime/folder.h"

using namespace tenon;
using namespace tenon::test;
using namespace std::string_literals;

namespace {
Batches data() {
  Tensor x(u8, {37, 3}), label(u8, {37});
  for (size_t i = 0; i < 111; ++i) x.write<uint8_t>()[i] = static_cast<uint8_t>(i * 31);
  for (size_t i = 0; i < 37; ++i) label.write<uint8_t>()[i] = static_cast<uint8_t>(i % 10);
  return Batches(x, label, 8, 3);
}

void train(Session& session, Batches& batches, int steps) {
  while (steps > 0)
    if (batches.next()) {
      session.run("train", {{"x", batches[0]}, {"label", batches[1]}, {"rate", 0.001}});
      --steps;
    }
}

// CRC-32 of a checkpoint with W, seed and step, spelled out.
std::string checksum(const SafeTensors& file) {
  std::string text;
  for (const char* key : {"epoch", "format", "graph", "row"}) text += key + "\0"s + file.metadata.at(key) + "\0"s;
  for (const char* name : {"W", "seed", "step"})
    if (const Tensor* state = file.find(name))
      text += name + "\0"s + state->str() + "\0"s +
              std::string(reinterpret_cast<const char*>(state->data()), static_cast<size_t>(state->byte_count()));
  const auto* bytes = reinterpret_cast<const Bytef*>(text.data());
  return fmt::format("crc32:{:08x}", crc32(0, bytes, static_cast<uInt>(text.size())));
}
}  // namespace

TEST_CASE("a loaded session goes on exactly where the saved one was") {
  const Folder folder;
  const Program program = linear_program();
  Session whole(program);
  whole.init(1);
  Batches all = data();
  train(whole, all, 23);
  for (int first : {0, 3, 5, 11}) {
    Session begun(program);
    begun.init(1);
    Batches batches = data();
    train(begun, batches, first);
    save(begun, folder / "c.safetensors", batches.position());

    Session resumed(program);
    Batches again = data();
    const Resumed at = load(resumed, folder / "c.safetensors");
    CHECK(at.position == batches.position());
    CHECK(at.same_graph);
    again.seek(at.position);
    CHECK(resumed.read("step").number() == first);
    train(resumed, again, 23 - first);
    for (const char* state : {"W", "seed", "step"}) CHECK(resumed.read(state).same_bits(whole.read(state)));
    CHECK(again.position() == all.position());
  }
  CHECK(folder.files() == 1);
}

TEST_CASE("a checkpoint of another model is refused, every difference named, and changes nothing") {
  const Folder folder;
  const Program program = linear_program();
  Session session(program);
  CHECK(message(folder, [&] { save(session, folder / "c"); }) == "c: nothing to save: the states have no values yet");
  session.init(1);
  save(session, folder / "c", {2, 8});
  Program other = linear_program();
  other.states[0].type = {f32, {4}};
  other.states.push_back(state("b", {f32, {}}, true));
  other.states.erase(other.states.begin() + 1);
  for (ProgramEntry& entry : other.entries) entry.function = [](const Frame*) {};
  Session wrong(other);
  wrong.init(0);
  wrong.write("b", Tensor::scalar(5.0f));
  CHECK(message(folder, [&] { load(wrong, folder / "c"); }) ==
        "c: a checkpoint of another model: W is f32[3] in the file, f32[4] here; b: f32[] is missing in the "
        "file; "
        "seed: i64[] is no state here");
  CHECK(wrong.read("b").number() == 5);

  Program changed = linear_program();
  changed.graph_hash = "ffff";
  Session similar(changed);
  const Resumed resumed = load(similar, folder / "c");
  CHECK(!resumed.same_graph);
  CHECK(resumed.position == Position{2, 8});
}

TEST_CASE("weights of other origin are taken if names and types fit") {
  const Folder folder;
  SafeTensors file;
  file.tensors = {
      {"step", Tensor::scalar<int64_t>(4)}, {"W", Tensor::of<float>({3}, {1, 2, 3})}, {"seed", Tensor::scalar<int64_t>(9)}};
  write_safetensors(folder / "w", file);
  const Program program = linear_program();
  Session session(program);
  CHECK(load(session, folder / "w").position == Position{});
  CHECK(session.read("W").at(2) == 3);
  CHECK(session.read("step").number() == 4);
}

TEST_CASE("the checksum covers the metadata and the name, type, shape and bytes of every state") {
  const Folder folder;
  Program program = linear_program();
  program.states[0].type = {f32, {2, 6}};
  Session session(program);
  session.init(1);
  save(session, folder / "c", {3, 16});
  const SafeTensors good = read_safetensors(folder / "c");
  const std::string sum = good.metadata.at("checksum");
  CHECK(sum == checksum(good));

  // What loading says of the file once it is changed.
  auto changed = [&](const std::function<void(SafeTensors&)>& change) {
    SafeTensors file = good;
    change(file);
    write_safetensors(folder / "bad", file);
    CHECK(message(folder, [&] { load(session, folder / "bad"); }) ==
          fmt::format("bad: damaged: its checksum is {}, but it says \"{}\"", checksum(file), sum));
    CHECK(checksum(file) != sum);
  };
  auto state = [](SafeTensors& file, std::string_view name) -> Tensor& {
    return std::ranges::find(file.tensors, name, [](const auto& entry) { return entry.first; })->second;
  };
  changed([&](SafeTensors& f) { state(f, "W") = state(f, "W").reshaped({6, 2}); });
  changed([&](SafeTensors& f) { state(f, "W") = state(f, "W").reshaped({12}); });
  changed([&](SafeTensors& f) { state(f, "seed") = state(f, "seed").reshaped({1}); });
  changed([&](SafeTensors& f) {
    const Tensor w = state(f, "W");
    state(f, "W") = Tensor::view(i32, w.extents(), const_cast<std::byte*>(w.data()), std::make_shared<Tensor>(w));
  });
  changed([&](SafeTensors& f) { (state(f, "step") = state(f, "step").clone()).write<int64_t>()[0] = 5; });
  changed([&](SafeTensors& f) { std::swap(state(f, "seed"), state(f, "step")); });
  changed([&](SafeTensors& f) { std::erase_if(f.tensors, [](const auto& t) { return t.first == "seed"; }); });
  for (const char* key : {"epoch", "format", "graph", "row"}) changed([&](SafeTensors& f) { f.metadata[key] += "1"; });
  // A digit of a shape and a letter of a type, in the file itself.
  for (const auto& [from, to] : {std::pair("[2,6]", "[6,2]"), std::pair("F32", "I32")}) {
    std::string bytes = contents(folder / "c");
    bytes.replace(bytes.find(from), std::strlen(to), to);
    put(folder / "bad", bytes);
    CHECK(message(folder, [&] { load(session, folder / "bad"); }) ==
          fmt::format("bad: damaged: its checksum is {}, but it says \"{}\"", checksum(read_safetensors(folder / "bad")), sum));
  }
}

TEST_CASE("any flipped bit is found, and a session that fails to load is as it was") {
  const Folder folder;
  const Program program = linear_program();
  Session session(program);
  session.init(1);
  save(session, folder / "c", {1, 16});
  const std::string good = contents(folder / "c");
  session.init(77);
  for (size_t i = 0; i < good.size() * 8; ++i) {
    std::string bad = good;
    bad[i / 8] = static_cast<char>(bad[i / 8] ^ 1 << i % 8);
    put(folder / "bad", bad);
    std::string error = message([&] { load(session, folder / "bad"); });
    // A blank of the header's padding may become another blank.
    if (error == "no error")
      CHECK((good[i / 8] == ' ' && std::string("\t\n\r").find(bad[i / 8]) != std::string::npos));
    else
      REQUIRE(session.read("seed").number() == 77);
    if (error == "no error") session.init(77);
  }
  for (size_t size = 0; size < good.size(); ++size) {
    put(folder / "bad", good.substr(0, size));
    REQUIRE(message([&] { load(session, folder / "bad"); }) != "no error");
  }
  CHECK(message(folder, [&] { load(session, folder / "none"); }) == "none: cannot be read: No such file or directory");
  CHECK(message(folder, [&] { save(session, folder / "no/c"); }) == "no/c: cannot be written: No such file or directory");
}
