// Writes an ONNX model: nodes are added by calls that return the name of their result. The numbers are the field
// tags of onnx.proto3 (https://github.com/onnx/onnx), opset 17.

const bytes = (text) => Buffer.from(text, "utf8");

function varint(value) {
  const out = [];
  for (let v = BigInt.asUintN(64, BigInt(value)); ; v >>= 7n) {
    if (v < 128n) return Buffer.from([...out, Number(v)]);
    out.push(Number(v & 127n) | 128);
  }
}
const integer = (tag, value) => Buffer.concat([varint(tag << 3), varint(value)]);
const float = (tag, value) => {
  const out = Buffer.alloc(4);
  out.writeFloatLE(value);
  return Buffer.concat([varint((tag << 3) | 5), out]);
};
const block = (tag, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([varint((tag << 3) | 2), varint(body.length), body]);
};

const types = { float32: 1, int32: 6, int64: 7 };

function valueInfo(tag, { name, type, dims }) {
  const shape = block(2, ...dims.map((d) => block(1, integer(1, d))));
  return block(tag, block(1, bytes(name)), block(2, block(1, integer(1, types[type]), shape)));
}

function attribute([name, value]) {
  const head = block(1, bytes(name));
  if (Array.isArray(value)) return block(5, head, ...value.map((v) => integer(8, v)), integer(20, 7));
  if (name === "alpha" || name === "beta") return block(5, head, float(2, value), integer(20, 1));
  return block(5, head, integer(3, value), integer(20, 2));
}

export class Model {
  constructor() {
    this.parts = [];
    this.count = 0;
    this.constants = new Map();
  }

  input(name, type, dims) {
    this.parts.push(valueInfo(11, { name, type, dims }));
    return name;
  }

  output(value, name, type, dims) {
    this.parts.push(block(1, block(1, bytes(value)), block(2, bytes(name)), block(4, bytes("Identity"))));
    this.parts.push(valueInfo(12, { name, type, dims }));
  }

  constant(values, dims, type = "float32") {
    const key = `${type}[${dims}]${values}`;
    if (!this.constants.has(key)) {
      const name = `c${this.constants.size}`;
      const raw = Buffer.from(
        (type === "int64" ? BigInt64Array.from(values, BigInt) : Float32Array.from(values)).buffer,
      );
      this.parts.push(
        block(
          5,
          ...dims.map((d) => integer(1, d)),
          integer(2, types[type]),
          block(8, bytes(name)),
          block(9, raw),
        ),
      );
      this.constants.set(key, name);
    }
    return this.constants.get(key);
  }

  // The name of the first result, or all names if there are several.
  op(type, inputs, attributes = {}, results = 1) {
    const names = Array.from({ length: results }, () => `v${this.count++}`);
    this.parts.push(
      block(
        1,
        ...inputs.map((v) => block(1, bytes(v))),
        ...names.map((v) => block(2, bytes(v))),
        block(4, bytes(type)),
        ...Object.entries(attributes).map(attribute),
      ),
    );
    return results === 1 ? names[0] : names;
  }

  serialize() {
    return Buffer.concat([
      integer(1, 8),
      block(7, block(2, bytes("step")), ...this.parts),
      block(8, block(1), integer(2, 17)),
    ]);
  }
}
