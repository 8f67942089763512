"""One measurement: how long until it is on the disk, and what it took of processors and memory."""

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
    # Processor time in seconds, user and system, of all processes; none where it is not known.
    processor: float | None = None
    # Peak of the largest process in MiB; none where it is not known.
    peak: float | None = None
    # Requests that a server was sent.
    requests: int | None = None


def quiet(*argv, **more):
    """Runs what is not measured and must succeed."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **more)


class Clock:
    """Runs commands and says what they cost."""

    def __init__(self, work, disks):
        self.disks = disks
        self.output = os.path.join(work, "output")
        self.peak = os.path.join(work, "peak")
        # Asking the kernel for the memory of our own child would give Python's where that is more.
        self.time_tool = shutil.which("time")

    def run(self, *commands, settle, env=None, cwd=None):
        """Runs commands, then waits until what they wrote to the file system of `settle` is on disk."""
        env = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", **(env or {})}
        costs = []
        begin = time.perf_counter()
        for argv in commands:
            costs.append(self.one(argv, env, cwd))
        # One file system, not all of the machine's; of a server's it is the server's own.
        quiet("sync", "-f", self.disks.behind(settle))
        seconds = time.perf_counter() - begin
        processor, peaks = (list(column) for column in zip(*costs))
        return Measure(seconds, sum(processor), max(peaks) if None not in peaks else None)

    def one(self, argv, env, cwd):
        counted = [self.time_tool, "-q", "-f", "%M", "-o", self.peak, *argv] if self.time_tool else argv
        with open(self.output, "wb") as output:
            child = subprocess.Popen(counted, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd)
            # Of the child and all of its own that it waited for.
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            with open(self.output, errors="replace") as output:
                said = [line.strip() for line in output.read().splitlines() if line.strip()]
            raise Failed(f"`{' '.join(argv)[:80]}` ended with {child.returncode}: {' / '.join(said[-4:])[-400:]}")
        processor = used.ru_utime + used.ru_stime
        if not self.time_tool:
            return processor, None
        with open(self.peak) as file:
            return processor, int(file.read().split()[-1]) / 1024
