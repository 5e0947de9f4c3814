#!/usr/bin/python3
"""Times the training step of every workload beside its peers, interleaved in one run.

    benchmarks/compare.py BUILD/benchmarks/step [--threads N] [--workload NAME] [--quick] [--json]

All run from one file of parameters and data, which `step --save` writes, and the losses of each peer's first
steps are checked against ours. Each repetition asks every program in turn for a median over a tenth of a second;
the medians of those and their ratios (peer / ours: above 1, we are faster) are printed as a Markdown table, or one
JSON object per row. Beside PyTorch (/usr/bin/python3 with torch) and ONNX Runtime (node with onnxruntime-node, in
the folder ONNXRUNTIME_NODE or where node finds it), two rows of ours serve as peers: the same with one thread, and
with a constant batch. A peer that is absent, or disagrees about the losses, is named with the reason.
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
    """A program that answers each line by numbers. A peer first says who it is: "name version difference"."""

    def __init__(self, command, introduces=True):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        if introduces:
            words = self.process.stdout.readline().split()
            if not words:
                said = self.process.stderr.read()
                errors = [line for line in said.splitlines() if "Error" in line]
                raise RuntimeError(errors[0] if errors else said or "no answer")
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


class Machine(Server):
    """The multiply-add peak of so many threads now, asked for before and after each program's turn."""

    def __init__(self, step, threads):
        super().__init__([step, "--serve-peak", "--threads", threads], introduces=False)
        self.best = max(self.ask()[0] for _ in range(5))

    def ask_undisturbed(self, server):
        """The server's numbers and the peak beside them. A turn in which the machine gave less than 85 % of its best (it is
        shared; the CPUs of a virtual one may for a while be one core) is repeated, twice at most."""
        for _ in range(3):
            before, answer, after = self.ask()[0], server.ask(), self.ask()[0]
            self.best = max(self.best, before, after)
            if min(before, after) >= 0.85 * self.best:
                break
        return *answer, (before + after) / 2


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
        machine = Machine(step, threads)
        answers = {name: [] for name in servers}
        for repetition in range(repetitions + 1):
            for name, server in servers.items():
                answer = machine.ask_undisturbed(server)
                if repetition:  # the first one warms up
                    answers[name].append(answer)
        machine.close()
        versions = {name: server.version for name, server in servers.items() if hasattr(server, "version")}
        for server in servers.values():
            server.close()
    medians = {name: statistics.median(answer[0] for answer in answers[name]) for name in answers}
    ours = answers["ours"]
    fractions = [row["flops"] / us * 1e-3 / peak for us, _, peak in ours]
    result = {"workload": workload, "threads": int(threads), "median_us": medians["ours"],
              "min_us": min(answer[1] for answer in ours), "gflops": row["flops"] / medians["ours"] * 1e-3,
              "fraction_of_peak": statistics.median(fractions),
              "peak_gflops": statistics.median(peak for _, _, peak in ours),
              "peers": {name: {"median_us": us, "min_us": min(a[1] for a in answers[name]),
                               "ratio": us / medians["ours"]}
                        for name, us in medians.items() if name != "ours"}}
    for name, version in versions.items():
        result["peers"][name]["version"] = version
    return result


COLUMNS = {"pytorch": "PyTorch", "onnxruntime": "ONNX Runtime", "one_thread": "one thread",
           "constant_batch": "constant batch"}


def show(result):
    """A row of a Markdown table: ours, then each peer's microseconds and its ratio."""
    cells = [result["workload"], f"{result['median_us']:.2f}", f"{result['gflops']:.1f}",
             f"{result['fraction_of_peak']:.0%}"]
    for name in COLUMNS:
        peer = result["peers"].get(name)
        cells += [f"{peer['median_us']:.2f}", f"{peer['ratio']:.2f}"] if peer else ["-", "-"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--workload")
    parser.add_argument("--quick", action="store_true", help="three repetitions, not fifteen")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    listing = subprocess.run([options.step, "--list"], check=True, capture_output=True, text=True).stdout
    rows = [row for row in map(json.loads, listing.splitlines()) if options.workload in (None, row["workload"])]
    if not rows:
        sys.exit(f"compare.py: no workload is called {options.workload}")
    absent, versions, repetitions = {}, set(), 3 if options.quick else 15
    if not options.json:
        heads = ["workload", "us", "GFLOP/s", "of peak"]
        for name in COLUMNS.values():
            heads += [f"{name}, us", "ratio"]
        print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        result = compare(options.step, row, options.threads, repetitions, absent)
        versions |= {peer["version"] for peer in result["peers"].values() if "version" in peer}
        print(json.dumps(result), flush=True) if options.json else show(result)
    print(f"compare.py: {options.threads} thread(s), medians of {repetitions} repetitions; "
          f"{', '.join(sorted(versions))}", file=sys.stderr)
    for name, reason in absent.items():
        print(f"compare.py: {name} is absent: {reason}", file=sys.stderr)


main()
