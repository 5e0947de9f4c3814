// Text -> graph. Every flaw, of syntax or of meaning, becomes an Error with the place. Meaning is not checked here but by
// append() and find_flaw().
#include <unordered_map>
#include <unordered_set>

#include "ir/op.h"
#include "ir/reader.h"
#include "ir/verify.h"

namespace tenon {
namespace {

class Reader : TextReader {
 public:
  Reader(std::string_view text, std::string_view file, const LiteralTable& literals)
      : TextReader(text, file), literals_(literals) {}

  Graph read();

 private:
  Attribute attribute();

  // ---- statements ----
  Value value() {
    expect("%");
    size_t start = at_;
    int64_t number = this->number<int64_t>("the number of a node");
    auto known = values_.find(number);
    if (known == values_.end()) fail_at(start, fmt::format("%{} is not defined before this line", number));
    return known->second;
  }
  void node();
  void entry();

  const LiteralTable& literals_;
  Graph graph_;
  Body& body_ = graph_.body();
  std::unordered_map<int64_t, Value> values_;  // by the number in the text
  std::vector<size_t> starts_;                 // of each node, in the text
};

Attribute Reader::attribute() {
  skip_blanks();
  size_t start = at_;
  if (peek() == '"') return string();
  if (peek() == '[') return shape();
  if (is_letter(peek())) {
    std::string_view word = identifier();
    if (word == "true" || word == "false") return word == "true";
    DType dtype;
    if (parse_dtype(word, dtype)) return peek() == '[' ? Attribute(literal(dtype, start, literals_)) : Attribute(dtype);
    at_ = start;
    if (word != "inf" && word != "nan") fail_at(start, "expected the value of an attribute");
    return floating<double>();
  }
  size_t end = at_;
  while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '-')) ++end;
  bool whole = end >= text_.size() || (text_[end] != '.' && text_[end] != 'e' && text_[end] != 'i');
  return whole ? Attribute(number<int64_t>("the value of an attribute")) : Attribute(floating<double>());
}

// %7 = contract(%2, %5) spec="ik,kj->ij" : f32[n,128]
void Reader::node() {
  size_t start = at_;
  expect("%");
  auto number = this->number<int64_t>("the number of a node");
  if (values_.contains(number)) fail_at(start, fmt::format("%{} is defined twice", number));
  expect("=");
  skip_blanks();
  size_t op_at = at_;
  const Op* op = find_op(word("an operation"));
  if (!op) fail_at(op_at, fmt::format("there is no operation '{}'", text_.substr(op_at, at_ - op_at)));
  std::vector<Value> operands;
  expect("(");
  if (!accept(')')) {
    do operands.push_back(value());
    while (accept(','));
    expect(")");
  }
  Attributes attributes;
  std::unordered_set<std::string_view> keys;
  while (!accept(':')) {
    skip_blanks();
    size_t key_at = at_;
    std::string_view key = word("an attribute or ':' and the type");
    if (!keys.insert(key).second) fail_at(key_at, fmt::format("the attribute '{}' is there twice", key));
    expect("=");
    attributes.entries.emplace_back(key, attribute());
  }
  skip_blanks();
  size_t type_at = at_;
  Type type{dtype(), {}};
  type.shape = shape();
  Value value;
  place(op_at, op->name, [&] { value = append(body_, *op, std::move(operands), std::move(attributes), Line(file_, line_)); });
  if (value.type() != type) fail_at(type_at, fmt::format("{} gives {}, not {}", op->name, value.type().str(), type.str()));
  values_.emplace(number, value);
  if (starts_.size() < body_.nodes.size()) starts_.push_back(op_at);
}

// entry "train", then lines of outputs and updates.
void Reader::entry() {
  skip_blanks();
  size_t start = at_;
  std::string name = string();
  end_statement();
  std::vector<std::pair<std::string, Value>> outputs;
  std::vector<Update> updates;
  while (next_statement()) {
    if (accept_word("output")) {
      std::string output = string();
      expect("=");
      outputs.emplace_back(std::move(output), value());
    } else if (accept_word("update")) {
      Value state = value();
      expect("=");
      updates.push_back({state, value()});
    } else {
      break;
    }
    end_statement();
  }
  place(start, "entry", [&] { graph_.entry(name, std::move(outputs), std::move(updates)); });
}

Graph Reader::read() {
  if (!next_statement() || !accept_word("tenon")) fail_at(at_, "expected 'tenon 1', the version of the format");
  skip_blanks();
  if (size_t at = at_; number<int64_t>("the version of the format") != 1)
    fail_at(at, "this text has another version; this library reads version 1");
  end_statement();
  while (next_statement()) {
    size_t start = at_;
    if (peek() == '%') {
      node();
    } else if (accept_word("size")) {
      std::string size(word("the name of a run-time size"));
      expect("<=");
      auto maximum = number<int64_t>("the maximum");
      if (body_.sizes.contains(size)) fail_at(start, fmt::format("size '{}' is there twice", size));
      place(start, "size", [&] { graph_.size(size, maximum); });
      sizes_.insert(size);
    } else if (accept_word("state")) {
      Value state = value();
      expect("=");
      Value initial = value();
      body_.states.push_back({state.id(), initial.id(), accept_word("trainable")});
    } else if (accept_word("entry")) {
      entry();
      continue;
    } else if (accept_word("require_fused")) {
      graph_.body().require_fused.push_back(value().id());
    } else if (accept_word("allow_unreached")) {
      graph_.body().allow_unreached.push_back(value().id());  // verify() looks at it
    } else if (accept_word("support")) {
      const Value input = value();
      expect("=");
      skip_blanks();
      const size_t word = at_;
      Support support;
      if (!parse_support(identifier(), support)) fail_at(word, "expected unit_interval, positive or count");
      body_.supports.emplace_back(input.id(), support);
    } else {
      fail_at(start, "expected a node (%1 = ...), size, state, entry, require_fused, allow_unreached or support");
    }
    end_statement();
  }
  auto flaw = find_flaw(body_, true);
  if (!flaw) return std::move(graph_);
  if (flaw->node < 0) fail_at(text_.size(), flaw->text);
  fail_at(starts_[static_cast<size_t>(flaw->node)], fmt::format("%{} {}", flaw->node, flaw->text));
}

}  // namespace

Graph parse(std::string_view text, std::string_view file, const LiteralTable& literals) {
  return Reader(text, file, literals).read();
}

}  // namespace tenon
