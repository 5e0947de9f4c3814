// What one node is: the types that its code takes and gives, the numbers that it may carry; leaves and
// buffers likewise.
#include <algorithm>

#include "compiler/loop/compute.h"
#include "compiler/loop/text.h"
#include "compiler/loop/verify.h"

namespace tenon::loop {

std::string str(const std::vector<ValueType>& types) {
  std::string text;
  for (ValueType type : types) text += (text.empty() ? "" : ", ") + type.str();
  return "(" + text + ")";
}

namespace {

enum class Kind : uint8_t { element, number, integer, bits, real };
constexpr std::string_view kinds[] = {"elements", "numbers", "integers", "integers or bools", "floats"};

bool is(Kind kind, DType dtype) {
  switch (kind) {
    case Kind::element: return true;
    case Kind::number: return dtype != boolean;
    case Kind::integer: return is_integer(dtype);
    case Kind::bits: return !is_float(dtype);
    case Kind::real: return is_float(dtype);
  }
  return false;
}

// Codes whose operands are of one type.
struct Row {
  int operands;
  Kind kind;
};
Row row(const Node& node) {
  switch (node.code) {
    case Code::add:
    case Code::sub:
    case Code::mul:
    case Code::div: return {2, Kind::number};
    case Code::fma: return {3, Kind::real};
    case Code::rem:
    case Code::udiv:
    case Code::urem:
    case Code::shift_left:
    case Code::shift_right:
    case Code::shift_right_unsigned:
    case Code::ult: return {2, Kind::integer};
    case Code::neg:
    case Code::abs: return {1, Kind::number};
    case Code::bit_and:
    case Code::bit_or:
    case Code::bit_xor: return {2, Kind::bits};
    case Code::eq:
    case Code::ne:
    case Code::lt:
    case Code::le:
    case Code::max:
    case Code::min: return {2, Kind::element};
    case Code::floor:
    case Code::ceil:
    case Code::round:
    case Code::sqrt: return {1, Kind::real};
    case Code::copysign:
    case Code::scale: return {2, Kind::real};
    case Code::reference: return {reference_of(node).arity, Kind::real};
    default: return {0, Kind::element};
  }
}
bool compares(Code code) { return code >= Code::eq && code <= Code::ult; }

struct Signature {
  std::vector<ValueType> operands;
  ValueType result = {};  // i64 if the code makes none
  bool operator==(const Signature&) const = default;
};

class NodeVerifier {
 public:
  NodeVerifier(const Function& f, Id id) : f_(f), id_(id), node_(f.nodes[static_cast<size_t>(id)]) {
    for (Id operand : node_.operands) given_.operands.push_back(f.nodes[static_cast<size_t>(operand)].type);
    given_.result = node_.type;
  }

  void run() const {
    fields();
    numbers();
    if (node_.code == Code::argument || node_.code == Code::result) return;
    const Row r = row(node_);
    const Signature wanted = r.operands ? uniform(r.operands) : signature();
    if (given_ != wanted) broken(f_, id_, "it is {}, and must be {}", text(given_), text(wanted));
    if (r.operands && !is(r.kind, given_.operands[0].dtype))
      broken(f_, id_, "it is {}, and must be of {}", text(given_), kinds[static_cast<size_t>(r.kind)]);
    if ((r.operands || node_.code == Code::reduce) && is_storage(operand(0).dtype))
      broken(f_, id_, "it is {}, and {} only stores numbers", text(given_), tenon::name(operand(0).dtype));
    conversion();
  }

 private:
  std::string text(const Signature& s) const {
    return str(s.operands) + (makes_value(node_.code) ? " -> " + s.result.str() : "");
  }
  ValueType operand(size_t i) const { return i < given_.operands.size() ? given_.operands[i] : ValueType{}; }

  // What the code does not use is as it is in a new node.
  void fields() const {
    switch (node_.code) {
      case Code::argument:
      case Code::result:
      case Code::reference:
      case Code::call:
      case Code::extract:
      case Code::reduce:
      case Code::load:
      case Code::store:
      case Code::loop: break;
      default:
        if (node_.integer) broken(f_, id_, "it has the integer {}, which it does not use", node_.integer);
    }
    if (node_.type.address && (node_.type.vector || node_.type.dtype == boolean))
      broken(f_, id_, "there is no type {}", node_.type.str());
    if (!makes_value(node_.code) && node_.type != ValueType{})
      broken(f_, id_, "it makes no value, and is {}", node_.type.str());
    if (node_.code != Code::shuffle && !node_.lanes.empty()) broken(f_, id_, "it has lanes, which it does not use");
    if (node_.code != Code::loop && node_.code != Code::branch && !node_.blocks.empty())
      broken(f_, id_, "it has blocks, which it does not use");
  }

  void numbers() const {
    const int64_t x = node_.integer;
    auto is_lane = [](int64_t lane, int64_t end) { return lane >= 0 && lane < end; };
    if (node_.code == Code::reference && !is_reference(x)) broken(f_, id_, "there is no reference {}", x);
    if (node_.code == Code::call && (x < 0 || x >= std::ssize(f_.functions)))
      broken(f_, id_, "it calls function {} of {}", x, f_.functions.size());
    if (node_.code == Code::extract && !is_lane(x, lanes)) broken(f_, id_, "it takes lane {} of {}", x, lanes);
    if (node_.code == Code::reduce && (x < 0 || x >= codes || !combines(static_cast<Code>(x))))
      broken(f_, id_, "there is no reduction by {}", x);
    if (node_.code == Code::shuffle && node_.lanes.size() != size_t{lanes})
      broken(f_, id_, "it has {} lanes, and not {}", node_.lanes.size(), lanes);
    for (int lane : node_.lanes)
      if (!is_lane(lane, 2 * lanes)) broken(f_, id_, "it takes lane {} of {}", lane, 2 * lanes);
    if (node_.code == Code::loop && x <= 0) broken(f_, id_, "its step is {}, and must be at least 1", x);
    if (node_.code != Code::load && node_.code != Code::store) return;
    const int64_t least = byte_size(node_.code == Code::load ? node_.type.dtype : operand(0).dtype);
    if (x < least || (x & (x - 1)))
      broken(f_, id_, "its alignment is {}, and must be a power of two, and at least the {} of an element", x, least);
  }

  Signature uniform(int operands) const {
    ValueType type = compares(node_.code) ? operand(0) : node_.type;
    type.address = false;
    return {std::vector(static_cast<size_t>(operands), type), compares(node_.code) ? type.with(boolean) : type};
  }

  Signature signature() const {
    const ValueType type{node_.type.dtype, node_.type.vector}, scalar{type.dtype}, vector{type.dtype, true};
    switch (node_.code) {
      case Code::select: {
        const bool by_lane = node_.type.vector && operand(0).vector;
        return {{{boolean, by_lane}, node_.type, node_.type}, node_.type};
      }
      case Code::cast:
      case Code::zero_extend: return {{{operand(0).dtype, type.vector}}, type};
      case Code::bits: return {{type.with(twin(type.dtype))}, type};
      case Code::call: {
        const Function& callee = *f_.functions[static_cast<size_t>(node_.integer)];
        return {callee.parameters, callee.nodes[static_cast<size_t>(callee.blocks[0].yields[0])].type};
      }
      case Code::splat: return {{scalar}, vector};
      case Code::extract: return {{vector}, scalar};
      case Code::shuffle: return {{vector, vector}, vector};
      case Code::reduce: return {{vector}, scalar};
      case Code::any: return {{{boolean, true}}, {boolean}};
      case Code::loop: {
        Signature result = given_;
        result.operands.resize(std::max<size_t>(result.operands.size(), 2));
        result.operands[0] = result.operands[1] = {i64};
        return result;
      }
      case Code::branch: return {{{boolean}}, {}};
      default: return memory();
    }
  }

  Signature memory() const {
    const size_t plain = unmasked_operands(node_), count = given_.operands.size();
    const ValueType value{node_.type.dtype, node_.type.vector};
    auto address = [](ValueType of) { return ValueType{of.dtype, false, true}; };
    // A mask has the lanes of what is accessed, and a load a rest for those that are left out.
    auto masked = [&](std::vector<ValueType> operands, ValueType accessed, bool reads) {
      if (count > plain) operands.push_back(accessed.with(boolean));
      if (count > plain && reads) operands.push_back(accessed);
      return operands;
    };
    auto offsets = [&](size_t i) { return ValueType{operand(i).dtype == i32 ? i32 : i64, true}; };
    switch (node_.code) {
      case Code::at: return {{address(value), {i64}}, address(value)};
      case Code::load: return {masked({address(value)}, value, true), value};
      case Code::gather: {
        const ValueType lanes{value.dtype, true};
        return {masked({address(value), offsets(1)}, lanes, true), lanes};
      }
      case Code::store: {
        const ValueType stored{operand(0).dtype, operand(0).vector};
        return {masked({stored, address(stored)}, stored, false), {}};
      }
      case Code::scatter: {
        const ValueType stored{operand(0).dtype, true};
        return {masked({stored, address(stored), offsets(2)}, stored, false), {}};
      }
      default: return {{address(operand(0))}, {}};  // prefetch
    }
  }

  // What `bits` makes an element of the type from: of an i32 any float that fits.
  DType twin(DType dtype) const {
    if (dtype == f64 || dtype == i64) return dtype == f64 ? i64 : f64;
    return is_float(dtype) ? i32 : dtype == i32 && is_storage(operand(0).dtype) ? operand(0).dtype : f32;
  }

  void conversion() const {
    if (node_.code == Code::scale && node_.type != ValueType{f32, true})
      broken(f_, id_, "it is {}, and must be of f32x16", text(given_));
    const DType from = operand(0).dtype, to = node_.type.dtype;
    if (node_.code == Code::reduce && to == boolean && static_cast<Code>(node_.integer) <= Code::mul)
      broken(f_, id_, "it is {}, and must be of numbers", text(given_));
    const bool stored = is_storage(from) || is_storage(to);
    const bool of_f16 = (from == f16 && to == f32) || (from == f32 && to == f16);
    if (node_.code == Code::cast && stored && !of_f16)
      broken(f_, id_, "it is {}; of f16 and bf16, only f16 is cast, to and from f32", text(given_));
    if (node_.code == Code::bits && byte_size(to) != byte_size(from) && !stored)
      broken(f_, id_, "it is {}, and must be of types of one size", text(given_));
    const bool wider = from == boolean ? is_integer(to) : is_integer(from) && byte_size(from) < byte_size(to);
    if (node_.code == Code::zero_extend && (!is_integer(to) || !wider))
      broken(f_, id_, "it is {}, and must be of an integer to a wider one", text(given_));
  }

  const Function& f_;
  Id id_;
  const Node& node_;
  Signature given_;
};

}  // namespace

void verify_types(const Function& function, Id id) { NodeVerifier(function, id).run(); }

namespace {

// The type that a leaf must have; that of a constant or of lane numbers is theirs to say.
ValueType leaf_type(const Function& f, Id id, const Node& node) {
  auto below = [&](int64_t end) {
    if (node.integer < 0 || node.integer >= end) broken(f, id, "it is {} {} of {}", name(node.code), node.integer, end);
    return static_cast<size_t>(node.integer);
  };
  switch (node.code) {
    case Code::constant: return {node.type.dtype, node.type.vector};
    case Code::lane_numbers: return {is_integer(node.type.dtype) ? node.type.dtype : i64, true};
    case Code::number: below(f.numbers); return {i64};
    case Code::base: return {f.buffers[below(std::ssize(f.buffers))].dtype, false, true};
    case Code::parameter: return f.parameters[below(std::ssize(f.parameters))];
    case Code::size: below(std::ssize(f.sizes)); return {i64};
    default:
      if (!f.threads) broken(f, id, "no threads are given");
      return {i64};
  }
}

}  // namespace

void verify_leaf(const Function& f, Id id) {
  const Node& node = f.nodes[static_cast<size_t>(id)];
  if (!node.operands.empty() || !node.lanes.empty() || !node.blocks.empty())
    broken(f, id, "a leaf has operands, lanes or blocks");
  const ValueType wanted = leaf_type(f, id, node);
  if (node.type != wanted) broken(f, id, "it is {}, and must be {}", node.type.str(), wanted.str());
  const bool numbered = node.code != Code::lane_numbers && node.code != Code::thread && node.code != Code::threads;
  if (node.integer && !numbered) broken(f, id, "it has the integer {}, which it does not use", node.integer);
  if (node.code != Code::constant) return;
  const int width = loop::width(node.type.dtype);
  if (width < 64 && static_cast<uint64_t>(node.integer) >> width)
    broken(f, id, "its bits are {:#x}, and a {} has {}", node.integer, tenon::name(node.type.dtype), width);
}

}  // namespace tenon::loop
