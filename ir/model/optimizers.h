#pragma once
// Optimisers as graph formulas. An optimiser says how one parameter and its states follow from its gradient;
// minimize() applies it to all parameters. Everything here is ordinary nodes of the user's graph.
#include "ir/graph.h"

namespace tenon {

// What the optimiser sees of one parameter, in the type that computes: of f16 or bf16 its cast to f32. An update of
// `parameter` is one of the parameter. `rate` and `decay` are scalars of that type; `decay` is empty where there is none.
struct OptimizerStep {
  Value parameter;
  Value gradient;
  Value rate;
  Value decay;

  // The optimiser state "<parameter>/<name>", zero at first, of the parameter's type or of another.
  Value slot(std::string_view name) const;
  Value slot(std::string_view name, const Type& type) const;
  // The gradient with L2 decay: g + decay * w, or g where there is no decay.
  Value decayed_gradient() const;
};

struct Optimizer {
  std::string name;
  Operand rate;   // a number, or an input of type f32[] that each step brings
  Operand decay;  // likewise; the number 0 means none
  std::function<std::vector<Update>(const OptimizerStep&)> step;
};

// In all formulas w is the parameter, g its gradient (plus decay * w if there is a decay), a the rate. A rate
// or decay may be any scalar of the graph; one that reads Graph::step() counts the runs of all entries that
// have updates of minimize(), whatever they train.

// w := w - a g
Optimizer sgd(Operand rate, Operand decay = 0);

// v := b v + g;  w := w - a v. State "momentum.v". Polyak 1964, in the form of Sutskever et al. 2013 with the
// rate outside of v, so that a change of rate acts at once.
Optimizer momentum(Operand rate, double beta = 0.9, Operand decay = 0);

// v := b v + g;  w := w - a (g + b v). State "nesterov.v". Nesterov 1983; Sutskever et al. 2013, written at
// the point at which the gradient is taken.
Optimizer nesterov(Operand rate, double beta = 0.9, Operand decay = 0);

// r := p r + (1 - p) g^2;  w := w - a g / sqrt(r + e). State "rmsprop.r". Hinton 2012, lecture 6e;
// Goodfellow, Bengio and Courville 2016, algorithm 8.5.
Optimizer rmsprop(Operand rate = 0.001, double rho = 0.9, double epsilon = 1e-6, Operand decay = 0);

// t := t + 1;  m := b1 m + (1 - b1) g;  v := b2 v + (1 - b2) g^2
// w := w - a r / (1 - b1^t) * m / (sqrt(v) + e r)  with  r = sqrt(1 - b2^t)
// States "adam.t" (i64[]), "adam.m", "adam.v". Kingma and Ba 2015, algorithm 1. Each parameter has a t of its
// own: entries may train overlapping sets of parameters, in turn or from some step on, so no count of a set
// or of the graph's steps is right for all of its members. The two factors that depend on t alone are
// scalars, computed once for each parameter.
Optimizer adam(Operand rate = 0.001, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8, Operand decay = 0);

// Adam with decay apart from the gradient: w := w - a decay w - (Adam's step). States "adamw.t" and so on.
// Loshchilov and Hutter 2019, algorithm 2, with the schedule in the rate.
Optimizer adamw(Operand rate = 0.001, Operand decay = 0.01, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8);

}  // namespace tenon
