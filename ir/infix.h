#pragma once
// What the printer and the parser of the scalar language agree on: the infix operators, and the words that
// have a meaning.
#include <algorithm>
#include <array>

#include "ir/compute.h"

namespace tenon {

struct Infix {
  Scalar::Function function;
  std::string_view symbol;
  int precedence;  // from the loosest, 1
};
// A symbol that begins another one stands after it.
inline constexpr Infix infix[] = {{Scalar::logical_or, "or", 1}, {Scalar::logical_and, "and", 2}, {Scalar::eq, "==", 3},
                                  {Scalar::ne, "!=", 3},         {Scalar::le, "<=", 3},           {Scalar::lt, "<", 3},
                                  {Scalar::add, "+", 4},         {Scalar::sub, "-", 4},           {Scalar::mul, "*", 5},
                                  {Scalar::floordiv, "//", 5},   {Scalar::div, "/", 5},           {Scalar::mod, "%", 5}};
inline constexpr int tightest = 6;  // of a sign or `not`

inline constexpr std::string_view variable_letters = "ijklmopq";

inline bool is_variable_name(std::string_view name) {
  if (name.size() == 1) return variable_letters.find(name[0]) != name.npos;
  return name.size() > 1 && name[0] == 'i' &&
         std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Not the name of a size, nor (but for `not`, none is needed there) of a buffer, without quotation marks.
inline bool is_reserved(std::string_view name) {
  constexpr std::array<std::string_view, 13> words = {"or",  "and", "not",  "if",  "else", "true", "false",
                                                      "inf", "nan", "size", "for", "over", "of"};
  return std::find(words.begin(), words.end(), name) != words.end();
}

}  // namespace tenon
