// Choosing by index. Indices are of any integer type; one outside its range is an Error of the run that names
// row and value, and no operation here ever reads or writes there.
#include "ir/ops/build.h"

namespace tenon {
namespace {

using Gradients = std::vector<Value>;

void need_index(const Application& a, const Type& index) {
  if (!is_integer(index.dtype)) a.fail("indices are i64, i32 or u8, not {}", index.str());
}

std::vector<Scalar> indices(int64_t begin, int64_t end) {
  std::vector<Scalar> result;
  for (int64_t i = begin; i < end; ++i) result.push_back(Scalar::index(i));
  return result;
}

Scalar read_index(const Application& a, size_t operand, std::vector<Scalar> at) {
  return Scalar::to(i64, Scalar::read(static_cast<int64_t>(operand), a.operand(operand).dtype, std::move(at)));
}

}  // namespace

// Each element of dy goes to the place it was picked from.
constinit const Op pick_op = {
    .name = "pick",
    .operands = 2,
    .type =
        [](const Application& a) {
          const Type &x = a.operand(0), &index = a.operand(1);
          need_index(a, index);
          if (x.rank() != index.rank() + 1 || !std::equal(index.shape.begin(), index.shape.end(), x.shape.begin()))
            a.fail("the index is {}, x is {}; it needs one index for each row of the last axis", index.str(), x.str());
          return Type{x.dtype, index.shape};
        },
    .gradient =
        [](const Pullback& p) {
          const Value& x = p.x[0];
          return Gradients{select(at_label(x, p.x[1]), restore(p.dy, x.shape(), {x.rank() - 1}), 0), Value()};
        },
    .compute =
        [](const Application& a) {
          std::vector<Scalar> at = indices(0, a.result.rank());
          at.push_back(read_index(a, 1, indices(0, a.result.rank())));
          return elementwise(a, Scalar::read(0, a.result.dtype, std::move(at)));
        },
    .moves = true,
};

// All zeros in a row whose index is out of range.
constinit const Op one_hot_op = {
    .name = "one_hot",
    .operands = 1,
    .type =
        [](const Application& a) {
          need_index(a, a.operand(0));
          Type result{attribute<DType>(a, "dtype"), a.operand(0).shape};
          result.shape.push_back(attribute<int64_t>(a, "classes"));
          return result;
        },
    .gradient = zero_gradient,
    .compute =
        [](const Application& a) {
          int64_t last = a.result.rank() - 1;
          Scalar hot = Scalar::call(Scalar::eq, {read_index(a, 0, indices(0, last)), Scalar::index(last)});
          return elementwise(a, Scalar::to(a.result.dtype, hot));
        },
};

constinit const Op gather_op = {
    .name = "gather",
    .operands = 2,
    .type =
        [](const Application& a) {
          const Type &table = a.operand(0), &index = a.operand(1);
          need_index(a, index);
          if (table.rank() < 1) a.fail("the table {} has no rows", table.str());
          Type result{table.dtype, index.shape};
          result.shape.insert(result.shape.end(), table.shape.begin() + 1, table.shape.end());
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          return Gradients{scatter_add(p.x[1], p.dy, p.x[0].shape()[0]), Value()};
        },
    .compute =
        [](const Application& a) {
          int64_t split = a.operand(1).rank();
          std::vector<Scalar> at{read_index(a, 1, indices(0, split))};
          for (Scalar& inner : indices(split, a.result.rank())) at.push_back(inner);
          return elementwise(a, Scalar::read(0, a.result.dtype, std::move(at)));
        },
    .moves = true,
};

// Repeated indices add up, in the order of the rows.
constinit const Op scatter_add_op = {
    .name = "scatter_add",
    .operands = 2,
    .type =
        [](const Application& a) {
          const Type &index = a.operand(0), &rows = a.operand(1);
          need_index(a, index);
          const Shape& extent = attribute<Shape>(a, "extent");
          if (extent.size() != 1) a.fail("takes one extent");
          if (rows.dtype == boolean || rows.rank() < index.rank() ||
              !std::equal(index.shape.begin(), index.shape.end(), rows.shape.begin()))
            a.fail("the index is {}, the rows are {}; it needs one index for each row of numbers", index.str(), rows.str());
          Type result{rows.dtype, extent};
          result.shape.insert(result.shape.end(), rows.shape.begin() + index.rank(), rows.shape.end());
          return result;
        },
    .gradient =
        [](const Pullback& p) {
          return Gradients{Value(), gather(p.dy, p.x[0])};
        },
    .compute =
        [](const Application& a) {
          const Type &index = a.operand(0), &rows = a.operand(1);
          std::vector<Scalar> row = indices(a.result.rank(), a.result.rank() + index.rank()), at = row;
          for (Scalar& inner : indices(1, a.result.rank())) at.push_back(inner);
          return Definition{.axes = a.result.shape,
                            .reduced = index.shape,
                            .reduction = Reduction::sum,
                            .body = Scalar::read(1, rows.dtype, std::move(at)),
                            .scatter = read_index(a, 0, row)};
        },
};

Value pick(Operand x, Operand index) {
  Value of = value_of("pick", x);
  if (!index.value && of.rank() > 0) {
    Shape rows(of.shape().begin(), of.shape().end() - 1);
    index.value = number_of(of.body(), {i64, rows}, index);
  }
  return apply(pick_op, {of, value_of("pick", index)}, {}, x.line);
}
Value one_hot(Operand index, int64_t classes, DType dtype) {
  return unary(one_hot_op, index, attributes({{"classes", classes}, {"dtype", dtype}}));
}
Value gather(Operand table, Operand index) {
  return apply(gather_op, {value_of("gather", table), value_of("gather", index)}, {}, table.line);
}
Value scatter_add(Operand index, Operand rows, Extent extent) {
  return apply(scatter_add_op, {value_of("scatter_add", index), value_of("scatter_add", rows)},
               attributes({{"extent", Shape{extent}}}), rows.line);
}

}  // namespace tenon
