#include "runtime/data/csv.h"

#include <charconv>
#include <cstring>
#include <deque>

#include "runtime/file.h"

namespace tenon {

namespace {
constexpr size_t piece_size = 1 << 16;
constexpr size_t longest_field = 1 << 20;
constexpr size_t check_every = 1 << 16;  // values, whether there is the memory for more

struct Field {
  std::string text;
  int64_t line = 1, column = 1;
};

// Sees a text through a window in which the next two characters are, so that it knows a line break or a
// doubled quote.
class Scanner {
 public:
  Scanner(std::string_view text, std::string_view name, char separator) : window_(text), name_(name), separator_(separator) {}
  Scanner(InputFile& file, char separator) : file_(&file), piece_(piece_size, ' '), name_(file.name()), separator_(separator) {}

  int64_t line() const { return line_; }
  std::string_view name() const { return name_; }

  bool done() {
    fill();
    return at_ == window_.size();
  }

  void skip_line() {
    while (!done() && take() != '\n') continue;
  }

  // Passes over a line break, if there is one here.
  bool line_end() {
    if (next_is("\r\n")) take();
    if (!next_is("\n")) return false;
    take();
    return true;
  }

  // Reads a field and what ends it; whether another follows in its row.
  bool field(Field& field) {
    field.text.clear();
    field.line = line_;
    field.column = column();
    if (next_is("\""))
      quoted(field);
    else
      while (!done() && window_[at_] != separator_ && window_[at_] != '\n' && !next_is("\r\n")) append(field);
    if (done() || line_end()) return false;
    if (window_[at_] != separator_)
      stop(line_, column(), fmt::format("expected '{}' or the end of the line after a quote", separator_));
    take();
    return true;
  }

  [[noreturn]] void stop(int64_t line, int64_t column, std::string_view what) const {
    throw Error(fmt::format("{}:{}:{}: {}", name_, line, column, what));
  }

 private:
  int64_t column() const { return static_cast<int64_t>(passed_ + at_ - line_begin_) + 1; }

  void fill() {
    if (!file_ || window_.size() - at_ > 1) return;
    const size_t kept = window_.size() - at_;
    std::memmove(piece_.data(), piece_.data() + at_, kept);
    passed_ += at_;
    at_ = 0;
    const int64_t got =
        file_->read(reinterpret_cast<std::byte*>(piece_.data() + kept), static_cast<int64_t>(piece_.size() - kept));
    window_ = {piece_.data(), kept + static_cast<size_t>(got)};
    if (got == 0) file_ = nullptr;
  }

  bool next_is(std::string_view text) {
    fill();
    return window_.substr(at_).starts_with(text);
  }

  char take() {
    const char c = window_[at_];
    if (c == '\0') stop(line_, column(), "a zero byte, which no text has");
    ++at_;
    if (c == '\n') ++line_, line_begin_ = passed_ + at_;
    return c;
  }

  void append(Field& field) {
    if (field.text.size() == longest_field)
      stop(field.line, field.column, fmt::format("the field has more than {} bytes", longest_field));
    field.text += take();
  }

  void quoted(Field& field) {
    for (take();; append(field)) {
      if (done()) stop(field.line, field.column, "the quote is never closed");
      if (window_[at_] != '"') continue;
      take();
      if (!next_is("\"")) return;
    }
  }

  InputFile* file_ = nullptr;  // until its end
  std::string piece_;          // of the file
  std::string_view window_;
  size_t at_ = 0, passed_ = 0, line_begin_ = 0;  // in the window; before it; in the text
  std::string_view name_;
  char separator_;
  int64_t line_ = 1;
};

double number(const Scanner& scanner, const Field& field) {
  std::string_view text = field.text;
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    scanner.stop(field.line, field.column, fmt::format("expected a number, found '{}'", field.text.substr(0, 40)));
  return value;
}

Csv read_table(Scanner& scanner, const CsvOptions& options) {
  for (int64_t i = 0; i < options.skip; ++i) scanner.skip_line();
  Csv csv;
  std::deque<double> values;  // grows without a second copy of what it holds
  int64_t rows = 0, columns = 0;
  Field field;
  while (!scanner.done()) {
    if (scanner.line_end()) continue;
    const int64_t line = scanner.line();
    const bool names = options.header && csv.names.empty();
    int64_t count = 0;
    for (bool more = true; more; ++count) {
      more = scanner.field(field);
      if (names) csv.names.push_back(field.text);
      if (names || (columns != 0 && count >= columns)) continue;
      values.push_back(number(scanner, field));
      if (values.size() % check_every == 0)
        require_memory(static_cast<int64_t>(2 * sizeof(double) * values.size()),
                       fmt::format("the table up to line {}", scanner.line()));
    }
    if (columns == 0) columns = count;
    if (count != columns) scanner.stop(line, 1, fmt::format("the row has {} fields, the first has {}", count, columns));
    rows += !names;
  }
  if (rows == 0) throw Error(fmt::format("{}: no rows", scanner.name()));
  csv.values = Tensor(f64, {rows, columns});
  std::copy(values.begin(), values.end(), csv.values.write<double>().begin());
  return csv;
}
}  // namespace

Csv parse_csv(std::string_view text, std::string_view name, const CsvOptions& options) {
  Scanner scanner(text, name, options.separator);
  return read_table(scanner, options);
}

Csv read_csv(const std::filesystem::path& path, const CsvOptions& options) {
  return reading(path, [&] {
    InputFile file(path);
    Scanner scanner(file, options.separator);
    return read_table(scanner, options);
  });
}

}  // namespace tenon
