// Every row of every table of rules: both sides evaluated, each operation rounded to its type, on inputs that
// hold NaN, both zeros, both infinities, subnormal and huge numbers. An exact rule has the same bits
// everywhere; a stabilising one agrees where both sides are finite, and its note is true: somewhere the left
// side is not finite, or is farther from the answer in a wider type than the right side.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "compiler/graph/rewrite.h"
#include "compiler/graph/rules.h"
#include "ir/evaluate.h"
#include "ir/op.h"
#include "ir/ops.h"

using namespace tenon;

namespace {

const double special[] = {0.0,
                          -0.0,
                          1.0,
                          -1.0,
                          0.5,
                          -2.0,
                          3.0,
                          std::numeric_limits<double>::quiet_NaN(),
                          1e-40,
                          -1e-45,
                          1e-9,
                          3e38,
                          -3e38,
                          1e10,
                          -1e10,
                          std::numeric_limits<double>::infinity(),
                          -std::numeric_limits<double>::infinity(),
                          100.0,
                          -100.0,
                          20.0,
                          -20.0,
                          0x1p-126,
                          7e-8,
                          -7e-8};

// The rule's inputs, filled at random: from the special numbers, or from ordinary ones.
Bindings samples(const Rule& rule, std::mt19937_64& random, bool ordinary) {
  Bindings bindings;
  for (size_t i = 0; i < rule.holes.size(); ++i) {
    const Type& type = rule.holes[i];
    std::vector<double> values(static_cast<size_t>(type.elements().count));
    for (double& value : values) {
      if (type.dtype == boolean) {
        value = static_cast<double>(random() % 2);
      } else if (ordinary) {
        value = std::normal_distribution<double>(0, 2)(random);
      } else {
        value = special[random() % std::size(special)];
      }
    }
    bindings[fmt::format("x{}", i)] = ReferenceArray::of(type, values);
  }
  return bindings;
}

struct Sides {
  Graph graph;
  Value left, right;

  explicit Sides(const Rule& rule) {
    std::vector<Value> holes;
    for (const Type& type : rule.holes) holes.push_back(graph.input(fmt::format("x{}", holes.size()), type.dtype, type.shape));
    left = rule.left(holes);
    right = rule.right(holes);
  }
};

std::vector<const Rule*> all_rules(Rule::Kind kind) {
  std::vector<const Rule*> rules;
  for (auto table : {canonical_rules(), stable_rules(), simple_rules()})
    for (const Rule& rule : table)
      if (rule.kind == kind) rules.push_back(&rule);
  return rules;
}

bool same_bits(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

}  // namespace

TEST_CASE("an exact rule has the same bits on both sides, for every input") {
  std::mt19937_64 random(7);
  for (const Rule* rule : all_rules(Rule::exact)) {
    CAPTURE(std::string(rule->name));
    Sides sides(*rule);
    REQUIRE(sides.left.type() == sides.right.type());
    for (int round = 0; round < 60; ++round) {
      Bindings at = samples(*rule, random, round % 4 == 0);
      ReferenceArray left = evaluate(sides.left, at, 1, Arithmetic::typed),
                     right = evaluate(sides.right, at, 1, Arithmetic::typed);
      for (int64_t i = 0; i < left.elements(); ++i) {
        CAPTURE(left.at(i));
        CAPTURE(right.at(i));
        CHECK(same_bits(left.at(i), right.at(i)));
      }
    }
  }
}

TEST_CASE("a stabilising rule agrees where both sides are finite") {
  std::mt19937_64 random(11);
  for (const Rule* rule : all_rules(Rule::stabilising)) {
    CAPTURE(std::string(rule->name));
    CHECK_FALSE(rule->note.empty());
    Sides sides(*rule);
    REQUIRE(sides.left.type() == sides.right.type());
    for (int round = 0; round < 40; ++round) {
      Bindings at = samples(*rule, random, true);
      ReferenceArray left = evaluate(sides.left, at, 1, Arithmetic::typed),
                     right = evaluate(sides.right, at, 1, Arithmetic::typed);
      for (int64_t i = 0; i < left.elements(); ++i) {
        if (!std::isfinite(left.at(i)) || !std::isfinite(right.at(i))) continue;
        CAPTURE(left.at(i));
        CHECK(std::abs(left.at(i) - right.at(i)) <= 1e-4 * (std::abs(right.at(i)) + 1e-2));
      }
    }
  }
}

// Errors against the same formula in f64 with its right side, whose results no f32 rounding touches.
TEST_CASE("a stabilising rule's right side is never much less accurate, and somewhere better") {
  std::mt19937_64 random(13);
  for (const Rule* rule : all_rules(Rule::stabilising)) {
    CAPTURE(std::string(rule->name));
    Rule wide = *rule;
    for (Type& type : wide.holes)
      if (type.dtype == f32) type.dtype = f64;
    Sides sides(*rule), truth(wide);
    bool better = false;
    for (int round = 0; round < 200; ++round) {
      Bindings at = samples(*rule, random, round % 2 == 0), exactly;
      for (const auto& [name, array] : at) {
        Type type = array.type;
        if (type.dtype == f32) type.dtype = f64;
        exactly[name] = is_float(type.dtype) ? ReferenceArray::of(type, array.real) : array;
      }
      ReferenceArray left = evaluate(sides.left, at, 1, Arithmetic::typed),
                     right = evaluate(sides.right, at, 1, Arithmetic::typed),
                     expected = evaluate(truth.right, exactly, 1, Arithmetic::typed);
      for (int64_t i = 0; i < left.elements(); ++i) {
        double real = expected.at(i);
        if (!std::isfinite(real) || std::abs(real) > 3e38) continue;
        auto error = [&](double value) {
          return std::isfinite(value) ? std::abs(value - real) : std::numeric_limits<double>::infinity();
        };
        double unit = std::max(std::abs(real) * 0x1p-24, 0x1p-149);
        better = better || error(left.at(i)) > error(right.at(i));
        CAPTURE(real);
        CAPTURE(left.at(i));
        CAPTURE(right.at(i));
        CHECK(error(right.at(i)) <= error(left.at(i)) + 16 * unit);
      }
    }
    CHECK((better || rule->note.starts_with("slower")));
  }
}

TEST_CASE("a rule matches its own left side, at other shapes and beside scalars, and leaves no line of its own") {
  for (auto table : {canonical_rules(), stable_rules(), simple_rules()}) {
    Rules rules(table);
    for (const Rule& rule : table) {
      CAPTURE(std::string(rule.name));
      for (bool scalar : {false, true}) {
        Graph g;
        std::vector<Value> holes;
        for (Type type : rule.holes) {
          if (type.rank() == 2) type.shape = scalar ? Shape{} : Shape{5, 2};
          if (type.rank() == 1) type.shape = {5};
          holes.push_back(g.input(fmt::format("x{}", holes.size()), type.dtype, type.shape));
        }
        Value left;
        try {
          Scope scope(g, "here", Line("model.cpp", 3));
          left = rule.left(holes);
        } catch (const Error&) {
          CHECK(scalar);  // a rule about rows has none here
          continue;
        }
        Value replacement;
        const Rule* found = rules.match(left, replacement);
        REQUIRE(found != nullptr);
        CHECK(replacement.type() == left.type());
        for (NodeId id = 0; id < g.body().size(); ++id)
          for (const Line& line : g.body().node(id).origin.lines)
            CHECK((line == Line("model.cpp", 3) || line.file.ends_with("every_rule_test.cpp")));
      }
    }
  }
}

TEST_CASE("a literal of another number does not match") {
  Graph g;
  Value x = g.input("x", f32, {3}), replacement;
  Rules rules(stable_rules());
  CHECK(rules.match(log(x + 1), replacement) != nullptr);
  CHECK(rules.match(log(x + 1.5), replacement) == nullptr);
  CHECK(rules.match(exp(x) + 1, replacement) == nullptr);
}
