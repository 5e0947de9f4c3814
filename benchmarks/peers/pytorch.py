#!/usr/bin/python3
"""A workload as PyTorch's eager step, from the parameters and data that `step --save` wrote.

    pytorch.py FILE --threads N    says its version and the largest relative difference from our losses in
                                   FILE, then answers each line of stdin by "median_us min_us"
    pytorch.py FILE --threads N --memory    says how many bytes one step has allocated at most
"""
import itertools
import json
import struct
import sys
import time

import torch

DTYPES = {"F64": torch.float64, "F32": torch.float32, "I32": torch.int32}


def read_safetensors(path):
    """The workload (from the metadata) and the tensors by name."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    workload = json.loads(header.pop("__metadata__")["workload"])
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data, dtype=torch.uint8)[8 + size + begin : 8 + size + end].clone()
        tensors[name] = flat.view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return workload, tensors


def loss_of(workload, outputs, target):
    if workload["family"] == "mixture":
        k = workload["gaussians"]
        logits, mean, log_sigma = outputs[:, :k], outputs[:, k : 2 * k], outputs[:, 2 * k :]
        distance = (target - mean) * torch.exp(-log_sigma)
        log_root_two_pi = 0.91893853320467274178
        score = torch.log_softmax(logits, 1) - log_sigma - 0.5 * distance * distance - log_root_two_pi
        return -torch.logsumexp(score, 1).mean()
    if outputs.shape[1] == 1:
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs, target)
    return torch.nn.functional.cross_entropy(outputs, target)


class Model(torch.nn.Module):
    def __init__(self, workload, tensors):
        super().__init__()
        self.family, self.pieces, self.widths = workload["family"], workload["pieces"], workload["widths"]
        self.layers = torch.nn.ModuleList()
        for i in range(1, len(self.widths)):
            weight, bias = tensors[f"dense{i}/W"], tensors[f"dense{i}/b"]
            layer = torch.nn.Linear(*weight.shape, dtype=weight.dtype)
            with torch.no_grad():
                layer.weight.copy_(weight.T)
                layer.bias.copy_(bias)
            self.layers.append(layer)

    def forward(self, x):
        for layer, width in zip(self.layers[:-1], self.widths[1:]):
            x = layer(x)
            if self.family == "mlp":
                x = torch.relu(x)
            elif self.family == "mixture":
                x = torch.tanh(x)
            else:  # amax over the middle axis is its fastest spelling, faster than max and than the last axis
                x = x.view(-1, self.pieces, width).amax(1)
        return self.layers[-1](x)


def training_step(workload, tensors):
    """A function that does one step and returns its loss."""
    model = Model(workload, tensors)
    x = tensors["x"]
    target = tensors["label"].long() if "label" in tensors else tensors["target"]
    rule = torch.optim.Adam if workload["adam"] else torch.optim.SGD
    optimizer = rule(model.parameters(), lr=workload["rate"])

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(workload, model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return step


def measure(step, seconds=0.1):
    samples, end = [], time.perf_counter() + seconds
    while len(samples) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        samples.append((time.perf_counter() - start) * 1e6)
    samples.sort()
    return samples[len(samples) // 2], samples[0]


def peak_bytes(step):
    """The most bytes that one step has allocated at once: activations, gradients, the optimiser's intermediates."""
    step(), step()  # the optimiser's states are there after the first
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, profile_memory=True) as profile:
        step()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_us())
    return max(itertools.accumulate(event.nbytes() for event in events))


def main():
    path, threads = sys.argv[1], int(sys.argv[sys.argv.index("--threads") + 1])
    torch.set_num_threads(threads)
    workload, tensors = read_safetensors(path)
    step = training_step(workload, tensors)
    if "--memory" in sys.argv:
        print(peak_bytes(step))
        return
    difference = max(abs(step().item() - ours) / max(1, abs(ours)) for ours in tensors["losses"].tolist())
    print(f"PyTorch {torch.__version__} {difference}", flush=True)
    for _ in sys.stdin:
        print(*measure(step), flush=True)


if __name__ == "__main__":
    main()
