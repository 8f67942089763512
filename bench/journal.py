"""Every measurement is kept as it is made, so that an interrupted bench goes on.

A file of JSON, one object a line, that is only added to. What belongs together is a round of a section:
one that was interrupted is measured anew, because the disks it wrote to went with it.
"""

import dataclasses
import json
import os

from measure import Measure


class Journal:
    """What was measured, in memory and in a file if there is one."""

    def __init__(self, path=None):
        self.path = path
        # `rounds[section]` is a list of finished rounds, each the list of its lines.
        self.rounds = {}
        self.open = {}
        for line in self.lines():
            self.take(line)

    def lines(self):
        if not self.path or not os.path.exists(self.path):
            return
        with open(self.path, "rb+") as file:
            known = file.read()
            # The last line may have been cut short; the next one is to stand by itself.
            whole = known[: known.rfind(b"\n") + 1]
            file.truncate(len(whole))
        yield from map(json.loads, whole.splitlines())

    def take(self, line):
        section = line["section"]
        if line["what"] == "begin":
            self.open[section] = [line]
        elif line["what"] == "end":
            self.rounds.setdefault(section, []).append(self.open.pop(section))
        else:
            self.open[section].append(line)

    def add(self, section, what, **more):
        line = {"section": section.key(), "what": what, **more}
        self.take(line)
        if self.path:
            os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")

    def begin(self, section):
        self.add(section, "begin", load=os.getloadavg()[0])

    def measured(self, section, operation, name, measure):
        self.add(section, "measure", operation=operation, name=name, **dataclasses.asdict(measure))

    def failed(self, section, operation, name, why):
        self.add(section, "failure", operation=operation, name=name, why=why)

    def end(self, section):
        self.add(section, "end")

    def done(self, section):
        """How many rounds of a section are finished."""
        return len(self.rounds.get(section.key(), []))

    def of(self, section, what):
        """The lines of a kind in all finished rounds of a section, in their order."""
        return [line for round in self.rounds.get(section.key(), []) for line in round if line["what"] == what]

    def results(self, section):
        """`results[operation][name]` are the measurements of a contestant."""
        results = {}
        fields = [field.name for field in dataclasses.fields(Measure)]
        for line in self.of(section, "measure"):
            measure = Measure(**{name: line.get(name) for name in fields})
            results.setdefault(line["operation"], {}).setdefault(line["name"], []).append(measure)
        return results

    def failures(self, section):
        """`failures[name, operation]` is a sentence."""
        return {(line["name"], line["operation"]): line["why"] for line in self.of(section, "failure")}

    def loads(self, section):
        """The machine's load at the beginning of each round."""
        return [line["load"] for line in self.of(section, "begin")]
