"""The file systems that the contestants write to, and what the page cache holds."""

import os
import shutil
import subprocess

from measure import quiet


class Disks:
    """As root an ext4 file system on a loop device for each contestant; else plain folders."""

    def __init__(self, options):
        self.work = options.work
        self.real = options.disks == "yes"
        shape, snapshots = options.shape, options.snapshots + 12
        # Twice all files, each of which ends in a part of a block; folders anew in each snapshot.
        # The images are sparse: only what is written to them takes room.
        self.size = 2 * (shape.bytes + 4096 * shape.files) + 6000 * shape.folders * snapshots + (1 << 30)
        self.inodes = 2 * shape.files + shape.folders * snapshots + 100_000

    def at(self, name):
        return os.path.join(self.work, "disk-" + name)

    def fresh(self, name):
        """Gives a contestant an empty one."""
        target = self.at(name)
        self.remove(name)
        os.mkdir(target)
        if not self.real:
            return target
        image = target + ".img"
        with open(image, "wb") as file:
            file.truncate(self.size)
        # All set up now, so that the kernel does not go on setting up while we measure.
        setup = "lazy_itable_init=0,lazy_journal_init=0"
        quiet("mkfs.ext4", "-q", "-F", "-m", "0", "-N", str(self.inodes), "-E", setup, image)
        attach(image, target)
        # Making it is no part of what is measured.
        quiet("sync", "-f", self.work)
        return target

    def remove(self, name):
        target = self.at(name)
        if os.path.ismount(target):
            quiet("umount", target)
        shutil.rmtree(target, ignore_errors=True)
        if os.path.exists(target + ".img"):
            os.unlink(target + ".img")


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


def drop_caches():
    quiet("sync")
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def read_all(folder):
    """Brings all of a tree into the page cache."""
    find = subprocess.Popen(["find", folder, "-type", "f", "-print0"], stdout=subprocess.PIPE)
    quiet("xargs", "-0", "-r", "-P2", "-n", "500", "cat", "--", stdin=find.stdout)
    find.wait()
