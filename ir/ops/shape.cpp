// Views: the same elements under other indices. Only concat and pad have elements of more than one origin.
// Along an axis whose extent is a multiple of run-time sizes, what is cut off or joined is a multiple of the same sizes, since
// a type has no extent n + 1; a slice may also be fixed.
#include "ir/ops/build.h"

namespace tenon {
namespace {

using Gradients = std::vector<Value>;

Gradients view_gradient(const Pullback& p, const Map& back) { return {through_mask(p.dy, back, back)}; }

std::vector<Scalar> own_indices(const Type& type) {
  std::vector<Scalar> indices;
  for (int64_t i = 0; i < type.rank(); ++i) indices.push_back(Scalar::index(i));
  return indices;
}

Definition view(const Application& a, std::vector<Scalar> indices) {
  return elementwise(a, Scalar::read(0, a.operand(0).dtype, std::move(indices)));
}

// What an i64 is padded with, if it was given as an integer; null otherwise.
const int64_t* exact_value(const Application& a) {
  const Attribute* value = a.attributes.find("value");
  return value && a.operand(0).dtype == i64 ? std::get_if<int64_t>(value) : nullptr;
}

// That a definition of concat chooses between at each element; more are joined in groups, and these again.
constexpr size_t most_parts = 32;

// Splits two shapes of equal element count into the finest runs of axes with equal products, so that an index
// outside of a changed run stays as it is. Each entry holds the ends of a run in both shapes.
std::vector<std::pair<size_t, size_t>> matching_runs(const Shape& from, const Shape& to) {
  const std::pair whole(from.size(), to.size());
  if (elements(from) == Extent(0)) return {whole};
  std::vector<std::pair<size_t, size_t>> ends;
  Extent before, product;  // of `from`, up to the end of the last run and so far
  size_t last = 0;         // the end of the last run in `to`
  for (size_t i = 0; i < from.size(); ++i) {
    product = product * from[i];
    Extent other = before;
    for (size_t j = last; j < to.size(); ++j) {
      other = other * to[j];
      if (other != product) continue;
      ends.emplace_back(i + 1, last = j + 1);
      before = product;
      break;
    }
  }
  if (ends.empty()) return {whole};
  ends.back() = whole;  // extents of 1 may be left over
  return ends;
}

// The extent of an axis that gets longer.
Extent grown(const Application& a, int64_t axis, Extent extent, Extent by) {
  if (!extent.like(by))
    a.fail("axis {} is {} and would get {} more; a run-time size grows by multiples of itself alone", axis, extent.str(),
           by.str());
  int64_t sum;
  if (__builtin_add_overflow(extent.count, by.count, &sum)) a.fail("axis {} would overflow", axis);
  return extent + by;
}

// Of elements begin, begin + step, ... of an axis that is a multiple of run-time sizes: how many zeros follow is no extent.
Value fixed_slice_gradient(const Pullback& p, int64_t axis, int64_t begin, int64_t step) {
  const Value& x = p.x[0];
  Axes to_front = axes_but(x.rank(), {axis});
  to_front.insert(to_front.begin(), axis);
  const Value at = iota(x.body(), {p.y.shape()[static_cast<size_t>(axis)]}, 0) * step + begin;
  return transpose(scatter_add(at, transpose(p.dy, to_front), x.shape()[static_cast<size_t>(axis)]), inverse(to_front));
}

// The elements [begin, end) at that step, as the extent of an axis. It has a fixed extent, or all three are multiples of the
// sizes of the axis.
Extent sliced(const Application& a, int64_t axis, Extent begin, Extent end, int64_t step) {
  const Extent extent = a.operand(0).shape[static_cast<size_t>(axis)];
  const bool fixed = !begin.symbolic() && !end.symbolic();
  auto said = [&] { return fmt::format("[{}, {})", begin.str(), end.str()); };
  if (!fixed && (!begin.like(extent) || !end.like(extent)))
    a.fail("{} of axis {} of {}: both ends must be multiples of {}, or numbers", said(), axis, a.operand(0).str(),
           extent.symbolic() ? extent.sizes->text : "1");
  if (begin.count < 0 || begin.count > end.count || end.count > extent.count) {
    const bool least = fixed && extent.symbolic();
    a.fail("{} is not within axis {} of {}{}", said(), axis, a.operand(0).str(),
           least ? fmt::format(", where {} may be 1", extent.sizes->text) : "");
  }
  if (step < 1) a.fail("step {} must be at least 1; to go backwards, reverse first", step);
  const int64_t count = end.count - begin.count;
  if (fixed) return count == 0 ? 0 : (count - 1) / step + 1;
  if (count % step != 0) a.fail("{} of axis {} of {} is no multiple of its step {}", said(), axis, a.operand(0).str(), step);
  return {count / step, count == 0 ? nullptr : extent.sizes};
}

}  // namespace

constinit const Op reshape_op = {
    .name = "reshape",
    .operands = 1,
    .type =
        [](const Application& a) {
          const Type& x = a.operand(0);
          Type result{x.dtype, attribute<Shape>(a, "shape")};
          need_possible(a, result);
          if (result.elements() != x.elements())
            a.fail("{} has {} elements, {} has {}", x.str(), x.elements().str(), result.str(), result.elements().str());
          return result;
        },
    .gradient = [](const Pullback& p) { return view_gradient(p, [&](const Value& d) { return reshape(d, p.x[0].shape()); }); },
    .compute =
        [](const Application& a) {
          const Shape &from = a.operand(0).shape, &to = a.result.shape;
          std::vector<Scalar> indices;
          size_t i = 0, j = 0;
          for (auto [from_end, to_end] : matching_runs(from, to)) {
            Scalar flat = Scalar::integer(0);
            for (; j < to_end; ++j) flat = flat * Scalar::extent(to[j]) + Scalar::index(static_cast<int64_t>(j));
            size_t begin = i;
            for (; i < from_end; ++i) {
              Extent inner = elements(Shape(from.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                            from.begin() + static_cast<std::ptrdiff_t>(from_end)));
              Scalar index = floordiv(flat, Scalar::extent(inner));
              indices.push_back(i == begin ? index : mod(index, Scalar::extent(from[i])));
            }
          }
          return view(a, std::move(indices));
        },
    .moves = true,
};

constinit const Op transpose_op = {
    .name = "transpose",
    .operands = 1,
    .type =
        [](const Application& a) {
          const Type& x = a.operand(0);
          Axes permutation = axes_attribute(a, "permutation", x.rank());
          if (static_cast<int64_t>(permutation.size()) != x.rank())
            a.fail("{} has {} axes, the permutation {}", x.str(), x.rank(), permutation.size());
          Type result{x.dtype, {}};
          for (int64_t axis : permutation) result.shape.push_back(x.shape[static_cast<size_t>(axis)]);
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          const Axes back = inverse(p.attributes.axes("permutation"));
          return view_gradient(p, [&](const Value& d) { return transpose(d, back); });
        },
    .compute =
        [](const Application& a) {
          Axes permutation = a.attributes.axes("permutation");
          std::vector<Scalar> indices(permutation.size());
          for (size_t i = 0; i < indices.size(); ++i)
            indices[static_cast<size_t>(permutation[i])] = Scalar::index(static_cast<int64_t>(i));
          return view(a, std::move(indices));
        },
    .moves = true,
};

constinit const Op broadcast_op = {
    .name = "broadcast",
    .operands = 1,
    .type =
        [](const Application& a) {
          const Type& x = a.operand(0);
          Type result{x.dtype, attribute<Shape>(a, "shape")};
          Axes axes = axes_attribute(a, "axes", result.rank());
          if (static_cast<int64_t>(axes.size()) != x.rank() || !std::is_sorted(axes.begin(), axes.end()))
            a.fail("needs one ascending axis for each of {}", x.str());
          for (size_t i = 0; i < axes.size(); ++i)
            if (x.shape[i] != result.shape[static_cast<size_t>(axes[i])])
              a.fail("axis {} of {} does not fit axis {} of {}", i, x.str(), axes[i], result.str());
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          Axes added = axes_but(p.y.rank(), p.attributes.axes("axes"));
          return Gradients{added.empty() ? p.dy : sum(p.dy, added)};
        },
    .compute =
        [](const Application& a) {
          std::vector<Scalar> indices;
          for (int64_t axis : a.attributes.axes("axes")) indices.push_back(Scalar::index(axis));
          return view(a, std::move(indices));
        },
    .moves = true,
};

// Elements begin, begin + step, ... before end.
constinit const Op slice_op = {
    .name = "slice",
    .operands = 1,
    .type =
        [](const Application& a) {
          Type result = a.operand(0);
          const int64_t axis = axis_attribute(a, "axis", result.rank());
          result.shape[static_cast<size_t>(axis)] =
              sliced(a, axis, extent_attribute(a, "begin"), extent_attribute(a, "end"), attribute<int64_t>(a, "step"));
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          const int64_t axis = p.attributes.get<int64_t>("axis"), step = p.attributes.get<int64_t>("step");
          const Extent begin = p.attributes.extent("begin");
          const size_t at = static_cast<size_t>(axis);
          const Extent count = p.y.shape()[at], extent = p.x[0].shape()[at];
          if (!extent.like(count) || !extent.like(begin)) return Gradients{fixed_slice_gradient(p, axis, begin.count, step)};
          return view_gradient(p, [&](Value d) {
            if (step > 1) {
              // step - 1 zeros after each element, on an axis of their own; then both axes are one.
              Shape inner = d.shape(), flat = d.shape();
              inner.insert(inner.begin() + axis + 1, 1);
              flat[at] = count * step;
              Shape none(inner.size(), 0), after = none;
              after[at + 1] = step - 1;
              const Extent most = extent - begin, all = flat[at];
              d = slice(reshape(pad(reshape(d, inner), none, after), flat), axis, 0, all.count <= most.count ? all : most);
            }
            Shape low(p.x[0].shape().size(), 0), high = low;
            low[at] = begin;
            high[at] = extent - begin - d.shape()[at];
            return pad(d, low, high);
          });
        },
    .compute =
        [](const Application& a) {
          std::vector<Scalar> indices = own_indices(a.result);
          Scalar& index = indices[static_cast<size_t>(a.attributes.get<int64_t>("axis"))];
          index = index * Scalar::integer(a.attributes.get<int64_t>("step")) + Scalar::extent(a.attributes.extent("begin"));
          return view(a, std::move(indices));
        },
    .moves = true,
};

constinit const Op concat_op = {
    .name = "concat",
    .operands = -1,
    .type =
        [](const Application& a) {
          Type result = a.operand(0);
          int64_t axis = axis_attribute(a, "axis", result.rank());
          Extent& total = result.shape[static_cast<size_t>(axis)];
          for (size_t i = 0; i < a.operands.size(); ++i) {
            Type part = a.operand(i);
            Type other = part;
            if (other.rank() == result.rank()) other.shape[static_cast<size_t>(axis)] = total;
            if (other != result)
              a.fail("part {} is {}, part 0 is {}; they may differ on axis {} only", i, part.str(), a.operand(0).str(), axis);
            if (i > 0) total = grown(a, axis, total, part.shape[static_cast<size_t>(axis)]);
          }
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          if (p.x.size() == 1) return Gradients{p.dy};
          const int64_t axis = p.attributes.get<int64_t>("axis");
          Extent begin = 0;
          Gradients gradients;
          for (const Value& part : p.x) {
            const Extent end = begin + part.shape()[static_cast<size_t>(axis)];
            auto cut = [&](const Value& d) { return slice(d, axis, begin, end); };
            gradients.push_back(through_mask(p.dy, cut, cut));
            begin = end;
          }
          return gradients;
        },
    .compute =
        [](const Application& a) {
          if (a.operands.size() == 1) return elementwise(a, read_operand(a, 0));
          size_t axis = static_cast<size_t>(a.attributes.get<int64_t>("axis"));
          Extent end = a.result.shape[axis];
          Scalar body = Scalar::number(a.result.dtype, 0);
          for (size_t i = a.operands.size(); i-- > 0;) {
            const Extent begin = end - a.operand(i).shape[axis];
            std::vector<Scalar> indices = own_indices(a.result);
            Scalar at = indices[axis];
            indices[axis] = at - Scalar::extent(begin);
            body = Scalar::read_if(Scalar::extent(begin) <= at && at < Scalar::extent(end), static_cast<int64_t>(i),
                                   a.result.dtype, std::move(indices), body);
            end = begin;
          }
          return elementwise(a, body);
        },
    .expand =
        [](std::span<const Value> x, const Attributes& attributes) {
          if (x.size() <= most_parts) return Value();
          std::vector<Value> parts(x.begin(), x.end());
          while (parts.size() > 1) {
            std::vector<Value> groups;
            for (size_t begin = 0; begin < parts.size(); begin += most_parts) {
              const std::span<const Value> rest = std::span(parts).subspan(begin);
              const std::span<const Value> group = rest.first(std::min(most_parts, rest.size()));
              groups.push_back(apply(concat_op, {group.begin(), group.end()}, attributes));
            }
            parts = std::move(groups);
          }
          return parts[0];
        },
    .moves = true,
};

constinit const Op pad_op = {
    .name = "pad",
    .operands = 1,
    .type =
        [](const Application& a) {
          Type result = a.operand(0);
          if (!exact_value(a))
            if (double value = attribute<double>(a, "value"); !fits(value, result.dtype))
              a.fail("{} is not a value of {}", value, name(result.dtype));
          const Shape &low = attribute<Shape>(a, "low"), &high = attribute<Shape>(a, "high");
          if (low.size() != result.shape.size() || high.size() != result.shape.size())
            a.fail("needs one number per axis of {}, got {} low and {} high", result.str(), low.size(), high.size());
          for (size_t i = 0; i < low.size(); ++i) {
            if (low[i].count < 0 || high[i].count < 0)
              a.fail("axis {} would get {} and {}; slice instead", i, low[i].str(), high[i].str());
            for (Extent more : {low[i], high[i]}) result.shape[i] = grown(a, static_cast<int64_t>(i), result.shape[i], more);
          }
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          const Shape& low = p.attributes.get<Shape>("low");
          return view_gradient(p, [&](Value d) {
            for (size_t i = 0; i < low.size(); ++i)
              if (d.shape()[i] != p.x[0].shape()[i]) d = slice(d, static_cast<int64_t>(i), low[i], low[i] + p.x[0].shape()[i]);
            return d;
          });
        },
    .compute =
        [](const Application& a) {
          const Shape &low = a.attributes.get<Shape>("low"), &high = a.attributes.get<Shape>("high");
          std::vector<Scalar> indices = own_indices(a.result);
          Scalar guard;
          auto also = [&](Scalar condition) { guard = guard ? guard && condition : condition; };
          for (size_t i = 0; i < low.size(); ++i) {
            Scalar at = indices[i];
            if (low[i].count) also(Scalar::extent(low[i]) <= at);
            if (high[i].count) also(at < Scalar::extent(low[i] + a.operand(0).shape[i]));
            indices[i] = at - Scalar::extent(low[i]);
          }
          if (!guard) return view(a, std::move(indices));
          const int64_t* exact = exact_value(a);
          Scalar value = exact ? Scalar::integer(*exact) : Scalar::number(a.result.dtype, a.attributes.get<double>("value"));
          return elementwise(a, Scalar::read_if(guard, 0, a.result.dtype, std::move(indices), value));
        },
    .moves = true,
};

constinit const Op reverse_op = {
    .name = "reverse",
    .operands = 1,
    .type =
        [](const Application& a) {
          axes_attribute(a, "axes", a.operand(0).rank());
          return a.operand(0);
        },
    .gradient =
        [](const Pullback& p) {
          return view_gradient(p, [&](const Value& d) { return apply(reverse_op, {d}, p.attributes); });
        },
    .compute =
        [](const Application& a) {
          std::vector<Scalar> indices = own_indices(a.result);
          for (int64_t axis : a.attributes.axes("axes")) {
            size_t at = static_cast<size_t>(axis);
            indices[at] = Scalar::extent(a.result.shape[at]) - Scalar::integer(1) - indices[at];
          }
          return view(a, std::move(indices));
        },
    .moves = true,
};

}  // namespace tenon
