"""The file systems that the contestants write to, and what the page cache holds."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time

import slow_sftp
from measure import Failed, quiet

HERE = os.path.dirname(os.path.abspath(__file__))
# Seconds that a request and its answer are under way together.
ROUND_TRIP = 0.001

# All is set up when a file system is made, so that the kernel does not go on doing so while we measure.
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}


class Disks:
    """As root a file system of its own on a loop device for each contestant; else plain folders.

    For sshfs that is the server's, and what the contestant gets is the mount of it.
    """

    def __init__(self, options, section):
        self.work = options.work
        self.real = options.disks == "yes"
        self.section = section
        # Where what a mount shows stands itself, by the mount.
        self.stores = {}
        shape, snapshots = section.shape, max(section.snapshots, section.many) + 12
        # Twice all files, each of which ends in a part of a block; folders anew in each snapshot.
        # The images are sparse: only what is written to them takes room.
        self.size = 2 * (shape.bytes + 4096 * shape.files) + 6000 * shape.folders * snapshots + (1 << 30)
        self.inodes = 2 * shape.files + (shape.folders + 16) * snapshots + 100_000

    def at(self, name):
        return os.path.join(self.work, "disk-" + name)

    def source(self):
        """Where the tree goes: to a subvolume of its own where snapshots of it may be sent."""
        if self.section.dest != "btrfs" or not self.real:
            return os.path.join(self.work, "tree")
        tree = os.path.join(self.fresh("source"), "tree")
        quiet("btrfs", "subvolume", "create", tree)
        return tree

    def fresh(self, name, local=False):
        """Gives a contestant an empty one; `local` is never at a distance."""
        target = self.at(name)
        self.remove(name)
        os.mkdir(target)
        dest = self.section.dest
        if dest != "sshfs" or local:
            self.make("ext4" if dest == "sshfs" else dest, target)
            return target
        store = target + ".store"
        os.mkdir(store)
        self.make("ext4", store)
        self.stores[target] = store
        self.mount_far(target)
        return target

    def make(self, dest, target):
        if not self.real or dest == "folder":
            return
        image = target + ".img"
        with open(image, "wb") as file:
            file.truncate(self.size)
        inodes = ["-N", str(self.inodes)] if dest == "ext4" else []
        quiet(*MAKE[dest], *inodes, image)
        attach(image, target)
        # Making it is no part of what is measured.
        quiet("sync", "-f", self.work)

    def remove(self, name):
        target = self.at(name)
        self.stores.pop(target, None)
        for path in (target, target + ".store"):
            if os.path.ismount(path):
                detach(path)
            shutil.rmtree(path, ignore_errors=True)
            if os.path.exists(path + ".img"):
                os.unlink(path + ".img")

    def behind(self, path):
        """What a path's file system is stored on."""
        return next((store for mount, store in self.stores.items() if path.startswith(mount)), path)

    def mount_far(self, target):
        counts = target + ".requests"
        server = [sys.executable, os.path.join(HERE, "slow_sftp.py"), "--round-trip", str(ROUND_TRIP), "--counts", counts]
        with open(counts, "w") as file:
            file.write("{}")
        quiet("sshfs", "-o", f"ssh_command={shlex.join(server)}", f"far:{self.stores[target]}", target)

    def mount_anew(self, target):
        """As a night finds it, which knows nothing of the server's files."""
        if target in self.stores:
            detach(target)
            self.mount_far(target)

    def requests(self, target):
        """How many a server was sent since it was mounted; none where there is no server."""
        if target not in self.stores:
            return None
        # It writes them down once no more have come for a moment.
        time.sleep(5 * slow_sftp.IDLE)
        with open(target + ".requests") as file:
            return sum(json.load(file).values())


def attach(image, target):
    """Mounts an image like a disk: what is written to it does not stand in memory a second time."""
    direct = ["losetup", "--direct-io=on", "--find", "--show", image]
    found = subprocess.run(direct, capture_output=True, text=True)
    if found.returncode != 0:
        # What the image is on cannot do without the page cache.
        quiet("mount", "-o", "loop,noatime", image, target)
        return
    device = found.stdout.strip()
    try:
        quiet("mount", "-o", "noatime", device, target)
    finally:
        # It goes with the last that uses it.
        quiet("losetup", "--detach", device)


def detach(path):
    """Unmounts it, which whoever looks at it for a moment does not hold up for long."""
    for _ in range(50):
        done = subprocess.run(["umount", path], capture_output=True, text=True)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise Failed(f"cannot unmount {path}: {done.stderr.strip()}")


def drop_caches():
    quiet("sync")
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def read_all(folder):
    """Brings all of a tree into the page cache."""
    find = subprocess.Popen(["find", folder, "-type", "f", "-print0"], stdout=subprocess.PIPE)
    quiet("xargs", "-0", "-r", "-P2", "-n", "500", "cat", "--", stdin=find.stdout)
    find.wait()
