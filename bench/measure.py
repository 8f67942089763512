"""One measurement: how long until it is on the disk, and how much memory it took."""

import dataclasses
import os
import shutil
import subprocess
import time


class Failed(Exception):
    """A contestant did not do what it was asked to; the message says why."""


@dataclasses.dataclass
class Measure:
    seconds: float
    # Peak of the largest process in MiB; none where it is not known.
    peak: float | None = None


def quiet(*argv, **more):
    """Runs what is not measured and must succeed."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **more)


class Clock:
    """Runs commands and says what they cost."""

    def __init__(self, work):
        self.output = os.path.join(work, "output")
        self.peak = os.path.join(work, "peak")
        # Asking the kernel for the memory of our own child would give Python's where that is more.
        self.time_tool = shutil.which("time")

    def run(self, *commands, settle, env=None, cwd=None):
        """Runs commands, then waits until what they wrote to the file system of `settle` is on disk."""
        env = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", **(env or {})}
        peaks = []
        begin = time.perf_counter()
        for argv in commands:
            peaks.append(self.one(argv, env, cwd))
        # One file system, not all of the machine's.
        quiet("sync", "-f", settle)
        seconds = time.perf_counter() - begin
        return Measure(seconds, max(peaks) if None not in peaks else None)

    def one(self, argv, env, cwd):
        counted = [self.time_tool, "-q", "-f", "%M", "-o", self.peak, *argv] if self.time_tool else argv
        with open(self.output, "wb") as output:
            done = subprocess.run(counted, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd)
        if done.returncode != 0:
            with open(self.output, errors="replace") as output:
                said = [line.strip() for line in output.read().splitlines() if line.strip()]
            raise Failed(f"`{' '.join(argv)[:80]}` ended with {done.returncode}: {' / '.join(said[-4:])[-400:]}")
        if not self.time_tool:
            return None
        with open(self.peak) as file:
            return int(file.read().split()[-1]) / 1024
