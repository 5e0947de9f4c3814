// Text -> kernels: syntax, names and types; then verify() says whether the kernels mean something. Every flaw
// is an Error with the place.
#include "compiler/kernel/verify.h"
#include "ir/scalar_text.h"

namespace tenon {
namespace {

constexpr int64_t lanes = 16;  // a tile's width counts elements, the record counts vectors

class KernelReader : ScalarReader {
 public:
  KernelReader(std::string_view text, std::string_view file) : ScalarReader(text, file) {}

  std::vector<KernelList> read() {
    std::vector<KernelList> lists;
    bool more = next_statement();
    if (!more) fail_at(at_, "expected 'kernels 1', the version of the format");
    while (more) {
      list_ = {};
      buffers_.clear();
      shared_.clear();
      sizes_.clear();
      const size_t start = at_;
      head();
      more = kernels();
      try {
        verify(list_);
      } catch (const InternalError& error) {
        fail_at(start, error.what());
      }
      lists.push_back(std::move(list_));
    }
    return lists;
  }

 private:
  std::optional<Source> source(std::string_view name) const override {
    auto known = buffers_.find(name);
    if (known == buffers_.end()) return {};
    const Type& type = list_.buffers[static_cast<size_t>(known->second)].type;
    return Source{known->second, type.dtype, type.shape.size()};
  }

  // ---- what stands before the kernels ----

  void head() {
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

  // False if it is no line of the head.
  bool line(std::string_view keyword) {
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

  void numbers() {
    const size_t start = at_;
    list_.numbers = count("how many numbers are given");
    if (list_.numbers > 1 << 16) fail_at(start + 1, fmt::format("{} numbers are given, valid is up to 65536", list_.numbers));
  }

  std::string quoted_text() {
    skip_blanks();
    return string();
  }

  int64_t count(std::string_view what, int64_t least = 0) {
    skip_blanks();
    const size_t start = at_;
    const auto value = TextReader::number<int64_t>(what);
    if (value < least) fail_at(start, fmt::format("{} is at least {}", what, least));
    return value;
  }

  void size() {
    skip_blanks();
    const size_t start = at_;
    const std::string_view name = TextReader::word("the name of a run-time size");
    if (list_.size) fail_at(start, "there is one run-time size at most");
    expect("<=");
    list_.size = intern(name).data();
    list_.maximum = count("the maximum of a size", 1);
    sizes_.insert(std::string(name));
  }

  void arena() {
    list_.arena_bytes = count("the bytes of the arena");
    if (!accept_word("bytes")) fail_at(at_, "expected 'bytes'");
    expect(",");
    if (!accept_word("at") || !accept_word("least")) fail_at(at_, "expected 'at least'");
    list_.lower_bound = count("the lower bound");
  }

  Type type() {
    skip_blanks();
    const size_t start = at_;
    Type result{dtype(), {}};
    result.shape = shape();
    place(start, "type", [&] {
      for (Extent extent : result.shape)
        if (extent.count < 0) throw Error(fmt::format("an extent of {} is negative", result.str()));
      result.bytes(list_.maximum);
    });
    return result;
  }

  Named binding() {
    std::string name = quoted_text();
    return {std::move(name), type(), Line(file_, line_)};
  }

  void state() {
    list_.states.push_back(binding());
    if (accept_word("updated")) list_.updated.push_back(static_cast<int64_t>(list_.states.size()) - 1);
  }

  void constant() {
    skip_blanks();
    const size_t start = at_;
    const DType type = dtype();
    list_.constants.push_back(literal(type, start, {}));
  }

  void buffer() {
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
      fail_at(start,
              fmt::format("'{}' is {}, and what it stands for {}", made.name, made.type.str(), bound->str()));
    if (!buffers_.emplace(made.name, static_cast<BufferId>(list_.buffers.size())).second)
      fail_at(start, fmt::format("the buffer '{}' is there twice", made.name));
    list_.buffers.push_back(std::move(made));
  }

  // Arguments are numbered in order; those that may share bytes have the offset of the first of them.
  void argument(const Buffer& made, size_t at) {
    const int64_t slot = std::ssize(shared_);
    if (made.slot != slot) fail_at(at, fmt::format("this is argument {}, not {}", slot, made.slot));
    if (made.offset < 0 || made.offset > slot ||
        (made.offset < slot && shared_[static_cast<size_t>(made.offset)] != made.offset))
      fail_at(at, fmt::format("argument {} shares bytes with itself or the first of some, not with {}", slot, made.offset));
    shared_.push_back(made.offset);
  }

  int kernel_number() {
    skip_blanks();
    const size_t start = at_;
    const int64_t number = count("a kernel", 1);
    if (number > INT32_MAX) fail_at(start, "there are not so many kernels");
    return static_cast<int>(number - 1);
  }

  Storage storage() {
    skip_blanks();
    const size_t start = at_;
    const std::string_view word = identifier();
    for (Storage storage : {Storage::input, Storage::state, Storage::output, Storage::constant,
                            Storage::arena, Storage::row, Storage::tile, Storage::argument})
      if (tenon::name(storage) == word) return storage;
    fail_at(start, "expected where the buffer lies: input, state, output, constant, arena, row, tile or argument");
  }

  // The type that the slot has in the tables above; null if the buffer has no slot.
  const Type* bound_type(const Buffer& b, size_t at) const {
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

  // 0 <= label < 10 "pick: index", after the word "check".
  IndexCheck check() {
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

  BufferId existing(const std::string& name, size_t at) const {
    auto known = buffers_.find(name);
    if (known == buffers_.end()) fail_at(at, fmt::format("there is no buffer '{}'", name));
    return known->second;
  }

  // ---- kernels ----

  // False at the end of the text; true if another list begins.
  bool kernels() {
    forget();
    bool more = at_ < text_.size();
    while (more) {
      const size_t start = at_;
      if (accept_word("kernels")) return at_ = start, true;
      if (peek() == '$') {
        if (list_.kernels.empty()) fail_at(start, "expected a kernel");
        shared();
      } else {
        std::string first = name("a kernel or a statement");
        if (peek() != '[') {
          kernel(std::move(first));
        } else {
          if (list_.kernels.empty()) fail_at(start, "expected a kernel before its statements");
          statement(existing(first, start));
          forget();
        }
      }
      end_statement();
      more = next_statement();
    }
    return false;
  }

  std::vector<Axis> loops() {
    std::vector<Axis> axes;
    do {
      Axis axis{variable(), {}};
      expect("<");
      axis.extent = extent();
      if (axis.extent.count < 0) fail_at(at_, "a loop runs over 0 or more points");
      axes.push_back(axis);
    } while (accept(','));
    return axes;
  }

  void kernel(std::string name) {
    Kernel made;
    made.name = std::move(name);
    if (accept_word("for")) made.rows = loops();
    if (accept_word("check")) made.check = check();
    if (accept(':')) contraction(made);
    if (accept('|')) choices(made);
    list_.kernels.push_back(std::move(made));
  }

  // acc[i<n; j<128] = sum over k<784 by 512 by 64 of a * b
  void contraction(Kernel& made) {
    Contraction c;
    skip_blanks();
    const size_t at = at_;
    c.accumulator = existing(name("the accumulator"), at);
    expect("[");
    if (!accept(';')) {
      c.m = loops();
      expect(";");
    }
    if (!accept(']')) {
      c.n = loops();
      expect("]");
    }
    expect("=");
    if (!accept_word("sum") || !accept_word("over")) fail_at(at_, "expected 'sum over'");
    c.k = loops();
    if (accept_word("by")) {
      c.order.block = TextReader::number<int64_t>("the points of a block");
      if (!accept_word("by")) fail_at(at_, "expected 'by' and the blocks of a group");
      c.order.group = TextReader::number<int64_t>("the blocks of a group");
    }
    if (!accept_word("of")) fail_at(at_, "expected 'of'");
    skip_blanks();
    const size_t factors = at_;
    c.a = factor();
    expect("*");
    c.b = factor();
    const Buffer& accumulator = list_.buffers[static_cast<size_t>(c.accumulator)];
    if (!is_float(c.a->dtype) || is_storage(c.a->dtype) || c.a->dtype != c.b->dtype || accumulator.type.dtype != c.a->dtype)
      fail_at(factors, fmt::format("the factors are {} and {}, the sum {}: they must be of one float type",
                                   tenon::name(c.a->dtype), tenon::name(c.b->dtype), accumulator.type.str()));
    Shape shape;
    for (const Axis& axis : c.axes()) shape.push_back(axis.extent);
    if (accumulator.storage != Storage::tile || accumulator.type.shape != shape)
      fail_at(at, fmt::format("'{}' is {} {}; the accumulator is a tile of {}", accumulator.name,
                              tenon::name(accumulator.storage), accumulator.type.str(), str(shape)));
    made.contraction = std::move(c);
  }

  // tile 6x32 k 784 group 64, pack a by k, 2 threads, barrier
  void choices(Kernel& made) {
    do {
      if (accept_word("tile")) {
        tile(made.tile);
      } else if (accept_word("pack")) {
        const size_t at = at_;
        const std::string_view operand = TextReader::word("a or b");
        if (operand != "a" && operand != "b") fail_at(at, "expected a or b");
        if (!accept_word("by")) fail_at(at_, "expected 'by'");
        const bool by_k = accept_word("k");
        if (!by_k && (operand == "b" || !accept_word("row"))) fail_at(at_, operand == "a" ? "expected k or row" : "expected k");
        (operand == "a" ? made.tile.a : made.tile.b) = by_k ? Layout::by_k : Layout::by_row;
      } else if (accept_word("barrier")) {
        made.barrier = true;
      } else {
        made.threads = count("the number of threads", 1);
        if (!accept_word("threads")) fail_at(at_, "expected 'threads'");
      }
    } while (accept(','));
  }

  void tile(Tile& made) {
    made.rows = count("the rows of a tile", 1);
    expect("x");
    const size_t at = at_;
    const int64_t width = count("the width of a tile", 1);
    if (width % lanes) fail_at(at, fmt::format("the width of a tile is a multiple of {}", lanes));
    made.vectors = width / lanes;
    if (!accept_word("k")) fail_at(at_, "expected 'k'");
    made.k_block = count("the block of k", 1);
    if (!accept_word("group")) fail_at(at_, "expected 'group'");
    made.group = count("the tiles of a group", 1);
  }

  void statement(BufferId target) {
    Statement made;
    made.buffer = target;
    const Type& type = list_.buffers[static_cast<size_t>(target)].type;
    expect("[");
    if (!accept(']')) {
      do {
        skip_blanks();
        const size_t at = at_;
        made.index.push_back(expression());
        if (!is_integer(made.index.back()->dtype)) fail_at(at, "an index is an integer");
      } while (accept(','));
      expect("]");
    }
    if (accept_word("for")) made.axes = loops();
    skip_blanks();
    made.scatter = peek() == '+';
    expect(made.scatter ? "+=" : "=");
    skip_blanks();
    const size_t at = at_;
    reduction(made);
    made.value = expression();
    if (is_storage(made.value->dtype) && (made.scatter || made.reduction != Reduction::none))
      fail_at(at, fmt::format("{} only stores numbers; reduce an f32", tenon::name(made.value->dtype)));
    const DType given = made.reduction == Reduction::argmax ? i64 : made.value->dtype;
    if (given != type.dtype)
      fail_at(at, fmt::format("'{}' is {}, and its value {}", list_.buffers[static_cast<size_t>(target)].name,
                              type.str(), tenon::name(given)));
    if (made.scatter && made.index.empty()) fail_at(at, "a scatter has an axis to scatter along");
    list_.kernels.back().body.push_back(std::move(made));
  }

  void reduction(Statement& made) {
    for (Reduction r :
         {Reduction::sum, Reduction::product, Reduction::max, Reduction::min, Reduction::argmax}) {
      const size_t start = at_;
      if (accept_word(tenon::name(r)) && accept_word("over")) {
        made.reduction = r;
        made.reduced = loops();
        if (accept_word("in")) {
          made.order.chains = TextReader::number<int64_t>("the chains of a sum");
          if (!accept_word("chains") || !accept_word("by")) fail_at(at_, "expected 'chains by' and the points of a block");
          made.order.block = TextReader::number<int64_t>("the points of a block");
        }
        if (!accept_word("of")) fail_at(at_, "expected 'of'");
        return;
      }
      at_ = start;
    }
  }

  KernelList list_;
  std::map<std::string, BufferId, std::less<>> buffers_;
  std::vector<int64_t> shared_;  // by argument: the first that may share bytes with it
};

}  // namespace

std::vector<KernelList> parse_kernels(std::string_view text, std::string_view file) {
  return KernelReader(text, file).read();
}

}  // namespace tenon
