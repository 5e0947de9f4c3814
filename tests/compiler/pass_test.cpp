// What the environment shows: the ladder TENON_DEBUG=1 to 5, the files of TENON_DUMP, TENON_SKIP, and the
// dump that a broken invariant leaves. The list of passes keeps the orders that its second table states.
#include "compiler/pass.h"

#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <regex>

#include "compiler/kernel/group.h"
#include "tests/message.h"
#include "tests/runtime/folder.h"

using namespace tenon;
using namespace tenon::test;

namespace {

// Environment variables for the length of a scope.
struct Environment {
  std::vector<std::pair<const char*, std::optional<std::string>>> before;
  Environment(std::initializer_list<std::pair<const char*, std::string>> variables) {
    for (const auto& [name, value] : variables) {
      const char* old = std::getenv(name);
      before.emplace_back(name, old ? std::optional<std::string>(old) : std::nullopt);
      setenv(name, value.c_str(), 1);
    }
  }
  ~Environment() {
    for (const auto& [name, value] : before) value ? setenv(name, value->c_str(), 1) : unsetenv(name);
  }
};

// What an action writes to stderr.
std::string errors_of(const std::function<void()>& action) {
  const Folder folder;
  const std::string path = (folder / "stderr").string();
  std::fflush(stderr);
  const int saved = dup(2);
  FILE* file = std::fopen(path.c_str(), "w");
  dup2(fileno(file), 2);
  std::string thrown = "";
  try {
    action();
  } catch (const std::exception& error) {
    thrown = error.what();
  }
  std::fflush(stderr);
  dup2(saved, 2);
  close(saved);
  std::fclose(file);
  CHECK(thrown == "");
  return contents(path);
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

// A text without its comments.
std::string without_lines(const std::string& text) { return std::regex_replace(text, std::regex(" *#[^\n]*"), ""); }

// y = relu(x W * 1 + 0), of which simplify drops the product: one entry "f".
Graph small() {
  Graph g;
  const Value x = g.input("x", f32, {3, 4});
  const Value w = g.parameter("w", f32, {4, 2}, he());
  g.entry("f", {{"y", relu(matmul(x, w) * 1 + 0)}});
  return g;
}

std::string compiled_at(const char* level) {
  const Environment environment{{"TENON_DEBUG", level}};
  return errors_of([] { compile(small()); });
}

}  // namespace

TEST_CASE("each rung of TENON_DEBUG shows one thing more") {
  std::string all[6];
  for (int level = 0; level <= 5; ++level) all[level] = compiled_at(std::to_string(level).c_str());
  CHECK(all[0] == "");
  CHECK(has(all[1], "tenon: canonicalise"));
  CHECK(has(all[1], " ms"));
  CHECK(has(all[1], "(unchanged)"));
  CHECK(has(all[1], "different, in"));
  const std::string_view shown[] = {"tenon: simplify", "entry \"f\"", "kernels 1\n", "define ", "\t.text"};
  for (int level = 0; level <= 5; ++level)
    for (int rung = 1; rung <= 5; ++rung) {
      CAPTURE(level);
      CAPTURE(shown[rung - 1]);
      CHECK(has(all[level], shown[rung - 1]) == (rung <= level));
    }
}

TEST_CASE("TENON_DUMP writes every stage to numbered files, and what it writes is read back") {
  const Folder folder;
  {
    const Environment environment{{"TENON_DUMP", (folder / "dump").string()}};
    CHECK(errors_of([] { compile(small()); }) == "");
  }
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(folder / "dump"))
    names.push_back(file.path().filename().string());
  std::sort(names.begin(), names.end());
  REQUIRE(names.size() > 6);
  CHECK(names[0] == "00_graph.ir");
  CHECK(compile(parse(contents(folder / "dump" / "00_graph.ir"))).graph_hash == compile(small()).graph_hash);
  std::string passes;
  for (const std::string& name : names) passes += name.substr(3) + " ";
  CHECK(passes ==
        "graph.ir canonicalise.ir expand.ir simplify.ir group.kernels tile.kernels isolate.kernels lower.loops "
        "emit.ll emit.s ");
  CHECK(has(contents(folder / "dump" / names.back()), "\t.text"));
  // Each level reads back as what was written.
  for (const std::string& name : names) {
    CAPTURE(name);
    const std::string text = contents(folder / "dump" / name);
    std::string again = text;
    if (name.ends_with(".ir")) {
      again = print(parse(text), {.origins = false});
    } else if (name.ends_with(".kernels")) {
      again.clear();
      for (const KernelList& list : parse_kernels(text)) again += str(list);
    }
    CHECK(without_lines(again) == without_lines(text));
  }
}

TEST_CASE("a dump that cannot be written is said and fails nothing") {
  const Folder folder;
  put(folder / "file", "in the way");
  const Environment environment{{"TENON_DUMP", (folder / "file").string()}};
  const std::string text = errors_of([] { compile(small()); });
  CHECK(text.starts_with(fmt::format("tenon: cannot write {}\n", (folder / "file/00_graph.ir").string())));
}

TEST_CASE("TENON_SKIP leaves optional passes out, and the program means the same") {
  const Tensor x = Tensor::of<float>({3, 4}, {1, 2, 3, 4, -5, 6, 7, -8, 9, 1, 0, 1});
  auto run = [&] {
    Session session(compile(small()));
    session.init(1);
    return session.run("f", {{"x", x}})["y"].clone();
  };
  const Tensor whole = run();
  const Environment environment{{"TENON_SKIP", "simplify,expand,sinplify"}, {"TENON_DEBUG", "1"}};
  const std::string text = errors_of([&] { CHECK(run().same_bits(whole)); });
  CHECK(has(text, "tenon: TENON_SKIP: no optional pass is called 'expand'\n"));
  CHECK(has(text, "tenon: TENON_SKIP: no optional pass is called 'sinplify'\n"));
  CHECK(has(text, "tenon: simplify       skipped\n"));
  CHECK_FALSE(has(text, "expand         skipped"));
}

TEST_CASE("TENON_ISA uses no better instructions, and the program says which it uses") {
  const std::string best = Target::host().str();
  {
    const Environment environment{{"TENON_ISA", "sse2"}};
    CHECK(errors_of([] { CHECK(compile(small()).target == "sse2 (16 lanes)"); }) == "");
  }
  const Environment environment{{"TENON_ISA", "sse4"}};
  CHECK(errors_of([&] { CHECK(compile(small()).target == best); }) == "tenon: TENON_ISA: 'sse4' is not sse2, avx2 or avx512\n");
}

TEST_CASE("a broken invariant names the pass and the file that holds the graph before it") {
  const Folder folder;
  Inspection inspection;
  inspection.dump = folder.path().string();
  const Pass broken{"broken", Level::graph, [](Compilation&) { throw InternalError("x.cpp:1: broken invariant: y"); },
                    false,    "",           ""};
  Compilation c{.target = Target::host(), .graph = small()};
  const std::string thrown = message<InternalError>([&] { inspection.run(broken, c); });
  const std::string path = (folder / "tenon_before_broken.ir").string();
  CHECK(thrown == "pass 'broken': x.cpp:1: broken invariant: y; the graph before it is in " + path);
  CHECK(parse(contents(path)) == c.graph);
}

TEST_CASE("kernels that break a promise name the pass, both sides and the file that holds them") {
  const Folder folder;
  Inspection inspection;
  inspection.dump = folder.path().string();
  Compilation c{.target = Target::host(), .graph = small()};
  c.entries.push_back(group(c.graph, *c.graph.body().entry("f")));
  const Pass tile{"tile",
                  Level::kernels,
                  [](Compilation& c) {
                    Kernel& kernel = c.entries[0].kernels[0];
                    kernel.body[0].buffer = kernel.contraction->a->integer;
                  },
                  false,
                  "",
                  ""};
  const std::string thrown = message<InternalError>([&] { inspection.run(tile, c); });
  const std::string path = (folder / "tenon_tile.kernels").string();
  CHECK(thrown == "pass 'tile': k1: its sum reads 'x' while its statement 1 writes it; the kernels are in " + path);
  CHECK(contents(path) == str(c.entries[0]));
}

TEST_CASE("loops that break a promise name the pass, the node and the file that holds them") {
  const Folder folder;
  Inspection inspection;
  inspection.dump = folder.path().string();
  Compilation c{.target = Target::host()};
  loop::Function f{.name = "f"};
  f.nodes = {{.code = loop::Code::add, .type = {f32}, .operands = {0, 0}}};
  f.blocks = {{.nodes = {0}}};
  c.functions = {f};
  const Pass turn{"turn", Level::loops, [](Compilation&) {}, false, "", ""};
  const std::string thrown = message<InternalError>([&] { inspection.run(turn, c); });
  const std::string path = (folder / "tenon_turn.loops").string();
  CHECK(thrown == "pass 'turn': f: %0 add: " + thrown.substr(thrown.find("add: ") + 5));
  CHECK(thrown.ends_with("; the loops are in " + path));
  CHECK(has(contents(path), "%0 = add %0, %0 : f32"));
}

TEST_CASE("the list of passes keeps the orders it states") {
  auto at = [](std::string_view name) { return std::ranges::find(passes(), name, &Pass::name) - passes().begin(); };
  const auto count = std::ssize(passes());
  for (const PassOrder& order : pass_orders()) {
    CAPTURE(order.reason);
    CHECK(at(order.first) < at(order.then));
    CHECK(at(order.then) < count);
    CHECK(order.reason != "");
  }
  // A level is left for good: no pass changes the graph after group, or kernels after lower.
  Level level = Level::graph;
  for (const Pass& pass : passes()) {
    CAPTURE(pass.name);
    CHECK((pass.level >= level || pass.name == "lower"));
    level = pass.level;
    CHECK(pass.needs != "");
    CHECK(pass.gives != "");
  }
}
