#pragma once
// The text of the scalar language, which reads back as the same nodes:
//   expression  a or b · a and b · a == b, != < <= · a + b, - · a * b, / // % · -a · not a, from loosest to
//   tightest primary     x[i,j] · (x[i] if guard else otherwise) · exp(a) · f32(a) · (expression) · $1 · i ·
//   4n · constant constant    784 is an i64, 0.5 an f32; of another type 5:u8, 0.5:f64; true, false, inf, nan
// Variables 0, 1, ... are i j k l m o p q i8 i9 ...; a run-time size whose name could be taken for something
// else is size(4 name). A name that is no plain word, of letters, digits and _ . /, stands in quotation
// marks.
#include <map>
#include <unordered_map>

#include "ir/compute.h"
#include "ir/reader.h"

namespace tenon {

// Of a buffer or kernel: in quotation marks unless it is a plain word that means nothing else.
std::string plain_or_quoted(std::string_view name);

class ScalarPrinter {
 public:
  explicit ScalarPrinter(std::function<std::string(int64_t source)> source) : source_(std::move(source)) {}

  // From here on, parts that these expressions share, or that lie deep, have names; returns what they stand
  // for, in order: "$1 = exp(x[i])". So a text is about as long as its expressions have nodes.
  std::vector<std::string> share(std::span<const Scalar> expressions);
  std::string text(const Scalar& x) const { return print(x, 0); }

 private:
  std::string print(const Scalar& x, int outer) const;
  std::string node(const Scalar& x, int outer) const;
  std::string list(std::span<const Scalar> arguments) const;

  std::function<std::string(int64_t)> source_;
  std::unordered_map<const ScalarNode*, size_t> names_;
};

// A parser of expressions, for the parsers of what holds them. Every flaw is an Error with the place.
class ScalarReader : protected TextReader {
 protected:
  using TextReader::TextReader;
  virtual ~ScalarReader() = default;

  struct Source {
    int64_t number;
    DType dtype;
    size_t rank;
  };
  // What a load of this name reads; none if there is nothing of the name.
  virtual std::optional<Source> source(std::string_view name) const = 0;

  Scalar expression() { return binary(1); }
  Scalar factor() { return unary(); }  // what binds more tightly than a product
  std::string name(std::string_view what);
  int64_t variable();
  // "$1 = expression", to be used by the expressions that follow until forget().
  void shared();
  void forget() { shared_.clear(); }

 private:
  Scalar binary(int loosest);
  Scalar unary();
  Scalar primary();
  bool negative_number() const;
  Scalar number();
  Scalar word();
  Scalar load(std::string_view name, size_t at);
  Scalar call(std::string_view name, size_t at);
  Scalar make(Scalar::Function function, std::vector<Scalar> arguments, size_t at);

  std::map<int64_t, Scalar> shared_;
  int depth_ = 0;
};

}  // namespace tenon
