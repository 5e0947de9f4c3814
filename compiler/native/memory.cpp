// Loads and stores: how the address of an access moves with the vector variable decides between a scalar access, a
// contiguous vector, and a gather or scatter.
#include <algorithm>

#include "compiler/native/emit.h"
#include "compiler/native/outline.h"

namespace tenon {

// The sum of those terms that vary between the lanes, or of those that do not; 16 lanes if wide, of i32 if narrow. Terms
// are added from the outermost level inwards, so that each partial sum leaves the loops it does not need.
llvm::Value* Emitter::linear(const Linear& form, bool varying, bool wide, bool narrow) {
  std::vector<std::pair<size_t, const Linear::Term*>> terms;
  for (const Linear::Term& term : form.terms)
    if (varies(facts(term.atom)) == varying) terms.emplace_back(level(facts(term.atom)), &term);
  std::stable_sort(terms.begin(), terms.end(), [](auto& a, auto& b) { return a.first < b.first; });
  auto convert = [&](llvm::Value* x, DType dtype = i64) {
    return b.CreateIntCast(x, x->getType()->getWithNewBitWidth(narrow ? 32 : 64), dtype != u8 && dtype != boolean);
  };
  auto times = [&](llvm::Value* x, Factor factor) {
    if (factor == Factor{1, 0}) return x;
    llvm::Value* c = integer(factor.c);
    if (factor.n != 0) {
      c = extent(Extent(factor.n, list.size ? list.size : "n"));
      if (factor.c != 0) c = b.CreateAdd(c, integer(factor.c));
    }
    c = convert(c);
    return b.CreateMul(x, x->getType()->isVectorTy() ? splat(c) : c);
  };
  llvm::Value* sum = nullptr;
  if (!varying && !form.constant.zero()) {
    llvm::IRBuilder<>::InsertPointGuard guard(b);
    if (levels_.size() > 1) b.SetInsertPoint(levels_[1].outside);
    sum = times(integer(1), form.constant);
  }
  for (auto [depth, term] : terms) {
    llvm::IRBuilder<>::InsertPointGuard guard(b);
    if (depth + 1 < levels_.size()) b.SetInsertPoint(levels_[depth + 1].outside);
    llvm::Value* x = times(convert(value(term->atom, wide && varying), term->atom->dtype), term->factor);
    sum = sum ? b.CreateAdd(sum, x) : x;
  }
  if (!sum) sum = narrow ? b.getInt32(0) : integer(0);
  return wide && !sum->getType()->isVectorTy() ? splat(sum) : sum;
}

// The address of the lanes' common part.
llvm::Value* Emitter::element(BufferId id, const Linear& form) {
  const Buffer& buffer = list.buffers[static_cast<size_t>(id)];
  llvm::Value* offset = linear(form, false, false, false);
  if (buffer.storage == Storage::row && row_lanes) offset = b.CreateNSWMul(offset, integer(lanes));
  return b.CreateGEP(stored_type(buffer.type.dtype), base(id), offset);
}

// The offsets, in elements, of the lanes from their common part.
llvm::Value* Emitter::lane_offsets(const Linear& form, const Type& type) {
  bool narrow = type.elements().at(list.maximum) < int64_t{1} << 26;
  return linear(form, true, true, narrow);
}

// The whole sum: of the vector variable's first lane.
llvm::Value* Emitter::all(const Linear& form) {
  llvm::Value* result = linear(form, false, false, false);
  return vector_level() ? b.CreateAdd(result, linear(form, true, false, false)) : result;
}

namespace {

// Whether a masked access is a function of its own: where LLVM would make a branch for each lane, and where it would see
// on AVX2 what the mask is made of. There it splits `a uniform condition and constant lanes` in two and takes the half
// whose lanes are all constant and false for one that is loaded whole.
bool apart(const Target& target, llvm::Type* type, llvm::Value* mask) {
  if (target.isa == Isa::avx2) return type->getScalarSizeInBits() < 32 || !llvm::isa<llvm::Constant>(mask);
  return target.isa == Isa::sse2;
}
llvm::Align alignment(llvm::Value* value) { return llvm::Align(value->getType()->getScalarSizeInBits() / 8); }

}  // namespace

// The lanes of the mask from an address or from 16 of them, the others from `rest`.
llvm::Value* Emitter::masked_load(llvm::Value* address, llvm::Value* mask, llvm::Value* rest) {
  bool gather = address->getType()->isVectorTy();
  llvm::Align align = alignment(rest);
  auto access = [&](llvm::IRBuilder<>& at, llvm::ArrayRef<llvm::Value*> x) -> llvm::Value* {
    if (gather) return at.CreateMaskedGather(x[2]->getType(), x[0], align, x[1], x[2]);
    return at.CreateMaskedLoad(x[2]->getType(), x[0], align, x[1], x[2]);
  };
  if (!apart(target, rest->getType(), mask)) return access(b, {address, mask, rest});
  return call_outlined(b, (gather ? "tenon.gather." : "tenon.load.") + type_name(rest->getType()), rest->getType(),
                       {address, mask, rest}, access);
}

void Emitter::masked_store(llvm::Value* value, llvm::Value* address, llvm::Value* mask) {
  bool scatter = address->getType()->isVectorTy();
  llvm::Align align = alignment(value);
  auto access = [&](llvm::IRBuilder<>& at, llvm::ArrayRef<llvm::Value*> x) -> llvm::Value* {
    scatter ? at.CreateMaskedScatter(x[0], x[1], align, x[2]) : at.CreateMaskedStore(x[0], x[1], align, x[2]);
    return nullptr;
  };
  if (!apart(target, value->getType(), mask)) return void(access(b, {value, address, mask}));
  call_outlined(b, (scatter ? "tenon.scatter." : "tenon.store.") + type_name(value->getType()), b.getVoidTy(),
                {value, address, mask}, access);
}

llvm::Value* Emitter::load(const Scalar& x, bool wide) {
  const Buffer& buffer = list.buffers[static_cast<size_t>(x->integer)];
  if (buffer.storage == Storage::tile) {
    check(static_cast<bool>(tile), "a tile is read inside a contraction");
    return tile(x, wide);
  }
  llvm::Type* element_type = stored_type(buffer.type.dtype);
  llvm::Align align(static_cast<uint64_t>(byte_size(buffer.type.dtype)));
  Linear form = forms_.flatten(buffer.type, x->indices());
  auto finish = [&](llvm::Value* loaded) {
    return buffer.type.dtype == boolean ? b.CreateIsNotNull(loaded) : loaded;
  };
  if (!wide) {
    check(buffer.storage != Storage::row || !row_lanes, "a row buffer of 16 lanes is read as a vector");
    llvm::Value* address = b.CreateGEP(element_type, base(x->integer), all(form));
    if (!x->guarded) return finish(b.CreateAlignedLoad(element_type, address, align));
    llvm::Value* guard = value(x->guard(), false);
    llvm::Value* loaded =
        b.CreateAlignedLoad(element_type, b.CreateSelect(guard, address, stack(b.getInt64Ty())), align);
    return b.CreateSelect(guard, finish(loaded), value(x->otherwise(), false));
  }

  auto* vector_type = llvm::FixedVectorType::get(element_type, lanes);
  llvm::Value* address = element(x->integer, form);
  int64_t variable = vector_level()->vector_variable;
  std::vector<const Linear::Term*> varying;
  for (const Linear::Term& term : form.terms)
    if (varies(facts(term.atom))) varying.push_back(&term);
  bool of_rows = buffer.storage == Storage::row && row_lanes;
  bool all_exist = of_rows && varying.empty();  // in the tail too
  llvm::Value *mask = all_exist ? nullptr : this->mask(), *rest = llvm::Constant::getNullValue(vector_type);
  if (x->guarded) {
    llvm::Value* guard = value(x->guard(), true);
    mask = mask ? b.CreateAnd(mask, guard) : guard;
    rest = value(x->otherwise(), true);
    if (buffer.type.dtype == boolean) rest = b.CreateZExt(rest, vector_type);
  }
  if (all_exist)
    return finish(mask ? masked_load(address, mask, rest) : b.CreateAlignedLoad(vector_type, address, align));
  bool affine = !of_rows && varying.size() == 1 && varying[0]->atom->function == Scalar::variable &&
                varying[0]->atom->integer == variable && varying[0]->factor.n == 0;
  if (affine && varying[0]->factor.c == 1) {
    address = b.CreateGEP(element_type, address, scalar(Scalar::index(variable)));
    if (!mask) return finish(b.CreateAlignedLoad(vector_type, address, align));
    return finish(masked_load(address, mask, rest));
  }
  if (affine && varying[0]->factor.c == -1 && !mask) {
    llvm::Value* last = b.CreateSub(integer(1 - int64_t{lanes}), scalar(Scalar::index(variable)));
    address = b.CreateGEP(element_type, address, last);
    return finish(b.CreateVectorReverse(b.CreateAlignedLoad(vector_type, address, align)));
  }
  llvm::Value* offsets = lane_offsets(form, buffer.type);
  if (of_rows) {  // each lane has its own element of its own row
    llvm::Type* type = offsets->getType();
    offsets = b.CreateAdd(b.CreateMul(offsets, llvm::ConstantInt::get(type, lanes)), lane_numbers(type->getScalarType()));
  }
  llvm::Value* addresses = b.CreateGEP(element_type, address, offsets);
  return finish(mask ? masked_load(addresses, mask, rest) : b.CreateMaskedGather(vector_type, addresses, align));
}

llvm::Value* Emitter::address(BufferId id, std::span<const Scalar> index) {
  const Buffer& buffer = list.buffers[static_cast<size_t>(id)];
  return b.CreateGEP(stored_type(buffer.type.dtype), base(id), all(forms_.flatten(buffer.type, index)));
}

void Emitter::store(BufferId id, std::span<const Scalar> index, llvm::Value* value) {
  const Buffer& buffer = list.buffers[static_cast<size_t>(id)];
  if (buffer.type.dtype == boolean) value = b.CreateZExt(value, b.getInt8Ty());
  b.CreateAlignedStore(value, address(id, index), llvm::Align(static_cast<uint64_t>(byte_size(buffer.type.dtype))));
  forget(id);
}

void Emitter::store_vector(BufferId id, std::span<const Scalar> index, llvm::Value* value) {
  const Buffer& buffer = list.buffers[static_cast<size_t>(id)];
  llvm::Type* element_type = stored_type(buffer.type.dtype);
  llvm::Align align(static_cast<uint64_t>(byte_size(buffer.type.dtype)));
  if (buffer.type.dtype == boolean) value = b.CreateZExt(value, llvm::FixedVectorType::get(element_type, lanes));
  Linear form = forms_.flatten(buffer.type, index);
  llvm::Value* address = element(id, form);
  int64_t variable = vector_level()->vector_variable;
  const Linear::Term* only = nullptr;
  int64_t varying = 0;
  for (const Linear::Term& term : form.terms)
    if (varies(facts(term.atom))) only = &term, ++varying;
  if (buffer.storage == Storage::row && row_lanes) {
    b.CreateAlignedStore(value, address, align);
  } else if (varying == 1 && only->atom == Scalar::index(variable) && only->factor == Factor{1, 0}) {
    address = b.CreateGEP(element_type, address, scalar(Scalar::index(variable)));
    if (mask())
      masked_store(value, address, mask());
    else
      b.CreateAlignedStore(value, address, align);
  } else if (varying == 0) {
    bool one = kernel.contraction && kernel.contraction->n.extent == Extent(1);
    check(one, "the lanes of a store go to different elements");
    b.CreateAlignedStore(b.CreateExtractElement(value, uint64_t{0}), address, align);
  } else {
    llvm::Value* addresses = b.CreateGEP(element_type, address, lane_offsets(form, buffer.type));
    mask() ? masked_store(value, addresses, mask()) : void(b.CreateMaskedScatter(value, addresses, align));
  }
  forget(id);
}

void Emitter::forget(BufferId stored) {
  for (Level& level : levels_)
    for (auto* memo : {&level.scalars, &level.vectors})
      std::erase_if(*memo, [&](const auto& entry) {
        const auto& reads = facts_.at(entry.first).reads;
        return std::any_of(reads.begin(), reads.end(), [&](BufferId read) { return share_bytes(list, read, stored); });
      });
}

std::optional<Extent> Emitter::stride(BufferId id, std::span<const Scalar> index, int64_t variable) const {
  Linear form = forms_.flatten(list.buffers[static_cast<size_t>(id)].type, index);
  Extent result = 0;
  for (const Linear::Term& term : form.terms) {
    if (term.atom == Scalar::index(variable)) {
      if (term.factor.c != 0 && term.factor.n != 0) return {};
      result = term.factor.n != 0 ? Extent(term.factor.n, list.size ? list.size : "n") : Extent(term.factor.c);
      continue;
    }
    bool uses = false;
    visit(term.atom, [&](const Scalar& leaf) {
      uses |= leaf->function == Scalar::variable && leaf->integer == variable;
    });
    if (uses) return {};
  }
  return result;
}

}  // namespace tenon
