#pragma once
// What stands before the kernels in the text of a list: sizes, bindings, constants, buffers, checks on entry. Every flaw is an
// Error with the place.
#include <map>

#include "compiler/kernel/kernel.h"
#include "ir/scalar_text.h"

namespace tenon {

class HeadReader : protected ScalarReader {
 protected:
  using ScalarReader::ScalarReader;

  std::optional<Source> source(std::string_view name) const override;
  void head();
  int64_t count(std::string_view what, int64_t least = 0);
  IndexCheck check();  // 0 <= label < 10 "pick: index", after the word "check"
  BufferId existing(const std::string& name, size_t at) const;

  KernelList list_;
  std::map<std::string, BufferId, std::less<>> buffers_;
  std::vector<int64_t> shared_;  // by argument: the first that may share bytes with it

 private:
  bool line(std::string_view keyword);  // false if it is no line of the head
  void numbers();
  std::string quoted_text();
  void size();
  void arena();
  Type type();
  Named binding();
  void state();
  void constant();
  void buffer();
  void argument(const Buffer& made, size_t at);
  int kernel_number();
  Storage storage();
  const Type* bound_type(const Buffer& b, size_t at) const;
};

}  // namespace tenon
