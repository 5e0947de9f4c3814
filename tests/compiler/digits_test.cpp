// The drawn digits are no toy: what a linear softmax makes of them stays well below what one hidden layer
// reaches (the example mnist asserts 97 %).
#include <doctest/doctest.h>
#include <tenon/tenon.h>

#include "tests/runtime/folder.h"

using namespace tenon;

TEST_CASE("a linear softmax stays below 92 % on the drawn digits") {
  const test::Folder folder;
  write_digits(folder.path());
  const Mnist digits = load_mnist(folder.path());

  Graph g;
  const Extent n = g.size("n", 64);
  const Value pixels = g.input("pixels", u8, {n, 784}), label = g.input("label", u8, {n});
  const Value z = dense(g, cast(pixels, f32) / 255, 10);
  const Value rate = 0.005 / (1 + cast(g.step(), f32) / 500);
  g.entry("train", {{"loss", nll(z, label)}}, minimize(nll(z, label), adam(rate)));
  g.entry("evaluate", {{"accuracy", accuracy(z, label)}});
  const Program program = compile(g);
  Session session(program);
  session.init(1);
  Batches training({digits.train_images, digits.train_labels}, 64), test({digits.test_images, digits.test_labels}, 64);
  double best = 0;
  for (int epoch = 0; epoch < 15; ++epoch) {
    run_epoch(session, "train", training, {"pixels", "label"});
    best = std::max(best, run_epoch(session, "evaluate", test, {"pixels", "label"})["accuracy"]);
  }
  MESSAGE("best accuracy of a linear softmax: " << best);
  CHECK(best > 0.8);  // it learns what there is to learn
  CHECK(best < 0.92);
}
