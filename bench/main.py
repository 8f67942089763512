#!/usr/bin/env python3
"""Times backup and its peers on trees and prints the medians. Started by bench/run."""

import hashlib
import os
import signal
import sys

import check
import plot
import record
import sections
import table
from journal import Journal
from options import parse
from rounds import Rounds, say


def kept_at(options):
    """Where measurements go that are to outlive an interruption: with the program that they are of."""
    if options.out or not options.all:
        return options.out
    with open(options.backup, "rb") as file:
        program = hashlib.sha256(file.read()).hexdigest()[:12]
    return os.path.join(os.path.dirname(options.backup), f"bench-{program}.jsonl")


def main():
    options = parse()
    if options.check:
        sys.exit(check.run(options))
    journal = Journal(kept_at(options))
    if journal.path:
        say(f"every measurement is kept in {journal.path}, from which an interrupted bench goes on")
    asked = sections.whole(options) if options.all else sections.chosen(options)
    measured = []
    for section in asked:
        rounds = Rounds(options, section, journal)
        if not rounds.peers:
            say(f"{section.title}: nobody that is installed takes part")
            continue
        rounds.run()
        measured.append(rounds)
    if not measured:
        sys.exit(f"--only {options.only}: names no contestant that is installed")
    text = "\n".join(table.lines(measured, journal, options))
    print(text)
    if options.record:
        when = record.when(sections.SIZES[options.size].said)
        record.record(text, when)
        record.keep("table.svg", plot.draw(measured, journal, when))
    # Our own failures are no footnote.
    ours = [name for one in measured for name, _ in journal.failures(one.section) if name.startswith("backup")]
    sys.exit(1 if ours else 0)


if __name__ == "__main__":
    # As after ^C: what is mounted is unmounted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
