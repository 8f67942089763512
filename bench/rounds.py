"""What is measured, in which order, and what comes of it."""

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


class Rounds:
    """All measurements: `results[operation, cache][name]` is a list, one for each round."""

    def __init__(self, options):
        self.options = options
        self.tree = os.path.join(options.work, "tree")
        self.disks = disks.Disks(options)
        self.clock = Clock(options.work)
        self.results = {}
        # What went wrong: `failures[name, operation]` is a sentence.
        self.failures = {}
        self.changes = 0
        self.renamed = 0
        chosen = options.only.split(",") if options.only else None
        self.peers = [
            peer(options, self.tree, self.clock)
            for peer in ALL
            if peer.is_there(options) and (chosen is None or peer.key() in chosen)
        ]

    def run(self):
        tree.make(self.tree, self.options.shape, self.options.seed)
        for cache in self.options.caches:
            for number in range(self.options.rounds):
                self.round(number, cache)
        for peer in self.peers:
            self.disks.remove(peer.key())

    def round(self, number, cache):
        print(f"{cache}, round {number + 1} of {self.options.rounds}", file=sys.stderr)
        # Who goes first may find the cache or the disk in another state: take turns.
        at = number % len(self.peers)
        order = self.peers[at:] + self.peers[:at]
        self.out = set()
        for peer in order:
            self.guarded(peer, "begin", lambda peer: peer.begin(self.disks.fresh(peer.key())))

        self.each(order, FIRST, cache, lambda peer: peer.copy())
        again = [peer for peer in order if not peer.copies_once]
        # Cheap beside the rest of a round of a large tree.
        for _ in range(self.options.repeat):
            self.each(again, NOTHING, cache, lambda peer: peer.copy())
        self.changes += 1
        tree.change(self.tree, 1, self.changes)
        self.each(again, CHANGED, cache, lambda peer: peer.copy())
        self.renamed = tree.rename(self.tree, self.options.renames, self.changes)
        self.each(again, f"{self.renamed} renames", cache, lambda peer: peer.copy())
        self.each(order, DELETE, cache, self.delete, "delete_oldest")
        self.each(order, RESTORE, cache, lambda peer: self.restore(peer.restore, peer, number), "restore")
        self.each(order, READ_BACK, cache, lambda peer: self.restore(peer.restore_and_read_back, peer, number), "restore_and_read_back")
        self.each(order, VERIFY, cache, lambda peer: peer.verify(), "verify")
        if self.options.snapshots:
            self.many([peer for peer in order if peer.many], cache)

    def delete(self, peer):
        measure = peer.delete_oldest()
        peer.deleted += 1
        return measure

    def many(self, order, cache):
        """What costs more with many snapshots would show here."""
        for peer in order:
            while peer.present() < self.options.snapshots and peer not in self.out:
                self.guarded(peer, "more snapshots", lambda peer: peer.copy())
        for _ in range(self.options.repeat):
            self.each(order, f"{NOTHING}, {self.options.snapshots} snapshots", cache, lambda peer: peer.copy())

    def each(self, order, operation, cache, action, needs="copy"):
        self.results.setdefault((operation, cache), {})
        if cache == "warm":
            disks.read_all(self.tree)
        for peer in order:
            if peer in self.out or not peer.can(needs):
                continue
            if cache == "cold":
                disks.drop_caches()
            else:
                if operation in (RESTORE, READ_BACK, VERIFY) and not peer.copies_once:
                    # What is read is the copy, and some kernels give unused memory back early.
                    disks.read_all(peer.target)
                # Nobody waits for what somebody else wrote.
                quiet("sync", "-f", self.options.work)
            measure = self.guarded(peer, operation, action)
            if measure is not None:
                print(f"  {operation}, {peer.name}: {measure.seconds:.2f} s", file=sys.stderr)
                self.results[operation, cache].setdefault(peer.name, []).append(measure)

    def guarded(self, peer, operation, action):
        """What one cannot do must not end the bench for the others."""
        try:
            return action(peer)
        except (Failed, OSError, KeyError, ValueError, subprocess.CalledProcessError) as error:
            print(f"  {operation}, {peer.name}: {error}", file=sys.stderr)
            self.failures[peer.name, operation] = str(error)
            if operation not in (DELETE, RESTORE, READ_BACK, VERIFY):
                # Later figures would be those of another number of snapshots.
                self.out.add(peer)
            return None

    def restore(self, action, peer, number):
        # To a disk of its own: the machine's may have more to write than what we wait for.
        folder = os.path.join(self.disks.fresh("restored"), "tree")
        try:
            measure = action(folder)
            if number == 0 and not peer.copies_once:
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
