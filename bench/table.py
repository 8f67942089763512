"""From measurements to tables in Markdown."""

import os
import platform
import shutil
import statistics

from rounds import READ_BACK, RESTORE, VERIFY

RSYNC = "rsync"


def machine():
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    return f"{os.cpu_count()} processors, {memory:.0f} GiB, Linux {platform.release()}"


def median(values):
    """The middle one of those that are known; none if none is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def seconds(measures):
    return median(one.seconds for one in measures)


def base_of(operation, results, verifier):
    """What an operation's times are divided by, in seconds; none where nobody else does it."""
    if operation == READ_BACK:
        # No other does it: what it costs beside restoring alone.
        operation = RESTORE
    name = verifier if operation == VERIFY else RSYNC
    measures = results.get(operation, {}).get(name)
    return seconds(measures) if measures else None


def cell(measures, base, files):
    """What one contestant took for an operation."""
    took = seconds(measures)
    parts = [f"{took:.2f} s"]
    if base:
        parts.append(f"×{took / base:.2f}")
    if (processor := median(one.processor for one in measures)) is not None:
        parts.append(f"{processor / files * 1e6:.1f} µs")
    if (requests := median(one.requests for one in measures)) is not None:
        parts.append(f"{requests / files:.2f} requests")
    if peaks := [one.peak for one in measures if one.peak is not None]:
        parts.append(f"{max(peaks):.0f} MB")
    return " ".join(parts)


def loads(values):
    """What else the machine did, as far as its load tells."""
    low, high = min(values), max(values)
    return f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"


def verifier_of(peers):
    return next((peer.name for peer in peers if peer.copies_once), None)


def rows(section, peers, journal):
    """The table of a section, and its footnotes."""
    names = [peer.name for peer in peers]
    results, failures = journal.results(section), journal.failures(section)
    yield "| operation | " + " | ".join(names) + " |"
    yield "| --- |" + " ---: |" * len(names)
    notes = []
    for operation, found in results.items():
        base = base_of(operation, results, verifier_of(peers))
        row = []
        for name in names:
            failure = failures.get((name, operation))
            if failure is not None:
                if failure not in notes:
                    notes.append(failure)
                row.append(f"- [{notes.index(failure) + 1}]")
            else:
                row.append(cell(found[name], base, section.shape.files) if name in found else "")
        yield f"| {operation} | " + " | ".join(row) + " |"
    # Failures of what is no row of its own: a repository that could not be made, say.
    told = [f"{name}, {operation}: {why}" for (name, operation), why in failures.items() if why not in notes]
    for number, note in enumerate(notes + told, 1):
        yield ""
        yield f"[{number}] {note}"


def lines(measured, journal, options):
    """All tables, with what they are of."""
    versions = dict.fromkeys(peer.version() for one in measured for peer in one.peers)
    yield f"{machine()}. {'; '.join(versions)}."
    yield ""
    yield (
        "Medians of all rounds. ×: of rsync's time (of `sha256sum`'s when verifying); µs: processor time for each file of the tree; "
        "MB: the peak of the largest process."
    )
    for one in measured:
        section, shape = one.section, one.section.shape
        count = journal.done(section)
        if not count:
            continue
        yield ""
        yield f"### {section.title}"
        yield ""
        rounds = "1 round" if count == 1 else f"{count} rounds"
        yield (
            f"{shape.files:,} files in {shape.folders:,} folders, {shape.bytes / 1e6:,.0f} MB, seed {section.seed}; {rounds}; "
            f"load at the beginning of a round {loads(journal.loads(section))}."
        )
        yield ""
        yield from rows(section, one.peers, journal)
    if not shutil.which("time"):
        yield ""
        yield "No memory: GNU time is not installed."
