#!/usr/bin/python3
"""The memory of a training step beside PyTorch's, and of a whole program that trains.

    benchmarks/memory.py BUILD [--data DIR] [--workload NAME] [--quick] [--json]

Per workload: the arena (all that a step needs besides states, inputs and outputs), its lower bound, and the most
that one step of PyTorch has allocated at once. Then the largest resident set of tests/examples/mnist less its data:
MNIST in DIR, or the digits that it draws.
"""
import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def pytorch_peak(step, workload):
    """Bytes, or None without PyTorch."""
    with tempfile.TemporaryDirectory() as folder:
        start = f"{folder}/start.safetensors"
        subprocess.run([step, "--save", start, "--workload", workload], check=True)
        command = ["/usr/bin/python3", f"{HERE}/peers/pytorch.py", start, "--threads", "1", "--memory"]
        peer = subprocess.run(command, capture_output=True, text=True)
    return int(peer.stdout) if peer.returncode == 0 else None


def data_bytes(folder):
    """Of the IDX files, as they lie in memory."""
    total = 0
    for name in os.listdir(folder):
        if "ubyte" in name:
            with (gzip.open if name.endswith(".gz") else open)(os.path.join(folder, name), "rb") as file:
                total += len(file.read())
    return total


def mnist(program, data):
    """The row of the example that trains on MNIST, or on digits that it draws."""
    with tempfile.TemporaryDirectory() as folder:
        command = [os.path.abspath(program), "--epochs", "1"]
        if data:
            command += ["--data", os.path.abspath(data)]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"memory.py: {program} failed")
        of_data = data_bytes(data or f"{folder}/drawn_digits")
    resident = usage.ru_maxrss * 1024
    return {"workload": "mnist, whole program", "resident_bytes": resident, "data_bytes": of_data,
            "above_data_bytes": resident - of_data}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--data")
    parser.add_argument("--workload")
    parser.add_argument("--quick", action="store_true", help="without the largest workloads")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    def show(row):
        if options.json:
            print(json.dumps(row), flush=True)
        else:
            print(f"{row['workload']:<36}" + "".join(f"  {name} {value:,}" for name, value in row.items()
                                                     if name != "workload" and value is not None), flush=True)

    command = [f"{options.build}/benchmarks/memory", "--json"] + ["--quick"] * options.quick
    if options.workload:
        command += ["--workload", options.workload]
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        row = json.loads(line)
        if not row["workload"].endswith("-n"):
            row["pytorch_peak_bytes"] = pytorch_peak(f"{options.build}/benchmarks/step", row["workload"])
        show(row)
    if not options.workload:
        show(mnist(f"{options.build}/tests/examples/mnist", options.data))


main()
