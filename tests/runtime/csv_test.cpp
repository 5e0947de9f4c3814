#include "runtime/data/csv.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "tests/runtime/folder.h"
#include "tests/system.h"

using namespace tenon;
using namespace tenon::test;

TEST_CASE("a table of numbers is read, with a header, quotes, both kinds of line break and gzip") {
  const Csv csv = parse_csv("a,\"b \"\"x\"\", y\"\r\n1,2\r\n\r\n\"-3.5\", +4e2\n", "t.csv", {.header = true});
  CHECK(csv.names == std::vector<std::string>{"a", "b \"x\", y"});
  CHECK(csv.values.same_bits(Tensor::of<double>({2, 2}, {1, 2, -3.5, 400})));
  CHECK(parse_csv("# no\n5\t6", "t.csv", {.separator = '\t', .skip = 1}).values.same_bits(Tensor::of<double>({1, 2}, {5, 6})));
  CHECK(std::isnan(parse_csv("nan,inf", "t.csv").values.at(0)));
  const Folder folder;
  CHECK(read_csv(put_gzip(folder / "t.csv.gz", "1,2\n3,4\n")).values.str() == "f64[2,2]");
}

TEST_CASE("a bad table is an error with line and column") {
  auto parse = [](std::string_view text) { return message([&] { parse_csv(text, "t.csv"); }); };
  CHECK(parse("1,2\n3,x") == "t.csv:2:3: expected a number, found 'x'");
  CHECK(parse("1,2\n3,") == "t.csv:2:3: expected a number, found ''");
  CHECK(parse("1,2\n3") == "t.csv:2:1: the row has 1 fields, the first has 2");
  CHECK(parse("1,\"2") == "t.csv:1:3: the quote is never closed");
  CHECK(parse("\"1\"2") == "t.csv:1:4: expected ',' or the end of the line after a quote");
  CHECK(parse("1,2\n3,4,x") == "t.csv:2:1: the row has 3 fields, the first has 2");
  CHECK(parse("1,2\n3,\"4\"\r5") == "t.csv:2:6: expected ',' or the end of the line after a quote");
  CHECK(parse("1,2\n3,4\r") == "t.csv:2:3: expected a number, found '4\r'");
  CHECK(parse(std::string_view("1,2\n\0", 5)) == "t.csv:2:1: a zero byte, which no text has");
  CHECK(parse("") == "t.csv: no rows");
}

TEST_CASE("mutated tables give numbers or an Error, nothing else") {
  std::mt19937 random(5);
  const std::string alphabet = "0123456789.,\"\r\n -+eE\t";
  for (int i = 0; i < 20000; ++i) {
    std::string text = "1,2\n\"3\",-4e2\r\n5,6\n";
    for (unsigned k = 0; k <= random() % 4; ++k) text[random() % text.size()] = alphabet[random() % alphabet.size()];
    try {
      const Csv csv = parse_csv(text, "t.csv", {.header = random() % 2 == 0});
      REQUIRE(csv.values.elements() > 0);
    } catch (const Error&) {
    }
  }
}

TEST_CASE("a file of any shape is read in at most about twice the memory of its table") {
  const Folder folder;
  constexpr int64_t values = 1'100'000;
  for (int64_t columns : {values, int64_t{1000}, int64_t{1}}) {
    std::string text;
    for (int64_t i = 1; i <= values; ++i) text += i % columns == 0 ? "7\n" : "7,";
    const std::filesystem::path path = put_gzip(folder / "t.csv.gz", text);
    CHECK(std::filesystem::file_size(path) < 10'000);
    const int64_t before = seen.live;
    const Setting peak(seen.peak, before);
    const Tensor table = read_csv(path).values;
    CHECK(table.extents() == Extents{values / columns, columns});
    CHECK(table.at(values - 1) == 7);
    CHECK(seen.peak - before < 22 * table.byte_count() / 10 + (4 << 20));
    CHECK(seen.live - before < table.byte_count() + (4 << 20));
  }
}

TEST_CASE("where the pieces of a file end makes no difference") {
  const Folder folder;
  const std::string row = "1,\"2\",\"3\"\r\n", quote = "\"a\"\"b\r\n\",2,3\r\n";
  for (size_t before = 0; before < quote.size() + 2 * row.size() + 5; ++before) {
    // Byte 65,536 lies in the names, in a row or in the line with the fault.
    std::string text = std::string(65536 - before, '\n') + quote + row + row;
    const Csv csv = read_csv(put(folder / "t.csv", text), {.header = true});
    REQUIRE(csv.names == std::vector<std::string>{"a\"b\r\n", "2", "3"});
    REQUIRE(csv.values.same_bits(Tensor::of<double>({2, 3}, {1, 2, 3, 1, 2, 3})));
    const int64_t line = 65536 - static_cast<int64_t>(before) + 5;
    REQUIRE(message(folder, [&] { read_csv(put(folder / "t.csv", text + "1,2,x"), {.header = true}); }) ==
            fmt::format("t.csv:{}:5: expected a number, found 'x'", line));
  }
}

TEST_CASE("the sets of scikit-learn" * doctest::skip(!std::filesystem::exists(TENON_DATA "/sklearn"))) {
  const std::filesystem::path folder = TENON_DATA "/sklearn";
  const Tensor iris = read_csv(folder / "iris.csv", {.skip = 1}).values;
  CHECK(iris.str() == "f64[150,5]");
  CHECK(iris.columns(4, 5).cast(u8).integer_at(149) == 2);
  CHECK(iris.columns(0, 4).cast(f32).str() == "f32[150,4]");
  CHECK(read_csv(folder / "digits.csv.gz").values.str() == "f64[1797,65]");
  CHECK(read_csv(folder / "diabetes_data_raw.csv.gz", {.separator = ' '}).values.str() == "f64[442,10]");
}
