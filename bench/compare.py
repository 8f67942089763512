#!/usr/bin/env python3
"""Times backup against rsync on one tree and prints the medians. Started by bench/run."""

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SIDES = ("ours", "rsync")
# Snapshots are made on consecutive days from here, so that rotation has days to delete.
FIRST_DAY = datetime.date(2025, 1, 1)
PLENTY = 1000
RSYNC = ["rsync", "-aHAX", "--numeric-ids"]


def quiet(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


class Bench:
    def __init__(self, options):
        self.options = options
        self.work = options.work
        self.tree = os.path.join(options.work, "tree")
        self.times = {}
        self.memory = {}
        self.changes = 0
        self.peak = os.path.join(self.work, "peak")
        self.time_tool = shutil.which("time")

    def at(self, *parts):
        return os.path.join(self.work, *parts)

    # --- one measurement ---

    def timed(self, argv, settle):
        """Runs a command and waits until what it wrote to `settle` is on disk.

        Gives the seconds of both, how many of them were the waiting, and the peak memory in MiB.
        """
        env = dict(os.environ, TZ="UTC", LC_ALL="C.UTF-8")
        # Asking the kernel for the memory of our own child would give Python's where that is more.
        counted = [self.time_tool, "-q", "-f", "%M", "-o", self.peak, *argv] if self.time_tool else argv
        with open(self.at("output"), "wb") as output:
            begin = time.perf_counter()
            code = subprocess.run(counted, stdout=output, stderr=subprocess.STDOUT, env=env).returncode
            ended = time.perf_counter()
            # One file system, not all of the machine's.
            quiet("sync", "-f", settle)
            settled = time.perf_counter()
        if code != 0:
            with open(self.at("output"), errors="replace") as output:
                sys.exit(f"{' '.join(argv)}\nended with {code}:\n{output.read()[-3000:]}")
        peak = None
        if self.time_tool:
            with open(self.peak) as file:
                peak = int(file.read()) / 1024
        return settled - begin, settled - ended, peak

    def note(self, operation, cache, side, seconds, _, peak):
        self.times.setdefault((operation, cache), {}).setdefault(side, []).append(seconds)
        if peak is not None:
            self.memory.setdefault((operation, cache), {}).setdefault(side, []).append(peak)

    def prepare(self, cache):
        for folder in (self.work, *(self.target(side) for side in SIDES)):
            quiet("sync", "-f", folder)
        if cache == "cold":
            with open("/proc/sys/vm/drop_caches", "w") as file:
                file.write("3")
            return
        for folder, _, names in os.walk(self.tree):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    while file.read(1 << 20):
                        pass

    # --- the two sides ---

    def target(self, side):
        return self.at(side)

    def fresh(self, size):
        """Empties both destinations."""
        for side in SIDES:
            target = self.target(side)
            if os.path.ismount(target):
                quiet("umount", target)
            shutil.rmtree(target, ignore_errors=True)
            os.mkdir(target)
            if self.options.disks == "yes":
                image = self.at(side + ".img")
                if os.path.exists(image):
                    os.unlink(image)
                with open(image, "wb") as file:
                    file.truncate(size)
                # All set up now, so that the kernel does not go on setting up while we measure.
                setup = "lazy_itable_init=0,lazy_journal_init=0"
                quiet("mkfs.ext4", "-q", "-F", "-m", "0", "-i", "4096", "-E", setup, image)
                quiet("mount", "-o", "loop,noatime", image, target)
        shutil.rmtree(self.at("state"), ignore_errors=True)
        self.days = {side: [] for side in SIDES}

    def config(self, keep_daily):
        path = self.at("config.json")
        local = {
            "enable": True,
            "mountPoint": self.target("ours"),
            "requireMount": self.options.disks == "yes",
            "useRsync": False,
            "keepDaily": keep_daily,
            "keepWeekly": 0,
            "keepMonthly": 0,
            "minSpaceGB": 0,
            "sources": [self.tree],
            "excludePatterns": [],
        }
        with open(path, "w") as file:
            json.dump({"version": 1, "hostname": "bench", "local": local}, file)
        return path

    def ours(self, *argv, keep_daily=PLENTY):
        folders = ["--state-dir", self.at("state"), "--log-dir", self.at("log")]
        return [self.options.backup, "--config", self.config(keep_daily), *folders, *argv]

    def copy(self, side, keep_daily=PLENTY):
        day = FIRST_DAY + datetime.timedelta(days=len(self.days[side]))
        before = self.days[side][-1:]
        self.days[side].append(str(day))
        if side == "ours":
            argv = self.ours("apply", "--now", f"{day}T02:00:00Z", keep_daily=keep_daily)
        else:
            link = [f"--link-dest={self.target(side)}/{name}" for name in before]
            argv = [*RSYNC, "--delete", *link, self.tree + "/", f"{self.target(side)}/{day}/"]
        return self.timed(argv, self.target(side))

    def snapshots(self, side):
        folder = self.target(side) + ("/bench/daily" if side == "ours" else "")
        return sorted(name for name in os.listdir(folder) if name.startswith("20"))

    def delete_oldest(self, side):
        """Our rotation is part of a run, so the run's own report says how long it took."""
        there = self.snapshots(side)
        if side == "rsync":
            seconds, waited, peak = self.timed(["rm", "-rf", f"{self.target(side)}/{there[0]}"], self.target(side))
        else:
            _, waited, _ = self.copy(side, keep_daily=len(there))
            runs = self.at("state", "runs")
            newest = max(os.listdir(runs))
            with open(os.path.join(runs, newest, "report.json")) as file:
                steps = {step["step"]: step for step in json.load(file)["steps"]}
            ends = [datetime.datetime.fromisoformat(steps["rotate"][key][:26].rstrip("Z") + "+00:00")
                    for key in ("started_at", "ended_at")]
            # The copy was on disk before the rotation began, so the wait at the end belongs to it.
            seconds, peak = (ends[1] - ends[0]).total_seconds() + waited, None
        left = self.snapshots(side)
        if there[0] in left or len(left) != len(there) - (side == "rsync"):
            sys.exit(f"{side}: meant to delete {there[0]} of {there}, left is {left}")
        return seconds, waited, peak

    def restore(self, side):
        target = self.at("restored-" + side)
        shutil.rmtree(target, ignore_errors=True)
        if side == "ours":
            argv = self.ours("restore", "latest", self.tree, target)
        else:
            argv = [*RSYNC, f"{self.target(side)}/{self.days[side][-1]}/", target + "/"]
        return self.timed(argv, self.work)

    def compare(self, side):
        """A side that is fast because it loses something has not won."""
        check = [*RSYNC, "--dry-run", "--checksum", "--delete", "--itemize-changes", self.tree + "/",
                 self.at("restored-" + side) + "/"]
        differences = subprocess.run(check, check=True, capture_output=True, text=True).stdout
        if differences:
            sys.exit(f"{side}: what it restored differs from the tree:\n{differences[:2000]}")

    # --- a round ---

    def round(self, number, cache, size):
        # Who goes first may find the cache or the disk in another state: take turns.
        order = SIDES if number % 2 == 0 else SIDES[::-1]
        self.fresh(size)

        def both(operation, action):
            for side in order:
                self.prepare(cache)
                self.note(operation, cache, side, *action(side))

        both("first copy", self.copy)
        both("nothing changed", self.copy)
        self.changes += 1
        quiet(HERE + "/make-tree.py", "--change", "1", "--seed", str(self.changes), self.tree)
        both("1 % changed", self.copy)
        both("delete one snapshot", self.delete_oldest)
        both("restore all", self.restore)
        if number == 0:
            for side in SIDES:
                self.compare(side)
        for side in SIDES:
            shutil.rmtree(self.at("restored-" + side))

    def run(self):
        entries, total = 0, 0
        for folder, folders, files in os.walk(self.tree):
            entries += len(folders) + len(files)
            total += sum(os.lstat(os.path.join(folder, name)).st_size for name in files)
        # The images are sparse: only what is written to them takes room. Folders are made anew in
        # each snapshot, and each file ends in a part of a block.
        size = 2 * total + entries * 40_000 + (1 << 29)
        caches = ("warm", "cold") if self.options.cache == "both" else (self.options.cache,)
        for cache in caches:
            for number in range(self.options.rounds):
                print(f"{cache}, round {number + 1} of {self.options.rounds}", file=sys.stderr)
                self.round(number, cache, size)
        for side in SIDES:
            if os.path.ismount(self.target(side)):
                quiet("umount", self.target(side))
        self.report(entries, total, caches)

    # --- the table ---

    def report(self, entries, total, caches):
        def version(*argv):
            output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
            return " ".join(output.splitlines()[0].split()[:3])

        where = "ext4 on loop devices" if self.options.disks == "yes" else "plain folders (not root)"
        print(f"Tree: {entries} files and folders, {total / 1e6:.0f} MB; to {where}; "
              f"medians of {self.options.rounds}.")
        print(f"{version(self.options.backup, '--version')}; {version('rsync', '--version')}; "
              f"Linux {platform.release()}; {os.cpu_count()} processors.\n")
        print("| operation | cache | backup | rsync | ratio | backup's memory | rsync's memory |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
        for (operation, cache), sides in sorted(self.times.items(), key=lambda item: caches.index(item[0][1])):
            ours, rsync = (statistics.median(sides[side]) for side in SIDES)
            memory = self.memory.get((operation, cache), {})
            peaks = [f"{max(memory[side]):.0f} MB" if side in memory else "" for side in SIDES]
            print(f"| {operation} | {cache} | {ours:.2f} s | {rsync:.2f} s | {ours / rsync:.2f} | {' | '.join(peaks)} |")
        if not self.time_tool:
            print("\nNo memory: GNU time is not installed.")
        if self.options.out:
            rows = [{"operation": operation, "cache": cache, "seconds": sides,
                     "peak_mib": self.memory.get((operation, cache), {})}
                    for (operation, cache), sides in self.times.items()]
            with open(self.options.out, "w") as file:
                json.dump(rows, file, indent=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backup", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--cache", choices=("warm", "cold", "both"), required=True)
    parser.add_argument("--disks", choices=("yes", "no"), required=True)
    parser.add_argument("--out")
    try:
        Bench(parser.parse_args()).run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
