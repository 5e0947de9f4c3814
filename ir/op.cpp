#include "ir/op.h"

#include <algorithm>
#include <mutex>

namespace tenon {

std::span<const Op* const> builtin_vocabulary();  // ops/vocabulary.cpp

void Application::fail_text(const std::string& message) const { throw Error(line, fmt::format("{}: {}", op.name, message)); }

namespace {
void refuse_storage(const Application& a, std::span<const Type> types, std::string_view are, std::string_view instead) {
  if (a.op.moves || a.op.leaf) return;
  std::string text;
  DType stored = f32;
  for (const Type& type : types) {
    text += (text.empty() ? "" : " and ") + type.str();
    if (is_storage(type.dtype)) stored = type.dtype;
  }
  if (stored != f32) a.fail("{} {}; {} only stores numbers: {}", are, text, name(stored), instead);
}
}  // namespace

Type type_of(const Application& a) {
  refuse_storage(a, a.operands, "of", "compute with cast(x, f32)");
  Type type = a.op.type(a);
  refuse_storage(a, std::span(&type, 1), "gives", "make f32 and cast it");
  return type;
}

std::vector<Value> zero_gradient(const Pullback&) { return {}; }

namespace {
struct Registered {
  std::mutex mutex;
  std::vector<const Op*> ops;
};
Registered& registered() {
  static Registered instance;
  return instance;
}
}  // namespace

std::vector<const Op*> vocabulary() {
  auto builtin = builtin_vocabulary();
  std::vector<const Op*> all(builtin.begin(), builtin.end());
  std::lock_guard lock(registered().mutex);
  all.insert(all.end(), registered().ops.begin(), registered().ops.end());
  return all;
}

const Op* find_op(std::string_view name) {
  for (const Op* op : vocabulary())
    if (op->name == name) return op;
  return nullptr;
}

void register_op(const Op& op) {
  if (const Op* known = find_op(op.name)) {
    if (known == &op) return;
    throw Error(fmt::format("register_op: there is another operation named '{}'", op.name));
  }
  std::lock_guard lock(registered().mutex);
  registered().ops.push_back(&op);
}

Type same_shape(const Application& a) {
  for (size_t i = 1; i < a.operands.size(); ++i)
    if (a.operand(i) != a.operand(0))
      a.fail("operands differ: {} and {}; both sides need one type", a.operand(0).str(), a.operand(i).str());
  return a.operand(0);
}

Type same_float(const Application& a) {
  Type type = same_shape(a);
  if (!is_float(type.dtype)) a.fail("needs a float type (f32 or f64), got {}; cast it first", type.str());
  return type;
}

Scalar read_operand(const Application& a, size_t operand) {
  std::vector<Scalar> indices;
  for (int64_t i = 0; i < a.operand(operand).rank(); ++i) indices.push_back(Scalar::index(i));
  return Scalar::read(static_cast<int64_t>(operand), a.operand(operand).dtype, std::move(indices));
}

Definition elementwise(const Application& a, Scalar body) {
  return {.axes = a.result.shape, .reduced = {}, .reduction = Reduction::none, .body = std::move(body), .scatter = {}};
}

}  // namespace tenon
