#include "compiler/kernel/index.h"

#include <algorithm>
#include <map>

namespace tenon {
namespace {

bool is_arithmetic(const Scalar& x) {
  if (x->dtype != i64) return false;
  switch (x->function) {
    case Scalar::add:
    case Scalar::sub:
    case Scalar::neg:
    case Scalar::mul:
    case Scalar::floordiv:
    case Scalar::mod: return true;
    default: return false;
  }
}

bool uses(const Scalar& x, int64_t variable) {
  bool result = false;
  visit(x, [&](const Scalar& leaf) { result = result || (leaf->function == Scalar::variable && leaf->integer == variable); });
  return result;
}

}  // namespace

IndexForms::IndexForms(const VariableExtents& extents) {
  for (size_t v = 0; v < extents.size(); ++v) bound(static_cast<int64_t>(v), extents[v]);
}

void IndexForms::bound(int64_t variable, Extent extent) {
  extents_[variable] = extent;
  known_.clear();
  bounds_.clear();
}

uint32_t IndexForms::atom(const Scalar& x) {
  size_t sight = static_cast<size_t>(x->function) + 64 * static_cast<size_t>(x->integer);
  for (const Scalar& argument : x->arguments)
    sight = 31 * sight + static_cast<size_t>(argument->function) + 64 * static_cast<size_t>(argument->integer);
  const auto [begin, end] = numbers_.equal_range(sight);
  for (auto it = begin; it != end; ++it)
    if (bool(at(it->second) == x)) return it->second;
  atoms_.push_back(x);
  numbers_.emplace(sight, static_cast<uint32_t>(atoms_.size()));
  return static_cast<uint32_t>(atoms_.size());
}

IndexForms::Known& IndexForms::known(const Scalar& index) {
  std::vector<Scalar> open{index};
  for (;;) {
    const Scalar x = open.back();
    if (!known_.contains(&*x)) {
      if (is_arithmetic(x)) {
        auto it = std::ranges::find_if(x->arguments, [&](const Scalar& a) { return !known_.contains(&*a); });
        if (it != x->arguments.end()) {
          open.push_back(*it);
          continue;
        }
      }
      IndexSum made = new_sum(x);
      known_.emplace(&*x, Known{x, std::move(made)});
    }
    open.pop_back();
    if (open.empty()) return known_.at(&*x);
  }
}

const IndexSum& IndexForms::sum(const Scalar& index) { return known(index).sum; }

// Of an expression whose arguments are known.
IndexSum IndexForms::new_sum(const Scalar& x) {
  auto made = arithmetic(x);
  return made ? std::move(*made) : IndexSum::atom(atom(x));
}

std::optional<IndexSum> IndexForms::arithmetic(const Scalar& x) {
  if (x->dtype != i64) return {};
  auto argument = [&](size_t i) -> const IndexSum& { return known_.at(&*x->arguments[i]).sum; };
  switch (x->function) {
    case Scalar::constant: return IndexSum::number(x->integer);
    case Scalar::size:
      if (x->integer == 1) return IndexSum::atom(atom(x));
      return tenon::times(IndexSum::atom(atom(Scalar::extent(Extent(1, x->size)))), IndexSum::number(x->integer));
    case Scalar::add:
    case Scalar::sub: {
      auto made = tenon::plus(argument(0), argument(1), x->function == Scalar::add ? 1 : -1);
      return made ? std::optional(joined(std::move(*made))) : std::nullopt;
    }
    case Scalar::neg: return tenon::plus({}, argument(0), -1);
    case Scalar::mul: return tenon::times(argument(0), argument(1));
    case Scalar::floordiv: return quotient(argument(0), argument(1));
    case Scalar::mod: return remainder(argument(0), argument(1));
    default: return {};
  }
}

std::optional<IndexSum> IndexForms::quotient(const IndexSum& x, const IndexSum& divisor) {
  if (divisor.terms.size() != 1 || divisor.terms[0].second <= 0) return {};
  const auto& [product, coefficient] = divisor.terms[0];
  auto [multiple, rest] = split(x, product, coefficient);
  if (within(rest, divisor)) return multiple;
  if (product == Product{} && rest.terms.size() == 1 && rest.terms[0].second == 1 && rest.terms[0].first[1] == 0 &&
      is(rest.terms[0].first[0], Scalar::floordiv)) {  // (y // c) // d = y // (c*d)
    const Scalar inner = at(rest.terms[0].first[0]);
    const IndexSum& c = sum(inner->arguments[1]);
    const auto both = tenon::times(c, divisor);
    if (both && c.terms.size() == 1 && c.terms[0].first == Product{}) {
      const auto whole = quotient(sum(inner->arguments[0]), *both);
      return whole ? tenon::plus(multiple, *whole, 1) : std::nullopt;
    }
  }
  return tenon::plus(multiple, IndexSum::atom(atom(floordiv(scalar(rest), scalar(divisor)))), 1);
}

std::optional<IndexSum> IndexForms::remainder(const IndexSum& x, const IndexSum& divisor) {
  if (divisor.terms.size() != 1 || divisor.terms[0].second <= 0) return {};
  IndexSum rest = split(x, divisor.terms[0].first, divisor.terms[0].second).rest;
  if (within(rest, divisor)) return rest;
  return IndexSum::atom(atom(mod(scalar(rest), scalar(divisor))));
}

// c*d * (e // d) + c * (e % d) becomes c * e.
IndexSum IndexForms::joined(IndexSum x) {
  auto join = [&](const Product& product, int64_t c, size_t i) -> std::optional<IndexSum> {
    if (!is(product[i], Scalar::mod)) return {};
    const Scalar rest = at(product[i]);
    const IndexSum e = sum(rest->arguments[0]), d = sum(rest->arguments[1]);
    const auto whole = quotient(e, d);
    if (!whole || whole->terms.size() != 1 || whole->terms[0].second != 1) return {};
    Product others{};
    std::copy(product.begin(), product.begin() + i, others.begin());
    std::copy(product.begin() + i + 1, product.end(), others.begin() + i);
    const IndexSum factor{{{others, c}}};
    const auto partner = tenon::times(*whole, d);
    const auto all = partner ? tenon::times(*partner, factor) : std::nullopt;
    if (!all || all->terms.size() != 1 || x.coefficient(all->terms[0].first) != all->terms[0].second) return {};
    const auto joint = tenon::times(e, factor);
    auto less = tenon::plus(x, *all, -1);
    if (less) less = tenon::plus(*less, IndexSum{{{product, c}}}, -1);
    return joint && less ? tenon::plus(*less, *joint, 1) : std::nullopt;
  };
  auto next = [&]() -> std::optional<IndexSum> {
    for (const auto& [product, c] : x.terms)
      for (size_t i = 0; i < product.size() && product[i]; ++i)
        if (auto made = join(product, c, i)) return made;
    return {};
  };
  while (auto made = next()) x = std::move(*made);
  return x;
}

Scalar IndexForms::scalar(const IndexSum& x) const {
  Scalar sum = Scalar::integer(0);
  for (const auto& [product, coefficient] : x.terms) {
    Scalar term = Scalar::integer(coefficient);
    for (uint32_t a : product)
      if (a) term = term * at(a);
    sum = sum + term;
  }
  return sum;
}

// The same node for the same product.
Scalar IndexForms::scalar(const Product& x) {
  if (x[1] == 0) return at(x[0]);
  auto it = std::ranges::find(products_, x, &std::pair<Product, Scalar>::first);
  if (it == products_.end()) it = products_.insert(it, {x, scalar(IndexSum{{{x, 1}}})});
  return it->second;
}

Scalar IndexForms::simplified(const Scalar& index) { return scalar(sum(index)); }

Linear IndexForms::linear_of(const IndexSum& x) {
  Linear result;
  std::vector<Product> atoms;
  for (const auto& [product, c] : x.terms) {
    Product rest{}, sizes{};
    for (size_t i = 0, to = 0, sized = 0; i < product.size() && product[i]; ++i)
      (is(product[i], Scalar::size) ? sizes[sized++] : rest[to++]) = product[i];
    Factor* factor = &result.constant;
    if (rest != Product{}) {
      const auto at = std::ranges::find(atoms, rest) - atoms.begin();
      if (at == std::ssize(atoms)) atoms.push_back(rest), result.terms.push_back({scalar(rest), {}});
      factor = &result.terms[static_cast<size_t>(at)].factor;
    }
    if (sizes == Product{})
      factor->number = c;
    else
      factor->sized.emplace_back(c, sizes_of(sizes));
  }
  return result;
}

const SizeProduct* IndexForms::sizes_of(const Product& sizes) {
  auto it = std::ranges::find(size_products_, sizes, &std::pair<Product, const SizeProduct*>::first);
  if (it != size_products_.end()) return it->second;
  Extent product;
  for (uint32_t a : sizes)
    if (a) product = product * Extent(1, at(a)->size);
  size_products_.emplace_back(sizes, product.sizes);
  return product.sizes;
}

const Linear& IndexForms::linear(const Scalar& index) {
  Known& about = known(index);
  if (!about.linear) about.linear = linear_of(about.sum);
  return *about.linear;
}

IndexSum IndexForms::address(const Shape& shape, std::span<const Scalar> index) {
  check(index.size() == shape.size(), "a load has one index per axis of its buffer");
  const std::vector<Extent> steps = strides(shape);
  IndexSum total;
  for (size_t i = 0; i < index.size(); ++i) {
    const Scalar step = Scalar::extent(steps[i]);
    const auto product = tenon::times(sum(index[i]), sum(step));
    auto next = product ? tenon::plus(total, *product, 1) : std::nullopt;
    if (!next) next = tenon::plus(total, IndexSum::atom(atom(Scalar::call(Scalar::mul, {index[i], step}))), 1);
    check(next.has_value(), "an address has fewer terms than an index may have");
    total = std::move(*next);
  }
  return joined(std::move(total));
}

Linear IndexForms::flatten(const Shape& shape, std::span<const Scalar> index) { return linear_of(address(shape, index)); }

std::optional<Extent> IndexForms::stride(const Shape& shape, std::span<const Scalar> index, int64_t variable) {
  Extent result = 0;
  for (const Linear::Term& term : flatten(shape, index).terms) {
    if (term.atom != Scalar::index(variable)) {
      if (uses(term.atom, variable)) return {};
      continue;
    }
    const auto& [number, sized] = term.factor;
    if (sized.size() + (number != 0) != 1) return {};
    result = sized.empty() ? Extent(number) : sized[0];
  }
  return result;
}

bool IndexForms::is_affine(const Shape& shape, std::span<const Scalar> index) {
  return std::ranges::all_of(address(shape, index).terms, [&](const auto& term) {
    int variables = 0;
    for (uint32_t a : term.first) {
      variables += is(a, Scalar::variable);
      if (a && !is(a, Scalar::variable) && !is(a, Scalar::size)) return false;
    }
    return variables <= 1;
  });
}

Scalar simplify_loads(const Scalar& x, const VariableExtents& extents) {
  IndexForms forms(extents);
  return substitute(x, [&](const Scalar& leaf) -> Scalar {
    if (leaf->function != Scalar::load) return {};
    std::vector<Scalar> indices;
    for (const Scalar& index : leaf->indices()) indices.push_back(forms.simplified(index));
    if (leaf->guarded) return Scalar::read_if(leaf->guard(), leaf->integer, leaf->dtype, std::move(indices), leaf->otherwise());
    return Scalar::read(leaf->integer, leaf->dtype, std::move(indices));
  });
}

// From the innermost stride outwards, every axis begins where the ones before it end.
bool meets_each_once(const Scalar& load, const Shape& shape, const Shape& axes, const Sizes& maxima) {
  IndexForms forms;
  std::map<int64_t, int64_t> count_by_stride;
  for (size_t v = 0; v < axes.size(); ++v) {
    const int64_t count = axes[v].at(maxima);
    const auto apart = forms.stride(shape, load->indices(), static_cast<int64_t>(v));
    if (count == 1) continue;
    if (!apart || !count_by_stride.emplace(std::abs(apart->at(maxima)), count).second) return false;
  }
  int64_t next = 1;
  for (const auto& [stride, count] : count_by_stride) {
    if (stride != next) return false;
    next *= count;
  }
  return true;
}

}  // namespace tenon
