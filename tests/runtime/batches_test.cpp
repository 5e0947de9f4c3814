#include "runtime/data/batches.h"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "tests/runtime/program.h"
#include "tests/system.h"

using namespace tenon;
using tenon::test::message;

namespace {
Tensor numbers(int64_t count, int64_t columns) {
  Tensor t(i32, {count, columns});
  for (int64_t i = 0; i < t.elements(); ++i) t.write<int32_t>()[static_cast<size_t>(i)] = static_cast<int32_t>(i);
  return t;
}

std::vector<std::vector<int64_t>> all(Batches& batches, int count) {
  std::vector<std::vector<int64_t>> result;
  while (count > 0)
    if (batches.next()) result.push_back(batches.rows()), --count;
  return result;
}
}  // namespace

TEST_CASE("the order is a permutation that only seed, epoch and count decide") {
  // Values from an independent program: they must never change, or saved positions lose their meaning.
  CHECK(shuffled(10, 1, 0) == std::vector<int64_t>{0, 8, 1, 4, 2, 3, 6, 9, 7, 5});
  std::set<std::vector<int64_t>> orders;
  for (uint64_t seed : {0, 1, 2})
    for (int64_t epoch : {0, 1, 2}) {
      const std::vector<int64_t> order = shuffled(1000, seed, epoch);
      CHECK(std::set(order.begin(), order.end()).size() == 1000);
      orders.insert(order);
    }
  CHECK(orders.size() == 9);
  CHECK(shuffled(0, 1, 1).empty());
  // Every place is equally likely: 24 orders of 4, 24,000 draws, 23 degrees of freedom; above 60 once in
  // 30,000.
  std::map<std::vector<int64_t>, int> counts;
  for (int64_t epoch = 0; epoch < 24000; ++epoch) ++counts[shuffled(4, 5, epoch)];
  double chi_squared = 0;
  for (const auto& [order, count] : counts) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000;
  CHECK(counts.size() == 24);
  CHECK(chi_squared < 60);
}

TEST_CASE("an epoch returns every example once, the last batch short, rows and labels together") {
  const Tensor images = numbers(10, 3), labels = numbers(10, 1).reshaped({10});
  for (bool prefetch : {false, true}) {
    Batches batches({images, labels}, 4, {.seed = 9, .prefetch = prefetch});
    CHECK(batches.batches() == 3);
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<int64_t> seen;
      CHECK(batches.epoch() == epoch);
      while (batches.next()) {
        CHECK(batches.size() == (seen.size() < 8 ? 4 : 2));
        CHECK(batches[0].extents() == Extents{batches.size(), 3});
        for (int64_t i = 0; i < batches.size(); ++i) {
          const int64_t row = batches[1].integer_at(i);
          CHECK(batches.rows()[static_cast<size_t>(i)] == row);
          CHECK(batches[0].integer_at(3 * i + 2) == 3 * row + 2);
          seen.push_back(row);
        }
      }
      CHECK(seen == shuffled(10, 9, epoch));
    }
  }
}

TEST_CASE("pixels stay bytes") {
  Batches batches(Tensor(u8, {5, 28, 28}), Tensor(u8, {5}), 2, 1);
  batches.next();
  CHECK(batches[0].str() == "u8[2,28,28]");
}

TEST_CASE("a position is restored exactly, with and without prefetch") {
  const Tensor t = numbers(23, 2);
  for (bool prefetch : {false, true}) {
    const BatchOptions options{.seed = 4, .prefetch = prefetch};
    Batches whole({t}, 5, options);
    const auto expected = all(whole, 20);
    for (int first : {0, 1, 4, 5, 7, 13}) {
      Batches begun({t}, 5, options);
      all(begun, first);
      const Position position = begun.position();
      Batches resumed({t}, 5, options);
      all(resumed, first % 3);
      resumed.seek(position);
      const auto rest = all(resumed, 20 - first);
      CHECK(std::equal(rest.begin(), rest.end(), expected.begin() + first, expected.end()));
    }
    CHECK(message([&] { whole.seek({0, 23}); }) == "batches: no row 23 in epoch 0 of 23 examples");
  }
}

TEST_CASE("without shuffling the order is the file's, and a last batch can be dropped") {
  Batches batches({numbers(7, 1)}, 3, {.shuffle = false, .drop_last = true});
  CHECK(all(batches, 3) == std::vector<std::vector<int64_t>>{{0, 1, 2}, {3, 4, 5}, {0, 1, 2}});
  CHECK(batches.examples() == 6);
}

TEST_CASE("wrong arguments are errors") {
  CHECK(message([] {
          Batches(Tensor(u8, {5, 2}), Tensor(u8, {4}), 2, 1);
        }) == "batches: the numbers of examples differ: u8[5,2] and u8[4]");
  CHECK(message([] { Batches(Tensor(u8, {5}), Tensor(u8, {5}), 0, 1); }) == "batches: the batch is 0, valid is 1 or more");
  CHECK(message([] { Batches(Tensor(u8, {0}), Tensor(u8, {0}), 2, 1); }) == "batches: no batch of 2 in 0 examples");
}

TEST_CASE("a thread for the next batch that cannot be started is an error") {
  using namespace tenon::test;
  const Setting none(machine.threads, 0);
  CHECK(message([] { Batches({numbers(4, 1)}, 2, {.prefetch = true}); }) ==
        "batches: could not start the thread that prefetches: Resource temporarily unavailable");
  Batches batches({numbers(4, 1)}, 2);
  CHECK(all(batches, 2).size() == 2);
}

TEST_CASE("a batch that there was no memory to prefetch is gathered when it is asked for") {
  using namespace tenon::test;
  {
    Batches batches({numbers(20'000, 1)}, 10'000, {.seed = 3, .prefetch = true});
    all(batches, 1);
    const Setting small(machine.largest_block, int64_t{100'000});  // a batch's rows, not the order of an epoch
    CHECK(batches.next());
    CHECK(!batches.next());
    CHECK_THROWS_AS(batches.next(), std::bad_alloc);
  }
  // A buffer that was filled in part is never taken for a batch. The last batch is a view, which needs
  // memory.
  for (int warm = 6; warm < 18; ++warm)
    for (int64_t row : {0, 2, 4}) {
      Batches batches({numbers(5, 1)}, 2, {.seed = 3, .prefetch = true}), calm({numbers(5, 1)}, 2, {.seed = 3});
      all(batches, warm);
      const int64_t epoch = batches.epoch();
      batches.seek({epoch, 0});
      {
        const Setting none(machine.largest_block, int64_t{4});
        try {
          batches.next();
        } catch (const std::bad_alloc&) {
        }
        batches.seek({epoch, row});
      }
      calm.seek({epoch, row});
      REQUIRE(batches.next());
      REQUIRE(calm.next());
      REQUIRE(batches.rows() == calm.rows());
      REQUIRE(batches[0].same_bits(calm[0]));
    }
}
