#!/usr/bin/env python3
"""Times backup and its peers on one tree and prints the medians. Started by bench/run."""

import dataclasses
import json
import sys

import table
from options import parse
from record import record
from rounds import Rounds


def main():
    options = parse()
    rounds = Rounds(options)
    if not rounds.peers:
        sys.exit(f"--only {options.only}: names no contestant that is installed")
    rounds.run()
    text = "\n".join(table.lines(rounds))
    print(text)
    if options.record:
        record(options.tree, text)
    if options.out:
        rows = [
            {
                "operation": operation,
                "cache": cache,
                "measures": {name: [dataclasses.asdict(one) for one in all] for name, all in found.items()},
            }
            for (operation, cache), found in rounds.results.items()
        ]
        with open(options.out, "w") as file:
            json.dump({"rows": rows, "failures": [[*key, why] for key, why in rounds.failures.items()]}, file, indent=2)
    # Our own failures are no footnote.
    if any(name.startswith("backup") for name, _ in rounds.failures):
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
