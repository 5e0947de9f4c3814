// 784-128-10 on handwritten digits: defined once, compiled, trained with Adam, evaluated, saved, dumped. With
// --data DIR it reads MNIST's four files there, plain or .gz; without, it draws digits and reads those.
#include <fmt/core.h>
#include <tenon/tenon.h>

#include <fstream>

using namespace tenon;

int main(int argc, char** argv) try {
  std::map<std::string, std::string> options = {{"--data", ""}, {"--epochs", "10"}};
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  const int epochs = std::atoi(options["--epochs"].c_str());
  if (argc % 2 == 0 || options.size() > 2 || epochs < 1) throw Error("usage: mnist [--data DIR] [--epochs N]");
  std::string folder = options["--data"];
  if (folder.empty()) write_digits(folder = "drawn_digits");
  const Mnist digits = load_mnist(folder);
  Batches training({digits.train_images, digits.train_labels}, 64);
  Batches test({digits.test_images, digits.test_labels}, 64);

  Graph g;
  const Extent n = g.size("n", 64);  // the batch: any number of rows up to 64
  const Value pixels = g.input("pixels", u8, {n, 784}), label = g.input("label", u8, {n});
  const Value h = relu(dense(g, cast(pixels, f32) / 255, 128));  // He weights, biases 0.1
  const Value z = dense(g, h, 10);
  const Value loss = mean(-log(pick(softmax(z), label)));
  const Value rate = 0.005 / (1 + cast(g.step(), f32) / 500);  // falls as the steps go on
  g.entry("train", {{"loss", loss}}, minimize(loss, adam(rate)));
  g.entry("evaluate", {{"accuracy", accuracy(z, label)}});

  const Program program = compile(g);
  fmt::print("{}\n{}\n", program.summary(), program.receipt());
  Session session(program);
  session.init(1);
  double accuracy = 0;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    const std::string title = fmt::format("epoch {}/{}", epoch, epochs);
    const double mean_loss = run_epoch(session, "train", training, {"pixels", "label"}, stderr, title)["loss"];
    accuracy = run_epoch(session, "evaluate", test, {"pixels", "label"})["accuracy"];
    fmt::print("{}: loss {:.4f}, accuracy {:.4f}\n", title, mean_loss, accuracy);
  }
  save(session, "mnist.safetensors");
  std::ofstream("mnist.graph") << program.listing(Stage::graph);
  std::ofstream("mnist.kernels") << program.listing(Stage::kernels);
  fmt::print("test accuracy {:.4f}\n", accuracy);
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
