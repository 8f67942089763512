#!/usr/bin/env python3
"""Makes a tree of files like a home folder's, or changes a part of one.

The same numbers give the same names, sizes, contents, modes and times on every machine.
"""

import argparse
import os
import random
import re
import sys

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
# Any fixed time in the past will do: a copy made at "now" must not look unchanged by accident.
EPOCH = 1_700_000_000
DAY = 86_400
FILES_PER_FOLDER = 9
DEEPEST = 8
# Spread of the logarithm of the sizes: many small files, a few that hold most of the bytes.
SIGMA = 2.0
POOL = 1 << 23


def size(text):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a size such as 500K, 50M or 2.4G")
    return int(float(match[1]) * UNITS[match[2]])


def write(path, length, pool, dice):
    """Fills a file with bytes that neither compress nor repeat from file to file."""
    with open(path, "wb") as file:
        while length > 0:
            start = dice.randrange(POOL // 2)
            part = pool[start : start + min(length, POOL // 2)]
            file.write(part)
            length -= len(part)


def make(root, files, total, seed):
    dice = random.Random(seed)
    pool = dice.randbytes(POOL)
    os.mkdir(root)
    folders = [(root, 0)]
    for number in range(max(1, files // FILES_PER_FOLDER)):
        parent, depth = folders[dice.randrange(len(folders))]
        while depth >= DEEPEST:
            parent, depth = folders[dice.randrange(len(folders))]
        path = os.path.join(parent, f"folder-{number:06}")
        os.mkdir(path)
        folders.append((path, depth + 1))

    weights = [dice.lognormvariate(0, SIGMA) for _ in range(files)]
    scale = total / sum(weights) if files else 0
    for number, weight in enumerate(weights):
        folder, _ = folders[dice.randrange(len(folders))]
        path = os.path.join(folder, f"file-{number:07}")
        write(path, int(weight * scale), pool, dice)
        os.chmod(path, (0o644, 0o644, 0o600, 0o755)[dice.randrange(4)])
        when = EPOCH - dice.randrange(1000 * DAY)
        os.utime(path, (when, when))
    # Last, because each file made in a folder changes the folder's time.
    for path, _ in folders:
        os.utime(path, (EPOCH, EPOCH))
    print(f"{root}: {files} files, {len(folders)} folders, {total / 1e6:.0f} MB, seed {seed}")


def change(root, percent, seed):
    dice = random.Random(f"change {seed}")
    pool = dice.randbytes(POOL)
    paths = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        paths.extend(os.path.join(folder, name) for name in sorted(names))
    chosen = dice.sample(paths, min(len(paths), max(1, round(len(paths) * percent / 100))))
    changed = 0
    for path in chosen:
        before = os.stat(path)
        write(path, before.st_size, pool, dice)
        # Later than any time of the tree, and another one after each change.
        when = EPOCH + DAY * (1 + seed)
        os.utime(path, (when, when))
        changed += before.st_size
    print(f"{root}: changed {len(chosen)} of {len(paths)} files, {changed / 1e6:.1f} MB, seed {seed}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="how many (default: %(default)s)")
    parser.add_argument("--bytes", type=size, default="2.4G", help="of all files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another number, another tree or change")
    parser.add_argument("--change", type=float, metavar="P", help="change P percent of the files of DIR instead")
    parser.add_argument("dir", metavar="DIR")
    options = parser.parse_args()
    if options.change is not None:
        change(options.dir, options.change, options.seed)
    elif os.path.lexists(options.dir):
        sys.exit(f"{options.dir}: is there already")
    else:
        make(options.dir, options.files, options.bytes, options.seed)


if __name__ == "__main__":
    main()
