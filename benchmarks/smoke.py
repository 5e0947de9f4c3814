#!/usr/bin/python3
"""Checks that a benchmark runs and that what it prints with --json has its fields, one object a line, all numbers finite.

    smoke.py FIELD,FIELD,... PROGRAM [ARGUMENT ...]
"""
import json
import math
import subprocess
import sys


def main():
    fields, command = sys.argv[1].split(","), sys.argv[2:]
    output = subprocess.run(command + ["--quick", "--json"], check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in output.splitlines()]
    if not rows:
        sys.exit("no rows")
    for row in rows:
        missing = [field for field in fields if field not in row]
        strange = [field for field, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
        if missing or strange:
            sys.exit(f"missing {missing}, not finite {strange} in {row}")
    print(f"{len(rows)} rows")


main()
