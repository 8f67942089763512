"""What can be asked of the bench."""

import argparse
import re

import sections
import tree

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def size(text):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a size such as 500K, 50M or 2.4G")
    return int(float(match[1]) * UNITS[match[2]])


def shape_of(options):
    """The tree's shape: fewer files than a tree has come in fewer folders, and with fewer bytes."""
    given = sections.FAR if options.dest == "sshfs" and options.tree is None else tree.SHAPES[options.tree or "A"]
    files = options.files or given.files
    folders = max(1, given.folders * files // given.files) if options.files else given.folders
    return tree.Shape(files, options.folders or folders, options.bytes or given.bytes * files // given.files)


def parse(argv=None):
    parser = argparse.ArgumentParser(prog="bench/run", allow_abbrev=False)
    parser.add_argument("--backup", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--disks", choices=("yes", "no"), required=True)
    parser.add_argument("--dest", choices=sections.DISKS)
    parser.add_argument("--tree", choices=sorted(tree.SHAPES))
    parser.add_argument("--files", type=int)
    parser.add_argument("--folders", type=int)
    parser.add_argument("--bytes", type=size)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--renames", type=int, default=10_000)
    parser.add_argument("--snapshots", type=int, default=0)
    parser.add_argument("--cache", choices=("warm", "cold", "both"), default="warm")
    parser.add_argument("--only")
    parser.add_argument("--out")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--size", choices=sections.SIZES, default="full")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(argv)
    if options.dest is None:
        options.dest = "ext4" if options.disks == "yes" else "folder"
    if options.disks == "no" and options.dest not in ("folder", "sshfs"):
        parser.error(f"--dest {options.dest}: only root can make such a disk")
    if options.disks == "no" and options.all:
        parser.error("--all: only root can make the disks")
    if options.record and not options.all:
        parser.error("--record: keeps the whole table, so it needs --all")
    if options.size != "full" and not options.all:
        parser.error(f"--size {options.size}: is of the whole table, so it needs --all; --files is for one tree")
    if options.record and options.size == "tiny":
        parser.error("--record: nothing is worth keeping of --size tiny")
    if options.rounds is None:
        options.rounds = sections.SIZES[options.size].rounds
    options.shape = shape_of(options)
    options.caches = ("warm", "cold") if options.cache == "both" else (options.cache,)
    return options
