// Samples of softmax, the cross-entropies and random numbers.
#include <cmath>

#include "tests/ops_samples.h"

namespace tenon::testing {
namespace {

using Args = std::span<const Value>;
using Row = std::vector<double>;
const Extent n(1, "n");

Row softmax_row(const Row& z, size_t begin, size_t count) {
  Row p;
  double total = 0;
  for (size_t j = 0; j < count; ++j) total += std::exp(z[begin + j]);
  for (size_t j = 0; j < count; ++j) p.push_back(std::exp(z[begin + j]) / total);
  return p;
}

// Maps each row of four of the first input through f(softmax of the row, row number, all inputs), to any
// number of values.
auto by_rows(Row (*f)(const Row& p, size_t row, const Arrays& x)) {
  return [=](const Arrays& x) {
    Row y;
    for (size_t row = 0; row * 4 < x[0].size(); ++row) {
      Row part = f(softmax_row(x[0], row * 4, 4), row, x);
      y.insert(y.end(), part.begin(), part.end());
    }
    return y;
  };
}

Row row_logs(const Row& p) {
  Row y;
  for (double x : p) y.push_back(std::log(x));
  return y;
}

void softmaxes(std::vector<Sample>& samples) {
  SampleInput z{{f64, {n, 4}}, spread_values(12, -3, 3)};
  SampleInput q{{f64, {n, 4}}, {0.1, 0.2, 0.3, 0.4, 0, 1, 0, 0, 0.5, 0.25, 0.25, 0.75}};
  SampleInput p{{f64, {n, 4}}, {0.1, 0.2, 0.3, 0.4, 0.7, 0.1, 0.1, 0.1, 0.3, 0.3, 0.1, 0.3}};
  SampleInput labels{{i32, {n}}, {3, 0, 1}};
  samples.push_back({&softmax_op,
                     "softmax",
                     {z},
                     [](Graph&, Args x) { return softmax(x[0]); },
                     by_rows([](const Row& p, size_t, const Arrays&) { return p; })});
  samples.push_back({&softmax_op,
                     "softmax of a vector",
                     {{{f64, {3}}, {1, 1, 1}}},
                     [](Graph&, Args x) { return softmax(x[0]); },
                     [](const Arrays&) { return Row(3, 1.0 / 3); }});
  samples.push_back({&softmax_op,
                     "softmax of columns",
                     {{{f64, {4, 1}}, {0.5, -1, 2, 0}}},
                     [](Graph&, Args x) { return softmax(x[0], 0); },
                     by_rows([](const Row& p, size_t, const Arrays&) { return p; })});
  samples.push_back({&softmax_op,
                     "softmax of masked",
                     {{{f64, {2, 4}}, {0.5, -INFINITY, 2, 0, -INFINITY, 1, -INFINITY, 1}}},
                     [](Graph&, Args x) { return softmax(x[0]); },
                     by_rows([](const Row& p, size_t, const Arrays&) { return p; }),
                     0});
  samples.push_back({&log_softmax_op,
                     "log_softmax",
                     {z},
                     [](Graph&, Args x) { return log_softmax(x[0]); },
                     by_rows([](const Row& p, size_t, const Arrays&) { return row_logs(p); })});
  samples.push_back({&logsumexp_op,
                     "logsumexp",
                     {z},
                     [](Graph&, Args x) { return logsumexp(x[0]); },
                     by_rows([](const Row& p, size_t row, const Arrays& x) { return Row{x[0][row * 4] - std::log(p[0])}; })});
  samples.push_back({&cross_entropy_op,
                     "cross_entropy of labels",
                     {p, labels},
                     [](Graph&, Args x) { return cross_entropy(x[0], x[1]); },
                     by_rows([](const Row&, size_t row, const Arrays& x) {
                       return Row{-std::log(x[0][row * 4 + static_cast<size_t>(x[1][row])])};
                     })});
  samples.push_back({&cross_entropy_op,
                     "cross_entropy of distributions",
                     {p, q},
                     [](Graph&, Args x) { return cross_entropy(x[0], x[1]); },
                     by_rows([](const Row&, size_t row, const Arrays& x) {
                       double loss = 0;
                       for (size_t j = 0; j < 4; ++j) loss -= x[1][row * 4 + j] * std::log(x[0][row * 4 + j]);
                       return Row{loss};
                     })});
  samples.push_back(
      {&softmax_cross_entropy_op,
       "softmax_cross_entropy of labels",
       {z, labels},
       [](Graph&, Args x) { return softmax_cross_entropy(x[0], x[1]); },
       by_rows([](const Row& p, size_t row, const Arrays& x) { return Row{-std::log(p[static_cast<size_t>(x[1][row])])}; })});
  samples.push_back(
      {&softmax_cross_entropy_op,
       "softmax_cross_entropy of equal logits",
       {{{f64, {2, 4}}, {1, 1, 1, 1, -2, 3, 3, 3}}, {{u8, {2}}, {1, 3}}},
       [](Graph&, Args x) { return softmax_cross_entropy(x[0], x[1]); },
       by_rows([](const Row& p, size_t row, const Arrays& x) { return Row{-std::log(p[static_cast<size_t>(x[1][row])])}; })});
  samples.push_back({&softmax_cross_entropy_op,
                     "softmax_cross_entropy of distributions",
                     {z, q},
                     [](Graph&, Args x) { return softmax_cross_entropy(x[0], x[1]); },
                     by_rows([](const Row& p, size_t row, const Arrays& x) {
                       double loss = 0;
                       for (size_t j = 0; j < 4; ++j) loss -= x[1][row * 4 + j] * std::log(p[j]);
                       return Row{loss};
                     })});
  samples.push_back({&sigmoid_cross_entropy_op,
                     "sigmoid_cross_entropy",
                     {{{f64, {4}}, {-7, 0.5, 2, 12}}, {{f64, {4}}, {0, 1, 0.3, 1}}},
                     [](Graph&, Args x) { return sigmoid_cross_entropy(x[0], x[1]); },
                     [](const Arrays& x) {
                       Row y;
                       for (size_t i = 0; i < 4; ++i) {
                         double z = x[0][i], t = x[1][i];
                         y.push_back(t * std::log1p(std::exp(-z)) + (1 - t) * std::log1p(std::exp(z)));
                       }
                       return y;
                     }});
}

// Philox4x32-10 after its authors' paper (Salmon et al. 2011): element i is word i % 4 of the block with
// counter (i / 4, stream, step) under the key `seed`.
uint64_t philox(uint64_t seed, uint64_t stream, uint64_t step, uint64_t i) {
  uint32_t c[4] = {static_cast<uint32_t>(i / 4), static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32),
                   static_cast<uint32_t>(step)};
  uint32_t k[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    uint64_t p = 0xD2511F53ull * c[0], q = 0xCD9E8D57ull * c[2];
    uint32_t r[4] = {static_cast<uint32_t>(q >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(q),
                     static_cast<uint32_t>(p >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p)};
    for (int word = 0; word < 4; ++word) c[word] = r[word];
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c[i % 4];
}

constexpr int64_t stream = 0x123456789abcll;

// Values made of nine random words; the seed and the step are x0 and x1.
Sample random(const Op& op, DType dtype, double (*f)(double bits)) {
  Attributes attributes;
  attributes.entries = {{"dtype", dtype}, {"shape", Shape{n, 3}}, {"stream", stream}};
  const Op* record = &op;
  return {record,
          std::string(op.name),
          {{{i64, {}}, {77}}, {{i64, {}}, {5}}},
          [=](Graph&, Args x) {
            return tenon::apply(*record, {x[0], x[1]}, attributes);
          },
          [=](const Arrays& x) {
            Row y;
            for (uint64_t i = 0; i < 9; ++i)
              y.push_back(
                  f(static_cast<double>(philox(static_cast<uint64_t>(x[0][0]), stream, static_cast<uint64_t>(x[1][0]), i))));
            return y;
          },
          0};
}

double bisected_normal(double probability) {
  double low = -10, high = 10;
  for (int i = 0; i < 200; ++i)
    (0.5 * std::erfc(-(low + high) / 2 * std::sqrt(0.5)) < probability ? low : high) = (low + high) / 2;
  return low;
}

void randoms(std::vector<Sample>& samples) {
  Sample bits = random(random_bits_op, f32, [](double b) { return b; });
  bits.build = [](Graph&, Args x) { return random_bits(x[0], x[1], {n, 3}, stream); };
  samples.push_back(bits);
  samples.push_back(random(uniform_op, f32, [](double b) { return std::floor(b / 256) / 16777216; }));
  samples.push_back(random(uniform_op, f64, [](double b) { return b / 4294967296; }));
  samples.push_back(random(normal_op, f32, [](double b) { return bisected_normal((std::floor(b / 512) + 0.5) / 8388608); }));
  samples.push_back(random(normal_op, f64, [](double b) { return bisected_normal((b + 0.5) / 4294967296); }));
  Sample coin = random(bernoulli_op, f32, [](double b) { return std::floor(b / 256) / 16777216 < 0.25 ? 1.0 : 0.0; });
  coin.build = [](Graph& g, Args x) {
    Attributes attributes;
    attributes.entries = {{"stream", stream}};
    return tenon::apply(bernoulli_op, {full(g.body(), {f32, {n, 3}}, 0.25), x[0], x[1]}, attributes);
  };
  samples.push_back(coin);
}

}  // namespace

void row_samples(std::vector<Sample>& samples) {
  softmaxes(samples);
  randoms(samples);
}

}  // namespace tenon::testing
