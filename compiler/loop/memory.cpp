// Loads and stores: how the address of an access moves with the vector variable decides between a scalar access, a
// contiguous vector, and a gather or scatter.
#include <algorithm>

#include "compiler/loop/lowering.h"

namespace tenon::loop {

// The sum of such terms, of an integer type: of scalars, what the first lane has. They are added from the outermost level
// inwards, so that each partial sum leaves the loops it does not need.
Value Lowering::linear(const Linear& form, Terms which, ValueType type) {
  const bool varying = which == Terms::of_lanes;
  std::vector<std::pair<size_t, const Linear::Term*>> terms;
  for (const Linear::Term& term : form.terms)
    if (varies(facts(term.atom)) == varying) terms.emplace_back(level(facts(term.atom)), &term);
  std::stable_sort(terms.begin(), terms.end(), [](auto& a, auto& b) { return a.first < b.first; });
  auto times = [&](Value x, const Factor& factor) {
    if (factor.is(1)) return x;
    Value c = factor.number != 0 || factor.sized.empty() ? b.integer(factor.number) : Value();
    for (Extent sized : factor.sized) {
      const Value part = b.extent(sized);
      c = c ? b.add(part, c) : part;
    }
    c = b.cast(c, type.dtype);
    return b.mul(x, x.type.vector ? b.splat(c) : c);
  };
  Value sum;
  if (!varying && !form.constant.is(0)) {
    Builder::Position outermost(b, 1);
    sum = times(b.integer(1, type.dtype), form.constant);
  }
  for (auto [at, term] : terms) {
    Builder::Position position(b, at + 1);
    Value x = times(b.cast(value(term->atom, type.vector && varying), type.dtype), term->factor);
    sum = sum ? b.add(sum, x) : x;
  }
  if (!sum) sum = b.integer(0, type.dtype);
  return type.vector ? b.splat(sum) : sum;
}

// The address of the lanes' common part.
Value Lowering::element(BufferId id, const Linear& form) {
  Value offset = linear(form, Terms::common, {i64});
  if (list.buffers[static_cast<size_t>(id)].storage == Storage::row && row_lanes) offset = b.mul(offset, b.integer(lanes));
  return b.at(base(id), offset);
}

// The offsets, in elements, of the lanes from their common part.
Value Lowering::lane_offsets(const Linear& form, const tenon::Type& type) {
  const bool narrow = type.elements().at(list.sizes) < int64_t{1} << 26;
  return linear(form, Terms::of_lanes, {narrow ? i32 : i64, true});
}

// The whole sum: of the vector variable's first lane.
Value Lowering::all(const Linear& form) {
  Value result = linear(form, Terms::common, {i64});
  return vector_level() ? b.add(result, linear(form, Terms::of_lanes, {i64})) : result;
}

Value Lowering::load(const Scalar& x, bool wide) {
  const tenon::Buffer& buffer = list.buffers[static_cast<size_t>(x->integer)];
  if (buffer.storage == Storage::tile) {
    check(static_cast<bool>(tile), "a tile is read inside a contraction");
    return tile(x, wide);
  }
  Value loaded;
  if (wide) {
    loaded = load_lanes(x);
  } else {
    check(buffer.storage != Storage::row || !row_lanes, "a row buffer of 16 lanes is read as a vector");
    Value address = b.at(base(x->integer), all(forms_.flatten(buffer.type.shape, x->indices())));
    if (x->guarded)
      loaded = b.load_masked(address, value(x->guard(), false), b.cast(value(x->otherwise(), false), address.type.dtype));
    else
      loaded = b.load(address, false);
  }
  return buffer.type.dtype == boolean ? b.ne(loaded, b.zero(loaded.type)) : loaded;
}

// The 16 lanes, of bools as u8.
Value Lowering::load_lanes(const Scalar& x) {
  const tenon::Buffer& buffer = list.buffers[static_cast<size_t>(x->integer)];
  const ValueType type{stored(buffer.type.dtype), true};
  const Linear form = forms_.flatten(buffer.type.shape, x->indices());
  Value address = element(x->integer, form);
  const int64_t variable = vector_level()->vector_variable;
  std::vector<const Linear::Term*> varying;
  for (const Linear::Term& term : form.terms)
    if (varies(facts(term.atom))) varying.push_back(&term);
  const bool of_rows = buffer.storage == Storage::row && row_lanes;
  const bool all_exist = of_rows && varying.empty();  // in the tail too
  Value mask = all_exist ? Value() : this->mask(), rest = b.zero(type);
  if (x->guarded) {
    Value guard = value(x->guard(), true);
    mask = mask ? b.bit_and(mask, guard) : guard;
    rest = b.cast(value(x->otherwise(), true), type.dtype);
  }
  auto contiguous = [&](Value at) { return mask ? b.load_masked(at, mask, rest) : b.load(at, true); };
  if (all_exist) return contiguous(address);
  const bool affine = !of_rows && varying.size() == 1 && varying[0]->atom->function == Scalar::variable &&
                      varying[0]->atom->integer == variable && varying[0]->factor.sized.empty();
  if (affine && varying[0]->factor.is(1)) return contiguous(b.at(address, scalar(Scalar::index(variable))));
  if (affine && varying[0]->factor.is(-1) && !mask) {
    Value last = b.sub(b.integer(1 - int64_t{lanes}), scalar(Scalar::index(variable)));
    std::vector<int> reverse;
    for (int lane = lanes; lane-- > 0;) reverse.push_back(lane);
    Value loaded = b.load(b.at(address, last), true);
    return b.shuffle(loaded, loaded, std::move(reverse));
  }
  Value offsets = lane_offsets(form, buffer.type);
  if (of_rows)  // each lane has its own element of its own row
    offsets = b.add(b.mul(offsets, b.number(offsets.type, lanes)), b.lane_numbers(offsets.type.dtype));
  return b.gather(address, offsets, mask, rest);
}

Value Lowering::address(BufferId id, std::span<const Scalar> index) {
  return b.at(base(id), all(forms_.flatten(list.buffers[static_cast<size_t>(id)].type.shape, index)));
}

void Lowering::store(BufferId id, std::span<const Scalar> index, Value value) {
  value = b.cast(value, stored(value.type.dtype));
  b.store(value, address(id, index));
  forget(id);
}

void Lowering::store_vector(BufferId id, std::span<const Scalar> index, Value value) {
  const tenon::Buffer& buffer = list.buffers[static_cast<size_t>(id)];
  value = b.cast(value, stored(value.type.dtype));
  const Linear form = forms_.flatten(buffer.type.shape, index);
  Value address = element(id, form);
  const int64_t variable = vector_level()->vector_variable;
  const Linear::Term* only = nullptr;
  int64_t varying = 0;
  for (const Linear::Term& term : form.terms)
    if (varies(facts(term.atom))) only = &term, ++varying;
  if (buffer.storage == Storage::row && row_lanes) {
    b.store(value, address);
  } else if (varying == 1 && only->atom == Scalar::index(variable) && only->factor.is(1)) {
    b.store(value, b.at(address, scalar(Scalar::index(variable))), 0, mask());
  } else if (varying == 0) {
    const bool one = kernel.contraction && kernel.contraction->n[0].extent == Extent(1);
    check(one, "the lanes of a store go to different elements");
    b.store(b.extract(value, 0), address);
  } else {
    b.scatter(value, address, lane_offsets(form, buffer.type), mask());
  }
  forget(id);
}

void Lowering::forget(BufferId stored) {
  for (Level& level : levels_)
    for (auto* memo : {&level.scalars, &level.vectors})
      std::erase_if(*memo, [&](const auto& entry) {
        const auto& reads = facts_.at(entry.first).reads;
        return std::any_of(reads.begin(), reads.end(), [&](BufferId read) { return share_bytes(list, read, stored); });
      });
}

std::optional<Extent> Lowering::stride(BufferId id, std::span<const Scalar> index, int64_t variable) {
  return forms_.stride(list.buffers[static_cast<size_t>(id)].type.shape, index, variable);
}

}  // namespace tenon::loop
