// Where nodes and blocks stand: their numbers, that a value is made before it is used, what loops and
// branches give. What the functions that are called may hold.
#include "compiler/loop/verify.h"

#include <set>

#include "compiler/loop/text.h"

namespace tenon::loop {
namespace {

class Verifier {
 public:
  explicit Verifier(const Function& f) : f_(f), visible_(f.nodes.size()), place_(f.nodes.size()) {}

  void run() {
    if (f_.blocks.empty()) broken(f_, "it has no body");
    called();
    verify_buffers(f_);
    leaves();
    block(0, 0, {});
    if (used_ < leaves_) broken(f_, used_, "this leaf is used by nothing");
    if (next_ < std::ssize(f_.nodes)) broken(f_, next_, "it stands in no block");
    if (next_block_ < std::ssize(f_.blocks)) broken(f_, "block {} belongs to no loop or branch", next_block_);
  }

 private:
  const Node& node(Id id) const { return f_.nodes[static_cast<size_t>(id)]; }

  // The functions that this one calls, and this one if it is called.
  void called() const {
    std::set<std::string_view> names;
    for (const auto& function : f_.functions) {
      if (!function) broken(f_, "one of the functions that it calls is none");
      if (!function->functions.empty()) broken(f_, "\"{}\", which it calls, calls functions itself", function->name);
      if (!names.insert(function->name).second) broken(f_, "it calls two functions \"{}\"", function->name);
      verify(*function);
      if (function->blocks[0].yields.empty()) broken(f_, "\"{}\", which it calls, yields no value", function->name);
    }
    if (f_.numbers < 0) broken(f_, "it is given {} numbers", f_.numbers);
    for (ValueType type : f_.parameters)
      if (type.address) broken(f_, "a parameter is {}; a function that is called touches no memory", type.str());
    if (f_.blocks[0].yields.empty() && !f_.parameters.empty()) broken(f_, "it has parameters and yields no value");
    if (f_.blocks[0].yields.empty()) return;
    if (f_.blocks[0].yields.size() > 1) broken(f_, "it yields {} values, and not one", f_.blocks[0].yields.size());
    if (f_.threads || f_.numbers || !f_.sizes.empty() || !f_.buffers.empty() || !f_.functions.empty())
      broken(f_,
             "it yields a value and has threads, numbers, sizes, buffers or functions; it is given its parameters "
             "alone");
  }

  void leaves() {
    std::set<std::tuple<Code, DType, bool, int64_t>> known;
    while (leaves_ < std::ssize(f_.nodes) && is_leaf(node(leaves_).code)) {
      verify_leaf(f_, leaves_);
      const Node& leaf = node(leaves_);
      if (!known.emplace(leaf.code, leaf.type.dtype, leaf.type.vector, leaf.integer).second)
        broken(f_, leaves_, "the same leaf is there before");
      if (leaf.code == Code::base) place_[static_cast<size_t>(leaves_)] = {leaf.integer, 0};
      ++leaves_;
    }
    next_ = leaves_;
    for (Id id = leaves_; id < std::ssize(f_.nodes); ++id)
      if (is_leaf(node(id).code)) broken(f_, id, "a leaf follows a node that is none");
  }

  // Of node `user`, or of the yields of a block if it is -1.
  void use(Id id, Id user, std::string_view what) {
    if (id >= 0 && id < leaves_ && id <= used_) {
      used_ = std::max(used_, id + 1);
    } else if (id < leaves_ || id >= std::ssize(f_.nodes) || !visible_[static_cast<size_t>(id)]) {
      const bool leaf = id >= 0 && id < leaves_;
      const std::string flaw = leaf ? fmt::format("{} %{}, and leaf %{} is used by nothing before", what, id, used_)
                                    : fmt::format("{} %{}, which is no value made before in a block around it", what, id);
      user < 0 ? broken(f_, "{}", flaw) : broken(f_, user, "{}", flaw);
    }
  }

  std::vector<ValueType> types(const std::vector<Id>& ids) const {
    std::vector<ValueType> result;
    for (Id id : ids) result.push_back(node(id).type);
    return result;
  }

  // Checks a block that is given `arguments`; returns the types that it yields.
  std::vector<ValueType> block(int32_t id, int depth, const std::vector<ValueType>& given) {
    if (depth > deepest) broken(f_, "loops and branches are nested more than {} deep", deepest);
    next_block_ = id + 1;
    const Block& block = f_.blocks[static_cast<size_t>(id)];
    const Id first = next_;
    for (size_t i = 0; i < block.arguments.size(); ++i) argument(block.arguments[i], i, id);
    if (types(block.arguments) != given)
      broken(f_, "block {} has the arguments {}, and is given {}", id, str(types(block.arguments)), str(given));
    for (size_t i = 0; i < block.nodes.size(); ++i) {
      const Id made = block.nodes[i];
      stands_next(made, id);
      if (node(made).code == Code::argument) broken(f_, made, "it stands among the nodes of block {}", id);
      if (node(made).code == Code::result) broken(f_, made, "it does not follow the loop or branch that gives it");
      for (Id operand : node(made).operands) use(operand, made, "it uses");
      verify_types(f_, made);
      access(made, depth);
      if (node(made).code == Code::loop || node(made).code == Code::branch)
        i += results(block, i, id, node(made).code == Code::loop ? loop(made, depth) : branch(made, depth));
      visible_[static_cast<size_t>(made)] = makes_value(node(made).code);
    }
    for (Id value : block.yields) use(value, -1, fmt::format("block {} yields", id));
    for (Id made = first; made < next_; ++made) visible_[static_cast<size_t>(made)] = false;
    return types(block.yields);
  }

  void stands_next(Id id, int32_t block) {
    if (id != next_ || id >= std::ssize(f_.nodes)) broken(f_, "block {} has node %{} where %{} is the next", block, id, next_);
    ++next_;
  }

  void argument(Id id, size_t place, int32_t block) {
    stands_next(id, block);
    const Node& made = node(id);
    if (made.code != Code::argument) broken(f_, id, "it stands among the arguments of block {}", block);
    if (!made.operands.empty()) broken(f_, id, "it has operands");
    verify_types(f_, id);
    if (made.integer != static_cast<int64_t>(place)) broken(f_, id, "it is argument {} and says {}", place, made.integer);
    visible_[static_cast<size_t>(id)] = true;
  }

  // How many results follow entry `at` of the list, which must be of these types.
  size_t results(const Block& block, size_t at, int32_t id, const std::vector<ValueType>& given) {
    const Id owner = block.nodes[at];
    for (size_t i = 0; i < given.size(); ++i) {
      if (at + i + 1 >= block.nodes.size()) broken(f_, owner, "it gives {}, and {} results follow it", str(given), i);
      const Id made = block.nodes[at + i + 1];
      stands_next(made, id);
      const Node& result = node(made);
      if (result.code != Code::result || result.operands != std::vector{owner} || result.integer != static_cast<int64_t>(i))
        broken(f_, owner, "it gives {}, and %{} {} follows it as result {}", str(given), made, name(result.code), i);
      verify_types(f_, made);
      if (result.type != given[i]) broken(f_, made, "it is {}, and %{} gives {}", result.type.str(), owner, given[i].str());
      visible_[static_cast<size_t>(made)] = true;
    }
    return given.size();
  }

  std::vector<ValueType> inside(Id owner, size_t which, int depth, const std::vector<ValueType>& arguments) {
    const int32_t id = node(owner).blocks[which];
    if (id != next_block_ || id >= std::ssize(f_.blocks))
      broken(f_, owner, "it has block {} where {} is the next", id, next_block_);
    return block(id, depth + 1, arguments);
  }

  std::vector<ValueType> loop(Id id, int depth) {
    if (node(id).blocks.size() != 1) broken(f_, id, "it has {} blocks, and not one", node(id).blocks.size());
    std::vector<ValueType> given = types(node(id).operands);
    given.erase(given.begin());  // begin and end stand before what is carried, the counter alone in the block
    const std::vector<ValueType> carried(given.begin() + 1, given.end()), yields = inside(id, 0, depth, given);
    if (yields != carried) broken(f_, id, "it carries {}, and its block yields {}", str(carried), str(yields));
    return yields;
  }

  std::vector<ValueType> branch(Id id, int depth) {
    const size_t ways = node(id).blocks.size();
    if (ways != 1 && ways != 2) broken(f_, id, "it has {} blocks, and not one or two", ways);
    const std::vector<ValueType> then = inside(id, 0, depth, {});
    const std::vector<ValueType> otherwise = ways == 2 ? inside(id, 1, depth, {}) : std::vector<ValueType>();
    if (then != otherwise) broken(f_, id, "its ways yield {} and {}", str(then), str(otherwise));
    return then;
  }

  // ---- addresses at a constant distance from a buffer's first element ----

  struct Place {
    int64_t buffer = -1;  // none
    int64_t offset = 0;
  };

  void access(Id id, int depth) {
    const Node& n = node(id);
    if (n.code == Code::at) {
      const Node& offset = node(n.operands[1]);
      Place place = place_[static_cast<size_t>(n.operands[0])];
      if (offset.code != Code::constant || __builtin_add_overflow(place.offset, offset.integer, &place.offset)) return;
      place_[static_cast<size_t>(id)] = place;
    }
    const bool unmasked = n.operands.size() == unmasked_operands(n);
    if ((n.code != Code::load && n.code != Code::store) || !unmasked) return;
    const Place place = place_[static_cast<size_t>(n.operands[n.code == Code::load ? 0 : 1])];
    if (place.buffer < 0) return;
    const Extent count = f_.buffers[static_cast<size_t>(place.buffer)].count;
    // Where all sizes are 1 the buffer is smallest. What a branch or a loop may leave out can know that it is larger.
    const int64_t end = count.symbolic() && depth > 0 ? INT64_MAX : count.count;
    const int64_t elements = (n.code == Code::load ? n.type : node(n.operands[0]).type).vector ? lanes : 1;
    if (place.offset < 0 || place.offset > end - elements)
      broken(f_, id, "it touches elements {} to {} of buffer {}, which has {}", place.offset,
             static_cast<__int128>(place.offset) + elements - 1, place.buffer, count.str());
  }

  const Function& f_;
  Id leaves_ = 0;  // how many
  Id used_ = 0;    // how many of them a node before uses
  Id next_ = 0;    // the number of the next node that is no leaf
  int32_t next_block_ = 0;
  std::vector<char> visible_;  // by node: it is made, and its block is not at its end
  std::vector<Place> place_;   // by node
};

}  // namespace

void verify(const Function& function) { Verifier(function).run(); }

}  // namespace tenon::loop
