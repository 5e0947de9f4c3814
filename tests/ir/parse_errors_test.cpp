// Every wrong text gives a graph or an Error with its place; nothing else, whatever the bytes.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "ir/ops.h"
#include "ir/text.h"
#include "tests/ops_samples.h"

namespace {
using namespace tenon;

const std::string head =
    "tenon 1\n"
    "size n <= 4\n"
    "%0 = input() name=\"x\" dtype=f32 shape=[n,3] : f32[n,3]\n"
    "%1 = parameter() name=\"W\" dtype=f32 shape=[3,2] : f32[3,2]\n";
const std::string states = "state %1 = %1 trainable\n";

std::string error(const std::string& text) {
  try {
    parse(text, "a.ir");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The message of a text that is `head`, then `line` as line 5, then the states.
std::string at_line_5(const std::string& line) { return error(head + line + "\n" + states); }
std::string message(const std::string& text) { return text.substr(0, text.find('\n')); }

TEST_CASE("the place is shown with a caret") {
  CHECK(at_line_5("%2 = contract(%0, %7) spec=\"ik,kj->ij\" : f32[n,2]") ==
        "a.ir:5:20: %7 is not defined before this line\n"
        "%2 = contract(%0, %7) spec=\"ik,kj->ij\" : f32[n,2]\n"
        "                   ^");
  std::string far = at_line_5("%2 = neg(%0) " + std::string(500, ' ') + "? : f32[n,3]");
  CHECK(far.size() < 400);
  CHECK(far.ends_with("^"));
}

TEST_CASE("errors word for word") {
  auto at = [](const std::string& line) { return message(at_line_5(line)); };
  CHECK(at("") == "no error");
  CHECK(at("%2 = nag(%0) : f32[n,3]") == "a.ir:5:6: there is no operation 'nag'");
  CHECK(at("%2 = neg(%0, %1) : f32[n,3]") == "a.ir:5:6: neg: takes 1 operands, got 2");
  CHECK(at("%2 = neg() : f32[n,3]") == "a.ir:5:6: neg: takes 1 operands, got 0");
  CHECK(at("%2 = neg(%2) : f32[n,3]") == "a.ir:5:11: %2 is not defined before this line");
  CHECK(at("%0 = neg(%1) : f32[n,3]") == "a.ir:5:1: %0 is defined twice");
  CHECK(at("%2 = neg(%0) : f32[n,2]") == "a.ir:5:16: neg gives f32[n,3], not f32[n,2]");
  CHECK(at("%2 = neg(%0) : f8[n,3]") == "a.ir:5:16: expected an element type: one of f64, f32, i64, i32, u8, bool, f16, bf16");
  CHECK(at("%2 = neg(%0)") == "a.ir:5:13: expected an attribute or ':' and the type");
  CHECK(at("%2 = neg(%0 : f32[n,3]") == "a.ir:5:13: expected ')'");
  CHECK(at("%2 = neg(%0) : f32[n,3] x") == "a.ir:5:25: expected the end of the line");
  CHECK(at("%2 = neg(%0) : f32[m,3]") == "a.ir:5:20: there is no run-time size 'm'");
  CHECK(at("%2 = neg(%0) : f32[n,99999999999999999999]") == "a.ir:5:22: an extent is out of range");
  CHECK(at("%x = neg(%0) : f32[n,3]") == "a.ir:5:2: expected the number of a node");
  CHECK(at("%2 = constant() value=f32[2]{1} : f32[2]") == "a.ir:5:23: f32[2] has 2 elements, here are 1");
  CHECK(at("%2 = constant() value=f32[2]{1, 2, 3} : f32[2]") == "a.ir:5:35: f32[2] has 2 elements, this is one more");
  CHECK(at("%2 = constant() value=f32[1]{1e99} : f32[1]") == "a.ir:5:30: a number is out of range");
  CHECK(at("%2 = constant() value=u8[1]{256} : u8[1]") == "a.ir:5:29: a u8 is out of range");
  CHECK(at("%2 = constant() value=bool[1]{2} : bool[1]") == "a.ir:5:31: a bool is 0 or 1");
  CHECK(at("%2 = constant() value=f32[1]{nan(0x1)} : f32[1]") == "a.ir:5:30: these bits are no NaN");
  CHECK(at("%2 = constant() value=f32[n]{1} : f32[n]") == "a.ir:5:23: a constant has fixed extents: f32[n]");
  CHECK(at("%2 = constant() value=f32[4000000000,4000000000]{1} : f32[1]") ==
        "a.ir:5:23: extents overflow: 4000000000 * 4000000000");
  CHECK(at("%2 = constant() value=f32[-1]{} : f32[-1]") == "a.ir:5:23: a constant has fixed extents: f32[-1]");
  CHECK(at("%2 = input() name=\"y dtype=f32") == "a.ir:5:31: expected '\"' at the end of a string");
  CHECK(at("%2 = input() name=\"\\q\"") == "a.ir:5:21: expected \\\\, \\\" or \\x and two hexadecimal digits");
  CHECK(at("%2 = input() name=\"\\x0\"") == "a.ir:5:21: expected two hexadecimal digits after \\x");
  CHECK(at("%2 = input() name=maybe") == "a.ir:5:19: expected the value of an attribute");
  CHECK(at("%2 = neg(%0) a=1 a=2 : f32[n,3]") == "a.ir:5:18: the attribute 'a' is there twice");
  CHECK(at("%2 = input() name=\"x\" dtype=f64 shape=[] : f64[]") == "a.ir:5:6: %2 another input is called 'x'");
  CHECK(at("%2 = state() name=\"s\" dtype=f64 shape=[] : f64[]") == "a.ir:5:6: %2 's' has no initial value");
  CHECK(at("state %0 = %0") == "a.ir:3:6: %0 is no parameter or state");
  CHECK(at("state %1 = %0") == "a.ir:4:6: %1 is f32[3,2], its initial value is f32[n,3]");
  CHECK(at("allow_unreached %0") == "a.ir:7:1: allow_unreached %0: no parameter or state");
  CHECK(at("size m <= 3") == "no error");
  CHECK(at("size m <= 0") == "a.ir:5:1: size: the maximum of 'm' is 0; it must be at least 1");
  CHECK(at("size n <= 3") == "a.ir:5:1: size 'n' is there twice");
  CHECK(at("support %1 = count") == "a.ir:7:1: support %1: no input");
  CHECK(at("support %0 = any") == "a.ir:5:14: expected unit_interval, positive or count");
  CHECK(at("goto 10") == "a.ir:5:1: expected a node (%1 = ...), size, state, entry, require_fused, allow_unreached or support");
  CHECK(message(error(head + states + "entry \"e\"\n")) == "a.ir:6:7: entry 'e': has no output and no update");
  CHECK(message(error(head + states + "entry \"e\"\noutput \"y\" = %0\noutput \"y\" = %1\n")) ==
        "a.ir:6:7: entry 'e': two outputs are called 'y'");
  CHECK(message(error(head + states + "entry \"e\"\nupdate %0 = %0\n")) ==
        "a.ir:6:7: entry 'e': input is no parameter or state, so it cannot be updated");
  CHECK(message(error(head + states + "entry \"e\"\nupdate %1 = %0\n")) ==
        "a.ir:6:7: entry 'e': 'W' is f32[3,2], its new value is f32[n,3]");
  CHECK(message(error("")) == "a.ir:1:1: expected 'tenon 1', the version of the format");
  CHECK(message(error("tenon 2\n")) == "a.ir:1:7: this text has another version; this library reads version 1");
  CHECK(message(error(std::string("tenon 1\n\0", 9))).find("a.ir:2:1: expected a node") == 0);
}

TEST_CASE("an attribute that is missing or of another kind is an error with a place") {
  for (std::string line :
       {"%2 = relu(%0) : f32[n,3]", "%2 = relu(%0) kink=1 : f32[n,3]", "%2 = relu(%0) kink=\"up\" : f32[n,3]",
        "%2 = contract(%0, %1) : f32[n,2]", "%2 = contract(%0, %1) spec=[1] : f32[n,2]",
        "%2 = transpose(%0) permutation=[0,7] : f32[3,n]", "%2 = sum(%0) axes=[-1] : f32[n]",
        "%2 = slice(%0) axis=9 begin=0 end=1 step=1 : f32[n,3]", "%2 = leaky_relu(%0) : f32[n,3]",
        "%2 = iota() shape=[2] axis=2 : i64[2]", "%2 = elu(%0) alpha=true : f32[n,3]"})
    CHECK_MESSAGE(at_line_5(line).find("a.ir:5:6: ") == 0, line << " gives " << at_line_5(line));
}

// A program with many operations and kinds of attributes, small enough to be parsed 20,000 times.
std::string specimen() {
  Graph g;
  Extent n = g.size("n", 8);
  Value x = g.input("x", f32, {n, 4});
  Value w = g.parameter("w", f32, {4, 3}, [](Graph& graph, const Type& type) { return uniform(graph, f32, type.shape); });
  Value z = contract(relu(leaky_relu(x, 0.01)), w, "ik,kj->ij");
  Value label = argmax(z);
  Value loss = mean(softmax_cross_entropy(z, label));
  Value c = constant(g.body(), Literal::of({f32, {3}}, std::vector<double>{1, 0.1, -0.0}));
  Value columns = reshape(slice(transpose(z), 0, 0, 2), {n * 2});
  Value shown = concat({pad(c, {1}, {0}, 0.5), reverse(c, {0})});
  g.require_fused(loss);
  g.allow_unreached(w);
  g.entry("train", {{"loss", loss}, {"shown", shown}, {"columns", columns}},
          {{w, w + broadcast_to(sum(clip(c, 0, 1)), {4, 3})}});
  return print(g);
}

struct Tally {
  int graphs = 0, errors = 0;
};

// Edits `valid` in `rounds` ways.
Tally mutate(const std::string& valid, int rounds, std::mt19937& random) {
  Tally tally;
  auto below = [&](size_t end) { return static_cast<size_t>(random()) % end; };
  const std::string_view pieces[] = {"%",   "%0",  "[",    "]",    "{",   "}", "-1", "9223372036854775807",
                                     "n",   "0",   "\"",   "=",    ":",   ",", "4n", "f64",
                                     "i64", "u8",  "bool", "nan(", "inf", "e", "\n", "-9223372036854775808",
                                     "(",   "\\x", ")",    "#",    "@",   "7", "-",  "2147483648"};
  for (int round = 0; round < rounds; ++round) {
    std::string text = valid;
    for (size_t edits = 1 + below(3); edits-- > 0 && !text.empty();) {
      size_t at = below(text.size()), length = std::min(below(30), text.size() - at);
      switch (below(6)) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.resize(at); break;
        case 2: text.erase(at, length); break;
        case 3: text.insert(at, text.substr(below(text.size()), length)); break;
        case 4: text.replace(at, 1, pieces[below(std::size(pieces))]); break;
        case 5: text.insert(at, text.substr(at, text.find('\n', at) - at)); break;
      }
    }
    try {
      Graph g = parse(text, "fuzz.ir");
      ++tally.graphs;
      if (round % 8 == 0) CHECK(parse(print(g)) == g);
    } catch (const Error& error) {
      ++tally.errors;
      CHECK_MESSAGE(std::string_view(error.what()).starts_with("fuzz.ir:"), error.what());
    }
  }
  return tally;
}

TEST_CASE("any bytes give a graph or an Error") {
  std::mt19937 random(20240229);
  Tally tally = mutate(specimen(), 20000, random);
  CHECK(tally.graphs > 200);
  CHECK(tally.errors > 10000);
}

TEST_CASE("no operation trusts an attribute of a text") {
  std::mt19937 random(1999);
  for (const testing::Sample& sample : testing::ops_samples()) {
    Graph g;
    std::vector<Value> leaves;
    sample.apply(g, f32, leaves);
    std::string text = print(g, {.origins = false});
    INFO(sample.title);
    mutate(text, 100, random);
  }
}

}  // namespace
