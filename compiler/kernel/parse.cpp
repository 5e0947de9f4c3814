// Text -> kernels: syntax, names and types; then verify() says whether the kernels mean something. Every flaw
// is an Error with the place.
#include "compiler/kernel/reader.h"
#include "compiler/kernel/verify.h"

namespace tenon {
namespace {

constexpr int64_t lanes = 16;  // a tile's width counts elements, the record counts vectors

class KernelReader : HeadReader {
 public:
  KernelReader(std::string_view text, std::string_view file) : HeadReader(text, file) {}

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
      fail_at(at, fmt::format("'{}' is {}, and its value {}", list_.buffers[static_cast<size_t>(target)].name, type.str(),
                              tenon::name(given)));
    if (made.scatter && made.index.empty()) fail_at(at, "a scatter has an axis to scatter along");
    list_.kernels.back().body.push_back(std::move(made));
  }

  void reduction(Statement& made) {
    for (Reduction r : {Reduction::sum, Reduction::product, Reduction::max, Reduction::min, Reduction::argmax}) {
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
};

}  // namespace

std::vector<KernelList> parse_kernels(std::string_view text, std::string_view file) { return KernelReader(text, file).read(); }

}  // namespace tenon
