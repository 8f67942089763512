#!/usr/bin/env python3
"""A server at a distance: sftp-server behind a delay, with a count of the requests.

sshfs starts it in the place of ssh and speaks SFTP with it over two pipes. What comes is passed on when
half of the round trip is over, in each direction; many requests may be under way at once. So it is the
distance that is slow, and neither the server nor the line. It contacts nothing.
"""

import argparse
import collections
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time

# Where the systems at hand keep it; it is on nobody's PATH.
SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server", "/usr/libexec/sftp-server")
# Requests of the third version of the protocol (draft-ietf-secsh-filexfer-02, section 3).
KINDS = {
    1: "init", 3: "open", 4: "close", 5: "read", 6: "write", 7: "lstat", 8: "fstat", 9: "setstat", 10: "fsetstat", 11: "opendir",
    12: "readdir", 13: "remove", 14: "mkdir", 15: "rmdir", 16: "realpath", 17: "stat", 18: "rename", 19: "readlink", 20: "symlink",
}  # fmt: skip
EXTENDED = 200
# Seconds without a request after which the counts are written down.
IDLE = 0.01
# Bytes before a packet's kind, and before an extended request's name: length, kind, number, length of name.
LENGTH, NAMED_FROM = 4, 13


def server():
    found = next((path for path in SERVERS if os.access(path, os.X_OK)), None)
    return found or shutil.which("sftp-server")


class Counter:
    """Counts requests by kind, however the stream of them is cut into blocks."""

    def __init__(self):
        self.seen = collections.Counter()
        self.head = b""
        # Bytes of the packet at hand that are of no interest any more.
        self.skip = 0

    def add(self, block):
        while block:
            if self.skip:
                passed = min(self.skip, len(block))
                self.skip -= passed
                block = block[passed:]
                continue
            self.head += block
            block = b""
            size = int.from_bytes(self.head[:LENGTH], "big")
            # An extended request is known by its name, which stands near its beginning.
            needed = LENGTH + (min(size, 128) if self.head[LENGTH : LENGTH + 1] == bytes([EXTENDED]) else 1)
            if len(self.head) < max(LENGTH + 1, needed):
                return
            self.seen[self.kind()] += 1
            block, self.head = self.head, b""
            self.skip = LENGTH + size

    def kind(self):
        kind = self.head[LENGTH]
        if kind != EXTENDED:
            return KINDS.get(kind, str(kind))
        length = int.from_bytes(self.head[NAMED_FROM - LENGTH : NAMED_FROM], "big")
        return self.head[NAMED_FROM : NAMED_FROM + length].decode(errors="replace")


def carry(source, sink, delay, seen=None):
    """Passes on what comes from one to the other, each block some time after it came."""
    under_way = queue.Queue()

    def take():
        while block := os.read(source, 1 << 17):
            under_way.put((time.monotonic() + delay, block))
            if seen:
                seen(block)
        under_way.put((0.0, b""))

    threading.Thread(target=take, daemon=True).start()
    while True:
        due, block = under_way.get()
        if not block:
            os.close(sink)
            return
        if (left := due - time.monotonic()) > 0:
            time.sleep(left)
        while block:
            block = block[os.write(sink, block) :]


def write_down(counter, path):
    """Keeps the counts in a file, each time that no request came for a moment."""
    told = last = 0
    while True:
        time.sleep(IDLE)
        seen = dict(counter.seen)
        now = sum(seen.values())
        if now == last != told:
            with open(path + ".new", "w") as file:
                json.dump(seen, file)
            os.replace(path + ".new", path)
            told = now
        last = now


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--round-trip", type=float, required=True, metavar="SECONDS")
    parser.add_argument("--counts", metavar="FILE", required=True)
    # The rest is what ssh would be told.
    options, _ = parser.parse_known_args()
    program = server()
    if not program:
        sys.exit("slow_sftp.py: there is no sftp-server (Debian: openssh-sftp-server)")
    counter = Counter()
    child = subprocess.Popen([program, "-e", "-l", "QUIET"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    threading.Thread(target=write_down, args=(counter, options.counts), daemon=True).start()
    there = threading.Thread(target=carry, args=(0, child.stdin.fileno(), options.round_trip / 2, counter.add), daemon=True)
    there.start()
    carry(child.stdout.fileno(), 1, options.round_trip / 2)
    child.wait()


if __name__ == "__main__":
    main()
