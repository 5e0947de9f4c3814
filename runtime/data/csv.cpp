#include "runtime/data/csv.h"

#include <charconv>

#include "runtime/file.h"

namespace tenon {

namespace {
struct Field {
  std::string text;
  int64_t line, column;
};

class Scanner {
 public:
  Scanner(std::string_view text, std::string_view name, char separator)
      : text_(text), name_(name), separator_(separator) {}

  bool done() const { return at_ == text_.size(); }

  void skip_line() {
    while (!done() && text_[at_] != '\n') ++at_;
    if (!done()) step();
  }

  // The fields of the next row; none for an empty line.
  std::vector<Field> row() {
    std::vector<Field> fields;
    if (line_end()) return fields;
    for (;;) {
      fields.push_back(field());
      if (done() || line_end()) return fields;
      if (text_[at_] != separator_)
        stop(line_, column(), fmt::format("expected '{}' or the end of the line behind a quote", separator_));
      ++at_;
    }
  }

  [[noreturn]] void stop(int64_t line, int64_t column, std::string_view what) const {
    throw Error(fmt::format("{}:{}:{}: {}", name_, line, column, what));
  }

 private:
  int64_t column() const { return static_cast<int64_t>(at_ - line_begin_) + 1; }

  void step() {
    if (text_[at_++] == '\n') ++line_, line_begin_ = at_;
  }

  bool line_end() {
    if (text_.substr(at_).starts_with("\r\n")) ++at_;
    if (done() || text_[at_] != '\n') return false;
    step();
    return true;
  }

  Field field() {
    Field field{"", line_, column()};
    if (!done() && text_[at_] == '"') {
      for (++at_;; step()) {
        if (done()) stop(field.line, field.column, "the quote is never closed");
        if (text_[at_] == '"' && (++at_ == text_.size() || text_[at_] != '"')) return field;
        field.text += text_[at_];
      }
    }
    while (!done() && text_[at_] != separator_ && text_[at_] != '\n' &&
           !text_.substr(at_).starts_with("\r\n"))
      field.text += text_[at_++];
    return field;
  }

  std::string_view text_, name_;
  char separator_;
  size_t at_ = 0, line_begin_ = 0;
  int64_t line_ = 1;
};
}  // namespace

Csv parse_csv(std::string_view text, std::string_view name, const CsvOptions& options) {
  Scanner scanner(text, name, options.separator);
  for (int64_t i = 0; i < options.skip; ++i) scanner.skip_line();
  Csv csv;
  std::vector<double> values;
  size_t columns = 0;
  int64_t rows = 0;
  while (!scanner.done()) {
    const std::vector<Field> fields = scanner.row();
    if (fields.empty()) continue;
    if (columns == 0) columns = fields.size();
    if (fields.size() != columns)
      scanner.stop(fields[0].line, 1,
                   fmt::format("the row has {} fields, the first has {}", fields.size(), columns));
    if (options.header && csv.names.empty()) {
      for (const Field& field : fields) csv.names.push_back(field.text);
      continue;
    }
    for (const Field& field : fields) {
      std::string_view number = field.text;
      while (number.starts_with(' ')) number.remove_prefix(1);
      while (number.ends_with(' ')) number.remove_suffix(1);
      if (number.starts_with('+')) number.remove_prefix(1);
      double value = 0;
      const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
      if (error != std::errc() || end != number.data() + number.size())
        scanner.stop(field.line, field.column,
                     fmt::format("expected a number, found '{}'", field.text.substr(0, 40)));
      values.push_back(value);
    }
    ++rows;
  }
  if (rows == 0) throw Error(fmt::format("{}: no rows", name));
  csv.values = Tensor::of<double>({rows, static_cast<int64_t>(columns)}, values);
  return csv;
}

Csv read_csv(const std::filesystem::path& path, const CsvOptions& options) {
  InputFile file(path);
  const std::vector<std::byte> bytes = file.rest();
  return parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.name(), options);
}

}  // namespace tenon
