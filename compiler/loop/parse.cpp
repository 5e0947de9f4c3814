// Text -> loops: syntax, names and numbers here; then verify() says whether they mean something.
//   text      the functions that are called, then the one that calls them
//   function  function "name" [threads] [numbers 2] [sizes n, t] ; [parameters f32x16, i32 ;] (buffer ;)* block
//   buffer    buffer 0 f32[784n] and: argument 0, scratch 64 (number or offset), stack, fault
//   block     (line ;)* [yield x, y ;]
//   line      %7 = code x, y : type, where the code is followed by a name in: reference exp, reduce add, call "name"; and
//             the operands by: load, store: align 4; extract: lane 3; shuffle: [0,1,...]; accesses: mask x,
//             of those that read: mask x rest y
//             store x, @1 align 4 · scatter x, @1, offsets · prefetch @1
//             loop %4 = 0 to x by 16 [carry %5 = y, %6 = z] ; block end [gives %8, %9]
//             if x ; block [else ; block] end [gives %8, %9]
//   value     %7 · 784 (an i64) · true · 0.5:f32x16 · lanes:i32 · size.n · thread · threads · number0 ·
//             parameter0 · @2
//   type      f32 · f32x16, of 16 lanes · @f32, the address of one
// Where it says ; a line ends; # begins a comment. A % is followed by the number of the node; see loop.h.
#include "compiler/loop/reader.h"
#include "compiler/loop/text.h"
#include "compiler/loop/verify.h"

namespace tenon::loop {
namespace {

class FunctionReader : ValueReader {
 public:
  FunctionReader(std::string_view text, std::string_view file) : ValueReader(text, file) {}

  Function read() {
    next_statement();
    for (;;) {
      const size_t start = at_;
      Function f = function();
      if (at_ == text_.size()) {
        f.functions = std::move(functions_);
        verified(f, start);
        return f;
      }
      if (first_call_) fail_at(*first_call_, "a function that is called calls none");
      verified(f, start);
      if (f.blocks[0].yields.empty()) fail_at(start, "a function before the last one is called: it yields a value");
      if (!names_.emplace(f.name, static_cast<int64_t>(functions_.size())).second)
        fail_at(start, fmt::format("there are two functions {}", quoted(f.name)));
      functions_.push_back(std::make_shared<const Function>(std::move(f)));
    }
  }

 private:
  void verified(const Function& f, size_t start) const {
    try {
      verify(f);
    } catch (const InternalError& error) {
      fail_at(start, error.what());
    }
  }

  Function function() {
    f_ = {}, leaves_.clear(), known_leaves_.clear(), first_call_.reset(), first_.reset();
    if (!accept_word("function")) fail_at(at_, "expected 'function'");
    skip_blanks();
    f_.name = string();
    f_.threads = accept_word("threads");
    if (accept_word("numbers")) f_.numbers = number<int64_t>("how many numbers there are");
    sizes_.clear();
    if (accept_word("sizes")) do
        f_.sizes.push_back(intern(word("the name of a run-time size")));
      while (accept(','));
    sizes_.insert(f_.sizes.begin(), f_.sizes.end());
    end_statement();
    next_statement();
    if (accept_word("parameters")) {
      do f_.parameters.push_back(type());
      while (accept(','));
      end_statement();
      next_statement();
    }
    while (accept_word("buffer")) buffer();
    f_.blocks.emplace_back();
    block(0, 0);
    const size_t end = at_;
    if (at_ < text_.size() && !accept_word("function")) fail_at(end, "expected a node, 'loop', 'if' or 'function'");
    at_ = end;
    return finish();
  }

  void buffer() {
    skip_blanks();
    if (size_t at = at_; number<uint32_t>("the number of a buffer") != f_.buffers.size())
      fail_at(at, fmt::format("this is buffer {}", f_.buffers.size()));
    Buffer made{.dtype = dtype()};
    expect("[");
    made.count = extent();
    expect("]");
    made.place = where();
    if (made.place == Buffer::Place::argument) made.slot = number<int64_t>("the number of an argument");
    if (made.place == Buffer::Place::scratch) made.slot = number<int64_t>("an offset in bytes");
    f_.buffers.push_back(made);
    end_statement();
    next_statement();
  }

  Buffer::Place where() {
    skip_blanks();
    const size_t start = at_;
    const std::string_view word = identifier();
    for (auto p : {Buffer::Place::argument, Buffer::Place::scratch, Buffer::Place::stack, Buffer::Place::fault})
      if (name(p) == word) return p;
    fail_at(start, "expected where the buffer lies: argument, scratch, stack or fault");
  }

  // ---- code ----

  Id append(Node node) {
    f_.nodes.push_back(std::move(node));
    return static_cast<Id>(f_.nodes.size()) - 1;
  }

  // %7, of the node with that place among those that are no leaves.
  void numbered(int64_t place) {
    skip_blanks();
    const size_t start = at_;
    expect("%");
    const int64_t written = number<uint32_t>("the number of a node");
    if (!first_) {
      first_ = written - place, first_at_ = start;
      if (*first_ < 0) fail_at(start, fmt::format("this node is %{} at least", place));
    }
    if (written != *first_ + place) fail_at(start, fmt::format("this node is %{}", *first_ + place));
  }

  // To the line that ends it or to its `yield`.
  void block(size_t id, int depth) {
    while (next_statement()) {
      const size_t start = at_;
      if (peek() == '%') {
        f_.blocks[id].nodes.push_back(definition());
      } else if (const std::string_view word = identifier(); word == "loop" || word == "if") {
        if (depth == deepest) fail_at(start, fmt::format("loops and branches are nested more than {} deep", deepest));
        word == "if" ? branch(id, depth + 1) : loop(id, depth + 1);
      } else if (word == "yield") {
        do f_.blocks[id].yields.push_back(value());
        while (accept(','));
        end_statement();
        next_statement();
        return;
      } else if (Code code; effect(word, code)) {
        Node node{.code = code};
        operands(node);
        f_.blocks[id].nodes.push_back(append(std::move(node)));
      } else {
        at_ = start;
        return;
      }
      end_statement();
    }
  }

  static bool effect(std::string_view word, Code& code) {
    for (Code c : {Code::store, Code::scatter, Code::prefetch})
      if (name(c) == word) return code = c, true;
    return false;
  }

  Id definition() {
    numbered(std::ssize(f_.nodes));
    expect("=");
    skip_blanks();
    const size_t start = at_;
    const std::string_view word = identifier();
    int code = static_cast<int>(Code::add);
    while (code < codes && (name(static_cast<Code>(code)) != word || !makes_value(static_cast<Code>(code)))) ++code;
    if (code == codes) fail_at(start, "expected what the value is: add, load, ...");
    Node node{.code = static_cast<Code>(code)};
    if (node.code == Code::reference) node.integer = referenced();
    if (node.code == Code::reduce) node.integer = combined_by();
    if (node.code == Code::call) node.integer = callee(start);
    operands(node);
    expect(":");
    node.type = type();
    return append(std::move(node));
  }

  int64_t referenced() {
    skip_blanks();
    const size_t start = at_;
    const std::string_view word = identifier();
    for (int64_t i = 0; i < scalar_functions; ++i)
      if (is_reference(i) && tenon::function(static_cast<Scalar::Function>(i)).name == word) return i;
    fail_at(start, "expected the name of a function that has a reference");
  }

  int64_t combined_by() {
    skip_blanks();
    const size_t start = at_;
    const std::string_view word = identifier();
    for (Code code : {Code::add, Code::mul, Code::max, Code::min})
      if (name(code) == word) return static_cast<int64_t>(code);
    fail_at(start, "expected how lanes are combined: add, mul, max or min");
  }

  int64_t callee(size_t start) {
    if (!first_call_) first_call_ = start;
    skip_blanks();
    const size_t at = at_;
    const std::string callee = string();
    const auto known = names_.find(callee);
    if (known == names_.end()) fail_at(at, fmt::format("there is no function {} before this one", quoted(callee)));
    return known->second;
  }

  // x, y align 4 mask z rest w: what follows the code.
  void operands(Node& node) {
    skip_blanks();
    const size_t start = at_;
    if (node.code != Code::call || peek() != ':') {
      do node.operands.push_back(value());
      while (accept(','));
    }
    const size_t plain = unmasked_operands(node);
    if (node.operands.size() != plain)
      fail_at(start,
              fmt::format("{} has {} operands besides its mask, here are {}", name(node.code), plain, node.operands.size()));
    if (node.code == Code::load || node.code == Code::store) {
      if (!accept_word("align")) fail_at(at_, "expected 'align'");
      node.integer = number<int64_t>("an alignment");
    }
    if (node.code == Code::extract) {
      if (!accept_word("lane")) fail_at(at_, "expected 'lane'");
      node.integer = number<int64_t>("a lane");
    }
    if (node.code == Code::shuffle) {
      expect("[");
      do node.lanes.push_back(number<int>("a lane"));
      while (accept(','));
      expect("]");
    }
    const bool reads = node.code == Code::load || node.code == Code::gather;
    if (!reads && node.code != Code::store && node.code != Code::scatter) return;
    if (!accept_word("mask")) return;
    node.operands.push_back(value());
    if (!reads) return;
    if (!accept_word("rest")) fail_at(at_, "expected 'rest'");
    node.operands.push_back(value());
  }

  // ---- control ----

  int32_t new_block() {
    f_.blocks.emplace_back();
    return static_cast<int32_t>(f_.blocks.size()) - 1;
  }

  // %4 = 0 to %3 by 16 carry %5 = 0:f32x16
  void loop(size_t outer, int depth) {
    const Id id = append({.code = Code::loop});
    const int32_t inside = new_block();
    Node made = f_.nodes[static_cast<size_t>(id)];
    made.blocks = {inside};
    std::vector<Id> arguments;
    auto argument = [&] {
      numbered(std::ssize(f_.nodes) + std::ssize(arguments));
      arguments.push_back(id + 1 + static_cast<Id>(arguments.size()));
      expect("=");
      made.operands.push_back(value());
    };
    argument();
    if (!accept_word("to")) fail_at(at_, "expected 'to'");
    made.operands.push_back(value());
    if (!accept_word("by")) fail_at(at_, "expected 'by'");
    made.integer = number<int64_t>("a step");
    if (accept_word("carry")) {
      do argument();
      while (accept(','));
    }
    end_statement();
    for (size_t i = 0; i < arguments.size(); ++i)
      append({.code = Code::argument,
              .type = i ? type_of(made.operands[i + 1]) : ValueType{i64},
              .integer = static_cast<int64_t>(i)});
    f_.blocks[static_cast<size_t>(inside)].arguments = std::move(arguments);
    f_.nodes[static_cast<size_t>(id)] = std::move(made);
    block(static_cast<size_t>(inside), depth);
    f_.blocks[outer].nodes.push_back(id);
    end(outer, id, inside);
  }

  void branch(size_t outer, int depth) {
    const Id id = append({.code = Code::branch, .operands = {value()}});
    end_statement();
    f_.blocks[outer].nodes.push_back(id);
    const int32_t then = new_block();
    f_.nodes[static_cast<size_t>(id)].blocks.push_back(then);
    block(static_cast<size_t>(then), depth);
    if (accept_word("else")) {
      end_statement();
      const int32_t otherwise = new_block();
      f_.nodes[static_cast<size_t>(id)].blocks.push_back(otherwise);
      block(static_cast<size_t>(otherwise), depth);
    }
    end(outer, id, then);
  }

  // end gives %8, %9: as many as the block yields
  void end(size_t outer, Id node, int32_t inside) {
    if (!accept_word("end")) fail_at(at_, "expected a node or 'end'");
    const std::vector<Id> yields = f_.blocks[static_cast<size_t>(inside)].yields;
    for (size_t i = 0; i < yields.size(); ++i) {
      if (i) expect(",");
      if (!i && !accept_word("gives")) fail_at(at_, "expected 'gives'");
      numbered(std::ssize(f_.nodes));
      f_.blocks[outer].nodes.push_back(
          append({.code = Code::result, .type = type_of(yields[i]), .operands = {node}, .integer = static_cast<int64_t>(i)}));
    }
  }

  // The leaves are the first nodes.
  Function finish() {
    const auto count = static_cast<Id>(leaves_.size());
    if (first_ && *first_ != count)
      fail_at(first_at_, fmt::format("the first node that is no leaf is %{}, as there are {} leaves; by the number here "
                                     "it is %{}",
                                     count, count, *first_));
    auto renumber = [&](std::vector<Id>& ids) {
      for (Id& id : ids) id = id < 0 ? ~id : id + count;
    };
    for (Node& node : f_.nodes) renumber(node.operands);
    for (Block& block : f_.blocks) renumber(block.arguments), renumber(block.nodes), renumber(block.yields);
    f_.nodes.insert(f_.nodes.begin(), std::make_move_iterator(leaves_.begin()), std::make_move_iterator(leaves_.end()));
    return std::move(f_);
  }

  size_t first_at_ = 0;  // where the first number of a node stands
  std::optional<size_t> first_call_;
  std::vector<std::shared_ptr<const Function>> functions_;
  std::map<std::string, int64_t, std::less<>> names_;
};

}  // namespace

Function parse(std::string_view text, std::string_view file) { return FunctionReader(text, file).read(); }

}  // namespace tenon::loop
