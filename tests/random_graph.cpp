#include "random_graph.h"

#include <algorithm>

namespace tenon::testing {
namespace {

constexpr int64_t extents[] = {1, 2, 3, 5, 8, 16, 17, 33};

class Builder {
 public:
  explicit Builder(uint64_t seed) : dice_{seed} {}

  RandomGraph build() {
    bool sized = dice_.coin();
    int64_t maximum = 1 + dice_.below(40);
    if (sized) n_ = result_.graph.size("n", maximum);
    result_.n = 1 + dice_.below(maximum);
    int64_t inputs = 1 + dice_.below(3), parameters = 1 + dice_.below(3), steps = 4 + dice_.below(24);
    for (int64_t i = 0; i < inputs; ++i) add_input(i);
    for (int64_t i = 0; i < parameters; ++i) add_parameter(i);
    for (int64_t i = 0; i < steps; ++i) add_step();
    finish();
    return std::move(result_);
  }

 private:
  int64_t extent() { return extents[dice_.below(std::size(extents))]; }
  Value any() { return values_[static_cast<size_t>(dice_.below(static_cast<int64_t>(values_.size())))]; }
  Value recent() {  // mostly the last ones, so that graphs grow deep
    auto size = static_cast<int64_t>(values_.size());
    return values_[static_cast<size_t>(size - 1 - dice_.below(std::min<int64_t>(size, 4)))];
  }
  void keep(Value value) {
    if (value.type().elements().at(40) <= 6000) values_.push_back(value);
  }

  void add_input(int64_t number) {
    Shape shape;
    if (n_ && dice_.below(4)) shape.push_back(*n_);
    for (int64_t rank = dice_.below(3); rank > 0; --rank) shape.push_back(extent());
    std::string name = "x" + std::to_string(number);
    if (dice_.below(4) == 0)
      keep(cast(result_.graph.input(name, u8, shape), f32) / 255);
    else
      keep(result_.graph.input(name, f32, shape));
  }

  void add_parameter(int64_t number) {
    Shape shape;
    for (int64_t rank = dice_.below(3); rank > 0; --rank) shape.push_back(extent());
    parameters_.push_back(result_.graph.parameter("w" + std::to_string(number), f32, shape, [](Graph& g, const Type& type) {
      return uniform(g, type.dtype, type.shape) - 0.5;
    }));
    keep(parameters_.back());
  }

  void add_step() {
    switch (dice_.below(8)) {
      case 0:
      case 1: return unary();
      case 2: return binary();
      case 3: return reduce();
      case 4: return reshape_one();
      case 5: return product();
      case 6: return rows();
      default: return choose();
    }
  }

  void unary() {
    Value x = recent();
    switch (dice_.below(14)) {
      case 0: return keep(tanh(x));
      case 1: return keep(sigmoid(x));
      case 2: return keep(relu(x));
      case 3: return keep(exp(clip(x, -3, 3)));
      case 4: return keep(log(abs(x) + 0.5));
      case 5: return keep(sqrt(x * x + 0.25));
      case 6: return keep(softplus(x));
      case 7: return keep(x * dice_.real(-1, 1));
      case 8: return keep(sin(x) + cos(x));
      case 9: return keep(erf(x));
      case 10: return keep(log1p(abs(x)));
      case 11: return keep(elu(x));
      case 12: return keep(gelu(x));
      default: return keep(1 - x);
    }
  }

  void binary() {
    Value a = recent(), b;
    for (int attempt = 0; attempt < 8 && !b; ++attempt) {
      Value candidate = any();
      if (candidate.shape() == a.shape() || candidate.rank() == 0) b = candidate;
    }
    if (!b) b = sum(tanh(any())) * 0.01;
    switch (dice_.below(6)) {
      case 0: return keep(a + b);
      case 1: return keep(a - b);
      case 2: return keep(tanh(a) * b);
      case 3: return keep(a / (abs(b) + 1));
      case 4: return keep(max(a, b));
      default: return keep(select(a < b, a, b * 0.5));
    }
  }

  void reduce() {
    Value x = recent();
    if (x.rank() == 0) return;
    Axes axes;
    for (int64_t axis = 0; axis < x.rank(); ++axis)
      if (dice_.coin()) axes.push_back(axis);
    switch (dice_.below(4)) {
      case 0: return keep(sum(x, axes) * 0.1);
      case 1: return keep(mean(x, axes));
      case 2: return keep(reduce_max(x, axes));
      default: return keep(reduce_min(x, axes));
    }
  }

  void reshape_one() {
    Value x = recent();
    if (x.rank() == 0) return keep(broadcast_to(x, {extent(), extent()}));
    int64_t axis = dice_.below(x.rank());
    Extent along = x.shape()[static_cast<size_t>(axis)];
    switch (dice_.below(6)) {
      case 0: return keep(transpose(x));
      case 1: return keep(reverse(x, {axis}));
      case 2: {
        if (along.symbolic() || along.count < 2) return;
        int64_t begin = dice_.below(along.count - 1);
        return keep(slice(x, axis, begin, along.count, 1 + dice_.below(2)));
      }
      case 3: {
        if (along.symbolic()) return;
        return keep(concat({x, tanh(x)}, axis));
      }
      case 4: {
        Axes low(x.shape().size(), 0), high(x.shape().size(), 0);
        if (along.symbolic()) return;
        low[static_cast<size_t>(axis)] = dice_.below(3);
        high[static_cast<size_t>(axis)] = dice_.below(3);
        return keep(pad(x, low, high, 0.5));
      }
      default: return keep(reshape(x, {x.type().elements()}));
    }
  }

  void product() {
    Value a = recent();
    if (a.rank() != 2 || a.shape()[1].symbolic()) return unary();
    int64_t units = extent();
    parameters_.push_back(result_.graph.parameter("w" + std::to_string(parameters_.size()), f32, {a.shape()[1], units},
                                                  [](Graph& g, const Type& type) {
                                                    return (uniform(g, type.dtype, type.shape) - 0.5) * 0.5;
                                                  }));
    Value y = matmul(a, parameters_.back());
    keep(dice_.coin() ? relu(y + 0.1) : y);
  }

  void rows() {
    Value x = recent();
    if (x.rank() == 0 || x.shape().back().symbolic()) return;
    switch (dice_.below(4)) {
      case 0: return keep(softmax(x));
      case 1: return keep(log_softmax(x));
      case 2: return keep(logsumexp(x));
      default: return keep(x - broadcast_to(expand_dims(mean(x, {-1}), -1), x.shape()));
    }
  }

  void choose() {
    Value x = recent();
    if (x.rank() == 0 || x.shape().back().symbolic() || x.shape().back().count < 1) return;
    Value index = argmax(x);
    if (dice_.coin()) return keep(pick(x, index));
    keep(x * one_hot(index, x.shape().back().count));
  }

  void finish() {
    std::vector<std::pair<std::string, Value>> outputs;
    for (size_t i = 0; i < 3 && i < values_.size(); ++i)
      outputs.emplace_back("y" + std::to_string(i), values_[values_.size() - 1 - i]);
    result_.graph.entry("forward", outputs);
    Value loss = mean(tanh(values_.back() * 0.1));
    for (Value parameter : parameters_) result_.graph.allow_unreached(parameter);
    for (Value parameter : parameters_) loss = loss + sum(parameter * parameter) * 0.01;
    result_.graph.entry("train", {{"loss", loss}}, minimize(loss, sgd(0.1)));
  }

  Dice dice_;
  RandomGraph result_{};
  std::optional<Extent> n_;
  std::vector<Value> values_;
  std::vector<Value> parameters_;
};

}  // namespace

RandomGraph random_graph(uint64_t seed) { return Builder(seed).build(); }

}  // namespace tenon::testing
