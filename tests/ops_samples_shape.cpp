// Samples of reductions, views, contractions and choosing by index.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/ops_samples.h"

namespace tenon::testing {
namespace {

using Args = std::span<const Value>;
using Row = std::vector<double>;
const Extent n(1, "n");
constexpr double infinity = std::numeric_limits<double>::infinity();

// Over the middle axis of [2,n,4].
Sample middle(const Op& op, Value (*build)(Operand, Axes), double start, double (*step)(double, double), double (*end)(double),
              Extent count = n) {
  return {&op,
          std::string(op.name),
          {{{f64, {2, count, 4}}, spread_values(24)}},
          [=](Graph&, Args x) { return build(x[0], {1}); },
          [=](const Arrays& x) {
            Row y;
            for (size_t i = 0; i < 2; ++i)
              for (size_t k = 0; k < 4; ++k) {
                double total = start;
                for (size_t j = 0; j < 3; ++j) total = step(total, x[0][i * 12 + j * 4 + k]);
                y.push_back(end(total));
              }
            return y;
          }};
}

// Over everything, of a row of `count`.
Sample whole(const Op& op, Row values, Value (*build)(Operand, Axes), Row expected, int orders = 2) {
  int64_t count = static_cast<int64_t>(values.size());
  return {&op,
          std::string(op.name) + " of " + std::to_string(count),
          {{{f64, {count}}, std::move(values)}},
          [=](Graph&, Args x) { return build(x[0], {}); },
          [=](const Arrays&) { return expected; },
          orders};
}

void reductions(std::vector<Sample>& samples) {
  auto same = [](double x) { return x; };
  samples.push_back(middle(
      sum_op, sum, 0, [](double a, double b) { return a + b; }, same));
  samples.push_back(middle(
      mean_op, mean, 0, [](double a, double b) { return a + b; }, [](double x) { return x / 3; }));
  for (Extent count : {Extent(3), n})
    samples.push_back(middle(
        prod_op, prod, 1, [](double a, double b) { return a * b; }, same, count));
  samples.push_back(middle(
      reduce_max_op, reduce_max, -infinity, [](double a, double b) { return a < b ? b : a; }, same));
  samples.push_back(middle(
      reduce_min_op, reduce_min, infinity, [](double a, double b) { return b < a ? b : a; }, same));
  samples.push_back(whole(sum_op, {}, sum, {0}, 0));
  samples.push_back(whole(sum_op, {2.5}, sum, {2.5}));
  samples.push_back(whole(prod_op, {}, prod, {1}, 0));
  samples.push_back(whole(prod_op, {2, 0, -3}, prod, {0}));
  samples.push_back(whole(prod_op, {2, 0, 0, -3}, prod, {0}));
  samples.push_back(whole(reduce_max_op, {}, reduce_max, {-infinity}, 0));
  samples.push_back(whole(reduce_min_op, {}, reduce_min, {infinity}, 0));
  samples.push_back(whole(reduce_max_op, {1, NAN, 3}, reduce_max, {NAN}, 0));
  Row many = spread_values(5000);
  double total = 0;
  for (double x : many) total += x;
  samples.push_back({&sum_op,
                     "sum of 5000",
                     {{{f64, {5000}}, many}},
                     [](Graph&, Args x) { return sum(x[0]); },
                     [=](const Arrays&) { return Row{total}; },
                     0});
  samples.push_back({&sum_op,
                     "sum of i32 over two axes",
                     {{{i32, {2, 2, 2}}, {1, 2, 3, 4, 5, 6, 7, 8}}},
                     [](Graph&, Args x) {
                       return sum(x[0], {0, -1});
                     },
                     [](const Arrays&) {
                       return Row{14, 22};
                     },
                     0});
  samples.push_back({&argmax_op,
                     "argmax",
                     {{{f64, {n, 4}}, {1, 3, 3, 0, -1, -1, -2, -1, 0, NAN, 9, NAN}}},
                     [](Graph&, Args x) { return argmax(x[0]); },
                     [](const Arrays&) {
                       return Row{1, 0, 1};
                     },
                     0});
  samples.push_back({&argmax_op,
                     "argmax of columns",
                     {{{i32, {n, 2}}, {1, 5, 3, 5, 3, 7}}},
                     [](Graph&, Args x) { return argmax(x[0], 0); },
                     [](const Arrays&) {
                       return Row{1, 2};
                     },
                     0});
}

// A view: result element i is element `from[i]` of x, or `otherwise` if that is negative.
Sample view(const Op& op, Shape shape, std::function<Value(const Value&)> build, std::vector<int> from, double otherwise = 0) {
  int64_t count = elements(shape).at(Sample::n);
  return {&op,
          std::string(op.name),
          {{{f64, shape}, spread_values(count)}},
          [=](Graph&, Args x) { return build(x[0]); },
          [=](const Arrays& x) {
            Row y;
            for (int i : from) y.push_back(i < 0 ? otherwise : x[0][static_cast<size_t>(i)]);
            return y;
          }};
}

void views(std::vector<Sample>& samples) {
  std::vector<int> all(24);
  for (int i = 0; i < 24; ++i) all[static_cast<size_t>(i)] = i;
  samples.push_back(view(
      reshape_op, {4, n, 2},
      [](const Value& x) {
        return reshape(x, {2, n * Extent(4)});
      },
      all));
  samples.push_back(view(
      reshape_op, {n, 2, 4},
      [](const Value& x) {
        return reshape(x, {1, n, 8});
      },
      all));
  samples.push_back(view(reshape_op, {2, 3}, [](const Value& x) { return reshape(x, {3, 2, 1}); }, {0, 1, 2, 3, 4, 5}));
  samples.push_back(view(reshape_op, {1, 1}, [](const Value& x) { return reshape(x, {}); }, {0}));
  samples.push_back(view(reshape_op, {n * 2, n},
                         [](const Value& x) {
                           return transpose(reshape(x, {2, n * n}));
                         },
                         {0, 9, 1, 10, 2, 11, 3, 12, 4, 13, 5, 14, 6, 15, 7, 16, 8, 17}));
  samples.push_back(view(
      reshape_op, {2, 6, 2},
      [](const Value& x) {
        return reshape(x, {2, 4, 3});
      },
      all));
  samples.push_back(view(transpose_op, {2, n}, [](const Value& x) { return transpose(x); }, {0, 3, 1, 4, 2, 5}));
  samples.push_back(view(transpose_op, {2, 1, 3}, [](const Value& x) { return transpose(x, {2, 0, 1}); }, {0, 3, 1, 4, 2, 5}));
  samples.push_back(view(broadcast_op, {2},
                         [](const Value& x) {
                           return broadcast(x, {n, 2, 2}, {1});
                         },
                         {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1}));
  samples.push_back(view(broadcast_op, {n, 1},
                         [](const Value& x) {
                           return broadcast_to(x, {2, n, 2});
                         },
                         {0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2}));
  samples.push_back(view(slice_op, {n, 5}, [](const Value& x) { return slice(x, 1, 1, 4); }, {1, 2, 3, 6, 7, 8, 11, 12, 13}));
  samples.push_back(view(slice_op, {7}, [](const Value& x) { return slice(x, 0, 1, 7, 2); }, {1, 3, 5}));
  samples.push_back(view(slice_op, {2, 8}, [](const Value& x) { return slice(x, -1, 0, -1, 3); }, {0, 3, 6, 8, 11, 14}));
  samples.push_back(view(slice_op, {3}, [](const Value& x) { return slice(x, 0, 2, 2); }, {}));
  samples.push_back(view(slice_op, {n * 2, 2}, [](const Value& x) { return slice(x, 0, n, n * 2); }, {6, 7, 8, 9, 10, 11}));
  samples.push_back(view(slice_op, {n * 4}, [](const Value& x) { return slice(x, 0, n, n * 4, 3); }, {3, 6, 9}));
  samples.push_back(view(slice_op, {n * 2}, [](const Value& x) { return slice(x, 0, 1, 1); }, {}));
  samples.push_back(view(slice_op, {2, n * 4}, [](const Value& x) { return slice(x, 1, 1, 4, 2); }, {1, 3, 13, 15}));
  samples.push_back(view(
      pad_op, {2, 2},
      [](const Value& x) {
        return pad(x, {1, 0}, {0, 2}, -1.5);
      },
      {-1, -1, -1, -1, 0, 1, -1, -1, 2, 3, -1, -1}, -1.5));
  samples.push_back(view(pad_op, {n, 1}, [](const Value& x) { return pad(x, {0, 1}, {0, 0}); }, {-1, 0, -1, 1, -1, 2}));
  samples.push_back(
      view(pad_op, {n}, [](const Value& x) { return pad(x, {n}, {n * 2}); }, {-1, -1, -1, 0, 1, 2, -1, -1, -1, -1, -1, -1}));
  samples.push_back(view(reverse_op, {n, 2}, [](const Value& x) { return reverse(x, {0}); }, {4, 5, 2, 3, 0, 1}));
  samples.push_back(view(reverse_op, {2, 2}, [](const Value& x) { return reverse(x, {0, 1}); }, {3, 2, 1, 0}));
  samples.push_back(view(concat_op, {n, 2},
                         [](const Value& x) {
                           return concat({x, reverse(x, {1}), slice(x, 1, 0, 1)}, 1);
                         },
                         {}));
  samples.back().loop = [](const Arrays& x) {
    Row y;
    for (size_t i = 0; i < 3; ++i) {
      double a = x[0][2 * i], b = x[0][2 * i + 1];
      y.insert(y.end(), {a, b, b, a, a});
    }
    return y;
  };
  samples.push_back(view(concat_op, {2}, [](const Value& x) { return concat({x}); }, {0, 1}));
  samples.push_back(view(concat_op, {n, 1},
                         [](const Value& x) {
                           return concat({x, reverse(x, {0}), x});
                         },
                         {0, 1, 2, 2, 1, 0, 0, 1, 2}));
}

// a [A,I,K] and b [A,K,J] in any order of axes, given by strides: y[a,i,j] = sum over k.
Sample contraction(std::string spec, Shape a, Shape b, std::array<size_t, 4> extents, std::array<size_t, 3> a_strides,
                   std::array<size_t, 3> b_strides, std::array<size_t, 3> y_strides) {
  int64_t a_count = elements(a).at(Sample::n), b_count = elements(b).at(Sample::n);
  Row x = spread_values(a_count), y = spread_values(b_count, -1, 3);
  return {&contract_op,
          "contract " + spec,
          {{{f64, a}, x}, {{f64, b}, y}},
          [=](Graph&, Args v) { return contract(v[0], v[1], spec); },
          [=](const Arrays& v) {
            auto [batch, rows, columns, inner] = extents;
            Row result(batch * rows * columns);
            for (size_t p = 0; p < batch; ++p)
              for (size_t i = 0; i < rows; ++i)
                for (size_t j = 0; j < columns; ++j)
                  for (size_t k = 0; k < inner; ++k)
                    result[p * y_strides[0] + i * y_strides[1] + j * y_strides[2]] +=
                        v[0][p * a_strides[0] + i * a_strides[1] + k * a_strides[2]] *
                        v[1][p * b_strides[0] + k * b_strides[1] + j * b_strides[2]];
            return result;
          }};
}

void contractions(std::vector<Sample>& samples) {
  samples.push_back(contraction("ik,kj->ij", {n, 4}, {4, 2}, {1, 3, 2, 4}, {0, 4, 1}, {0, 2, 1}, {0, 2, 1}));
  samples.push_back(contraction("ki,kj->ij", {n, 4}, {n, 2}, {1, 4, 2, 3}, {0, 1, 4}, {0, 2, 1}, {0, 2, 1}));
  samples.push_back(contraction("ik,jk->ij", {n, 4}, {2, 4}, {1, 3, 2, 4}, {0, 4, 1}, {0, 1, 4}, {0, 2, 1}));
  samples.push_back(contraction("ki,jk->ij", {4, 2}, {3, 4}, {1, 2, 3, 4}, {0, 1, 2}, {0, 1, 4}, {0, 3, 1}));
  samples.push_back(contraction("bik,bkj->bij", {2, n, 4}, {2, 4, 2}, {2, 3, 2, 4}, {12, 4, 1}, {8, 2, 1}, {6, 2, 1}));
  samples.push_back(contraction("ik,k->i", {n, 4}, {4}, {1, 3, 1, 4}, {0, 4, 1}, {0, 1, 0}, {0, 1, 0}));
  samples.push_back(contraction("i,i->", {n}, {n}, {1, 1, 1, 3}, {0, 0, 1}, {0, 1, 0}, {0, 0, 0}));
  samples.push_back(contraction("i,j->ji", {3}, {2}, {1, 3, 2, 1}, {0, 1, 0}, {0, 0, 1}, {0, 1, 3}));
  Sample sliced = contraction("ik,kj->ij", {2, 2}, {2, 2}, {1, 2, 2, 2}, {0, 2, 1}, {0, 2, 1}, {0, 2, 1});
  sliced.title = "matmul of batches, b transposed";
  sliced.inputs = {{{f64, {2, 2, 3}}, spread_values(12)}, {{f64, {2, 1, 3}}, spread_values(6, -1, 1)}};
  sliced.build = [](Graph&, Args v) { return matmul(v[0], v[1], false, true); };
  sliced.loop = [](const Arrays& v) {
    Row y;
    for (size_t p = 0; p < 2; ++p)
      for (size_t i = 0; i < 2; ++i) {
        double total = 0;
        for (size_t k = 0; k < 3; ++k) total += v[0][p * 6 + i * 3 + k] * v[1][p * 3 + k];
        y.push_back(total);
      }
    return y;
  };
  samples.push_back(sliced);
}

void choosing(std::vector<Sample>& samples) {
  samples.push_back({&pick_op,
                     "pick",
                     {{{f64, {n, 4}}, spread_values(12)}, {{i32, {n}}, {2, 0, 2}}},
                     [](Graph&, Args x) { return pick(x[0], x[1]); },
                     [](const Arrays& x) {
                       return Row{x[0][2], x[0][4], x[0][10]};
                     }});
  samples.push_back({&pick_op,
                     "pick from a vector",
                     {{{f64, {4}}, spread_values(4)}, {{u8, {}}, {3}}},
                     [](Graph&, Args x) { return pick(x[0], x[1]); },
                     [](const Arrays& x) { return Row{x[0][3]}; }});
  samples.push_back({&one_hot_op,
                     "one_hot",
                     {{{u8, {n}}, {2, 0, 1}}},
                     [](Graph&, Args x) { return one_hot(x[0], 3); },
                     [](const Arrays&) { return Row{0, 0, 1, 1, 0, 0, 0, 1, 0}; },
                     0});
  samples.push_back({&gather_op,
                     "gather",
                     {{{f64, {3, 2}}, spread_values(6)}, {{i64, {2, 2}}, {1, 1, 0, 1}}},
                     [](Graph&, Args x) { return gather(x[0], x[1]); },
                     [](const Arrays& x) {
                       Row y;
                       for (double i : x[1])
                         for (size_t j = 0; j < 2; ++j) y.push_back(x[0][static_cast<size_t>(i) * 2 + j]);
                       return y;
                     }});
  samples.push_back({&scatter_add_op,
                     "scatter_add",
                     {{{i32, {n}}, {3, 1, 3}}, {{f64, {n, 2}}, spread_values(6)}},
                     [](Graph&, Args x) { return scatter_add(x[0], x[1], 4); },
                     [](const Arrays& x) {
                       Row y(8);
                       for (size_t i = 0; i < 3; ++i)
                         for (size_t j = 0; j < 2; ++j) y[static_cast<size_t>(x[0][i]) * 2 + j] += x[1][2 * i + j];
                       return y;
                     }});
}

}  // namespace

void shape_samples(std::vector<Sample>& samples) {
  reductions(samples);
  views(samples);
  contractions(samples);
  choosing(samples);
}

}  // namespace tenon::testing
