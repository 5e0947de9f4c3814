#!/usr/bin/python3
"""Checks that a workload's steps mean the same to us and to PyTorch, from equal parameters and data.

    agreement.py BUILD/benchmarks/step [--long] [--workload NAME]

In f64 the losses of 200 steps agree within 1e-9, in f32 the first within 1e-5; and a run-time batch gives
the bits of the constant one. Rows of more than 1 GFLOP a step take a minute or more: they are left out, or run
alone with --long. Exit code 77 where there is no PyTorch.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
try:
    import torch

    import pytorch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def losses_of(step, row, *flags):
    """Our losses, and PyTorch's from the same start."""
    with tempfile.TemporaryDirectory() as folder:
        start = f"{folder}/start.safetensors"
        subprocess.run([step, "--save", start, "--workload", row, *flags], check=True)
        workload, tensors = pytorch.read_safetensors(start)
    ours = tensors["losses"].tolist()
    theirs = pytorch.training_step(workload, tensors)
    return ours, lambda: [theirs().item() for _ in ours]


def largest_difference(ours, theirs):
    return max(abs(a - b) / max(1, abs(b)) for a, b in zip(ours, theirs))


def main():
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--workload")
    options = parser.parse_args()
    listing = subprocess.run([options.step, "--list"], check=True, capture_output=True, text=True).stdout
    failures = 0
    for row in map(json.loads, listing.splitlines()):
        name, long = row["workload"], row["flops"] > 1e9
        if name.endswith("-n") or long != options.long or options.workload not in (None, name):
            continue
        ours, theirs = losses_of(options.step, name, "--f64", "--steps", "200")
        long_run = largest_difference(ours, theirs())
        ours, theirs = losses_of(options.step, name, "--steps", "3")
        first = largest_difference(ours[:1], theirs()[:1])
        same_bits = losses_of(options.step, name + "-n", "--steps", "3")[0] == ours
        good = long_run <= 1e-9 and first <= 1e-5 and same_bits
        print(f"{name:<34} f64, 200 steps {long_run:.1e}   f32, first step {first:.1e}   run-time batch "
              f"{'equal' if same_bits else 'DIFFERS'}   {'good' if good else 'BAD'}", flush=True)
        failures += not good
    sys.exit(failures != 0)


main()
