"""From measurements to one Markdown table."""

import os
import platform
import statistics

from rounds import READ_BACK, RESTORE, VERIFY


def machine():
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    return f"{os.cpu_count()} processors, {memory:.0f} GiB, Linux {platform.release()}"


def median(measures):
    return statistics.median(one.seconds for one in measures)


def cell(measures, base):
    seconds = median(measures)
    parts = [f"{seconds:.2f} s"]
    if base:
        parts.append(f"×{seconds / base:.2f}")
    peaks = [one.peak for one in measures if one.peak is not None]
    if peaks:
        parts.append(f"{max(peaks):.0f} MB")
    return " ".join(parts)


def lines(rounds):
    options, shape = rounds.options, rounds.options.shape
    where = "each to an ext4 of its own on a loop device" if rounds.disks.real else "to plain folders (not root)"
    yield f"Tree: {shape.files:,} files in {shape.folders:,} folders, {shape.bytes / 1e6:,.0f} MB, seed {options.seed}; {where}."
    yield f"{machine()}. Medians of {options.rounds}; ×: of rsync's time (of `sha256sum`'s when verifying); MB: the peak of the largest process."
    yield "; ".join(dict.fromkeys(peer.version() for peer in rounds.peers)) + "."
    yield ""
    names = [peer.name for peer in rounds.peers]
    yield "| operation | cache | " + " | ".join(names) + " |"
    yield "| --- | --- |" + " ---: |" * len(names)
    notes = []
    for (operation, cache), found in sorted(rounds.results.items(), key=lambda item: options.caches.index(item[0][1])):
        if not found:
            continue
        base = found.get("rsync")
        if operation == READ_BACK:
            # No other does it: what it costs beside restoring alone.
            base = rounds.results[RESTORE, cache].get("rsync")
        if operation == VERIFY:
            base = next((found[peer.name] for peer in rounds.peers if peer.copies_once and peer.name in found), None)
        base = median(base) if base else None
        row = []
        for name in names:
            failure = rounds.failures.get((name, operation))
            if failure is not None:
                if failure not in notes:
                    notes.append(failure)
                row.append(f"- [{notes.index(failure) + 1}]")
            else:
                row.append(cell(found[name], base) if name in found else "")
        yield f"| {operation} | {cache} | " + " | ".join(row) + " |"
    # Failures of what is no row of its own: a repository that could not be made, say.
    told = [f"{name}, {operation}: {why}" for (name, operation), why in rounds.failures.items() if why not in notes]
    for number, note in enumerate(notes + told, 1):
        yield ""
        yield f"[{number}] {note}".replace(options.work + "/", "")
    if not rounds.clock.time_tool:
        yield ""
        yield "No memory: GNU time is not installed."
