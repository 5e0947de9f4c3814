#!/usr/bin/python3
"""Checks that a benchmark runs, and that --json prints objects with the given fields, one a line, all finite.

    smoke.py FIELD,FIELD,... PROGRAM [ARGUMENT ...]
"""
import json
import math
import subprocess
import sys


def main():
    fields, command = sys.argv[1].split(","), sys.argv[2:]
    run = subprocess.run(command + ["--quick", "--json"], check=True, capture_output=True, text=True)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    if not rows:
        sys.exit("no rows")
    for row in rows:
        missing = [field for field in fields if field not in row]
        strange = [field for field, x in row.items() if isinstance(x, float) and not math.isfinite(x)]
        if missing or strange:
            sys.exit(f"missing {missing}, not finite {strange} in {row}")
    print(f"{len(rows)} rows")


main()
