#!/usr/bin/env python3
"""Reads what the program leaves behind, by docs/format.md alone.

    reader.py destination FOLDER    the host's folder on a destination
    reader.py remote FOLDER         the host's folder on a remote
    reader.py history FOLDER        the host's folder on a remote with history
    reader.py state FOLDER          a state directory

Checks digests, resolves safe names, compares every entry with its manifest, and fails where a file, a
key or a word is there that the page does not have. Prints what it read as JSON. Needs zstd(1).
"""

import hashlib
import json
import os
import re
import stat
import subprocess
import sys

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/format.md")

PLACEHOLDERS = {
    "<id>": r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d",
    "<tier>": "(?:hourly|daily|weekly|monthly|yearly)",
    "<n>": r"\d+",
    "<number>": r"\d{6}",
    "<key>": "[0-9a-f]{8}",
    "<destination>": "[0-9A-Za-z-]{1,64}",
    "<machine>": "[0-9a-f]{16}",
    "<byte>": "[0-9a-f]{2}",
    "<sha256>": "[0-9a-f]{64}",
    "<run-id>": r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-[0-9a-f]{8}",
    "<time>": r"[0-9TZ:+.-]+",
    "*": "[^/]*",
}

faults = []


def fault(where, what):
    faults.append(f"{where}: {what}")


# --- the page -------------------------------------------------------------------------------------


def pattern(name):
    """The regular expression of a name with placeholders."""
    parts = re.split("(" + "|".join(re.escape(one) for one in PLACEHOLDERS) + ")", name)
    return "".join(PLACEHOLDERS.get(part, re.escape(part)) for part in parts)


def tree(lines):
    """The paths that a drawn tree has, as regular expressions; a folder ends with a slash."""
    found, above = [], []
    for line in lines[1:]:
        drawn = re.match(r"((?:│   |    )*)(?:├── |└── )(.*)", line)
        if not drawn:
            sys.exit(f"{PAGE}: cannot read `{line}`")
        depth = len(drawn.group(1)) // 4
        del above[depth:]
        names = re.split(r"\s{2,}", drawn.group(2))[0]
        for name in names.split(", "):
            name = name.split(" -> ")[0]
            found.append("".join(above) + pattern(name))
        if names.endswith("/"):
            above.append(pattern(names))
    return found


def read_page():
    """The drawn trees by the heading above them, and the first column of each table by its heading."""
    with open(PAGE, encoding="utf-8") as page:
        lines = page.read().split("\n")
    trees, tables, heading, fence = {}, {}, "", None
    for line in lines:
        if line.startswith("```"):
            if fence is not None and fence:
                trees[heading] = tree(fence)
            fence = [] if fence is None else None
        elif fence is not None:
            fence.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ").strip("`")
        else:
            row = re.match(r"\| `([^`]+)` \|", line)
            if row:
                tables.setdefault(heading, []).append(row.group(1))
    return trees, tables


TREES, TABLES = read_page()


def check_keys(where, value, heading):
    """Every key of a document is in its table.

    There `*` stands for any key and `[]` for the items of a list; an object or a list of which the table
    says no more is described as a whole.
    """
    known = TABLES.get(heading)
    if not known:
        sys.exit(f"{PAGE}: no table for `{heading}`")

    def matches(one, path):
        return re.fullmatch(re.escape(one).replace(r"\*", r"[^.\[]+"), path) is not None

    # Whoever has `a.*.b` has `a.*`; and what is below `a.*` with nothing further is anybody's.
    paths = {one[: end.start()] for one in known for end in re.finditer(r"\.|\[\]|$", one)}
    whole = [one for one in paths if not any(other.startswith((f"{one}.", f"{one}[")) for other in paths)]

    def descend(path, value):
        if any(matches(one, path) for one in whole if path):
            return
        if isinstance(value, dict):
            for key, item in value.items():
                below = f"{path}.{key}" if path else key
                if not any(matches(one, below) for one in paths):
                    fault(where, f"the key `{below}` is not documented")
                descend(below, item)
        elif isinstance(value, list):
            for item in value:
                descend(f"{path}[]", item)

    descend("", value)


# --- files ----------------------------------------------------------------------------------------


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


BEFORE, AFTER = b',\n  "record_digest": "', b'"\n}\n'


def read_json(where, path, heading, digested=False):
    """A JSON document, whose own digest is checked where it has one."""
    data = read_bytes(path)
    value = json.loads(data)
    if digested:
        rest = len(data) - len(AFTER) - 64
        body, digest = data[: rest - len(BEFORE)], data[rest : rest + 64]
        if not data.endswith(AFTER) or data[rest - len(BEFORE) : rest] != BEFORE:
            fault(where, "does not end with its digest")
        elif hashlib.sha256(body).hexdigest().encode() != digest:
            fault(where, "its content is not what its record_digest says")
    if heading:
        check_keys(where, value, heading)
    latest = 2 if heading == ".backup/snapshots/<id>/snapshot.json" else 1
    if isinstance(value, dict) and value.get("format_version", 1) > latest:
        sys.exit(f"{where}: is of a later format")
    return value


def walk(folder, heading, passed_over=()):
    """Fails for each path below a folder that is not drawn on the page."""
    known = TREES[heading]

    def is_drawn(path, is_folder):
        for one in known:
            if re.fullmatch(one.rstrip("/") if is_folder else one, path):
                return True
            # What is below a folder that is drawn without its content is anybody's.
            leaf = one.endswith("/") and not any(other != one and other.startswith(one) for other in known)
            if leaf and re.match(one, path):
                return True
        # Folders on the way to what is drawn.
        return is_folder and any(is_prefix(path, one) for one in known)

    def is_prefix(path, one):
        depth = path.count("/") + 1
        return re.fullmatch("/".join(one.split("/")[:depth]), path) is not None

    for above, folders, files in os.walk(folder):
        for name in list(folders) + files:
            path = os.path.relpath(os.path.join(above, name), folder)
            if any(re.match(one, path) for one in passed_over):
                continue
            full = os.path.join(above, name)
            is_folder = name in folders and not os.path.islink(full)
            if not is_drawn(path, is_folder):
                fault(path, "is not documented")


# --- manifests ------------------------------------------------------------------------------------


def unescape(text):
    return re.sub(rb"\\([0-7]{3})", lambda one: bytes([int(one.group(1), 8)]), text)


def read_problem(where, problem, entries):
    """The bytes of a problem's path; what was stored of it is in the manifest."""
    text = problem["path"].encode()
    if re.search(rb"\\(?![0-3][0-7][0-7])", text):
        fault(where, f"the path {problem['path']!r} cannot be read")
    if not text.startswith(b"/"):
        fault(where, f"the path {problem['path']!r} is not absolute")
    parts = [part for part in unescape(text).split(b"/") if part]
    if problem["kind"] in ("torn", "metadata") and parts not in entries:
        fault(where, f"{problem['path']!r}, which is {problem['kind']}, is not in the manifest")
    return b"/" + b"/".join(parts)


def read_segments(path):
    """The segments of a manifest, in their order, which are as its list says."""
    folder, files = os.path.dirname(path), []
    lines = read_bytes(path).decode().splitlines()
    for at, line in enumerate(lines, 1):
        digest, _, name = line.partition("  ")
        last = "-last" if at == len(lines) else ""
        if name != f"manifest.{at:06}{last}.zst":
            fault(path, f"has {name!r} at {at}")
        file = os.path.join(folder, name)
        if hashlib.sha256(read_bytes(file)).hexdigest() != digest:
            fault(file, "is not what its list says")
        files.append(file)
    if len(os.listdir(folder)) != len(files) + 1:
        fault(folder, "has more or less than its list")
    return files


def read_manifest(path):
    """The entries of a manifest: path, and its words."""
    files = [path]
    if os.path.basename(path) == "SHA256SUMS":
        files = read_segments(path)
    text = subprocess.run(["zstd", "-dcq", *files], check=True, capture_output=True).stdout
    lines = text.split(b"\n")
    if lines[0] != b"#mtree backup-manifest=1" or lines[-1] != b"":
        fault(path, "does not begin or end as a manifest does")
    known = TABLES[".backup/snapshots/<id>/manifest.mtree.zst"]
    last, entries = None, []
    for line in lines[1:-1]:
        name, *rest = line.split(b" ")
        words = {}
        for word in rest:
            key, _, value = word.partition(b"=")
            key = key.decode()
            words[key] = value
            if key not in known and not (key.startswith("xattr.") and "xattr.NAME" in known):
                fault(path, f"the word `{key}` is not documented")
        if name != b"." and not name.startswith(b"./"):
            fault(path, f"{name!r} does not begin with ./")
        parts = [unescape(part) for part in name[2:].split(b"/")] if name != b"." else []
        if last is not None and parts <= last:
            fault(path, f"{name!r} is out of order")
        last = parts
        entries.append((parts, words))
    return entries


KINDS = {
    b"file": stat.S_ISREG,
    b"dir": stat.S_ISDIR,
    b"link": stat.S_ISLNK,
    b"fifo": stat.S_ISFIFO,
    b"socket": stat.S_ISSOCK,
    b"char": stat.S_ISCHR,
    b"block": stat.S_ISBLK,
}


def read_snapshot(folder, entries):
    """Compares a snapshot's tree with its manifest; gives how many files it read."""
    stands, seen, groups, files = {(): os.fsencode(folder)}, set(), {}, 0
    for parts, words in entries:
        own = tuple(parts)
        if parts:
            name = unescape(words["as"]) if "as" in words else parts[-1]
            stands[own] = os.path.join(stands[own[:-1]], name)
        path = stands[own]
        if "absent" in words:
            continue
        seen.add(path)
        try:
            found = os.lstat(path)
        except OSError as error:
            fault(path, error.strerror)
            continue
        if not KINDS[words["type"]](found.st_mode):
            fault(path, f"is no {words['type'].decode()}")
        elif words["type"] == b"link" and os.readlink(path) != unescape(words["link"]):
            fault(path, "leads elsewhere")
        elif words["type"] == b"file":
            files += 1
            content = read_bytes(path)
            if len(content) != int(words["size"]):
                fault(path, "has another size")
            if hashlib.sha256(content).hexdigest().encode() != words["sha256digest"]:
                fault(path, "has another content")
        if "group" in words and groups.setdefault(words["group"], found.st_ino) != found.st_ino:
            fault(path, "is no hard link of the names of its group")
    for above, folders, names in os.walk(os.fsencode(folder)):
        for name in folders + names:
            if os.path.join(above, name) not in seen:
                fault(os.path.join(above, name), "is not in the manifest")
    return files


# --- what there is --------------------------------------------------------------------------------


def read_destination(folder):
    told = {"snapshots": {}}
    walk(folder, "The destination", [PLACEHOLDERS["<tier>"] + "/[^/]+/"])
    backup = os.path.join(folder, ".backup")
    at = lambda name: os.path.join(backup, name)
    told["destination"] = read_json("destination.json", at("destination.json"), ".backup/destination.json")["id"]
    if os.path.exists(at("rotation.json")):
        read_json("rotation.json", at("rotation.json"), ".backup/rotation.json", digested=True)
    for name in sorted(os.listdir(at("snapshots"))):
        record_path = at(f"snapshots/{name}/snapshot.json")
        if not os.path.exists(record_path):
            continue
        record = read_json(record_path, record_path, ".backup/snapshots/<id>/snapshot.json", digested=True)
        marks = at(f"snapshots/{name}/marks.json")
        if os.path.exists(marks):
            read_json(marks, marks, ".backup/snapshots/<id>/marks.json", digested=True)
        forms = {1: "manifest.mtree.zst", 2: "manifest/SHA256SUMS"}
        if record["manifest"] != forms[record["format_version"]]:
            fault(record_path, "its format and its manifest's name are not of one kind")
        manifest = at(f"snapshots/{name}/{record['manifest']}")
        if hashlib.sha256(read_bytes(manifest)).hexdigest() != record["manifest_digest"]:
            fault(manifest, "is not what the record says")
        homes = [os.path.join(folder, tier, name) for tier in ("hourly", "daily", "weekly", "monthly", "yearly")]
        homes = [home for home in homes if os.path.isdir(home) and not os.path.islink(home)]
        if len(homes) != 1:
            fault(name, f"stands at {homes}")
            continue
        entries = read_manifest(manifest)
        if record["totals"]["entries"] != len(entries):
            fault(name, f"has {len(entries)} entries, and its record says {record['totals']['entries']}")
        found = [parts for parts, _ in entries]
        # Of a record that was made anew they speak of itself.
        problems = [] if "record_rebuilt_at" in record else record["problems"]
        problems = [read_problem(record_path, problem, found) for problem in problems]
        told["snapshots"][name] = {
            "problems": [problem.hex() for problem in problems],
            "files": read_snapshot(homes[0], entries),
            "renamed": sum("as" in words for _, words in entries),
        }
    latest = os.path.join(folder, "latest")
    if os.path.islink(latest):
        told["latest"] = os.readlink(latest)
    return told


def read_remote(folder):
    told = {"uploads": {}}
    walk(folder, "The remote")
    manifests = os.path.join(folder, "manifests")
    for name in sorted(os.listdir(manifests)):
        path = os.path.join(manifests, name)
        if name.startswith("owner-"):
            read_json(path, path, "manifests/owner-<machine>.json")
            continue
        uploads = {}
        for file in sorted(os.listdir(path)):
            at = os.path.join(path, file)
            if file == "snapshot.json":
                read_json(at, at, ".backup/snapshots/<id>/snapshot.json", digested=True)
            number = re.fullmatch(r"(attempt|uploaded)-(\d+)\.json", file)
            if number:
                kind = number.group(1)
                value = read_json(at, at, f"manifests/<id>/{kind}-<n>.json", digested=kind == "uploaded")
                if kind == "uploaded":
                    uploads[int(number.group(2))] = value
        if uploads:
            manifest = os.path.join(path, "manifest.mtree.zst")
            upload = uploads[max(uploads)]
            if hashlib.sha256(read_bytes(manifest)).hexdigest() != upload["manifest_digest"]:
                fault(manifest, "is not what its upload says")
            found = [parts for parts, _ in read_manifest(manifest)]
            missing = [read_problem(name, problem, found) for problem in upload["not_uploaded"]]
            for problem in missing:
                if [part for part in problem.split(b"/") if part] not in found:
                    fault(name, f"{problem!r}, which is not uploaded, is not in the manifest")
            told["uploads"][name] = {
                "files": upload["files"],
                "not_uploaded": [problem.hex() for problem in missing],
            }
    return told


def read_history(folder):
    told = {"snapshots": {}}
    walk(folder, "The remote with history")
    there, wanted = {}, set()
    for above, _, files in os.walk(os.path.join(folder, "objects")):
        for name in files:
            content = read_bytes(os.path.join(above, name))
            if hashlib.sha256(content).hexdigest() != name or os.path.basename(above) != name[:2]:
                fault(os.path.join(above, name), "is not what its name says")
            there[name] = len(content)
    records = os.path.join(folder, "records")
    for file in sorted(os.listdir(records)):
        at, kind = os.path.join(records, file), file.split("-")[0]
        if kind in ("owner", "format", "upload", "expiry"):
            headings = {"owner": "manifests/owner-<machine>.json", "format": "records/format-<n>.json"}
            read_json(at, at, headings.get(kind, "records/upload-<machine>-<n>.json"))
        elif ".marks-" in file:
            read_json(at, at, ".backup/snapshots/<id>/marks.json", digested=True)
        elif not file.endswith(".expired.json"):
            record = read_json(at, at, "records/<id>.json", digested=True)
            snapshot, name = record["snapshot"], file[: -len(".json")]
            check_keys(at, snapshot, ".backup/snapshots/<id>/snapshot.json")
            manifest = os.path.join(folder, "manifests", f"{name}.mtree.zst")
            data = read_bytes(manifest)
            if hashlib.sha256(data).hexdigest() != snapshot["manifest_digest"]:
                fault(manifest, "is not what its record says")
            if len(data) != record["manifest_bytes"] or snapshot["id"] != name:
                fault(at, "is not of its manifest")
            entries = read_manifest(manifest)
            if len(entries) != snapshot["totals"]["entries"]:
                fault(at, f"says {snapshot['totals']['entries']} entries, and there are {len(entries)}")
            files = [words for _, words in entries if words["type"] == b"file"]
            for words in files:
                digest = words["sha256digest"].decode()
                wanted.add(digest)
                if there.get(digest) != int(words["size"]):
                    fault(name, f"has no whole object {digest}")
            problems = [read_problem(at, one, []) for one in record.get("not_uploaded", [])]
            told["snapshots"][name] = {
                "files": len(files),
                "not_uploaded": [problem.hex() for problem in problems],
                "same": [same["id"] for same in record.get("same", [])],
            }
    told["objects"] = len(there)
    told["needed"] = len(wanted)
    return told


def read_state(folder):
    told = {"runs": {}}
    walk(folder, "The state directory")
    for name in ("destinations", "verified", "sealed", "deferrals", "tries", "told-error"):
        path = os.path.join(folder, f"{name}.json")
        if os.path.exists(path):
            read_json(path, path, f"{name}.json")
    named = os.path.join(folder, "destinations")
    for destination in sorted(os.listdir(named)) if os.path.isdir(named) else ():
        for name in ("destinations", "tries"):
            path = os.path.join(named, destination, f"{name}.json")
            if os.path.exists(path):
                read_json(path, path, f"{name}.json")
    cloud = os.path.join(folder, "cloud")
    for key in sorted(os.listdir(cloud)) if os.path.isdir(cloud) else ():
        path = os.path.join(cloud, key, "memory.json")
        if os.path.exists(path) or not os.path.exists(os.path.join(cloud, key, "history.json")):
            read_json(path, path, "cloud/<key>/memory.json")
        path = os.path.join(cloud, key, "history.json")
        if os.path.exists(path):
            read_json(path, path, "cloud/<key>/history.json")
        path = os.path.join(cloud, key, "credentials.json")
        if os.path.exists(path):
            read_json(path, path, "cloud/<key>/credentials.json")
    runs = os.path.join(folder, "runs")
    for run in sorted(os.listdir(runs)):
        path = os.path.join(runs, run, "summary.json")
        if os.path.exists(path):
            read_json(path, path, "runs/<run-id>/summary.json")
        told["runs"][run] = read_journal(os.path.join(runs, run, "journal.jsonl"))
    indexes = os.path.join(folder, "record-index")
    for name in sorted(os.listdir(indexes)) if os.path.isdir(indexes) else ():
        told.setdefault("indexed", []).extend(read_index(os.path.join(indexes, name), name))
    return told


def read_index(path, destination):
    """The snapshots whose records an index has."""
    digest, body = read_bytes(path).split(b"\n", 1)
    if hashlib.sha256(body).hexdigest().encode() != digest:
        fault(path, "has another digest")
    header, *lines = body.split(b"\n")[:-1]
    if header != b"record-index 2 " + destination.encode():
        fault(path, "has another header")
    ids = []
    for line in lines:
        words, record = line.split(b" {", 1)
        name, *words = words.split(b" ")
        record = b"{" + record
        [int(number) for number in words[:4]]
        if words[4:] != [b"-"]:
            [int(number) for number in words[4:8] + words[9:13]]
            if words[8] not in (b"manifest/SHA256SUMS", b"manifest.mtree.zst"):
                fault(path, f"{name.decode()} has a manifest of another name")
            if words[13:] != [b"-"] and len(words[13:]) != 7:
                fault(path, f"{name.decode()} has other marks")
        if json.loads(record)["id"].encode() != name:
            fault(path, f"{name.decode()} has the record of another")
        ids.append(name.decode())
    return ids


def read_journal(path):
    """The names of a journal's events, whose sums are checked."""
    events, known = [], TABLES["runs/<run-id>/journal.jsonl"]
    for at, line in enumerate(read_bytes(path).split(b"\n")[:-1]):
        found = re.fullmatch(rb'\{"v":1,"n":(\d+),"sum":"([0-9a-f]{16})","event":(.*)\}', line)
        if not found or int(found.group(1)) != at:
            fault(path, f"line {at} is no record")
            continue
        text = b"1 " + found.group(1) + b" " + found.group(3)
        if hashlib.sha256(text).hexdigest()[:16].encode() != found.group(2):
            fault(path, f"line {at} has another sum")
        event = json.loads(found.group(3))["event"]
        if event not in known:
            fault(path, f"the event `{event}` is not documented")
        events.append(event)
    return events


READERS = {"destination": read_destination, "remote": read_remote, "history": read_history, "state": read_state}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in READERS:
        sys.exit(__doc__)
    print(json.dumps(READERS[sys.argv[1]](sys.argv[2]), indent=2))
    for one in faults:
        print(one, file=sys.stderr)
    sys.exit(1 if faults else 0)
