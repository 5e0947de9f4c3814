// Every spelling of softmax with cross-entropy (and of sigmoid with Bernoulli) becomes the fused operation,
// with the naive form's value and gradient; what cannot is named with its reason.
#include "compiler/graph/fuse_loss.h"

#include <doctest/doctest.h>

#include <cmath>

#include "compiler/graph/canonicalise.h"
#include "compiler/graph/differentiate.h"
#include "compiler/graph/stabilise.h"
#include "ir/evaluate.h"
#include "ir/op.h"
#include "ir/ops.h"
#include "tests/message.h"

using namespace tenon;
using test::message;

namespace {

// z: 4 rows of 3 scores; y: labels; q: soft labels; w: class weights; m: a mask of rows; t: bits.
struct Inputs {
  Graph g;
  Value z = g.input("z", f64, {4, 3}), y = g.input("y", i64, {4}), q = g.input("q", f64, {4, 3}), w = g.input("w", f64, {3}),
        m = g.input("m", f64, {4}), t = g.input("t", f64, {4, 3});
};

ReferenceArray array(DType dtype, Shape shape, std::vector<double> values) {
  return ReferenceArray::of(Type{dtype, std::move(shape)}, values);
}

Bindings samples(double scale = 1) {
  std::vector<double> z{0.3, -1.2, 2.0, 0.1, 0.0, -0.4, 1.5, -2.5, 0.7, 3.0, -1.0, 0.2};
  for (double& x : z) x *= scale;
  return {{"z", array(f64, {4, 3}, z)},
          {"y", array(i64, {4}, {2, 0, 1, 0})},
          {"q", array(f64, {4, 3}, {0.1, 0.2, 0.7, 0.9, 0.05, 0.05, 0.3, 0.3, 0.4, 1, 0, 0})},
          {"w", array(f64, {3}, {0.5, 2, 1})},
          {"m", array(f64, {4}, {1, 0, 1, 1})},
          {"t", array(f64, {4, 3}, {1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0, 0.5})}};
}

int count(const Graph& graph, const Op& op) {
  int found = 0;
  for (const Node& node : graph.body().nodes) found += node.op == &op;
  return found;
}

using Loss = Value (*)(Inputs&);
struct Spelling {
  const char* name;
  Loss loss;
};

Value softmax_loss(Inputs& i) { return -log(pick(softmax(i.z), i.y)); }

const Spelling softmax_spellings[] = {
    {"log of pick of softmax", [](Inputs& i) { return mean(softmax_loss(i)); }},
    {"minus the mean", [](Inputs& i) { return -mean(log(pick(softmax(i.z), i.y))); }},
    {"a sum", [](Inputs& i) { return sum(softmax_loss(i)); }},
    {"times -1", [](Inputs& i) { return mean(-1 * log(pick(softmax(i.z), i.y))); }},
    {"pick of log of softmax", [](Inputs& i) { return mean(-pick(log(softmax(i.z)), i.y)); }},
    {"pick of log_softmax", [](Inputs& i) { return mean(-pick(log_softmax(i.z), i.y)); }},
    {"pick of minus log_softmax", [](Inputs& i) { return mean(pick(-log_softmax(i.z), i.y)); }},
    {"cross_entropy of softmax", [](Inputs& i) { return mean(cross_entropy(softmax(i.z), i.y)); }},
    {"cross_entropy of softmax with soft labels", [](Inputs& i) { return mean(cross_entropy(softmax(i.z), i.q)); }},
    {"softmax by hand",
     [](Inputs& i) {
       Value e = exp(i.z);
       return mean(-log(pick(e / expand_dims(sum(e, {1}), 1), i.y)));
     }},
    {"softmax by hand, shifted",
     [](Inputs& i) {
       Value e = exp(i.z - expand_dims(reduce_max(i.z, {1}), 1));
       return mean(-log(pick(e / expand_dims(sum(e, {-1}), -1), i.y)));
     }},
    {"log-sum-exp by hand", [](Inputs& i) { return mean(-pick(i.z - expand_dims(log(sum(exp(i.z), {1})), 1), i.y)); }},
    {"one-hot", [](Inputs& i) { return -mean(sum(one_hot(i.y, 3, f64) * log(softmax(i.z)), {1})); }},
    {"one-hot, all at once", [](Inputs& i) { return -sum(log(softmax(i.z)) * one_hot(i.y, 3, f64)) / 4; }},
    {"soft labels", [](Inputs& i) { return -sum(i.q * log(softmax(i.z))); }},
    {"soft labels, minus inside",
     [](Inputs& i) {
       return sum(i.q * -log(softmax(i.z)), {0, 1});
     }},
    {"soft labels as a mean over everything", [](Inputs& i) { return -mean(i.q * log(softmax(i.z))); }},
    {"soft labels by a contraction", [](Inputs& i) { return -sum(contract(i.q, log(softmax(i.z)), "ij,ij->i")); }},
    {"soft labels, flattened", [](Inputs& i) { return -sum(reshape(i.q * log(softmax(i.z)), {12})); }},
    {"label smoothing",
     [](Inputs& i) {
       Value smooth = 0.9 * one_hot(i.y, 3, f64) + 0.1 / 3;
       return mean(-sum(smooth * log(softmax(i.z)), {1}));
     }},
    {"label smoothing as two terms",
     [](Inputs& i) {
       Value logp = log(softmax(i.z));
       return mean(-0.9 * pick(logp, i.y) - 0.1 / 3 * sum(logp, {1}));
     }},
    {"class weights", [](Inputs& i) { return mean(-sum(i.w * one_hot(i.y, 3, f64) * log(softmax(i.z)), {1})); }},
    {"class weights by gather", [](Inputs& i) { return mean(gather(i.w, i.y) * softmax_loss(i)); }},
    {"class weights inside the pick", [](Inputs& i) { return mean(-pick(i.w * log(softmax(i.z)), i.y)); }},
    {"an ignored index", [](Inputs& i) { return sum(select(equal(i.y, 1), 0, softmax_loss(i))); }},
    {"a mask of rows", [](Inputs& i) { return sum(i.m * softmax_loss(i)) / sum(i.m); }},
    {"a mask inside the sum",
     [](Inputs& i) {
       Value on = broadcast(i.m > 0, {4, 3}, {0});
       return -sum(select(on, i.q * log(softmax(i.z)), 0));
     }},
    {"a temperature", [](Inputs& i) { return mean(-log(pick(softmax(i.z / 2), i.y))); }},
    {"temperature, smoothing, class weights and mask",
     [](Inputs& i) {
       Value smooth = 0.9 * one_hot(i.y, 3, f64) + 0.1 / 3;
       return -sum(expand_dims(i.m, 1) * i.w * smooth * log(softmax(2 * i.z)));
     }},
    {"a reshape between",
     [](Inputs& i) {
       return mean(-log(pick(reshape(softmax(reshape(i.z, {2, 2, 3})), {4, 3}), i.y)));
     }},
    {"a reshape of the log-probabilities",
     [](Inputs& i) {
       return mean(-pick(reshape(log(softmax(i.z)), {2, 2, 3}), reshape(i.y, {2, 2})));
     }},
    {"a difference of two", [](Inputs& i) { return -sum(i.q * log(softmax(i.z)) - 0.5 * i.t * log(softmax(i.z))); }},
};

const Spelling sigmoid_spellings[] = {
    {"by the book",
     [](Inputs& i) {
       Value s = sigmoid(i.z);
       return mean(-(i.t * log(s) + (1 - i.t) * log(1 - s)));
     }},
    {"minus inside",
     [](Inputs& i) {
       Value s = sigmoid(i.z);
       return mean(-i.t * log(s) - (1 - i.t) * log(1 - s));
     }},
    {"the other order",
     [](Inputs& i) {
       Value s = sigmoid(i.z);
       return -mean(log(1 - s) * (1 - i.t) + log(s) * i.t);
     }},
    {"with weights",
     [](Inputs& i) {
       Value s = sigmoid(i.z);
       return -sum(i.q * i.t * log(s) + i.q * (1 - i.t) * log(1 - s));
     }},
    {"by hand",
     [](Inputs& i) {
       Value s = 1 / (1 + exp(-i.z));
       return mean(-(i.t * log(s) + (1 - i.t) * log(1 - s)));
     }},
    {"through a reshape",
     [](Inputs& i) {
       Value s = reshape(sigmoid(i.z), {12}), t = reshape(i.t, {12});
       return mean(-(t * log(s) + (1 - t) * log(1 - s)));
     }},
};

Graph fused(Inputs& i, Value loss) {
  i.g.entry("train", {{"loss", loss}});
  return fuse_loss(stabilise(canonicalise(i.g)));
}

double value_of(Value loss, const Bindings& bindings) { return evaluate(loss, bindings).at(0); }

// The fused form's gradient against central differences of the naive form's value.
void check_gradient(Inputs& i, Value loss) {
  Value dz = gradients(loss, {i.z})[0];
  ReferenceArray d = evaluate(dz, samples());
  for (int64_t k = 0; k < 12; ++k) {
    Bindings above = samples(), below = samples();
    above["z"].real[static_cast<size_t>(k)] += 1e-5;
    below["z"].real[static_cast<size_t>(k)] -= 1e-5;
    double slope = (value_of(loss, above) - value_of(loss, below)) / 2e-5;
    CHECK(d.at(k) == doctest::Approx(slope).epsilon(1e-6));
  }
}

void check_spelling(const Spelling& spelling, const Op& op) {
  CAPTURE(spelling.name);
  Inputs i;
  Value loss = spelling.loss(i);
  Graph result = fused(i, loss);
  CHECK(count(result, op) >= 1);
  CHECK(count(result, log_op) == 0);
  CHECK(count(result, log_softmax_op) == 0);
  CHECK(count(result, softmax_op) == 0);
  Value after = result.body().value(result.body().entry("train")->outputs[0].second);
  CHECK(value_of(after, samples()) == doctest::Approx(value_of(loss, samples())).epsilon(1e-12));
  CHECK(std::isfinite(value_of(after, samples(1e4))));
  CHECK(result.body().receipts.size() >= 1);
  for (const Receipt& receipt : result.body().receipts) {
    CHECK(receipt.done);
    CHECK(receipt.line.file.ends_with("fuse_loss_test.cpp"));
  }
  Inputs again;
  check_gradient(again, spelling.loss(again));
}

std::string receipts(const Graph& graph) {
  std::string text;
  for (const Receipt& receipt : graph.body().receipts)
    if (receipt.pass == "fuse_loss") text += receipt.text + "\n";
  return text;
}

}  // namespace

TEST_CASE("every spelling of softmax with cross-entropy is fused") {
  for (const Spelling& spelling : softmax_spellings) check_spelling(spelling, softmax_cross_entropy_op);
}

TEST_CASE("every spelling of sigmoid with Bernoulli is fused") {
  for (const Spelling& spelling : sigmoid_spellings) check_spelling(spelling, sigmoid_cross_entropy_op);
}

TEST_CASE("integer labels stay integers: no one-hot row is left") {
  for (const char* name : {"one-hot", "one-hot, all at once", "class weights"})
    for (const Spelling& spelling : softmax_spellings)
      if (std::string_view(spelling.name) == name) {
        Inputs i;
        CHECK(count(fused(i, spelling.loss(i)), one_hot_op) == 0);
      }
}

TEST_CASE("sigmoids chosen by a bit are stable, each in its own operation") {
  Inputs i;
  Value s = sigmoid(i.z);
  Graph result = fused(i, -mean(select(i.t > 0, log(s), log(1 - s))));
  CHECK(count(result, softplus_op) == 2);
  CHECK(count(result, log_op) == 0);
}

TEST_CASE("misses are named with their reason") {
  struct Case {
    Loss loss;
    const char* reason;
  };
  const Case cases[] = {
      {[](Inputs& i) { return mean(-log(pick(softmax(i.z) + 1e-8, i.y))); },
       "softmax with cross-entropy: not fused because 1e-08 is added to the softmax before the logarithm; "
       "leave that "
       "out, the fused form is finite without it\n"},
      {[](Inputs& i) { return mean(-log(pick(softmax(i.z), i.y) + 1e-8)); },
       "softmax with cross-entropy: not fused because 1e-08 is added to the softmax before the logarithm; "
       "leave that "
       "out, the fused form is finite without it\n"},
      {[](Inputs& i) { return mean(-log(pick(clip(softmax(i.z), 1e-7, 1), i.y))); },
       "softmax with cross-entropy: not fused because the softmax is clipped by 'clip' before the logarithm; "
       "leave that "
       "out, the fused form is finite without it\n"},
      {[](Inputs& i) { return mean(-log(max(pick(softmax(i.z), i.y), 1e-7))); },
       "softmax with cross-entropy: not fused because the softmax is clipped by 'max' before the logarithm; "
       "leave that "
       "out, the fused form is finite without it\n"},
      {[](Inputs& i) { return mean(-log(pick(softmax(i.z, 0), i.y))); },
       "softmax with cross-entropy: not fused because the classes are on another axis than the one that is "
       "picked or "
       "summed\n"},
      {[](Inputs& i) { return sum(exp(log(softmax(i.z)) * 0.5)); },
       "softmax with cross-entropy: not fused because its log-probabilities are read by 'mul', not picked by "
       "a label or "
       "summed against a target\n"},
      {[](Inputs& i) { return mean(-log(pick(softmax(i.z) * i.q, i.y))); },
       "softmax with cross-entropy: not fused because 'mul' stands between the softmax and the logarithm\n"},
  };
  for (const Case& one : cases) {
    Inputs i;
    Value loss = one.loss(i);
    CHECK(receipts(fused(i, loss)) == one.reason);
    Inputs again;
    Value required = one.loss(again);
    again.g.require_fused(required);
    std::string text = message([&] { fused(again, required); });
    CHECK(text.find("require_fused: the loss was not fused: at fuse_loss_test.cpp:") != std::string::npos);
  }
}

TEST_CASE("require_fused holds for what is fused, and fails where no probability is") {
  Inputs i;
  Value loss = mean(softmax_loss(i));
  i.g.require_fused(loss);
  CHECK(count(fused(i, loss), softmax_cross_entropy_op) == 1);
  Inputs other;
  Value squares = mean(other.z * other.z);
  const int line = __LINE__ - 1;
  other.g.require_fused(squares);
  CHECK(message([&] { fused(other, squares); }) ==
        fmt::format("fuse_loss_test.cpp:{}: require_fused: the loss was not fused: no logarithm of a softmax "
                    "or sigmoid "
                    "was found",
                    line));
}

TEST_CASE("a softmax with a second reader is kept, and the loss is fused") {
  Inputs i;
  Value p = softmax(i.z);
  i.g.entry("predict", {{"p", p}});
  Graph result = fused(i, mean(-log(pick(p, i.y))));
  CHECK(count(result, softmax_op) == 1);
  CHECK(count(result, softmax_cross_entropy_op) == 1);
  CHECK(receipts(result) == "softmax with cross-entropy: fused; the softmax is kept for its other readers\n");
}

TEST_CASE("scores in two losses: both are fused") {
  Inputs i;
  Value p = softmax(i.z);
  Graph result = fused(i, mean(-log(pick(p, i.y))) - sum(i.q * log(p)));
  CHECK(count(result, softmax_cross_entropy_op) == 2);
  CHECK(count(result, softmax_op) == 0);
}

TEST_CASE("a softmax inside a model keeps its true gradient") {
  Inputs i;
  Value gate = softmax(i.z);
  Value loss = sum(gate * i.t) + mean(-log(pick(gate, i.y)));
  check_gradient(i, loss);
  Inputs far;
  Value only = sum(softmax(far.z) * far.t);
  check_gradient(far, only);
}

TEST_CASE("gradients() leaves its receipt with the user's graph") {
  Inputs i;
  Value loss = mean(-log(pick(softmax(i.z), i.y)));
  const int line = __LINE__ - 1;
  gradients(loss, {i.z});
  REQUIRE(i.g.body().receipts.size() == 2);
  for (const Receipt& receipt : i.g.body().receipts) CHECK(receipt.line == Line(__FILE__, line));
  CHECK(i.g.body().receipts[0].text == "log of softmax: made stable; as written it is -inf where the probability underflows");
  CHECK(i.g.body().receipts[1].text == "softmax with cross-entropy: fused");
}

TEST_CASE("a chain of sums with shared parts does not take forever") {
  Inputs i;
  Value x = i.z;
  for (int k = 0; k < 60; ++k) x = x + x;
  CHECK(count(fused(i, sum(x)), add_op) == 60);
}

TEST_CASE("the batch may be a run-time size") {
  Graph g;
  Extent n = g.size("n", 8);
  Value z = g.input("z", f64, {n, 3}), q = g.input("q", f64, {n, 3}), y = g.input("y", u8, {n});
  Value loss = -mean(q * log(softmax(z))) - mean(log(pick(softmax(z), y)));
  g.entry("train", {{"loss", loss}});
  Graph result = fuse_loss(stabilise(canonicalise(g)));
  CHECK(count(result, softmax_cross_entropy_op) == 2);
  Bindings at = samples();
  at["y"] = array(u8, {4}, {2, 0, 1, 0});
  Value after = result.body().value(result.body().entry("train")->outputs[0].second);
  CHECK(evaluate(after, at, 4).at(0) == doctest::Approx(evaluate(loss, at, 4).at(0)).epsilon(1e-12));
}
