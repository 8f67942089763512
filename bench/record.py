"""Keeps the last table in bench/README.md, between two marks, and its plot beside it."""

import datetime
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN = "<!-- the last tables: replaced by bench/run --all --record -->"
END = "<!-- end of the last tables -->"
OWN = ("README.md", "table.svg")


def commit():
    def git(*words):
        return subprocess.run(["git", "-C", HERE, *words], capture_output=True, text=True).stdout.strip()

    others = git("status", "--porcelain", "--", "..", *(f":!../bench/{name}" for name in OWN))
    return git("rev-parse", "--short", "HEAD") + (" with changes" if others else "")


def replaced(text, table):
    """The page with another table."""
    before, rest = text.split(BEGIN + "\n", 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def keep(name, text):
    """Writes a file of the bench; never half of it."""
    path = os.path.join(HERE, name)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def when(size=""):
    """The day, and the program that was measured; `size` where not all was measured in full."""
    return f"{datetime.date.today()}, commit {commit()}{size and ', ' + size}."


def record(table, when):
    with open(os.path.join(HERE, "README.md")) as file:
        text = file.read()
    keep("README.md", replaced(text, f"{when}\n\n{table}"))
