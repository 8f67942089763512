"""The bench's own tests: its pure parts, then a whole comparison of a tiny tree. `bench/run --check`."""

import dataclasses
import os
import shutil
import sys
import tempfile
import unittest
import xml.etree.ElementTree

import disks
import plot
import record
import rounds
import sections
import slow_sftp
import table
from journal import Journal
from measure import Measure
from options import parse
from tree import Shape

TINY = Shape(files=40, folders=6, bytes=200_000)


def section(**more):
    return sections.Section(**{"title": "40 files <to> a & b", "dest": "folder", "shape": TINY, "renames": 4, **more})


class Peer:
    """A contestant as far as the tables look at it."""

    def __init__(self, name, copies_once=False):
        self.name, self.copies_once = name, copies_once

    def version(self):
        return self.name + " 1"


class Measured:
    def __init__(self, section, *peers):
        self.section, self.peers = section, peers


ALL = ["--backup", "b", "--work", "w", "--disks", "yes", "--all"]
PEERS = (Peer("backup"), Peer("rsync"), Peer("plain", copies_once=True))


def made_up(journal, of, factor=1.0):
    """One round: backup takes a tenth of rsync's time, and verifies in half of the plain one's."""
    journal.begin(of)
    for operation in (rounds.NOTHING, rounds.RESTORE, rounds.READ_BACK, rounds.VERIFY):
        journal.measured(of, operation, "backup", Measure(factor, 0.0004 * factor, 12.0, 80))
        if operation != rounds.READ_BACK:
            journal.measured(of, operation, "rsync", Measure(10 * factor, 1.0))
        if operation == rounds.VERIFY:
            journal.measured(of, operation, "plain", Measure(2 * factor))
    journal.end(of)


class Parts(unittest.TestCase):
    def test_a_round_counts_once_it_is_finished_and_is_not_measured_again(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "new", "journal")
            journal = Journal(path)
            made_up(journal, section())
            journal.begin(section())
            journal.measured(section(), rounds.NOTHING, "backup", Measure(99.0))
            with open(path, "a") as file:
                file.write('{"cut')
            again = Journal(path)
            self.assertEqual(again.done(section()), 1)
            self.assertEqual([one.seconds for one in again.results(section())[rounds.NOTHING]["backup"]], [1.0])
            # Another number of rounds goes on with it; another tree is another section.
            self.assertEqual(again.done(section(rounds=3)), 1)
            self.assertEqual(again.done(section(seed=2)), 0)

    def test_each_is_the_first_in_its_turn(self):
        self.assertEqual([rounds.in_turn(["a", "b", "c"], number) for number in (0, 1, 3)], [["a", "b", "c"], ["b", "c", "a"], ["a", "b", "c"]])

    def test_what_follows_a_line_that_was_cut_short_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "journal")
            made_up(Journal(path), section())
            with open(path, "a") as file:
                file.write('{"cut')
            made_up(Journal(path), section())
            self.assertEqual(Journal(path).done(section()), 2)

    def test_the_table_has_medians_ratios_and_footnotes(self):
        journal = Journal()
        for factor in (1, 3, 2):
            made_up(journal, section(), factor)
        journal.begin(section())
        journal.failed(section(), rounds.VERIFY, "backup", "it broke")
        journal.end(section())
        lines = list(table.lines([Measured(section(), *PEERS)], journal, None))
        self.assertIn("| nothing changed | 2.00 s ×0.10 20.0 µs 2.00 requests 12 MB | 20.00 s ×1.00 25000.0 µs |  |", lines)
        # Nobody else reads back: beside restoring.
        self.assertIn("| restore all, read back | 2.00 s ×0.10 20.0 µs 2.00 requests 12 MB |  |  |", lines)
        self.assertIn("| verify all content | - [1] | 20.00 s ×5.00 25000.0 µs | 4.00 s ×1.00 |", lines)
        self.assertIn("[1] it broke", lines)

    def test_the_picture_is_xml_with_a_bar_for_each_ratio(self):
        journal = Journal()
        made_up(journal, section())
        picture = plot.draw([Measured(section(), *PEERS)], journal, "today, commit 1234567.")
        space = "{http://www.w3.org/2000/svg}"
        root = xml.etree.ElementTree.fromstring(picture)
        widths = [float(bar.get("width")) for bar in root.iter(space + "rect")]
        tenth = 0.1 * plot.UNIT
        # Nothing changed, restore, read back; verify of two, of which one is cut off.
        self.assertEqual(widths, [tenth, tenth, tenth, 0.5 * plot.UNIT, plot.MOST * plot.UNIT])
        texts = [text.text for text in root.iter(space + "text")]
        self.assertIn("5.00 →", texts)
        self.assertIn("40 files <to> a & b", texts)
        self.assertIn("Measured today, commit 1234567.", texts)

    def test_the_page_keeps_what_is_around_the_tables(self):
        page = f"before\n{record.BEGIN}\nold\n{record.END}\nafter\n"
        self.assertEqual(record.replaced(page, "new"), f"before\n{record.BEGIN}\n\nnew\n\n{record.END}\nafter\n")
        with open(os.path.join(record.HERE, "README.md")) as file:
            self.assertIn("new", record.replaced(file.read(), "new"))

    def test_requests_are_counted_however_they_are_cut(self):
        def packet(kind, rest):
            return (1 + len(rest)).to_bytes(4, "big") + bytes([kind]) + rest

        link = b"hardlink@openssh.com"
        stream = packet(1, b"\0\0\0\3") + packet(6, b"x" * 40_000) + packet(200, b"\0\0\0\1" + len(link).to_bytes(4, "big") + link + b"y" * 300)
        stream += packet(99, b"") + packet(7, b"\0" * 20)
        for size in (1, 3, 7, 4096, len(stream)):
            counter = slow_sftp.Counter()
            for at in range(0, len(stream), size):
                counter.add(stream[at : at + size])
            self.assertEqual(dict(counter.seen), {"init": 1, "write": 1, link.decode(): 1, "99": 1, "lstat": 1}, size)

    def test_fewer_files_come_in_fewer_folders_with_fewer_bytes(self):
        given = ["--backup", "b", "--work", "w", "--disks", "yes"]
        self.assertEqual(parse([*given, "--files", "1000"]).shape, Shape(1000, 110, 24_000_000))
        self.assertEqual(parse([*given, "--dest", "sshfs"]).shape, sections.FAR)

    def test_each_part_of_the_whole_table_is_kept_by_itself(self):
        keys, full = set(), sections.whole(parse([*ALL, "--size", "full"]))
        for size in sections.SIZES:
            options = parse([*ALL, "--size", size])
            parts = sections.whole(options)
            self.assertEqual(len({part.title for part in parts}), len(parts))
            # The same is measured at each size, and nothing of one is taken for another's.
            rows = [[(part.dest, part.cache, part.only, bool(part.many)) for part in of] for of in (parts, full)]
            self.assertEqual(*rows)
            own = {part.key() for part in parts}
            self.assertEqual(len(own), len(parts))
            self.assertEqual(keys & own, set(), size)
            keys |= own
        self.assertEqual(parse(ALL).rounds, 5)
        self.assertEqual(parse([*ALL, "--size", "small"]).rounds, 3)
        self.assertEqual(parse([*ALL, "--size", "small", "--rounds", "1"]).rounds, 1)

    def test_what_is_recorded_says_that_it_is_of_smaller_trees(self):
        self.assertNotIn("size", record.when(sections.SIZES["full"].said))
        self.assertIn("`--size small`.", record.when(sections.SIZES["small"].said))


def compare(options, of, counts):
    """A whole comparison of a tiny tree, of ever more rounds in all; gives what is wrong with it."""
    path = os.path.join(options.work, "journal-" + of.dest)
    operations = {rounds.FIRST, rounds.NOTHING, rounds.CHANGED, "4 renames", rounds.DELETE, rounds.RESTORE}
    for number in counts:
        journal = Journal(path)
        before = os.path.getsize(path) if os.path.exists(path) else 0
        options.rounds, of_before = number, journal.done(of)
        one = rounds.Rounds(options, of, journal)
        one.run()
        if journal.done(of) != number:
            yield f"{journal.done(of)} rounds are kept after round {number}"
        if number == of_before and os.path.getsize(path) != before:
            yield "a finished round was measured again"
    for (name, operation), why in journal.failures(of).items():
        yield f"{name}, {operation}: {why}"
    results = journal.results(of)
    for peer in one.peers:
        for operation in operations if not peer.copies_once else {rounds.FIRST, rounds.RESTORE}:
            if len(results.get(operation, {}).get(peer.name, [])) != counts[-1]:
                yield f"{peer.name} was not measured: {operation}"
    if of.dest == "sshfs" and not all(one.requests for one in results[rounds.NOTHING]["backup"]):
        yield "no requests were counted"
    xml.etree.ElementTree.fromstring(plot.draw([one], journal, record.when()))
    print("\n".join(table.lines([one], journal, options)))


def run(options):
    """All tests; gives the exit code."""
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(Parts)
    if not unittest.TextTestRunner(stream=sys.stderr).run(tests).wasSuccessful():
        return 1
    wrong = []
    tiny = section(dest=options.dest, only=("builtin", "rsync", "plain"))
    wrong.extend(compare(options, tiny, (1,)))
    # That it goes on where it was interrupted takes no more than the cheapest of them.
    wrong.extend(compare(options, dataclasses.replace(tiny, seed=2, only=("plain",)), (1, 1, 2)))
    # Half a second for each run is for those who measure.
    disks.ROUND_TRIP = 0.0001
    if shutil.which("sshfs") and slow_sftp.server() and os.path.exists("/dev/fuse") and options.disks == "yes":
        wrong.extend(compare(options, dataclasses.replace(tiny, dest="sshfs", only=("builtin", "rsync")), (1,)))
    else:
        print("SKIPPED: a comparison over sshfs, because that takes root, sshfs, sftp-server and /dev/fuse", file=sys.stderr)
    for one in wrong:
        print(f"bench/run --check: {one}", file=sys.stderr)
    return 1 if wrong else 0
