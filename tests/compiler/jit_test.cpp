// The door of the native room: listings, several entries, and code that lives as long as somebody holds it.
#include <doctest/doctest.h>

#include "tests/compiler/native.h"
#include "tests/system.h"

using namespace tenon;
using namespace tenon::native;

namespace {

KernelList adds(const std::string& entry, double number, int kernels) {
  Sketch s;
  s.list.entry = entry;
  BufferId x = s.buffer(Storage::input, f32, {100}), y = s.buffer(Storage::output, f32, {100});
  for (int k = 0; k < kernels; ++k)
    s.kernel(
        {}, {{.axes = {{0, 100}}, .value = s.at(k ? y : x, {i()}) + Scalar::number(f32, number), .buffer = y, .index = {i()}}});
  return s.list;
}

}  // namespace

TEST_CASE("an entry may have the name of another's kernel or of a library's function") {
  std::vector<KernelList> lists{adds("f", 1, 1), adds("f.0", 2, 1), adds("memset", 3, 1)};
  NativeCode code = linked(lists, Target::host());
  for (size_t e = 0; e < 3; ++e) {
    Memory memory = fill(lists[e], 1, [](BufferId, int64_t) { return 5.0; });
    NativeCode one{code.handle, {code.entries[e]}};
    run(lists[e], one, 1, 1, true, memory);
    CHECK(load_number(memory.bytes[1].data(), f32, 99).real == 6.0 + static_cast<double>(e));
  }
}

TEST_CASE("several entries of several modules") {
  std::vector<KernelList> lists{adds("init", 1, 1), adds("train", 2, 11), adds("nothing", 0, 0)};
  const Compilation made = machine_code(lists, Target::host());
  NativeCode code = linked(made);
  REQUIRE(code.entries.size() == 3);
  CHECK(made.calls.made.size() == 3);  // y = x + 1, y = x + 2, y = y + 2
  for (size_t e = 0; e < 3; ++e) {
    Memory memory = fill(lists[e], 1, [](BufferId, int64_t) { return 5.0; });
    NativeCode one{code.handle, {code.entries[e]}};
    run(lists[e], one, 1, 1, true, memory);
    CHECK(load_number(memory.bytes[1].data(), f32, 99).real == (e == 0 ? 6 : e == 1 ? 27 : 5));
  }
}

TEST_CASE("code is the same on one thread if no other can be started") {
  std::vector<KernelList> lists{adds("init", 1, 1), adds("train", 2, 11), adds("nothing", 0, 0)};
  const NativeOptions listings{.llvm = true, .assembly = true};
  const Compilation plain = machine_code(lists, Target::host(), listings);
  const test::Setting none(test::machine.threads, 0);
  const test::Setting refused(test::seen.refused_threads, 0);
  const Compilation made = machine_code(lists, Target::host(), listings);
  CHECK(test::seen.refused_threads > 0);
  CHECK(made.calls.made.size() == 3);
  CHECK(made.code.assembly == plain.code.assembly);
  NativeCode code = linked(made);
  KernelList& train = lists[1];
  Memory memory = fill(train, 1, [](BufferId, int64_t) { return 5.0; });
  NativeCode one{code.handle, {code.entries[1]}};
  run(train, one, 1, 1, true, memory);
  CHECK(load_number(memory.bytes[1].data(), f32, 99).real == 27);
}

TEST_CASE("listings are kept when asked for") {
  const Compilation plain = machine_code({adds("train", 1, 1)}, Target::host());
  CHECK(plain.code.llvm[0].empty());
  CHECK(plain.code.assembly[0].empty());
  const Compilation made = machine_code({adds("train", 1, 1)}, Target::host(), {.llvm = true, .assembly = true});
  CHECK(made.code.llvm[0].find("<16 x float>") != std::string::npos);
  CHECK(made.code.llvm[0].find("fast") == std::string::npos);
  CHECK(made.code.assembly[0].find(Target::host().isa == Isa::sse2 ? "addps" : "vaddps") != std::string::npos);
}

TEST_CASE("the code lives as long as its handle") {
  std::shared_ptr<const void> handle;
  NativeCode code = linked({adds("train", 1, 1)}, Target::host());
  handle = code.handle;
  code.handle.reset();
  KernelList list = adds("train", 1, 1);
  Memory memory = fill(list, 1, [](BufferId, int64_t) { return 5.0; });
  run(list, code, 1, 1, true, memory);
  CHECK(load_number(memory.bytes[1].data(), f32, 0).real == 6);
  CHECK(handle.use_count() == 1);
}
