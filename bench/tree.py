"""Trees of files like a home folder's, and changes to them.

The same numbers give the same names, sizes, contents, modes and times on every machine.
"""

import dataclasses
import os
import random

# Any fixed time in the past will do: a copy made at "now" must not look unchanged by accident.
EPOCH = 1_700_000_000
DAY = 86_400
DEEPEST = 8
# Spread of the logarithm of the sizes: many small files, a few that hold most of the bytes.
SIGMA = 2.0
POOL = 1 << 23


@dataclasses.dataclass
class Shape:
    """What a tree is made of."""

    files: int
    folders: int
    bytes: int


# The trees that figures are told of.
SHAPES = {
    "A": Shape(files=100_000, folders=11_000, bytes=2_400_000_000),
    "B": Shape(files=1_000_000, folders=10_000, bytes=1_000_000_000),
}


def write(path, length, pool, dice):
    """Fills a file with bytes that neither compress nor repeat from file to file."""
    with open(path, "wb") as file:
        while length > 0:
            start = dice.randrange(POOL // 2)
            part = pool[start : start + min(length, POOL // 2)]
            file.write(part)
            length -= len(part)


def make(root, shape, seed):
    dice = random.Random(seed)
    pool = dice.randbytes(POOL)
    os.makedirs(root, exist_ok=True)
    folders = [(root, 0)]
    for number in range(max(1, shape.folders - 1)):
        parent, depth = folders[dice.randrange(len(folders))]
        while depth >= DEEPEST:
            parent, depth = folders[dice.randrange(len(folders))]
        path = os.path.join(parent, f"folder-{number:06}")
        os.mkdir(path)
        folders.append((path, depth + 1))

    weights = [dice.lognormvariate(0, SIGMA) for _ in range(shape.files)]
    scale = shape.bytes / sum(weights) if weights else 0
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


def listed(root):
    """All folders and all files, each in one order."""
    folders, files = [], []
    for folder, below, names in os.walk(root):
        below.sort()
        folders.append(folder)
        files.extend(os.path.join(folder, name) for name in sorted(names))
    return folders, files


def measured(root):
    """The shape of a tree."""
    folders, files = listed(root)
    return Shape(len(files), len(folders), sum(os.lstat(path).st_size for path in files))


def change(root, percent, seed):
    """Gives some percent of the files other content; says how many."""
    dice = random.Random(f"change {seed}")
    pool = dice.randbytes(POOL)
    _, files = listed(root)
    chosen = dice.sample(files, min(len(files), max(1, round(len(files) * percent / 100))))
    for path in chosen:
        write(path, os.stat(path).st_size, pool, dice)
        # Later than any time of the tree, and another one after each change.
        when = EPOCH + DAY * (1 + seed)
        os.utime(path, (when, when))
    return len(chosen)


def rename(root, count, seed):
    """Moves files to other folders under other names, at most a tenth of them; says how many."""
    dice = random.Random(f"rename {seed}")
    folders, files = listed(root)
    chosen = dice.sample(files, min(count, max(1, len(files) // 10)))
    for number, path in enumerate(chosen):
        folder = folders[dice.randrange(len(folders))]
        os.rename(path, os.path.join(folder, f"renamed-{seed:03}-{number:07}"))
    return len(chosen)
