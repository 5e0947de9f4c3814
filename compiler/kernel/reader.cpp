#include "compiler/kernel/reader.h"

namespace tenon {

std::optional<ScalarReader::Source> HeadReader::source(std::string_view name) const {
  auto known = buffers_.find(name);
  if (known == buffers_.end()) return {};
  const Type& type = list_.buffers[static_cast<size_t>(known->second)].type;
  return Source{known->second, type.dtype, type.shape.size()};
}

void HeadReader::head() {
  if (!accept_word("kernels")) fail_at(at_, "expected 'kernels 1', the version of the format");
  skip_blanks();
  if (size_t at = at_; TextReader::number<int64_t>("the version of the format") != 1)
    fail_at(at, "this text has another version; this library reads version 1");
  end_statement();
  while (next_statement()) {
    const size_t start = at_;
    const std::string_view keyword = identifier();
    if (!line(keyword)) {
      at_ = start;
      return;
    }
    end_statement();
  }
}

bool HeadReader::line(std::string_view keyword) {
  if (keyword == "size") return size(), true;
  if (keyword == "entry") return list_.entry = quoted_text(), true;
  if (keyword == "arena") return arena(), true;
  if (keyword == "numbers") return numbers(), true;
  if (keyword == "input") return list_.inputs.push_back(binding()), true;
  if (keyword == "output") return list_.outputs.push_back(binding()), true;
  if (keyword == "state") return state(), true;
  if (keyword == "constant") return constant(), true;
  if (keyword == "buffer") return buffer(), true;
  if (keyword == "receipt") return list_.receipts.push_back(quoted_text()), true;
  if (keyword == "note") return list_.notes.push_back(quoted_text()), true;
  if (keyword != "on") return false;
  if (!accept_word("entry") || !accept_word("check")) fail_at(at_, "expected 'on entry check'");
  list_.door.push_back(check());
  return true;
}

void HeadReader::numbers() {
  const size_t start = at_;
  list_.numbers = count("how many numbers are given");
  if (list_.numbers > 1 << 16) fail_at(start + 1, fmt::format("{} numbers are given, valid is up to 65536", list_.numbers));
}

std::string HeadReader::quoted_text() {
  skip_blanks();
  return string();
}

int64_t HeadReader::count(std::string_view what, int64_t least) {
  skip_blanks();
  const size_t start = at_;
  const auto value = TextReader::number<int64_t>(what);
  if (value < least) fail_at(start, fmt::format("{} is at least {}", what, least));
  return value;
}

void HeadReader::size() {
  skip_blanks();
  const size_t start = at_;
  const std::string_view name = TextReader::word("the name of a run-time size");
  if (list_.sizes.contains(name)) fail_at(start, fmt::format("the run-time size '{}' is there twice", name));
  if (list_.sizes.size() == Sizes::largest)
    fail_at(start, fmt::format("there are more than {} run-time sizes", Sizes::largest));
  expect("<=");
  list_.sizes.set(name, count("the maximum of a size", 1));
  sizes_.insert(std::string(name));
}

void HeadReader::arena() {
  list_.arena_bytes = count("the bytes of the arena");
  if (!accept_word("bytes")) fail_at(at_, "expected 'bytes'");
  expect(",");
  if (!accept_word("at") || !accept_word("least")) fail_at(at_, "expected 'at least'");
  list_.lower_bound = count("the lower bound");
}

Type HeadReader::type() {
  skip_blanks();
  const size_t start = at_;
  Type result{dtype(), {}};
  result.shape = shape();
  place(start, "type", [&] {
    for (Extent extent : result.shape)
      if (extent.count < 0) throw Error(fmt::format("an extent of {} is negative", result.str()));
    result.bytes(list_.sizes);
  });
  return result;
}

Named HeadReader::binding() {
  std::string name = quoted_text();
  return {std::move(name), type(), Line(file_, line_)};
}

void HeadReader::state() {
  list_.states.push_back(binding());
  if (accept_word("updated")) list_.updated.push_back(static_cast<int64_t>(list_.states.size()) - 1);
}

void HeadReader::constant() {
  skip_blanks();
  const size_t start = at_;
  const DType type = dtype();
  list_.constants.push_back(literal(type, start, {}));
}

void HeadReader::buffer() {
  skip_blanks();
  const size_t start = at_;
  Buffer made{.name = name("the name of a buffer"), .type = {}, .storage = storage()};
  made.type = type();
  if (accept_word("slot")) made.slot = count("a slot");
  if (accept_word("at")) made.offset = count("an offset");
  if (accept_word("alive")) {
    made.first = kernel_number();
    if (!accept_word("to")) fail_at(at_, "expected 'to'");
    made.last = kernel_number();
  }
  if (made.storage == Storage::argument) argument(made, start);
  const Type* bound = bound_type(made, start);
  if (bound && *bound != made.type)
    fail_at(start, fmt::format("'{}' is {}, and what it stands for {}", made.name, made.type.str(), bound->str()));
  if (!buffers_.emplace(made.name, static_cast<BufferId>(list_.buffers.size())).second)
    fail_at(start, fmt::format("the buffer '{}' is there twice", made.name));
  list_.buffers.push_back(std::move(made));
}

// Arguments are numbered in order; those that may share bytes have the offset of the first of them.
void HeadReader::argument(const Buffer& made, size_t at) {
  const int64_t slot = std::ssize(shared_);
  if (made.slot != slot) fail_at(at, fmt::format("this is argument {}, not {}", slot, made.slot));
  if (made.offset < 0 || made.offset > slot || (made.offset < slot && shared_[static_cast<size_t>(made.offset)] != made.offset))
    fail_at(at, fmt::format("argument {} shares bytes with itself or the first of some, not with {}", slot, made.offset));
  shared_.push_back(made.offset);
}

int HeadReader::kernel_number() {
  skip_blanks();
  const size_t start = at_;
  const int64_t number = count("a kernel", 1);
  if (number > INT32_MAX) fail_at(start, "there are not so many kernels");
  return static_cast<int>(number - 1);
}

Storage HeadReader::storage() {
  skip_blanks();
  const size_t start = at_;
  const std::string_view word = identifier();
  for (Storage storage : {Storage::input, Storage::state, Storage::output, Storage::constant, Storage::arena, Storage::row,
                          Storage::tile, Storage::argument})
    if (tenon::name(storage) == word) return storage;
  fail_at(start, "expected where the buffer lies: input, state, output, constant, arena, row, tile or argument");
}

// The type that the slot has in the tables above; null if the buffer has no slot.
const Type* HeadReader::bound_type(const Buffer& b, size_t at) const {
  auto in = [&](const auto& table) {
    if (b.slot < 0 || b.slot >= std::ssize(table))
      fail_at(at, fmt::format("there is no {} of slot {}", tenon::name(b.storage), b.slot));
    return &table[static_cast<size_t>(b.slot)].type;
  };
  switch (b.storage) {
    case Storage::input: return in(list_.inputs);
    case Storage::output: return in(list_.outputs);
    case Storage::state: return in(list_.states);
    case Storage::constant: return in(list_.constants);
    default: return nullptr;
  }
}

IndexCheck HeadReader::check() {
  expect("0");
  expect("<=");
  IndexCheck made;
  skip_blanks();
  const size_t start = at_;
  made.index = existing(name("an index"), start);
  const DType type = list_.buffers[static_cast<size_t>(made.index)].type.dtype;
  if (!is_integer(type)) fail_at(start, fmt::format("an index is of integers, not {}", tenon::name(type)));
  expect("<");
  made.extent = extent();
  made.message = quoted_text();
  made.line = Line(file_, line_);
  return made;
}

BufferId HeadReader::existing(const std::string& name, size_t at) const {
  auto known = buffers_.find(name);
  if (known == buffers_.end()) fail_at(at, fmt::format("there is no buffer '{}'", name));
  return known->second;
}

}  // namespace tenon
