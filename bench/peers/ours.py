"""This project, with each of its engines."""

import datetime
import json
import os
import subprocess

from measure import Failed, Measure
from peers.contestant import Contestant, first_line

PLENTY = 100_000


class BuiltIn(Contestant):
    name = "backup"
    many = True
    use_rsync = False

    @classmethod
    def is_there(cls, options):
        return True

    def version(self):
        return first_line(self.options.backup, "--version")

    def config(self, keep_daily=PLENTY):
        path = os.path.join(self.own, "config.json")
        local = {
            "enable": True,
            "mountPoint": self.target,
            "requireMount": self.options.disks == "yes",
            "useRsync": self.use_rsync,
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

    def command(self, *argv, keep_daily=PLENTY):
        folders = ["--state-dir", os.path.join(self.own, "state"), "--log-dir", os.path.join(self.own, "log")]
        return [self.options.backup, "--config", self.config(keep_daily), *folders, *argv]

    def copy(self, keep_daily=PLENTY):
        argv = self.command("apply", "--now", f"{self.next_day()}T02:00:00Z", keep_daily=keep_daily)
        return self.clock.run(argv, settle=self.target)

    def snapshots(self):
        names = os.listdir(os.path.join(self.target, "bench", "daily"))
        return sorted(name for name in names if name.startswith("20"))

    def delete_oldest(self):
        """Rotation is part of a run, so the run's own report says how long it took."""
        there = self.snapshots()
        self.copy(keep_daily=len(there))
        runs = os.path.join(self.own, "state", "runs")
        with open(os.path.join(runs, max(os.listdir(runs)), "report.json")) as file:
            steps = {step["step"]: step for step in json.load(file)["steps"]}
        begin, end = (
            datetime.datetime.fromisoformat(steps["rotate"][key][:26].rstrip("Z") + "+00:00")
            for key in ("started_at", "ended_at")
        )
        left = self.snapshots()
        if there[0] in left or len(left) != len(there):
            raise Failed(f"meant to delete {there[0]} of {there}, left is {left}")
        return Measure((end - begin).total_seconds())

    def restore(self, folder):
        return self.restored("--no-read-back", folder=folder)

    def restore_and_read_back(self, folder):
        """What a user gets who asks for nothing else; no other reads what it wrote."""
        return self.restored(folder=folder)

    def restored(self, *options, folder):
        argv = self.command("restore", *options, "latest", self.tree, folder)
        return self.clock.run(argv, settle=os.path.dirname(folder))

    def can(self, operation):
        if operation == "verify":
            asked = [self.options.backup, "verify", "--help"]
            return subprocess.run(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        return super().can(operation)

    def verify(self):
        return self.clock.run(self.command("verify", "latest", "--full"), settle=self.target)


class WithRsync(BuiltIn):
    name = "backup, rsync engine"
    use_rsync = True

    @classmethod
    def is_there(cls, options):
        """Only if the program takes the option."""
        path = os.path.join(options.work, "check.json")
        with open(path, "w") as file:
            json.dump({"version": 1, "local": {"enable": True, "useRsync": True, "sources": ["/home"]}}, file)
        asked = [options.backup, "check", path]
        return subprocess.run(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
