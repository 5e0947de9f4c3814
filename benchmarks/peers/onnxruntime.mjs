// A workload as one ONNX graph (forward, backward, update: the gradients written by hand), run by ONNX Runtime, from
// the parameters and data that `step --save` wrote. States go out as results and in again as inputs, in two sets of
// tensors that are allocated once.
//
//   onnxruntime.mjs FILE --threads N    as peers/pytorch.py; the package onnxruntime-node is looked for where node
//                                       does, or in the folder that the variable ONNXRUNTIME_NODE names
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";
import { Model } from "./onnx.mjs";

function readSafetensors(file) {
  const data = fs.readFileSync(file);
  const size = Number(data.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(data.subarray(8, 8 + size).toString());
  const workload = JSON.parse(metadata.workload);
  const tensors = {};
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [begin, end],
    },
  ] of Object.entries(entries)) {
    const raw = Uint8Array.prototype.slice.call(data, 8 + size + begin, 8 + size + end).buffer;
    tensors[name] = {
      dims: shape,
      data: new { F32: Float32Array, F64: Float64Array, I32: Int32Array }[dtype](raw),
    };
  }
  return { workload, tensors };
}

// Builds the step. `states` collects name -> {dims, initial}: each is an input of that name and a result name + "'".
function build(w, tensors, states) {
  const m = new Model();
  const scalar = (x) => m.constant([x], []);
  const add = (a, b) => m.op("Add", [a, b]),
    sub = (a, b) => m.op("Sub", [a, b]),
    mul = (a, b) => m.op("Mul", [a, b]);
  const n = w.batch,
    last = w.widths.length - 1;

  function state(name, dims, initial) {
    states[name] = { dims, initial };
    return m.input(name, "float32", dims);
  }
  const update = (name, value) => m.output(value, name + "'", "float32", states[name].dims);

  // Adam's two factors of the step count: W' = W - m' / (sqrt(v') * root + floor).
  const beta1 = 0.9,
    beta2 = 0.999;
  let root, floor;
  if (w.adam) {
    const t = add(state("t", [], new Float32Array([0])), scalar(1));
    update("t", t);
    const size = m.op("Div", [scalar(w.rate), sub(scalar(1), m.op("Pow", [scalar(beta1), t]))]);
    const scale = m.op("Sqrt", [sub(scalar(1), m.op("Pow", [scalar(beta2), t]))]);
    root = m.op("Div", [scalar(1), mul(scale, size)]);
    floor = m.op("Div", [scalar(1e-8), size]);
  }

  // parameter := parameter - step(a^T b): the product, and with SGD the update too, is one Gemm.
  function learn(name, a, b, transA) {
    const dims = states[name].dims;
    if (!w.adam) return update(name, m.op("Gemm", [a, b, name], { transA, alpha: -w.rate, beta: 1 }));
    const zeros = () => new Float32Array(dims[0] * dims[1]);
    const first = state(`${name}.m`, dims, zeros()),
      second = state(`${name}.v`, dims, zeros());
    const g = m.op("Gemm", [a, b], { transA, alpha: 1 - beta1 }); // (1 - b1) times the gradient
    const nextFirst = add(mul(first, scalar(beta1)), g);
    const nextSecond = add(
      mul(second, scalar(beta2)),
      mul(mul(g, g), scalar((1 - beta2) / (1 - beta1) ** 2)),
    );
    update(`${name}.m`, nextFirst);
    update(`${name}.v`, nextSecond);
    const below = add(mul(m.op("Sqrt", [nextSecond]), root), floor);
    update(name, sub(name, m.op("Div", [nextFirst, below])));
  }

  const x = m.input("x", "float32", tensors.x.dims);
  const inputs = [x],
    activations = [];
  let z;
  for (let i = 1; i <= last; ++i) {
    const W = tensors[`dense${i}/W`],
      b = tensors[`dense${i}/b`];
    state(`W${i}`, W.dims, W.data);
    state(`b${i}`, [1, W.dims[1]], b.data);
    z = m.op("Gemm", [inputs[i - 1], `W${i}`, `b${i}`]);
    if (i === last) break;
    if (w.family === "mlp") inputs[i] = m.op("Relu", [z]);
    if (w.family === "mixture") inputs[i] = m.op("Tanh", [z]);
    if (w.family === "maxout") {
      const width = w.widths[i];
      const parts = m.op("Reshape", [z, m.constant([n, w.pieces, width], [3], "int64")]);
      const largest = m.op("ReduceMax", [parts], { axes: [1] });
      activations[i] = { parts, largest };
      inputs[i] = m.op("Reshape", [largest, m.constant([n, width], [2], "int64")]);
    }
  }

  let loss, dz;
  if (w.family === "mixture") {
    const y = m.input("target", "float32", [n, 1]),
      k = w.gaussians;
    const [logits, mu, logSigma] = m.op("Split", [z, m.constant([k, k, k], [3], "int64")], { axis: 1 }, 3);
    const logPi = m.op("LogSoftmax", [logits], { axis: 1 }),
      inverse = m.op("Exp", [m.op("Neg", [logSigma])]);
    const d = mul(sub(y, mu), inverse),
      squared = mul(d, d);
    const score = sub(sub(sub(logPi, logSigma), mul(squared, scalar(0.5))), scalar(0.91893853320467274178));
    loss = m.op("Neg", [
      m.op("ReduceMean", [m.op("ReduceLogSumExp", [score], { axes: [1] })], { keepdims: 0 }),
    ]);
    const share = m.op("Softmax", [score], { axis: 1 });
    const parts = [
      sub(m.op("Exp", [logPi]), share),
      m.op("Neg", [mul(share, mul(d, inverse))]),
      mul(share, sub(scalar(1), squared)),
    ];
    dz = mul(m.op("Concat", parts, { axis: 1 }), scalar(1 / n));
  } else if (w.widths[last] === 1) {
    const y = m.input("target", "float32", [n, 1]);
    loss = m.op("ReduceMean", [sub(m.op("Softplus", [z]), mul(z, y))], { keepdims: 0 });
    dz = mul(sub(m.op("Sigmoid", [z]), y), scalar(1 / n));
  } else {
    const label = m.input("label", "int64", [n]);
    const [mean, logProbability] = m.op("SoftmaxCrossEntropyLoss", [z, label], {}, 2);
    loss = mean;
    const target = m.op("OneHot", [
      label,
      m.constant([w.widths[last]], [], "int64"),
      m.constant([0, 1 / n], [2]),
    ]);
    dz = sub(mul(m.op("Exp", [logProbability]), scalar(1 / n)), target);
  }

  const ones = m.constant(new Array(n).fill(1), [1, n]);
  for (let i = last; i >= 1; --i) {
    learn(`W${i}`, inputs[i - 1], dz, 1);
    learn(`b${i}`, ones, dz, 0);
    if (i === 1) break;
    const dh = m.op("Gemm", [dz, `W${i}`], { transB: 1 }),
      h = inputs[i - 1];
    if (w.family === "mlp") dz = mul(dh, m.op("Sign", [h]));
    if (w.family === "mixture") dz = mul(dh, sub(scalar(1), mul(h, h)));
    if (w.family === "maxout") {
      const { parts, largest } = activations[i - 1],
        width = w.widths[i - 1];
      const spread = m.op("Reshape", [dh, m.constant([n, 1, width], [3], "int64")]);
      const chosen = m.op("Where", [m.op("Equal", [parts, largest]), spread, scalar(0)]);
      dz = m.op("Reshape", [chosen, m.constant([n, w.pieces * width], [2], "int64")]);
    }
  }
  m.output(loss, "loss", "float32", []);
  return m;
}

async function main() {
  const require = createRequire(import.meta.url);
  const places = process.env.ONNXRUNTIME_NODE ? [path.resolve(process.env.ONNXRUNTIME_NODE)] : undefined;
  const where = require.resolve("onnxruntime-node", { paths: places });
  const ort = require(where);
  const version = JSON.parse(fs.readFileSync(path.join(path.dirname(where), "../package.json"))).version;
  const threads = Number(process.argv[process.argv.indexOf("--threads") + 1]);

  const { workload, tensors } = readSafetensors(process.argv[2]);
  const states = {};
  const model = build(workload, tensors, states).serialize();
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });

  const data = {};
  for (const name of ["x", "target", "label"])
    if (tensors[name])
      data[name] =
        name === "label"
          ? new ort.Tensor("int64", BigInt64Array.from(tensors[name].data, BigInt), tensors[name].dims)
          : new ort.Tensor("float32", tensors[name].data, tensors[name].dims);
  const loss = new ort.Tensor("float32", new Float32Array(1), []);
  const sets = [0, 1].map(() => ({}));
  for (const [name, { dims, initial }] of Object.entries(states))
    for (const set of sets) set[name] = new ort.Tensor("float32", Float32Array.from(initial), dims);
  const feeds = sets.map((set) => ({ ...data, ...set }));
  const fetches = sets.map((set) => ({
    loss,
    ...Object.fromEntries(Object.entries(set).map(([name, t]) => [name + "'", t])),
  }));
  let turn = 0;
  const step = () => session.run(feeds[turn], fetches[(turn ^= 1)]);

  let difference = 0;
  for (const ours of tensors.losses.data) {
    const theirs = (await step()).loss.data[0];
    difference = Math.max(difference, Math.abs(theirs - ours) / Math.max(1, Math.abs(ours)));
  }
  console.log(`ONNX Runtime ${version} ${difference}`);
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    const samples = [],
      end = performance.now() + 100;
    while (samples.length < 5 || performance.now() < end) {
      const start = performance.now();
      await step();
      samples.push((performance.now() - start) * 1e3);
    }
    samples.sort((a, b) => a - b);
    console.log(`${samples[samples.length >> 1]} ${samples[0]}`);
  }
}

await main();
