// Views: the same elements under other indices. Only concat and pad have elements of more than one origin.
// Cutting or joining along the run-time size is an error, because a type has extents c or c*n only.
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

void need_constant(const Application& a, const Type& type, int64_t axis) {
  Extent extent = type.shape[static_cast<size_t>(axis)];
  if (extent.symbolic()) a.fail("axis {} of {} is the run-time size {}", axis, type.str(), extent.str());
}

// That a definition of concat chooses between at each element; more are joined in groups, and these again.
constexpr size_t most_parts = 32;

// Splits two shapes of equal element count into the finest runs of axes with equal products, so that an index
// outside of a changed run stays as it is. Each entry holds the ends of a run in both shapes.
std::vector<std::pair<size_t, size_t>> matching_runs(const Shape& from, const Shape& to) {
  const std::pair whole(from.size(), to.size());
  std::vector<std::pair<size_t, size_t>> ends;
  size_t i = 0, j = 0;
  while (i < from.size() && j < to.size()) {
    Extent a = from[i++], b = to[j++];
    while (a != b) {
      bool a_is_less = a.symbolic() == b.symbolic() ? a.count < b.count : b.symbolic();
      if (a_is_less ? i == from.size() : j == to.size()) return {whole};  // there are no elements
      if (a_is_less)
        a = a * from[i++];
      else
        b = b * to[j++];
    }
    ends.emplace_back(i, j);
  }
  if (ends.empty()) return {whole};
  ends.back() = whole;  // extents of 1 may be left over
  return ends;
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
            a.fail("{} has {} elements, {} has {}", x.str(), x.elements().str(), result.str(),
                   result.elements().str());
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          return view_gradient(p, [&](const Value& d) { return reshape(d, p.x[0].shape()); });
        },
    .compute =
        [](const Application& a) {
          const Shape &from = a.operand(0).shape, &to = a.result.shape;
          std::vector<Scalar> indices;
          size_t i = 0, j = 0;
          for (auto [from_end, to_end] : matching_runs(from, to)) {
            Scalar flat = Scalar::integer(0);
            for (; j < to_end; ++j)
              flat = flat * Scalar::extent(to[j]) + Scalar::index(static_cast<int64_t>(j));
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
          Axes permutation = p.attributes.axes("permutation"), inverse(permutation.size());
          for (size_t i = 0; i < inverse.size(); ++i)
            inverse[static_cast<size_t>(permutation[i])] = static_cast<int64_t>(i);
          return view_gradient(p, [&](const Value& d) { return transpose(d, inverse); });
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
          int64_t axis = axis_attribute(a, "axis", result.rank());
          need_constant(a, result, axis);
          int64_t begin = attribute<int64_t>(a, "begin"), end = attribute<int64_t>(a, "end"),
                  step = attribute<int64_t>(a, "step");
          Extent& extent = result.shape[static_cast<size_t>(axis)];
          if (begin < 0 || begin > end || end > extent.count)
            a.fail("[{}, {}) is not within axis {} of {}", begin, end, axis, result.str());
          if (step < 1) a.fail("step {} must be at least 1; to go backwards, reverse first", step);
          extent = end > begin ? (end - begin - 1) / step + 1 : 0;
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          int64_t axis = p.attributes.get<int64_t>("axis"), begin = p.attributes.get<int64_t>("begin"),
                  step = p.attributes.get<int64_t>("step");
          size_t at = static_cast<size_t>(axis);
          int64_t count = p.y.shape()[at].count, extent = p.x[0].shape()[at].count;
          return view_gradient(p, [&](Value d) {
            if (step > 1) {
              // step - 1 zeros after each element, on an axis of their own; then both axes are one.
              Shape inner = d.shape(), flat = d.shape();
              inner.insert(inner.begin() + axis + 1, 1);
              flat[at] = count * step;
              Axes none(inner.size()), after(inner.size());
              after[at + 1] = step - 1;
              d = slice(reshape(pad(reshape(d, inner), none, after), flat), axis, 0,
                        std::min(count * step, extent - begin));
            }
            Axes low(p.x[0].shape().size()), high = low;
            low[at] = begin;
            high[at] = extent - begin - d.shape()[at].count;
            return pad(d, low, high);
          });
        },
    .compute =
        [](const Application& a) {
          std::vector<Scalar> indices = own_indices(a.result);
          Scalar& index = indices[static_cast<size_t>(a.attributes.get<int64_t>("axis"))];
          index = index * Scalar::integer(a.attributes.get<int64_t>("step")) +
                  Scalar::integer(a.attributes.get<int64_t>("begin"));
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
            if (part.rank() == result.rank() && a.operands.size() > 1) need_constant(a, part, axis);
            Type other = part;
            if (other.rank() == result.rank()) other.shape[static_cast<size_t>(axis)] = total;
            if (other != result)
              a.fail("part {} is {}, part 0 is {}; they may differ on axis {} only", i, part.str(),
                     a.operand(0).str(), axis);
            if (i > 0 && __builtin_add_overflow(total.count, part.shape[static_cast<size_t>(axis)].count, &total.count))
              a.fail("axis {} would overflow", axis);
          }
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          if (p.x.size() == 1) return Gradients{p.dy};
          int64_t axis = p.attributes.get<int64_t>("axis"), begin = 0;
          Gradients gradients;
          for (const Value& part : p.x) {
            int64_t end = begin + part.shape()[static_cast<size_t>(axis)].count;
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
          int64_t end = a.result.shape[axis].count;
          Scalar body = Scalar::number(a.result.dtype, 0);
          for (size_t i = a.operands.size(); i-- > 0;) {
            int64_t begin = end - a.operand(i).shape[axis].count;
            std::vector<Scalar> indices = own_indices(a.result);
            Scalar at = indices[axis];
            indices[axis] = at - Scalar::integer(begin);
            body = Scalar::read_if(Scalar::integer(begin) <= at && at < Scalar::integer(end),
                                   static_cast<int64_t>(i), a.result.dtype, std::move(indices), body);
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
          Axes low = list_attribute(a, "low"), high = list_attribute(a, "high");
          if (low.size() != result.shape.size() || high.size() != result.shape.size())
            a.fail("needs one number per axis of {}, got {} low and {} high", result.str(), low.size(),
                   high.size());
          for (size_t i = 0; i < low.size(); ++i) {
            if (low[i] == 0 && high[i] == 0) continue;
            need_constant(a, result, static_cast<int64_t>(i));
            if (low[i] < 0 || high[i] < 0)
              a.fail("axis {} would get {} and {}; slice instead", i, low[i], high[i]);
            int64_t& count = result.shape[i].count;
            if (__builtin_add_overflow(count, low[i], &count) ||
                __builtin_add_overflow(count, high[i], &count))
              a.fail("axis {} would overflow", i);
          }
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          Axes low = p.attributes.axes("low"), high = p.attributes.axes("high");
          return view_gradient(p, [&](Value d) {
            for (size_t i = 0; i < low.size(); ++i)
              if (low[i] || high[i])
                d = slice(d, static_cast<int64_t>(i), low[i], low[i] + p.x[0].shape()[i].count);
            return d;
          });
        },
    .compute =
        [](const Application& a) {
          Axes low = a.attributes.axes("low"), high = a.attributes.axes("high");
          std::vector<Scalar> indices = own_indices(a.result);
          Scalar guard;
          auto also = [&](Scalar condition) { guard = guard ? guard && condition : condition; };
          for (size_t i = 0; i < low.size(); ++i) {
            Scalar at = indices[i];
            if (low[i]) also(Scalar::integer(low[i]) <= at);
            if (high[i]) also(at < Scalar::integer(low[i] + a.operand(0).shape[i].count));
            indices[i] = at - Scalar::integer(low[i]);
          }
          if (!guard) return view(a, std::move(indices));
          const int64_t* exact = exact_value(a);
          Scalar value = exact ? Scalar::integer(*exact)
                               : Scalar::number(a.result.dtype, a.attributes.get<double>("value"));
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
