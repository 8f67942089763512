"""Keeps the last table in bench/README.md, between two marks."""

import datetime
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN = "<!-- the last table of tree {}: replaced by bench/run --record -->"
END = "<!-- end of the table of tree {} -->"


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", HERE, *words], capture_output=True, text=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain", "--", "..", ":!../bench/README.md") else "")


def record(tree, table):
    path = os.path.join(HERE, "README.md")
    with open(path) as file:
        text = file.read()
    begin, end = BEGIN.format(tree), END.format(tree)
    before, rest = text.split(begin + "\n", 1)
    _, after = rest.split(end, 1)
    when = f"{datetime.date.today()}, commit {commit()}."
    with open(path, "w") as file:
        file.write(f"{before}{begin}\n\n{when}\n\n{table}\n\n{end}{after}")
