#!/usr/bin/python3
"""PyTorch's eager step in parts, from the parameters and data of a safetensors file like that of `step --save`: prints the
median microseconds of forward, backward and update.

    define_by_run.py FILE --threads N
"""
import statistics
import sys
import time

import torch
from pytorch import Model, loss_of, read_safetensors


def main():
    torch.set_num_threads(int(sys.argv[3]))
    workload, tensors = read_safetensors(sys.argv[1])
    model, x = Model(workload, tensors), tensors["x"]
    target = tensors["label"].long() if "label" in tensors else tensors["target"]
    rule = torch.optim.Adam if workload["adam"] else torch.optim.SGD
    optimizer = rule(model.parameters(), lr=workload["rate"])
    parts, end = [], time.perf_counter() + 0.5
    while len(parts) < 10 or time.perf_counter() < end:
        optimizer.zero_grad(set_to_none=True)
        start = time.perf_counter()
        loss = loss_of(workload, model(x), target)
        forward = time.perf_counter()
        loss.backward()
        backward = time.perf_counter()
        optimizer.step()
        parts.append((forward - start, backward - forward, time.perf_counter() - backward))
    print(*(1e6 * statistics.median(part) for part in zip(*parts)))


main()
