"""A made machine of its own, what is typed in its terminal, and what is seen there then."""

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import time

# Folders of the real machine that are empty on this one.
EMPTY = ["/etc", "/home", "/mnt", "/root", "/run", "/usr/local", "/var/lib", "/var/log"]
FIRST_DAY = "2026-03-03"
LINES = 24
# The longest that anything takes; only what is broken reaches it.
PATIENCE = 120
# What the real machine's folders are hidden with: the work folder, then those that are empty.
FURNISH = r"""
work=$1
shift
hostname atlas
# What else is mounted is not to be proposed; what the work folder is in stays.
awk -v work="$work/" '$2 !~ "^/(proc|sys|dev|$)" && index(work, $2 "/") != 1 { print $2 }' /proc/self/mounts | tac |
    while read -r point; do umount --lazy "$point" 2>/dev/null || true; done
mkdir "$work/etc"
cp -a /etc/. "$work/etc/"
truncate --size 64G "$work/disk"
mkfs.ext4 -q -E lazy_itable_init=1,nodiscard -O ^has_journal "$work/disk"
disk=$(losetup --find --show "$work/disk")
exec 3<"$work/etc"
for folder; do mount -t tmpfs -o mode=755 made "$folder"; done
# Where faketime keeps what is named by process ids, which begin anew here.
mount -t tmpfs made /dev/shm
cp -a /proc/self/fd/3/. /etc/
rm -rf /etc/backup
printf '%s\n' root:x:0:0::/root:/bin/bash ann:x:1000:1000::/home/ann:/bin/bash >/etc/passwd
printf '%s\n' root:x:0: ann:x:1000: >/etc/group
mkdir -p /mnt/backup /usr/local/bin /home/ann /run/tmp
mount -o noatime "$disk" /mnt/backup
losetup --detach "$disk"
# All that is needed of the work folder is open by now.
in_what=$(findmnt --noheadings --output TARGET --target "$work")
exec 3<&-
[ "$in_what" = / ] || umount --lazy "$in_what"
# A systemd that does all that it is told to; a real one is in tests/systemd.
mkdir -p /run/systemd/system
printf '#!/bin/sh\nexit 0\n' >/usr/local/bin/systemctl
chmod +x /usr/local/bin/systemctl
"""
# What is another each time: which number the file has that is the drive, and what is drawn.
CHANCE = {
    r"\bloop\d+\b": "sdb1",
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "3f1c5a86-0b52-4a0e-9d3c-71f0e2b48d65",
    r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)-[0-9a-f]{8}\b": r"\1-9f2c41d7",
}
SHELL = """
PS1='\\[\\e[1m\\]$ \\[\\e[0m\\]'
unset HISTFILE NO_COLOR COLORTERM PROMPT_COMMAND BACKUP_COLUMNS BACKUP_CONFIG BACKUP_THREADS
# Root's and Ann's commands at the time of this machine.
at_its_time() { faketime -f "@$(cat /run/clock)" "$@"; }
sudo() { HOME=/root SUDO_USER=ann SUDO_UID=1000 SUDO_GID=1000 at_its_time "$@"; }
backup() { at_its_time /usr/local/bin/backup "$@"; }
cd /home/ann
"""


def write(path, text, when=f"{FIRST_DAY} 09:00", size=0):
    """A file of Ann's that begins with these words, of this size and time."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write((text * (size // len(text) + 1))[: max(size, len(text))])
    moment = datetime.datetime.fromisoformat(f"{when}+00:00").timestamp()
    os.utime(path, (moment, moment))


def furnish(work, program):
    """Hides the machine's own folders; what was open before stays within reach."""
    with open(program, "rb") as binary:
        subprocess.run(["bash", "-euo", "pipefail", "-c", FURNISH, "furnish", work, *EMPTY], check=True)
        with open("/usr/local/bin/backup", "wb") as copy:
            shutil.copyfileobj(binary, copy)
    os.chmod("/usr/local/bin/backup", 0o755)
    with open("/run/shell", "w", encoding="utf-8") as file:
        file.write(SHELL)


def fill_home():
    """What Ann has on the first day."""
    home = "/home/ann"
    for number in range(1, 25):
        write(f"{home}/Documents/accounts/2025-{number:02}.ods", f"sums {number}\n", size=38_000)
    for number in range(1, 13):
        write(f"{home}/Documents/letters/letter-{number:02}.odt", f"dear {number}\n", size=21_000)
    write(f"{home}/Documents/letters/aunt-may.odt", "Dear aunt,\n", size=21_000)
    for number in range(1, 41):
        path = f"{home}/Pictures/2025/lake/IMG_{4200 + number}.jpg"
        write(path, f"picture {number}\n", size=1_900_000 + 41_000 * number)
    write(f"{home}/.cache/thumbnails/large.png", "not needed\n", size=900_000)
    write(f"{home}/.bashrc", "alias ll='ls -l'\n")
    subprocess.run(["chown", "-R", "1000:1000", home], check=True)


def change_home(day):
    """What Ann does on a day of that month."""
    home = "/home/ann"
    when = f"2026-03-{day:02} 18:20"
    write(f"{home}/Documents/accounts/2026-03.ods", f"sums of day {day}\n", when, 36_000 + 500 * day)
    if day in (4, 7):
        write(f"{home}/Documents/letters/aunt-may.odt", f"Dear aunt, {day}\n", when, 21_000 + 90 * day)
    if day == 9:
        os.rename(f"{home}/Pictures/2025/lake", f"{home}/Pictures/2025/lake-and-hills")
        for number in range(1, 6):
            os.remove(f"{home}/Documents/accounts/2025-{number:02}.ods")
        for number in range(1, 8):
            path = f"{home}/Pictures/2026/spring/IMG_{4300 + number}.jpg"
            write(path, f"spring {number}\n", when, 2_100_000 + 37_000 * number)
    subprocess.run(["chown", "-R", "1000:1000", home], check=True)


def set_clock(moment):
    with open("/run/clock", "w", encoding="utf-8") as file:
        file.write(moment)


class Terminal:
    """A terminal of tmux with a shell in it."""

    def __init__(self, name, columns, *before):
        self.name = name
        environment = {
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/home/ann",
            "USER": "ann",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TMUX_TMPDIR": "/run/tmp",
            "TMPDIR": "/run/tmp",
        }
        self.environment = environment
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(LINES), *before,
                  "bash", "--noprofile", "--rcfile", "/run/shell", "-i")
        self.tmux("set-option", "-g", "status", "off")
        self.tmux("set-option", "-g", "history-limit", "2000")
        self.wait_for(self.is_ready, "a shell")

    def tmux(self, *words):
        command = ["tmux", "-L", self.name, *words]
        done = subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def lines(self):
        return self.tmux("capture-pane", "-p", "-J", "-S", "-").rstrip().split("\n")

    def is_ready(self):
        return self.lines()[-1].strip() == "$"

    def wait_for(self, is_there, what, gives_up=None):
        begun = time.monotonic()
        while not is_there():
            if time.monotonic() - begun > PATIENCE or (gives_up and gives_up()):
                sys.exit("waited in vain for " + what + ":\n" + "\n".join(self.lines()))
            time.sleep(0.02)

    def type(self, text):
        """Types a line at the end of what stands there."""
        self.tmux("send-keys", "-l", text)
        last = text[-20:].strip()
        self.wait_for(lambda: self.lines()[-1].rstrip().endswith(last), text)
        self.tmux("send-keys", "Enter")

    def clear(self):
        self.type("clear")
        self.wait_for(lambda: self.lines() == ["$"], "an empty terminal")
        self.tmux("clear-history")

    def show(self, *typed):
        """What stands there after a command, whose questions get these answers."""
        self.clear()
        self.type(typed[0])
        for question, answer in typed[1:]:
            ends = re.compile(question + r"\s*$")
            self.wait_for(lambda: ends.search(self.lines()[-1]), question, self.is_ready)
            if answer:
                self.type(answer)
            else:
                asked = len(self.lines())
                self.tmux("send-keys", "Enter")
                self.wait_for(lambda: len(self.lines()) > asked, f"what comes after {question}")
        self.wait_for(self.is_ready, typed[0])
        return self.taken("-S", "-").rpartition("\n")[0].rstrip()

    def look_into(self, typed, *shown):
        """What a command fills the terminal with once all of this stands there; it is left again."""
        self.clear()
        self.type(typed)
        self.wait_for(lambda: all(text in "\n".join(self.lines()) for text in shown), typed, self.is_ready)
        screen = self.taken()
        self.tmux("send-keys", "q")
        self.wait_for(self.is_ready, f"the end of {typed}")
        return screen

    def taken(self, *of):
        """What stands there, in its colours and without what is another each time."""
        lines = self.tmux("capture-pane", "-e", "-p", *of).rstrip().split("\n")
        screen = "\n".join(line.rstrip() for line in lines)
        for pattern, text in CHANCE.items():
            screen = re.sub(pattern, text, screen)
        return screen


def run(out, work, program, columns):
    """Writes what all screens of this width show."""
    os.environ.update(TZ="UTC", LC_ALL="C.UTF-8")
    os.environ["PATH"] = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    furnish(work, program)
    fill_home()
    screens = []

    def add(name, title, screen):
        screens.append({"name": name, "title": title, "screen": screen})

    terminal = Terminal("sudo", columns)
    set_clock(f"{FIRST_DAY} 20:14:30")
    add("setup", "backup setup", terminal.show(
        "sudo backup setup",
        (r"\[1\]:", ""), (r"\]:", "/home"), (r"Schedule \[daily\]:", ""), (r"\[rsync\]:", ""),
        (r"Write .*\[Y/n\]", ""), (r"\[Y/n\]", ""), (r"\[Y/n\]", ""),
    ))
    set_clock(f"{FIRST_DAY} 20:16:00")
    terminal.show("sudo backup now")
    for day in range(4, 9):
        change_home(day)
        set_clock(f"2026-03-{day + 1:02} 02:00:00")
        terminal.show("sudo backup apply --quiet")
    change_home(9)
    set_clock("2026-03-09 20:31:00")
    verbs = {
        "plan": ("sudo backup plan",),
        "now": ("sudo backup now",),
        "status": ("sudo backup status",),
        "list": ("sudo backup list",),
        "find": ("sudo backup find aunt-may.odt",),
        "diff": ("sudo backup diff latest",),
        "restore": ("sudo backup restore latest~3 Documents/letters/aunt-may.odt aunt-may.old.odt",),
    }
    for name, typed in verbs.items():
        add(name, " ".join(typed[0].split()[1:3]), terminal.show(*typed))
    letter = "Documents/letters/aunt-may.odt"
    add("browse", "backup browse", terminal.look_into(f"sudo backup browse {letter}", "> aunt-may.odt", "3 versions"))
    terminal = Terminal("ann", columns, "setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
    add("try", "backup try", terminal.show("backup try ~/Pictures/2026"))
    json.dump(screens, out)
