// An experiment on forgetting, which claims nothing about who wins: digits are learnt, then the same digits
// with their pixels in another order. How much of the first task do networks of maxout and of relu units
// still know? Goodfellow et al. 2014.
#include "chart.h"
#include "example.h"

using namespace tenon;

namespace {

Tensor reordered(const Tensor& images) {
  Tensor result = images.clone();
  const int64_t pixels = images.extents()[1];
  const std::vector<int64_t> order = shuffled(pixels, 1, 0);
  for (int64_t i = 0; i < images.elements(); ++i)
    result.write<float>()[static_cast<size_t>(i)] =
        images.read<float>()[static_cast<size_t>(i - i % pixels + order[static_cast<size_t>(i % pixels)])];
  return result;
}

// The accuracy on the first task after each epoch; the second half of them are on the second task.
chart::Series forget(const Digits& data, const std::string& unit, int epochs) {
  Graph g;
  const Extent n = g.size("n", 100);
  const Value x = g.input("x", f32, {n, data.inputs}), label = g.input("label", u8, {n});
  const auto layer = [&](Value h) { return unit == "maxout" ? maxout(dense(g, h, 96), 2) : relu(dense(g, h, 64)); };
  const Value z = dense(g, layer(layer(x)), 10, {.weight = glorot()}), loss = nll(z, label);
  g.entry("train", {{"loss", loss}}, minimize(loss, sgd(0.1)));
  g.entry("test", {{"accuracy", accuracy(z, label)}});
  Session session(compile(g));
  session.init(1);
  Batches first({data.train, data.train_labels}, 100), second({reordered(data.train), data.train_labels}, 100);
  Batches test({data.test, data.test_labels}, 100);
  chart::Series known{unit, {}, {}};
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    run_epoch(session, "train", epoch <= epochs / 2 ? first : second, {"x", "label"});
    known.add(epoch, run_epoch(session, "test", test, {"x", "label"})["accuracy"]);
  }
  return known;
}

bool claim(const Arguments& arguments) {
  const Digits data = digits(arguments);
  const int epochs = arguments.brief ? 20 : 40;
  chart::Chart chart{"What is known of the first task", "epoch; the second half on the second task", "accuracy"};
  bool learnt = true;
  for (const std::string unit : {"maxout", "relu"}) {
    chart.series.push_back(forget(data, unit, epochs));
    const std::vector<double>& known = chart.series.back().y;
    const double before = known[static_cast<size_t>(epochs / 2 - 1)];
    fmt::print("{:<7} accuracy on the first task {:.3f}, after learning the second {:.3f}\n", unit, before, known.back());
    learnt = learnt && before > 0.7;
  }
  chart::write("forgetting.svg", {chart});
  return learnt;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, claim); }
