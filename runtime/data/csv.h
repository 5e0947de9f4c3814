#pragma once
// Tables of numbers as text: RFC 4180 (quotes, doubled quotes, line breaks of both kinds), plain or gzip. A
// file is read as a stream: the memory that takes is at most about twice that of the table, plus the names of
// the columns, one field and less than 1 MiB.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/tensor.h"

namespace tenon {

struct CsvOptions {
  char separator = ',';
  int64_t skip = 0;     // lines before the table
  bool header = false;  // the first row names the columns
};

struct Csv {
  std::vector<std::string> names;  // empty without a header
  Tensor values;                   // f64[rows, columns]
};

// Empty lines are passed over. Error with line:column for a field that is no number ("nan" and "inf" are), a
// row of another length, an open quote, a zero byte, a field of more than 1 MiB.
Csv read_csv(const std::filesystem::path& path, const CsvOptions& options = {});
Csv parse_csv(std::string_view text, std::string_view name, const CsvOptions& options = {});

}  // namespace tenon
