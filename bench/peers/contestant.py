"""What the bench asks of a contestant."""

import datetime
import os
import shutil
import subprocess

# Snapshots are made on consecutive days from here, so that rotation has days to delete.
FIRST_DAY = datetime.date(2020, 1, 1)


def first_line(*argv, words=3):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = done.stdout.splitlines() or ["?"]
    return " ".join(lines[0].split()[:words])


class Contestant:
    """Makes snapshots of a tree. `delete_oldest`, `restore` and `verify` are there or not."""

    # The table's heading.
    name = ""
    # The program that must be installed.
    tool = ""
    # The disks that it can write to, if not to all.
    disks = None
    # Whether its cost with many snapshots is measured too.
    many = False
    # Whether its first copy is its only one.
    copies_once = False
    # Whether what it has is the tree as it is after changes.
    takes_changes = True

    def __init__(self, options, tree, clock):
        self.options = options
        self.tree = tree
        self.clock = clock
        self.target = None
        # When snapshots were made, and how many of them are gone.
        self.days = []
        self.deleted = 0
        # Caches and configuration, not on the disk that is written to.
        self.own = os.path.join(options.work, "own-" + self.key())

    @classmethod
    def key(cls):
        return cls.__name__.lower()

    @classmethod
    def is_there(cls, options):
        return shutil.which(cls.tool) is not None

    def version(self):
        return first_line(self.tool, "--version")

    def begin(self, target):
        """Starts anew with an empty folder."""
        self.target = target
        self.days = []
        self.deleted = 0
        shutil.rmtree(self.own, ignore_errors=True)
        os.mkdir(self.own)

    def next_day(self):
        day = FIRST_DAY + datetime.timedelta(days=len(self.days))
        self.days.append(str(day))
        return str(day)

    def copy(self):
        """Makes one more snapshot."""
        raise NotImplementedError

    def present(self):
        return len(self.days) - self.deleted

    def can(self, operation):
        return hasattr(self, operation)

    def restored_at(self, folder):
        """Where the tree's content is in a folder that `restore` filled."""
        return folder
