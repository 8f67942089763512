#!/usr/bin/env python3
"""Lists, checks and restores snapshots by docs/format.md alone, with nothing of the program.

    reader.py list DIR                  which snapshots are there
    reader.py check DIR [ID]            whether all of them, or this one, are whole
    reader.py restore DIR ID PATH TO    makes TO what PATH was in the snapshot; / is all of it

DIR is the folder of a host: on a disk (.backup is in it) or of a remote with history (records is in it). TO must
not be there yet. What is missing or wrong is told on standard error, a line each, and the exit code is then 1.
"""
import fcntl, hashlib, io, json, os, re, stat, subprocess, sys
from os.path import basename, dirname, exists, isdir, islink, join

try:
    from compression.zstd import decompress  # since Python 3.14; before, the program zstd does it
except ImportError:
    decompress = lambda data: subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout

TIERS = "yearly", "monthly", "weekly", "daily", "hourly", ".backup/moving"
KINDS = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK, "fifo": stat.S_IFIFO,
         "socket": stat.S_IFSOCK, "char": stat.S_IFCHR, "block": stat.S_IFBLK}
MANIFESTS = "manifest/SHA256SUMS", "manifest.mtree.zst"
faults, whole = [], set()

def show(path):
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in os.fsdecode(path))

def fault(path, what):
    faults.append(what)
    print(f"{show(path)}: {show(str(what))}", file=sys.stderr)

def sha256(data):
    return hashlib.sha256(data).hexdigest()

def read(path, digest=None):
    with open(path, "rb") as file:
        data = file.read()
    if digest and sha256(data) != digest:
        raise ValueError(f"{path} is damaged")
    return data

def read_record(path, latest):
    record = json.loads(data := read(path))
    if "record_digest" in record and record["record_digest"] != sha256(data[:-90]):
        raise ValueError(f"{path} is damaged")
    if record["format_version"] > latest:
        raise ValueError(f"{path} is of a later format")
    return record

def unescape(text):
    return re.sub(rb"\\([0-7]{3})", lambda one: bytes([int(one[1], 8)]), text)

def place(host, name, places=TIERS):
    return next((tier for tier in places if isdir(join(host, tier, name)) and not islink(join(host, tier, name))), "")

def load(host, name):
    """A snapshot's record, its tree, which is None on a remote, and the files of its manifest with their digests."""
    if exists(join(host, "records")):
        upload, tree = read_record(join(host, "records", name + ".json"), 1), None
        record, manifest = upload["snapshot"], join(host, "manifests", name + ".mtree.zst")
        lacks = upload.get("not_uploaded", [])
    else:
        record, lacks = read_record(join(host, ".backup/snapshots", name, "snapshot.json"), 2), []
        tree = os.fsencode(join(host, place(host, name) or "in no tier", name))
        manifest = join(host, ".backup/snapshots", name, record["manifest"])
    if record["format_version"] > 2 or record["id"] != name or record["manifest"] not in MANIFESTS:
        raise ValueError("its record is of a later format, or of another snapshot")
    files = [(manifest, record["manifest_digest"])]
    if basename(manifest) == "SHA256SUMS":
        lines = read(*files[0]).decode().splitlines()
        files = [(join(dirname(manifest), line[66:]), line[:64]) for line in lines]
        ends = ["" for _ in lines[1:]] + ["-last"]
        if [line[64:] for line in lines] != [f"  manifest.{at:06}{end}.zst" for at, end in enumerate(ends, 1)]:
            raise ValueError("the list of its manifest's segments is cut short, or names something else")
    away = [one["path"] + ": not there when the snapshot was made" for one in record["sources"] if not one["present"]]
    problems = [] if record["complete"] else record["problems"]
    return record, tree, files, away + [f"{one['path']}: {one['kind']}: {one['message']}" for one in problems + lacks]

def entries(files):
    """The path of each entry of a manifest, as its parts, and its words."""
    lines, last = (line for file in files for line in io.BytesIO(decompress(read(*file)))), None
    if next(lines) != b"#mtree backup-manifest=1\n":
        raise ValueError("its manifest is of another format")
    for line in lines:
        path, *words = line.rstrip(b"\n").split(b" ")
        parts = tuple(unescape(part) for part in path.split(b"/")[1:])
        words = {key.decode(): unescape(value) for key, _, value in (word.partition(b"=") for word in words)}
        if any(part in (b"", b".", b"..") or b"/" in part for part in (*parts, words.get("as", b"safe"))):
            raise ValueError(f"its manifest has a path that is none: {path}")
        if not re.fullmatch(b"[0-9a-f]{64}", words.get("sha256digest", b"0" * 64)):
            raise ValueError(f"its manifest has a digest that is none: {path}")
        if last is not None and parts <= last:
            raise ValueError(f"its manifest is out of order at {path}")
        last = parts
        yield parts, words

def go_through(host, name, wanted=(), to=None):
    """Checks what is at or below a path, and restores it if that is asked for."""
    record, tree, files, lacks = load(host, name)
    for lack in lacks:
        fault(name, f"is incomplete: {lack}")
    stands, links, folders, count, there, found = {(): tree}, {}, [], 0, 0, False
    for parts, words in entries(files):
        count, here, kind, path = count + 1, tree, words["type"].decode(), b"/".join(parts) or b"."
        if tree and parts:
            here = join(stands.get(parts[:-1]) or b"/dev/null", words.get("as", parts[-1]))
        if kind == "dir":
            stands[parts] = here
        if parts[: len(wanted)] != wanted:
            continue
        found, target = True, to and join(to, *parts[len(wanted) :])
        try:
            if here and "absent" not in words:
                there += 1
                if stat.S_IFMT(os.lstat(here).st_mode) != KINDS[kind]:
                    stands[parts] = None
                    raise ValueError(f"is no {kind} any more")
                if kind == "link" and os.readlink(here) != words["link"]:
                    fault(path, "leads elsewhere than it did")
            if target and words.get("group") in links:
                os.link(links[words["group"]], target, follow_symlinks=False)
                continue
            if kind == "file":
                digest = words["sha256digest"].decode()
                copy(here or join(host, "objects", digest[:2], digest), path, words, target)
            attributes = read_attributes(here if "absent" not in words else None, path, words)
            if target and kind == "dir":
                os.mkdir(target)
                folders.append((target, path, words, attributes))
            elif target:
                if kind == "link":
                    os.symlink(words["link"], target)
                elif kind != "file":
                    device = map(int, words.get("device", b"linux,0,0").split(b",")[1:])
                    os.mknod(target, KINDS[kind] | 0o600, os.makedev(*device))
                dress(target, path, words, attributes)
                links.update({words["group"]: target} if "group" in words else {})
        except (OSError, ValueError) as error:
            fault(path, getattr(error, "strerror", None) or error)
    for folder in reversed(folders):
        dress(*folder)
    if not found:
        raise ValueError(f"has no {show(b'/'.join(wanted))}")
    if count != record["totals"]["entries"]:
        raise ValueError(f"its manifest has {count} entries, and its record says {record['totals']['entries']}")
    if tree and not wanted and there != 1 + sum(len(names) + len(files) for _, names, files in os.walk(tree)):
        fault(name, "has more or less in its folder than its manifest says")

def copy(source, path, words, target):
    """Reads a content, unless it is known to be whole, and writes it with its holes."""
    state, digest, size = os.stat(source), hashlib.sha256(), 0
    content = state.st_dev, state.st_ino, words["sha256digest"], words["size"]
    if content in whole and not target:
        return
    with open(source, "rb") as file, open(target or os.devnull, "xb" if target else "wb") as out:
        while block := file.read(4096):
            digest.update(block)
            size += len(block)
            out.seek(len(block), 1) if block == bytes(len(block)) else out.write(block)
        target and out.truncate(size)
    if (digest.hexdigest().encode(), b"%d" % size) == content[2:]:
        whole.add(content)
    else:
        fault(path, "is damaged" + (", and restored as it is" if target else ""))

def read_attributes(here, path, words):
    """Extended attributes: in the tree what the disk could hold, in the manifest the rest."""
    found, digest = {}, words.get("xattrsdigest")
    try:
        for one in os.listxattr(here, follow_symlinks=False) if here and digest else ():
            if not one.startswith("trusted.SGI_ACL_"):
                found[os.fsencode(one)] = os.getxattr(here, one, follow_symlinks=False)
    except OSError:
        pass  # where a disk knows none, the manifest has them all; what is not to be had, the digest tells
    found.update((unescape(key[6:].encode()), bytes.fromhex(value.decode()))
                 for key, value in words.items() if key.startswith("xattr."))
    text = b"".join(one + b"\0" + len(value).to_bytes(8, "little") + value for one, value in sorted(found.items()))
    if digest and sha256(text).encode() != digest:
        fault(path, "has other extended attributes than it had")
    return found

def dress(target, path, words, attributes):
    """Gives an entry its owner, attributes, mode and time."""
    owner, mode = (int(words["uid"]), int(words["gid"])), int(words["mode"], 8)
    seconds, digits = words["time"].split(b".")
    time = int(seconds) * 10**9 + int(digits)
    calls = [("owner", lambda: os.chown(target, *owner, follow_symlinks=False))]
    for one, value in attributes.items():
        calls += [(show(one), lambda one=one, value=value: os.setxattr(target, one, value, follow_symlinks=False))]
    calls += [("mode", lambda: islink(target) or os.chmod(target, mode))]
    calls += [("time", lambda: os.utime(target, ns=(time, time), follow_symlinks=False))]
    calls += [("flags", lambda: set_flags(target, words["flags"]))] if "flags" in words else []
    for what, call in calls:
        try:
            call()
        except (OSError, OverflowError) as error:
            fault(path, f"its {what} is not set: {getattr(error, 'strerror', error)}")
            mode &= 0o1777 if what == "owner" else 0o7777  # setuid would lend the rights of another

def set_flags(target, names):
    file = os.open(target, os.O_RDONLY | os.O_NOFOLLOW)
    flags = int.from_bytes(fcntl.ioctl(file, 0x80086601, bytes(8))[:4], sys.byteorder)  # FS_IOC_GETFLAGS
    flags |= (b"schg" in names) * 0x10 | (b"sappnd" in names) * 0x20  # immutable, append-only
    fcntl.ioctl(file, 0x40086602, flags.to_bytes(8, sys.byteorder))  # FS_IOC_SETFLAGS
    os.close(file)

def main(verb, host, name=None, path="/", to=None):
    os.umask(0o077)
    folders = [folder for folder in (*TIERS, ".backup/snapshots", "records") if exists(join(host, folder))]
    names = records = {name for folder in folders for name in os.listdir(join(host, folder))}
    on_disk = exists(join(host, ".backup"))
    if on_disk:
        read_record(join(host, ".backup/destination.json"), 1)
    elif not exists(join(host, "records")):
        raise ValueError("has neither .backup nor records in it: name the folder of a host")
    elif any(one.startswith("format-") and one != "format-1.json" for one in records):
        raise ValueError("is of a later format")
    else:
        names = {one[:-5] for one in records if re.fullmatch(r"[\d-]{10}_[\d-]{8}\.json", one)}
    if not names:
        raise ValueError("has no snapshot")
    for name in [name] if name else sorted(names):
        before = len(faults)
        try:
            away = on_disk and not place(host, name) and place(host, name, [".backup/partial", ".backup/trash"])
            if away or on_disk and name in names and not exists(join(host, ".backup/snapshots", name)):
                what = "not published, or on its way out" if away else "unmanaged: nothing is known of it"
                fault(name, what) if verb == "restore" else print(f"{name}  {what}")
                continue
            record = load(host, name)[0]
            if verb != "list":
                go_through(host, name, tuple(filter(None, os.fsencode(path).split(b"/"))), to and os.fsencode(to))
            state = "suspect" if record["suspect"] else "good" if record["complete"] else "incomplete"
            state = "let go" if f"{name}.expired.json" in records else state
            if len(faults) == before:
                print(f"{name}  {state}  {record['totals']['files']} files  {record['totals']['bytes']} bytes")
        except Exception as error:
            fault(name, error if isinstance(error, (OSError, ValueError)) else repr(error))

if __name__ == "__main__":
    if len(sys.argv) not in {"list": (3,), "check": (3, 4), "restore": (6,)}.get("".join(sys.argv[1:2]), ()):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        fault(sys.argv[2], error)
    sys.exit(bool(faults))
