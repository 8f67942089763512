"""What the system's own tools take for a part of the work: a floor to compare with."""

import os

from peers.contestant import Contestant, first_line


class Plain(Contestant):
    """`cp -a` to copy and restore, `rm -rf` to delete, `sha256sum` to read everything."""

    name = "cp -a, rm -rf, sha256sum"
    tool = "cp"
    # It has no next snapshot that shares with the one before.
    copies_once = True
    takes_changes = False

    def version(self):
        return first_line("cp", "--version", words=4).removeprefix("cp ")

    def copy(self):
        day = self.next_day()
        return self.clock.run(["cp", "-a", "-T", self.tree, f"{self.target}/{day}"], settle=self.target)

    def delete_oldest(self):
        # Like a snapshot: a tree of links, whose files stay.
        links = f"{self.target}/links"
        self.clock.run(["cp", "-al", "-T", f"{self.target}/{self.days[0]}", links], settle=self.target)
        return self.clock.run(["rm", "-rf", links], settle=self.target)

    def restore(self, folder):
        newest = f"{self.target}/{self.days[-1]}"
        return self.clock.run(["cp", "-a", "-T", newest, folder], settle=os.path.dirname(folder))

    def verify(self):
        newest = f"{self.target}/{self.days[-1]}"
        script = 'find "$1" -type f -print0 | xargs -0 -r -P2 -n 100 sha256sum > /dev/null'
        return self.clock.run(["sh", "-c", script, "sh", newest], settle=self.target)


class Floor(Contestant):
    """The calls of the kernel that cannot be done without, and nothing else: executor/examples/floor.rs."""

    name = "the least calls"
    takes_changes = False

    @staticmethod
    def program(options):
        return os.path.join(os.path.dirname(options.backup), "examples", "floor")

    @classmethod
    def is_there(cls, options):
        return os.access(cls.program(options), os.X_OK)

    def version(self):
        return "floor.rs"

    def floor(self, *words, settle):
        return self.clock.run([self.program(self.options), *words], settle=settle)

    def copy(self):
        """The first one copies; as long as nothing changed, the next can be links to it."""
        first = f"{self.target}/{self.days[0]}" if self.days else None
        to = f"{self.target}/{self.next_day()}"
        words = ("link", self.tree, first, to) if first else ("copy", self.tree, to)
        return self.floor(*words, settle=self.target)

    def restore(self, folder):
        return self.floor("copy", f"{self.target}/{self.days[-1]}", folder, settle=os.path.dirname(folder))

    def verify(self):
        return self.floor("read", f"{self.target}/{self.days[-1]}", settle=self.target)
