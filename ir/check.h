#pragma once
// The two voices of the library. `Error` is the user's mistake and names the user's line; `InternalError` is ours
// and names the dump that was written. Both are exceptions: nothing here prints, exits or aborts.
#include <fmt/format.h>

#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tenon {

// Returns a view of the one process-wide copy of `text`; views of equal texts have equal data pointers.
std::string_view intern(std::string_view text);

// A line of the user's program (or of a text file that was parsed).
struct Line {
  std::string_view file;  // interned or of static storage
  uint32_t line = 0;

  Line() = default;
  Line(std::string_view file, uint32_t line) : file(file), line(line) {}
  Line(const std::source_location& at) : file(at.file_name()), line(at.line()) {}  // NOLINT: a conversion
  bool operator==(const Line&) const = default;
  bool known() const { return line != 0; }
  std::string str() const;  // "train.cpp:41": the file without its folders
};

// The user's mistake. what() is "train.cpp:41: matmul: inner extents differ: ...", without the first part if no
// line is known (a file, an argument of a run).
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
  Error(Line line, const std::string& message);
  Line line() const { return line_; }

 private:
  Line line_;
};

// A broken invariant of the library itself. The pass runner adds the pass and the dump it wrote.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Throws Error with a formatted message.
template <typename... Args>
[[noreturn]] void fail(Line line, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(line, fmt::format(format, std::forward<Args>(args)...));
}

// Throws InternalError, naming the source line here, unless `holds`.
inline void check(bool holds, std::string_view invariant, std::source_location at = std::source_location::current()) {
  if (!holds) [[unlikely]]
    throw InternalError(fmt::format("{}: broken invariant: {}", Line(at).str(), invariant));
}

}  // namespace tenon
