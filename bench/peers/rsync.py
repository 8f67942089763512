"""Hard-link snapshots by rsync, bare and below rsnapshot."""

import os
import re
import subprocess

from peers.contestant import Contestant

RSYNC = ["rsync", "-aHAX", "--numeric-ids"]


class Rsync(Contestant):
    name = "rsync"
    tool = "rsync"
    many = True

    def copy(self):
        before = self.days[-1:]
        day = self.next_day()
        link = [f"--link-dest={self.target}/{name}" for name in before]
        return self.clock.run([*RSYNC, "--delete", *link, self.tree + "/", f"{self.target}/{day}/"], settle=self.target)

    def delete_oldest(self):
        oldest = min(os.listdir(self.target), key=lambda name: (not name.startswith("20"), name))
        return self.clock.run(["rm", "-rf", f"{self.target}/{oldest}"], settle=self.target)

    def restore(self, folder):
        newest = f"{self.target}/{self.days[-1]}/"
        return self.clock.run([*RSYNC, newest, folder + "/"], settle=os.path.dirname(folder))


class Rsnapshot(Contestant):
    """Deletes while it rotates and restores with cp or rsync, so it has no figures of its own there."""

    name = "rsnapshot"
    tool = "rsnapshot"

    def version(self):
        # It tells its version in its help only.
        told = subprocess.run(["rsnapshot"], capture_output=True, text=True)
        found = re.search(r"rsnapshot ([0-9.]+)", told.stdout + told.stderr)
        return "rsnapshot " + (found[1] if found else "of unknown version")

    def begin(self, target):
        super().begin(target)
        settings = [
            ("config_version", "1.2"),
            ("snapshot_root", f"{target}/snapshots/"),
            ("cmd_rsync", "/usr/bin/rsync"),
            ("cmd_rm", "/bin/rm"),
            ("retain", "daily", "1000"),
            ("lockfile", f"{self.own}/lock"),
            ("link_dest", "1"),
            ("rsync_short_args", "-aHAX"),
            ("rsync_long_args", "--delete --numeric-ids --relative"),
            ("backup", self.tree + "/", "bench/"),
        ]
        with open(os.path.join(self.own, "rsnapshot.conf"), "w") as file:
            file.writelines("\t".join(words) + "\n" for words in settings)

    def copy(self):
        self.next_day()
        return self.clock.run(["rsnapshot", "-c", os.path.join(self.own, "rsnapshot.conf"), "daily"], settle=self.target)
