#pragma once
// Types and values in the text of a function, for the parser of its lines; the grammar stands in parse.cpp.
#include <map>
#include <optional>
#include <tuple>

#include "compiler/loop/loop.h"
#include "ir/reader.h"

namespace tenon::loop {

class ValueReader : protected TextReader {
 protected:
  using TextReader::TextReader;

  ValueType type();
  Id value();  // of a leaf -1, -2, ... in the order of first use, until all are known
  ValueType type_of(Id id) const;

  Function f_;                // its nodes without the leaves, until all of those are known
  std::vector<Node> leaves_;  // each once, in the order of their first use
  std::map<std::tuple<Code, DType, bool, bool, int64_t>, Id> known_leaves_;
  std::optional<int64_t> first_;  // what the first of f_.nodes is called in the text

 private:
  Id leaf(Code code, ValueType type, int64_t integer = 0);
  Id given(Code code, size_t start);
  Id constant();
  uint64_t element(DType dtype);
};

}  // namespace tenon::loop
