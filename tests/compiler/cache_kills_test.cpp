// A file of compiled code whose savers are killed at random moments: it is always found, old or new, and no
// later save fails.
#include "compiler/native/cache.h"
#include "tests/runtime/kills.h"

using namespace tenon;
using namespace tenon::test;

namespace {
int64_t kill_savers(int count) {
  const Folder folder;
  const auto save = [&](int64_t number) {
    store_code(folder.path(), "the key", std::vector{std::to_string(number), std::string(300'000, static_cast<char>(number))});
  };
  const auto load = [&] {
    const auto parts = load_code(folder.path(), "the key");
    REQUIRE(parts);
    REQUIRE(parts->size() == 2);
    const int64_t number = std::stoll(parts->front());
    REQUIRE(parts->back() == std::string(300'000, static_cast<char>(number)));
    return number;
  };
  Kills kills(folder, save, load);
  for (int i = 0; i < count; ++i) kills.kill_one();
  MESSAGE(count << " kills, of which " << kills.left() << " left a temporary");
  return kills.left();
}
}  // namespace

TEST_CASE("compiled code on disk survives the kills of its savers") { kill_savers(30); }

TEST_CASE("compiled code on disk survives 400 kills" * doctest::skip()) { CHECK(kill_savers(400) > 0); }
