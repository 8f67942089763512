"""Snapshots of a btrfs subvolume, sent to another btrfs."""

import os
import shutil

from measure import quiet
from peers.contestant import Contestant, first_line


class Btrbk(Contestant):
    """It has no restore of its own: what was sent is a folder, out of which one copies."""

    name = "btrbk"
    tool = "btrbk"
    disks = ("btrfs",)

    @classmethod
    def is_there(cls, options):
        # The tree is a subvolume only where there are disks.
        return options.disks == "yes" and all(map(shutil.which, ("btrbk", "btrfs")))

    def version(self):
        return "btrbk " + first_line("btrbk", "--version", words=9).split()[-1].rstrip(",")

    def begin(self, target):
        super().begin(target)
        # What an earlier round left beside the tree.
        self.source = os.path.dirname(self.tree)
        self.kept = os.path.join(self.source, "kept")
        if os.path.isdir(self.kept):
            for name in os.listdir(self.kept):
                quiet("btrfs", "subvolume", "delete", os.path.join(self.kept, name))
        os.makedirs(self.kept, exist_ok=True)
        os.mkdir(os.path.join(target, "sent"))
        settings = [
            "timestamp_format long-iso",
            "snapshot_preserve_min all",
            "target_preserve_min all",
            f"lockfile {self.own}/lock",
            f"volume {self.source}",
            "  snapshot_dir kept",
            f"  subvolume {os.path.basename(self.tree)}",
            f"    target {target}/sent",
        ]
        with open(os.path.join(self.own, "btrbk.conf"), "w") as file:
            file.write("\n".join(settings) + "\n")

    def copy(self):
        self.next_day()
        return self.clock.run(["btrbk", "--quiet", "--config", os.path.join(self.own, "btrbk.conf"), "run"], settle=self.target)

    def delete_oldest(self):
        sent = os.path.join(self.target, "sent")
        oldest = os.path.join(sent, min(os.listdir(sent)))
        # The second waits until its blocks are free.
        return self.clock.run(["btrfs", "subvolume", "delete", "--commit-after", oldest], ["btrfs", "subvolume", "sync", sent], settle=self.target)
