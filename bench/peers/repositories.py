"""Programs that keep snapshots in a repository of their own format.

Each compresses and encrypts as it does by default; borg does not encrypt. Deleting includes what
gives the room back (prune, compact); verifying reads all data.
"""

import json
import os
import subprocess

from measure import Failed, quiet
from peers.contestant import Contestant, first_line


class Repository(Contestant):
    def env(self):
        return {}

    def run(self, *commands, settle=None, cwd=None):
        return self.clock.run(*commands, settle=settle or self.target, env=self.env(), cwd=cwd)

    def told(self, *argv):
        done = subprocess.run(argv, env={**os.environ, **self.env()}, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"`{' '.join(argv)}` ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return done.stdout

    def restored_at(self, folder):
        # Whole paths come back.
        return folder + self.tree


class Restic(Repository):
    name = "restic"
    tool = "restic"

    def version(self):
        return " ".join(first_line("restic", "version").split()[:2])

    def env(self):
        return {
            "RESTIC_REPOSITORY": self.target + "/repository",
            "RESTIC_PASSWORD": "bench",
            "RESTIC_CACHE_DIR": self.own,
        }

    def begin(self, target):
        super().begin(target)
        quiet("restic", "init", env={**os.environ, **self.env()})

    def copy(self):
        self.next_day()
        return self.run(["restic", "backup", "--quiet", self.tree])

    def delete_oldest(self):
        found = json.loads(self.told("restic", "snapshots", "--json"))
        oldest = min(found, key=lambda one: one["time"])
        return self.run(["restic", "forget", "--quiet", "--prune", oldest["id"]])

    def restore(self, folder):
        return self.run(["restic", "restore", "latest", "--target", folder], settle=os.path.dirname(folder))

    def verify(self):
        return self.run(["restic", "check", "--read-data"])


class Rustic(Repository):
    name = "rustic"
    tool = "rustic"

    def env(self):
        return {
            "RUSTIC_REPOSITORY": self.target + "/repository",
            "RUSTIC_PASSWORD": "bench",
            "RUSTIC_CACHE_DIR": self.own,
        }

    def begin(self, target):
        super().begin(target)
        quiet("rustic", "init", env={**os.environ, **self.env()}, stderr=subprocess.DEVNULL)

    def copy(self):
        self.next_day()
        return self.run(["rustic", "backup", self.tree])

    def delete_oldest(self):
        # Snapshots stand in groups of one host and path: [[group, [snapshot, ...]], ...].
        groups = json.loads(self.told("rustic", "snapshots", "--json"))
        found = [one for group in groups for one in (group["snapshots"] if isinstance(group, dict) else group[1])]
        oldest = min(found, key=lambda one: one["time"])
        return self.run(["rustic", "forget", "--prune", "--instant-delete", oldest["id"]])

    def restore(self, folder):
        return self.run(["rustic", "restore", "latest:" + self.tree, folder], settle=os.path.dirname(folder))

    def restored_at(self, folder):
        return folder

    def verify(self):
        return self.run(["rustic", "check", "--read-data"])


class Kopia(Repository):
    name = "kopia"
    tool = "kopia"

    def env(self):
        return {
            "KOPIA_PASSWORD": "bench",
            "KOPIA_CONFIG_PATH": self.own + "/repository.config",
            "KOPIA_CACHE_DIRECTORY": self.own + "/cache",
            "KOPIA_LOG_DIR": self.own + "/log",
            "KOPIA_CHECK_FOR_UPDATES": "false",
        }

    def begin(self, target):
        super().begin(target)
        quiet("kopia", "repository", "create", "filesystem", "--path", target + "/repository", env={**os.environ, **self.env()}, stderr=subprocess.DEVNULL)

    def copy(self):
        self.next_day()
        return self.run(["kopia", "snapshot", "create", "--no-progress", self.tree])

    def listed(self):
        return sorted(json.loads(self.told("kopia", "snapshot", "list", "--json", self.tree)), key=lambda one: one["startTime"])

    def delete_oldest(self):
        # Without its waits for others who may write to the repository.
        return self.run(
            ["kopia", "snapshot", "delete", self.listed()[0]["id"], "--delete"],
            ["kopia", "maintenance", "run", "--full", "--safety=none"],
        )

    def restore(self, folder):
        return self.run(["kopia", "snapshot", "restore", self.listed()[-1]["id"], folder], settle=os.path.dirname(folder))

    def restored_at(self, folder):
        return folder

    def verify(self):
        return self.run(["kopia", "snapshot", "verify", "--verify-files-percent=100"])


class Borg(Repository):
    name = "borg"
    tool = "borg"

    def version(self):
        return first_line("borg", "--version")

    def env(self):
        return {
            "BORG_BASE_DIR": self.own,
            "BORG_REPO": self.target + "/repository",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
            "BORG_CHECK_I_KNOW_WHAT_I_AM_DOING": "YES",
        }

    def begin(self, target):
        super().begin(target)
        quiet("borg", "init", "--encryption", "none", env={**os.environ, **self.env()})

    def copy(self):
        day = self.next_day()
        return self.run(["borg", "create", "--numeric-ids", "::" + day, self.tree])

    def delete_oldest(self):
        return self.run(["borg", "delete", "::" + self.days[0]], ["borg", "compact"])

    def restore(self, folder):
        os.mkdir(folder)
        newest = "::" + self.days[-1]
        return self.run(["borg", "extract", "--numeric-ids", newest], settle=os.path.dirname(folder), cwd=folder)

    def verify(self):
        return self.run(["borg", "check", "--verify-data"])
