#!/usr/bin/python3
"""Times the training step beside PyTorch's eager one, interleaved in one run on one thread.

    benchmarks/compare.py BUILD/benchmarks/step [workload ...]

Prints the medians over the repetitions and their ratio (PyTorch / ours: above 1, we are faster).
"""
import re
import statistics
import subprocess
import sys
import time

import torch

REPETITIONS = 15


def pytorch_step(widths, batch, adam):
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    x = torch.rand(batch, widths[0])
    if widths[-1] == 1:
        target, cost = (torch.rand(batch, 1) < 0.5).float(), torch.nn.functional.binary_cross_entropy_with_logits
    else:
        target, cost = torch.randint(0, widths[-1], (batch,)), torch.nn.functional.cross_entropy
    make = torch.optim.Adam if adam else torch.optim.SGD
    optimizer = make(model.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad(set_to_none=True)
        cost(model(x), target).backward()
        optimizer.step()

    return step


def median_us(step, seconds=0.1):
    samples, end = [], time.perf_counter() + seconds
    while len(samples) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        samples.append((time.perf_counter() - start) * 1e6)
    return statistics.median(samples)


def workloads():
    """The rows of workloads.h, so that both sides compute the same."""
    text = open(__file__.replace("compare.py", "workloads.h")).read()
    for name, widths, batch, adam in re.findall(r'\{"([^"]+)", \{([0-9, ]+)\}, (\d+), (true|false)\}', text):
        yield name, [int(w) for w in widths.split(",")], int(batch), adam == "true"


def main():
    torch.set_num_threads(1)
    ours, wanted = sys.argv[1], sys.argv[2:]
    print(f"PyTorch {torch.__version__}, one thread, {REPETITIONS} interleaved repetitions")
    print(f"{'workload':<32} {'ours us':>10} {'PyTorch us':>11} {'ratio':>7}")
    for name, widths, batch, adam in workloads():
        if wanted and name not in wanted:
            continue
        server = subprocess.Popen([ours, "--serve", "--workload", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        theirs = pytorch_step(widths, batch, adam)
        a, b = [], []
        for repetition in range(REPETITIONS + 1):
            server.stdin.write("\n")
            server.stdin.flush()
            mine, peer = float(server.stdout.readline()), median_us(theirs)
            if repetition:  # the first one warms up
                a.append(mine)
                b.append(peer)
        server.stdin.close()
        server.wait()
        print(f"{name:<32} {statistics.median(a):>10.2f} {statistics.median(b):>11.2f} {statistics.median(b) / statistics.median(a):>7.2f}", flush=True)


main()
