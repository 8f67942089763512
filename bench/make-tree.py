#!/usr/bin/env python3
"""Makes one of the bench's trees, or changes one."""

import argparse
import os
import sys

import tree
from options import size


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", choices=sorted(tree.SHAPES), default="A", help="whose shape (default: %(default)s)")
    parser.add_argument("--files", type=int, help="how many, if not as in that tree")
    parser.add_argument("--folders", type=int, help="how many, if not as in that tree")
    parser.add_argument("--bytes", type=size, help="of all files, if not as in that tree")
    parser.add_argument("--seed", type=int, default=1, help="another number, another tree or change")
    parser.add_argument("--change", type=float, metavar="P", help="change P percent of the files of DIR instead")
    parser.add_argument("--rename", type=int, metavar="N", help="rename N files of DIR instead")
    parser.add_argument("dir", metavar="DIR")
    options = parser.parse_args()
    if options.change is not None:
        print(f"{options.dir}: changed {tree.change(options.dir, options.change, options.seed)} files")
    elif options.rename is not None:
        print(f"{options.dir}: renamed {tree.rename(options.dir, options.rename, options.seed)} files")
    elif os.path.lexists(options.dir):
        sys.exit(f"{options.dir}: is there already")
    else:
        shape = tree.SHAPES[options.tree]
        shape = tree.Shape(options.files or shape.files, options.folders or shape.folders, options.bytes or shape.bytes)
        tree.make(options.dir, shape, options.seed)
        print(f"{options.dir}: {shape.files} files, {shape.folders} folders, {shape.bytes / 1e6:.0f} MB, seed {options.seed}")


if __name__ == "__main__":
    main()
