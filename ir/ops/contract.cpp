// Contractions in Einstein's notation: contract(a, b, "ik,kj->ij") sums over the letters that the result
// lacks. Each of those must be in both operands, which makes every gradient a contraction again.
#include "ir/ops/build.h"

namespace tenon {
namespace {

using Gradients = std::vector<Value>;

struct Spec {
  std::string a, b, result;
};

// Empty texts if it is not of the form "letters,letters->letters".
Spec split(std::string_view text) {
  size_t comma = text.find(','), arrow = text.find("->");
  if (comma == text.npos || arrow == text.npos || comma > arrow) return {};
  return {std::string(text.substr(0, comma)), std::string(text.substr(comma + 1, arrow - comma - 1)),
          std::string(text.substr(arrow + 2))};
}

bool has(const std::string& letters, char letter) { return letters.find(letter) != letters.npos; }

void check_letters(const Application& a, std::string_view spec, const std::string& letters, int64_t rank,
                   std::string_view what) {
  if (static_cast<int64_t>(letters.size()) != rank)
    a.fail("'{}' names {} axes of {}, which has {}", spec, letters.size(), what, rank);
  for (size_t i = 0; i < letters.size(); ++i) {
    if (!((letters[i] >= 'a' && letters[i] <= 'z') || (letters[i] >= 'A' && letters[i] <= 'Z')))
      a.fail("'{}': axes are letters, not '{}'", spec, letters[i]);
    if (letters.find(letters[i], i + 1) != letters.npos) a.fail("'{}': '{}' is twice in {}", spec, letters[i], what);
  }
}

Type contract_type(const Application& a) {
  const std::string& text = attribute<std::string>(a, "spec");
  Spec spec = split(text);
  const Type &x = a.operand(0), &y = a.operand(1);
  if (text.find("->") == text.npos || text.find(',') == text.npos) a.fail("'{}' is not of the form \"ik,kj->ij\"", text);
  check_letters(a, text, spec.a, x.rank(), "a");
  check_letters(a, text, spec.b, y.rank(), "b");
  check_letters(a, text, spec.result, static_cast<int64_t>(spec.result.size()), "the result");
  if (x.dtype != y.dtype || x.dtype == boolean) a.fail("needs numbers of one type: a is {}, b is {}", x.str(), y.str());
  for (size_t i = 0; i < spec.a.size(); ++i) {
    size_t j = spec.b.find(spec.a[i]);
    if (j == std::string::npos && !has(spec.result, spec.a[i]))
      a.fail("'{}': '{}' is in a only; sum it first", text, spec.a[i]);
    if (j != std::string::npos && x.shape[i] != y.shape[j])
      a.fail("'{}': extents of '{}' differ: a is {}, b is {}", text, spec.a[i], x.str(), y.str());
  }
  for (char letter : spec.b)
    if (!has(spec.a, letter) && !has(spec.result, letter)) a.fail("'{}': '{}' is in b only; sum it first", text, letter);
  Type result{x.dtype, {}};
  for (char letter : spec.result) {
    size_t i = spec.a.find(letter), j = spec.b.find(letter);
    if (i == std::string::npos && j == std::string::npos) a.fail("'{}': '{}' is in no operand", text, letter);
    result.shape.push_back(i != std::string::npos ? x.shape[i] : y.shape[j]);
  }
  return result;
}

}  // namespace

constinit const Op contract_op = {
    .name = "contract",
    .operands = 2,
    .type = contract_type,
    .gradient =
        [](const Pullback& p) {
          Spec spec = split(p.attributes.get<std::string>("spec"));
          return Gradients{contract(p.dy, p.x[1], spec.result + "," + spec.b + "->" + spec.a),
                           contract(p.x[0], p.dy, spec.a + "," + spec.result + "->" + spec.b)};
        },
    .compute =
        [](const Application& a) {
          Spec spec = split(a.attributes.get<std::string>("spec"));
          std::string letters = spec.result;
          Definition definition{.axes = a.result.shape, .reduced = {}, .reduction = Reduction::none, .body = {}, .scatter = {}};
          for (size_t i = 0; i < spec.a.size(); ++i) {
            if (has(spec.result, spec.a[i])) continue;
            letters += spec.a[i];
            definition.reduced.push_back(a.operand(0).shape[i]);
            definition.reduction = Reduction::sum;
          }
          auto read = [&](int64_t source, const std::string& axes) {
            std::vector<Scalar> indices;
            for (char letter : axes) indices.push_back(Scalar::index(static_cast<int64_t>(letters.find(letter))));
            return Scalar::read(source, a.result.dtype, std::move(indices));
          };
          definition.body = read(0, spec.a) * read(1, spec.b);
          return definition;
        },
};

Value contract(Operand a, Operand b, std::string_view spec) {
  return apply(contract_op, {value_of("contract", a), value_of("contract", b)}, attributes({{"spec", std::string(spec)}}),
               line_of(a, b));
}

Value matmul(Operand a, Operand b, bool transpose_a, bool transpose_b) {
  Line line = line_of(a, b);
  Value x = value_of("matmul", a), y = value_of("matmul", b);
  auto complain = [&](std::string_view what) {
    fail(line, "matmul: {}: a is {}{}, b is {}{}", what, x.type().str(), transpose_a ? " transposed" : "", y.type().str(),
         transpose_b ? " transposed" : "");
  };
  if (x.rank() < 2 || y.rank() < 2) complain("needs matrices (rank 2, or more with equal leading axes)");
  if (x.dtype() != y.dtype()) complain("element types differ");
  size_t lead = x.shape().size() - 2;
  if (x.rank() != y.rank() || !std::equal(x.shape().begin(), x.shape().end() - 2, y.shape().begin()))
    complain("leading axes differ");
  if (x.shape()[lead + (transpose_a ? 0 : 1)] != y.shape()[lead + (transpose_b ? 1 : 0)]) complain("inner extents differ");
  if (lead > 20) complain("at most 20 leading axes");
  std::string batch;
  for (size_t i = 0; i < lead; ++i) batch += static_cast<char>('A' + i);
  return contract(Operand(x, line), Operand(y, line),
                  batch + (transpose_a ? "ki," : "ik,") + batch + (transpose_b ? "jk->" : "kj->") + batch + "ij");
}

}  // namespace tenon
