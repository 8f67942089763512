"""What can be asked of the bench."""

import argparse
import re

import tree

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def size(text):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a size such as 500K, 50M or 2.4G")
    return int(float(match[1]) * UNITS[match[2]])


def parse():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("--backup", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--disks", choices=("yes", "no"), required=True)
    parser.add_argument("--tree", choices=sorted(tree.SHAPES), default="A")
    parser.add_argument("--files", type=int)
    parser.add_argument("--folders", type=int)
    parser.add_argument("--bytes", type=size)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--renames", type=int, default=10_000)
    parser.add_argument("--snapshots", type=int, default=20)
    parser.add_argument("--cache", choices=("warm", "cold", "both"), default="warm")
    parser.add_argument("--only")
    parser.add_argument("--out")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    given = tree.SHAPES[options.tree]
    # Fewer files than the tree has come in fewer folders.
    folders = given.folders
    if options.files:
        folders = max(1, given.folders * options.files // given.files)
    total = given.bytes * (options.files or given.files) // given.files
    options.shape = tree.Shape(options.files or given.files, options.folders or folders, options.bytes or total)
    if options.record and options.shape != given:
        parser.error(f"--record: keeps figures of tree {options.tree} as it is, and this is another shape")
    options.caches = ("warm", "cold") if options.cache == "both" else (options.cache,)
    return options
