#include "random_graph.h"

#include <algorithm>

namespace tenon::testing {
namespace {

constexpr int64_t extents[] = {1, 2, 3, 5, 8, 16, 17, 33, 64, 65};
constexpr int64_t long_extents[] = {255, 256, 4095, 4096, 4097};  // about the blocks of a long sum

class Builder {
 public:
  explicit Builder(uint64_t seed) : dice_{seed} {}

  RandomGraph build() {
    bool sized = dice_.coin();
    int64_t maximum = 1 + dice_.below(40);
    if (sized) n_ = result_.graph.size("n", maximum);
    result_.n = 1 + dice_.below(maximum);
    if (dice_.below(6) == 0) float_ = f64;
    empty_ = dice_.below(30) == 0;
    int64_t inputs = 1 + dice_.below(3), parameters = 1 + dice_.below(3), steps = 4 + dice_.below(24);
    for (int64_t i = 0; i < inputs; ++i) add_input(i);
    for (int64_t i = 0; i < parameters; ++i) add_parameter();
    for (int64_t i = 0; i < steps; ++i) add_step();
    add_states();
    finish();
    return std::move(result_);
  }

 private:
  int64_t extent() {
    if (empty_ && dice_.below(4) == 0) return 0;
    return extents[dice_.below(std::size(extents))];
  }
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
    if (dice_.below(12) == 0) {
      if (shape.empty() || dice_.coin()) shape = {long_extents[dice_.below(std::size(long_extents))]};
      if (dice_.below(3) == 0) shape.insert(shape.begin() + dice_.below(2), 1);
    } else {
      for (int64_t rank = dice_.below(shape.empty() ? 4 : 3); rank > 0; --rank) shape.push_back(extent());
    }
    std::string name = "x" + std::to_string(number);
    switch (dice_.below(6)) {
      case 0: return keep(cast(result_.graph.input(name, u8, shape), float_) / 255);
      case 1: indices_.push_back(result_.graph.input(name, u8, shape)); break;
      case 2: indices_.push_back(result_.graph.input(name, i32, shape)); break;
      default: return keep(result_.graph.input(name, float_, shape));
    }
    if (indices_.back().type().elements().at(40) > 6000) return indices_.pop_back();
    keep(cast(indices_.back(), float_) / 255);
  }

  Value add_parameter(Shape shape, double scale = 1) {
    parameters_.push_back(result_.graph.parameter("w" + std::to_string(parameters_.size()), float_, std::move(shape),
                                                  [scale](Graph& g, const Type& type) {
                                                    return (uniform(g, type.dtype, type.shape) - 0.5) * scale;
                                                  }));
    return parameters_.back();
  }

  void add_parameter() {
    Shape shape;
    for (int64_t rank = dice_.below(3); rank > 0; --rank) shape.push_back(extent());
    keep(add_parameter(shape));
  }

  void add_step() {
    switch (dice_.below(11)) {
      case 0:
      case 1: return unary();
      case 2: return binary();
      case 3: return reduce();
      case 4: return reshape_one();
      case 5: return product();
      case 6: return rows();
      case 7: return contract_two();
      case 8: return by_index();
      case 9: return dice_.coin() ? neighbours() : draw();
      default: return choose();
    }
  }

  void unary() {
    Value x = recent();
    switch (dice_.below(16)) {
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
      case 13: return keep(cast(cast(x, float_ == f32 ? f64 : f32) * 0.75, float_));
      case 14: return keep(select(is_finite(x), floor(x * 0.25 + 1000) * 0.001, 0));
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
    bool sized = axes.empty();  // a product over the run-time size has no gradient
    for (int64_t axis : axes) sized |= x.shape()[static_cast<size_t>(axis)].symbolic();
    switch (dice_.below(5)) {
      case 0: return keep(sum(x, axes) * 0.1);
      case 1:
        if (sized) return keep(sum(x * x, axes) * 0.1);
        return keep(prod(1 + tanh(x) * 0.01, axes));
      case 2: return keep(mean(x, axes));
      case 3: return keep(reduce_max(x, axes));
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
    Value y = matmul(a, add_parameter({a.shape()[1], extent()}, 0.5));
    keep(dice_.coin() ? relu(y + 0.1) : y);
  }

  void rows() {
    Value x = recent();
    if (x.rank() == 0 || x.shape().back().symbolic() || x.shape().back().count < 1) return;
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
    keep(x * one_hot(index, x.shape().back().count, float_));
  }

  // Two values with an extent in common, or one with itself.
  void contract_two() {
    Value a = recent(), b;
    for (int attempt = 0; attempt < 8 && !b; ++attempt) {
      Value candidate = any();
      if (candidate.rank() == a.rank() && (candidate.rank() < 2 || candidate.shape() == a.shape())) b = candidate;
    }
    if (!b || (a.rank() == 1 && a.shape() != b.shape() && a.shape()[0].symbolic() && b.shape()[0].symbolic())) b = a;
    b = tanh(b) * 0.2;
    bool square = a.rank() == 2 && a.shape()[0].symbolic();  // the extent of a result has the size at most once
    if (a.rank() == 1 && a.shape() == b.shape()) return keep(contract(a, b, "i,i->"));
    if (a.rank() == 1 && !(a.shape()[0].symbolic() && b.shape()[0].symbolic())) return keep(contract(a, b, "i,j->ij"));
    if (a.rank() == 2 && dice_.coin()) return keep(contract(a, b, dice_.coin() ? "ij,ij->j" : "ij,ij->i"));
    if (a.rank() == 2) return keep(contract(a, b, square ? "ki,kj->ij" : "ik,jk->ij"));
    if (a.rank() == 3) return keep(contract(a, b, a.shape()[1].symbolic() ? "bki,bkj->bij" : "bik,bjk->bij"));
  }

  // Rows of a table, rows added to a table, and one-hot: computed indices and bound ones.
  void by_index() {
    if (indices_.empty()) return unary();
    Value index = indices_[static_cast<size_t>(dice_.below(static_cast<int64_t>(indices_.size())))];
    int64_t rows = 1 + dice_.below(40);
    Value wide = cast(index, i64);
    Value within = wide - wide / rows * rows;
    switch (dice_.below(4)) {
      case 0:
        if (index.dtype() == u8) return keep(gather(add_parameter({256, extents[dice_.below(4)]}), index));
        return keep(gather(add_parameter({rows}), within));
      case 1: return keep(gather(add_parameter({rows, extent()}), dice_.coin() ? within : cast(within, i32)));
      case 2: return keep(one_hot(within, rows, float_) * 0.5);
      default: {
        Value x = recent();
        if (x.rank() < index.rank() || !std::equal(index.shape().begin(), index.shape().end(), x.shape().begin()))
          x = cast(index, float_) * 0.01;
        return keep(scatter_add(within, x, rows) * 0.1);
      }
    }
  }

  // A chain of sums of neighbours: each reads the one before at two places.
  void neighbours() {
    Value x = recent();
    if (x.rank() == 0 || x.shape().back().symbolic()) return;
    for (int64_t links = 1 + dice_.below(3); links > 0 && x.shape().back().count > 1; --links) {
      int64_t count = x.shape().back().count, axis = x.rank() - 1;
      x = slice(x, axis, 1, count) * 0.5 + slice(x, axis, 0, count - 1);
    }
    keep(x);
  }

  void draw() {
    Value x = recent();
    if (dice_.coin()) return keep(dropout(result_.graph, x, 0.25));
    keep(x + uniform(result_.graph, float_, x.shape()));
  }

  // States whose updates read one another, transposed and shifted: all reads see the values from the entry's start.
  void add_states() {
    if (dice_.coin()) return;
    int64_t rows = extent(), columns = dice_.coin() ? rows : extent();
    Value s[3];
    for (int64_t i = 0; i < 3; ++i)
      s[i] = result_.graph.state("s" + std::to_string(i), float_, i == 2 ? Shape{columns, rows} : Shape{rows, columns},
                                 [](Graph& g, const Type& type) { return uniform(g, type.dtype, type.shape); });
    updates_ = {{s[0], s[1]}, {s[1], s[0]}, {s[2], transpose(s[0])}};
    if (dice_.coin()) updates_[0].value = s[1] * 0.5 + mean(tanh(recent()));
    if (dice_.coin()) updates_[1].value = transpose(s[2]) + s[0] * 0.25;
    switch (dice_.below(5)) {
      case 0: updates_[2].value = reverse(s[2], {0}); break;
      case 1: updates_[2].value = matmul(s[2], s[1] * 0.1, false, false) * 0.1; break;
      case 2: updates_[2].value = (rows ? softmax(s[2]) : s[2]) + transpose(s[1]); break;
      default: break;
    }
    if (updates_[2].value.shape() != s[2].shape()) {
      if (rows == columns) updates_[2].value = matmul(s[2], s[2] * 0.1);
      else updates_[2].value = transpose(s[1]) * s[2];
    } else if (rows == columns && dice_.coin()) {
      updates_[0].value = transpose(s[0]);
    }
    keep(s[0] * 0.5);
  }

  void finish() {
    std::vector<std::pair<std::string, Value>> outputs;
    for (size_t i = 0; i < 3 && i < values_.size(); ++i)
      outputs.emplace_back("y" + std::to_string(i), values_[values_.size() - 1 - i]);
    result_.graph.entry("forward", outputs);
    Value loss = mean(tanh(values_.back() * 0.1));
    for (Value parameter : parameters_) result_.graph.allow_unreached(parameter);
    for (Value parameter : parameters_) loss = loss + sum(parameter * parameter) * 0.01;
    std::vector<Update> updates = minimize(loss, dice_.coin() ? sgd(0.1) : adam(0.01));
    updates.insert(updates.end(), updates_.begin(), updates_.end());
    result_.graph.entry("train", {{"loss", loss}}, std::move(updates));
  }

  Dice dice_;
  RandomGraph result_{};
  std::optional<Extent> n_;
  std::vector<Value> values_;
  std::vector<Value> parameters_;
  std::vector<Value> indices_;  // integers from 0 to 255
  std::vector<Update> updates_;
  DType float_ = f32;
  bool empty_ = false;  // extents of 0 occur
};

}  // namespace

RandomGraph random_graph(uint64_t seed) { return Builder(seed).build(); }

}  // namespace tenon::testing
