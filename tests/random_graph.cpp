#include "random_graph.h"

namespace tenon::testing {
namespace {

constexpr int64_t long_extents[] = {255, 256, 4095, 4096, 4097};  // about the blocks of a long sum

void add_input(Pool& p, int64_t number) {
  Shape shape;
  if (!p.sizes.empty() && p.dice.below(4)) shape.push_back(p.dice.below(5) ? p.size() : p.size() * Extent(2 + p.dice.below(3)));
  if (p.sizes.size() > 1 && p.dice.coin()) {
    if (!shape.empty() && p.dice.below(4) == 0)
      shape[0] = shape[0] * p.size();
    else
      shape.push_back(p.size());
  }
  if (p.dice.below(12) == 0) {
    if (shape.empty() || p.dice.coin()) shape = {long_extents[p.dice.below(std::size(long_extents))]};
    if (p.dice.below(3) == 0) shape.insert(shape.begin() + p.dice.below(2), 1);
  } else if (p.dice.below(8) == 0) {  // many short axes
    while (shape.size() < 5) {
      const int64_t place = p.dice.below(static_cast<int64_t>(shape.size()) + 1);
      shape.insert(shape.begin() + place, 1 + p.dice.below(4));
    }
  } else {
    for (int64_t rank = p.dice.below(shape.empty() ? 4 : 3); rank > 0; --rank) shape.push_back(p.extent());
  }
  std::string name = "x" + std::to_string(number);
  const int64_t kind = p.dice.below(9);
  constexpr DType of_kind[] = {u8, u8, i32, i64, boolean};
  if (kind >= 5) return p.keep(p.graph.input(name, p.real, shape));
  Value x = p.graph.input(name, of_kind[kind], shape);
  if (!p.small(x)) return;
  if (kind == 4) return p.keep_whole(x), p.keep(cast(x, p.real));
  if (kind > 0) p.indices.push_back(x);
  p.keep_whole(x);
  p.keep(cast(x, p.real) / 255);
}

// States whose updates read one another, transposed and shifted: all reads see the values from the entry's
// start.
std::vector<Update> add_states(Pool& p) {
  if (p.dice.coin()) return {};
  int64_t rows = p.extent(), columns = p.dice.coin() ? rows : p.extent();
  Value s[3];
  for (int64_t i = 0; i < 3; ++i)
    s[i] = p.graph.state("s" + std::to_string(i), p.real, i == 2 ? Shape{columns, rows} : Shape{rows, columns},
                         [](Graph& g, const Type& type) { return uniform(g, type.dtype, type.shape); });
  std::vector<Update> updates = {{s[0], s[1]}, {s[1], s[0]}, {s[2], transpose(s[0])}};
  if (p.dice.coin()) updates[0].value = s[1] * 0.5 + mean(tanh(p.recent()));
  if (p.dice.coin()) updates[1].value = transpose(s[2]) + s[0] * 0.25;
  switch (p.dice.below(5)) {
    case 0: updates[2].value = reverse(s[2], {0}); break;
    case 1: updates[2].value = matmul(s[2], s[1] * 0.1, false, false) * 0.1; break;
    case 2: updates[2].value = (rows ? softmax(s[2]) : s[2]) + transpose(s[1]); break;
    default: break;
  }
  if (updates[2].value.shape() != s[2].shape()) {
    if (rows == columns)
      updates[2].value = matmul(s[2], s[2] * 0.1);
    else
      updates[2].value = transpose(s[1]) * s[2];
  } else if (rows == columns && p.dice.coin()) {
    updates[0].value = transpose(s[0]);
  }
  p.keep(s[0] * 0.5);
  return updates;
}

Optimizer optimizer(Pool& p) {
  const double decay = p.dice.below(3) ? 0 : 0.01;
  switch (p.dice.below(6)) {
    case 0: return sgd(0.1, decay);
    case 1: return momentum(0.05, 0.9, decay);
    case 2: return nesterov(0.05, 0.9, decay);
    case 3: return rmsprop(0.01, 0.9, 1e-3, decay);
    case 4: return adam(0.01, 0.9, 0.999, 1e-3, decay);
    default: return adamw(0.01, decay, 0.9, 0.99, 1e-3);
  }
}

// Plus a penalty on a gradient, whose own gradient is one of second order; without it where a rule has no
// third one.
Value with_gradient_penalty(Pool& p, Value loss) {
  std::vector<std::string> unreached;
  const std::vector<Value> wrt{p.one_of(p.parameters)};
  Value first = reachable_gradients(loss, wrt, "random_graph", {}, unreached)[0];
  if (!first) return loss;
  Value penalised = loss + sum(tanh(first) * first) * 0.1;
  try {
    reachable_gradients(penalised, p.parameters, "random_graph", {}, unreached);
    return penalised;
  } catch (const Error&) {
    return loss;
  }
}

void finish(Pool& p, std::vector<Update> states) {
  std::vector<std::pair<std::string, Value>> outputs;
  for (size_t i = 0; i < 3 && i < p.values.size(); ++i)
    outputs.emplace_back("y" + std::to_string(i), p.values[p.values.size() - 1 - i]);
  for (size_t i = 0; i < 2 && i < p.whole.size(); ++i)
    outputs.emplace_back("z" + std::to_string(i), p.whole[p.whole.size() - 1 - i]);
  p.graph.entry("forward", outputs);
  for (Value parameter : p.parameters) p.graph.allow_unreached(parameter);
  Value loss = mean(tanh(p.values.back() * 0.1));
  for (Value parameter : p.parameters) loss = loss + sum(parameter * parameter) * 0.01;
  if (p.dice.below(4) == 0) loss = with_gradient_penalty(p, loss);
  MinimizeOptions options;
  if (p.dice.below(6) == 0) options.clip_norm = 0.5;
  if (p.dice.below(6) == 0) options.clip_value = 0.1;
  std::vector<Update> updates = minimize(loss, optimizer(p), options);
  updates.insert(updates.end(), states.begin(), states.end());
  p.graph.entry("train", {{"loss", loss}}, std::move(updates));
}

}  // namespace

RandomGraph random_graph(uint64_t seed) {
  Pool p{.dice = {seed}};
  Sizes sizes;
  constexpr std::string_view names[] = {"n", "t"};
  const int64_t many = p.dice.coin() ? 1 + (p.dice.below(3) == 0) : 0;
  for (int64_t i = 0; i < many; ++i) {
    const int64_t maximum = 1 + p.dice.below(largest_maximum);
    sizes.set(names[i], 1 + p.dice.below(maximum));
    p.sizes.push_back(p.graph.size(names[i], maximum));
  }
  if (p.dice.below(6) == 0) p.real = f64;
  p.empty = p.dice.below(30) == 0;
  int64_t inputs = 1 + p.dice.below(3), parameters = 1 + p.dice.below(3);
  const int64_t steps = 2 + p.dice.below(p.dice.below(8) ? 4 : 25);  // mostly short: more programs in the same time
  for (int64_t i = 0; i < inputs; ++i) add_input(p, i);
  for (int64_t i = 0; i < parameters; ++i) {
    Shape shape;
    for (int64_t rank = p.dice.below(3); rank > 0; --rank) shape.push_back(p.extent());
    p.keep(p.parameter(shape));
  }
  for (int64_t i = 0; i < steps; ++i) add_step(p);
  std::vector<Update> states = add_states(p);
  finish(p, std::move(states));
  return {std::move(p.graph), sizes};
}

}  // namespace tenon::testing
