#!/usr/bin/python3
"""Times the training step of every workload beside its peers, interleaved in one run.

    benchmarks/compare.py BUILD/benchmarks/step [--threads N] [--workload NAME] [--quick] [--json]

All run from one file of parameters and data, which `step --save` writes, and the losses of each peer's first steps are
checked against ours. Each repetition asks every program in turn for a median over a tenth of a second; the medians of those and
their ratios (peer / ours: above 1, we are faster) are printed, or one JSON object per row. Beside PyTorch
(/usr/bin/python3 with torch) and ONNX Runtime (node with onnxruntime-node, in the folder ONNXRUNTIME_NODE or where
node finds it), two rows of ours serve as peers: the same with one thread, and with a constant batch. A peer that is
absent, or disagrees about the loss, is named with the reason.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


class Server:
    """A program that answers each line by numbers. Peers first say who they are: "name version difference"."""

    def __init__(self, command, introduces=True):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        if introduces:
            words = self.process.stdout.readline().split()
            if not words:
                said = self.process.stderr.read()
                raise RuntimeError(next((line for line in said.splitlines() if "Error" in line), said or "no answer"))
            self.version, difference = " ".join(words[:-1]), float(words[-1])
            if not difference <= 1e-4:
                self.close()
                raise RuntimeError(f"its losses differ from ours by {difference}")

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def peers_of(step, workload, threads, start):
    """(name, command, introduces itself) of all that stand beside this row."""
    yield "pytorch", ["/usr/bin/python3", f"{HERE}/peers/pytorch.py", start, "--threads", threads], True
    yield "onnxruntime", ["node", f"{HERE}/peers/onnxruntime.mjs", start, "--threads", threads], True
    if threads != "1":
        yield "one_thread", [step, "--serve", "--workload", workload], False
    if workload.endswith("-n"):
        yield "constant_batch", [step, "--serve", "--workload", workload[:-2], "--threads", threads], False


def compare(step, row, threads, repetitions, absent):
    """The row's object: ours, and each peer by name."""
    workload = row["workload"]
    with tempfile.TemporaryDirectory() as folder:
        start = f"{folder}/start.safetensors"
        subprocess.run([step, "--save", start, "--steps", "3", "--workload", workload], check=True)
        servers = {"ours": Server([step, "--serve", "--workload", workload, "--threads", threads], False)}
        for name, command, introduces in peers_of(step, workload, threads, start):
            try:
                servers[name] = Server(command, introduces)
            except (OSError, RuntimeError) as error:
                absent.setdefault(name, error)
        answers = {name: [] for name in servers}
        for repetition in range(repetitions + 1):
            for name, server in servers.items():
                answer = server.ask()
                if repetition:  # the first one warms up
                    answers[name].append(answer)
        versions = {name: server.version for name, server in servers.items() if hasattr(server, "version")}
        for server in servers.values():
            server.close()
    medians = {name: statistics.median(answer[0] for answer in answers[name]) for name in answers}
    ours = answers["ours"]
    result = {"workload": workload, "threads": int(threads), "median_us": medians["ours"],
              "min_us": min(answer[1] for answer in ours), "gflops": row["flops"] / medians["ours"] * 1e-3,
              "fraction_of_peak": statistics.median(row["flops"] / a[0] * 1e-3 / (a[2] * int(threads)) for a in ours),
              "peers": {name: {"median_us": us, "min_us": min(a[1] for a in answers[name]),
                               "ratio": us / medians["ours"]}
                        for name, us in medians.items() if name != "ours"}}
    for name, version in versions.items():
        result["peers"][name]["version"] = version
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--workload")
    parser.add_argument("--quick", action="store_true", help="three repetitions, not fifteen")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [json.loads(line) for line in
            subprocess.run([options.step, "--list"], check=True, capture_output=True, text=True).stdout.splitlines()]
    rows = [row for row in rows if options.workload in (None, row["workload"])]
    if not rows:
        sys.exit(f"compare.py: no workload is called {options.workload}")
    absent = {}
    for row in rows:
        result = compare(options.step, row, options.threads, 3 if options.quick else 15, absent)
        if options.json:
            print(json.dumps(result), flush=True)
            continue
        print(f"{result['workload']:<34} {result['median_us']:>11.2f} us  {result['gflops']:>6.1f} GFLOP/s  "
              f"{result['fraction_of_peak']:>5.1%} of peak", end="")
        for name, peer in result["peers"].items():
            print(f"   {peer.get('version', name).replace(' ', '-')} {peer['median_us']:.2f} us, {peer['ratio']:.2f} x",
                  end="")
        print(flush=True)
    for name, reason in absent.items():
        print(f"compare.py: {name} is absent: {reason}", file=sys.stderr)


main()
