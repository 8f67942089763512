"""What is measured in a section, in which order, and what comes of it."""

import os
import subprocess
import sys

import disks
import tree
from measure import Clock, Failed, quiet
from peers import ALL
from peers.rsync import RSYNC

FIRST = "first copy"
NOTHING = "nothing changed"
CHANGED = "1 % changed"
DELETE = "delete one snapshot"
RESTORE = "restore all"
READ_BACK = "restore all, read back"
VERIFY = "verify all content"


def say(text):
    print(text, file=sys.stderr, flush=True)


class Rounds:
    """All measurements of one section; each goes into the journal as it is made."""

    def __init__(self, options, section, journal):
        self.options = options
        self.section = section
        self.journal = journal
        self.disks = disks.Disks(options, section)
        self.clock = Clock(options.work, self.disks)
        self.tree = os.path.join(options.work, "tree")
        self.peers = participants(options, section, self.tree, self.clock)

    def run(self):
        done, wanted = self.journal.done(self.section), self.section.rounds or self.options.rounds
        if done >= wanted:
            say(f"{self.section.title}: all rounds are measured")
            return
        self.tree = self.disks.source()
        for peer in self.peers:
            peer.tree = self.tree
        tree.make(self.tree, self.section.shape, self.section.seed)
        try:
            for number in range(done, wanted):
                say(f"{self.section.title}, round {number + 1} of {wanted}")
                self.journal.begin(self.section)
                self.round(number)
                self.journal.end(self.section)
        finally:
            for name in [peer.key() for peer in self.peers] + ["source"]:
                self.disks.remove(name)
            quiet("rm", "-rf", "--one-file-system", self.tree)

    def begin(self, number):
        """Gives everybody an empty disk; says who does everything first in this round."""
        order = in_turn(self.peers, number)
        self.out = set()
        for peer in order:
            self.guarded(peer, "begin", lambda peer: peer.begin(self.disks.fresh(peer.key())))
        return order

    def round(self, number):
        order = self.begin(number)
        if self.section.many:
            self.nothing_but_many(order)
            return
        self.each(order, FIRST, lambda peer: peer.copy())
        again = [peer for peer in order if not peer.copies_once]
        taking = [peer for peer in order if peer.takes_changes]
        # Cheap beside the rest of a round of a large tree.
        for _ in range(self.section.repeat):
            self.each(again, NOTHING, lambda peer: peer.copy())
        tree.change(self.tree, 1, number + 1)
        self.each(taking, CHANGED, lambda peer: peer.copy())
        renamed = tree.rename(self.tree, self.section.renames, number + 1)
        self.each(taking, f"{renamed:,} renames", lambda peer: peer.copy())
        self.each(order, DELETE, self.delete, "delete_oldest")
        self.each(order, RESTORE, lambda peer: self.restore(peer.restore, peer, number), "restore")
        self.each(order, READ_BACK, lambda peer: self.restore(peer.restore_and_read_back, peer, number), "restore_and_read_back")
        self.each(order, VERIFY, lambda peer: peer.verify(), "verify")
        if self.section.snapshots:
            order = [peer for peer in order if peer.many]
            self.more_snapshots(order, self.section.snapshots)
            for _ in range(self.section.repeat):
                self.each(order, nothing_with(self.section.snapshots), lambda peer: peer.copy())

    def nothing_but_many(self, order):
        """A tree so small that the number of snapshots is what costs. They are made by real runs."""
        self.each(order, FIRST, lambda peer: peer.copy())
        for _ in range(5):
            self.each(order, nothing_with(1), lambda peer: peer.copy())
        self.more_snapshots(order, self.section.many)
        for _ in range(5):
            self.each(order, nothing_with(self.section.many), lambda peer: peer.copy())

    def more_snapshots(self, order, count):
        for peer in order:
            say(f"  {peer.name}: {count:,} snapshots")
            while peer.present() < count and peer not in self.out:
                self.guarded(peer, "more snapshots", lambda peer: peer.copy())

    def delete(self, peer):
        measure = peer.delete_oldest()
        peer.deleted += 1
        return measure

    def each(self, order, operation, action, needs="copy"):
        cold = self.section.cache == "cold"
        if not cold:
            disks.read_all(self.tree)
        for peer in order:
            if peer in self.out or not peer.can(needs):
                continue
            self.disks.mount_anew(peer.target)
            if cold:
                disks.drop_caches()
            else:
                is_far = peer.target in self.disks.stores
                if operation in (RESTORE, READ_BACK, VERIFY) and not peer.copies_once and not is_far:
                    # What is read is the copy, and some kernels give unused memory back early.
                    disks.read_all(peer.target)
                # Nobody waits for what somebody else wrote.
                quiet("sync", "-f", self.options.work)
            before = self.disks.requests(peer.target)
            measure = self.guarded(peer, operation, action)
            if measure is None:
                continue
            # What a part of a command asked for cannot be told from what all of it did.
            if before is not None and measure.processor is not None:
                measure.requests = self.disks.requests(peer.target) - before
            say(f"  {operation}, {peer.name}: {measure.seconds:.2f} s")
            self.journal.measured(self.section, operation, peer.name, measure)

    def guarded(self, peer, operation, action):
        """What one cannot do must not end the bench for the others."""
        try:
            return action(peer)
        except (Failed, OSError, KeyError, ValueError, subprocess.CalledProcessError) as error:
            say(f"  {operation}, {peer.name}: {error}")
            self.journal.failed(self.section, operation, peer.name, str(error).replace(self.options.work + "/", ""))
            if operation not in (DELETE, RESTORE, READ_BACK, VERIFY):
                # Later figures would be those of another number of snapshots.
                self.out.add(peer)
            return None

    def restore(self, action, peer, number):
        # To a disk of its own: the machine's may have more to write than what we wait for.
        folder = os.path.join(self.disks.fresh("restored", local=True), "tree")
        try:
            measure = action(folder)
            if number == 0 and peer.takes_changes:
                self.compare(peer.restored_at(folder))
            return measure
        finally:
            self.disks.remove("restored")

    def compare(self, folder):
        """One that is fast because it loses something has not won."""
        check = [*RSYNC, "--dry-run", "--checksum", "--delete", "--itemize-changes", self.tree + "/", folder + "/"]
        done = subprocess.run(check, capture_output=True, text=True)
        if done.returncode != 0 or done.stdout:
            lines = done.stdout.splitlines()
            raise Failed(f"{len(lines)} differences between the tree and what it restored, such as {lines[:2]} {done.stderr[-200:]}")


def in_turn(peers, number):
    """Who goes first may find the cache or the disk in another state: take turns."""
    at = number % len(peers)
    return peers[at:] + peers[:at]


def nothing_with(snapshots):
    return f"{NOTHING}, {snapshots:,} snapshot{'' if snapshots == 1 else 's'}"


def participants(options, section, source, clock):
    """Who takes part in a section: whoever is installed, was asked for, and can write to such a disk."""
    return [
        peer(options, source, clock)
        for peer in ALL
        if peer.is_there(options)
        and (section.only is None or peer.key() in section.only)
        and (options.only is None or peer.key() in options.only.split(","))
        and (peer.disks is None or section.dest in peer.disks)
    ]
