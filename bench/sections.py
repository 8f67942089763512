"""The parts of the bench: each is one tree, one kind of disk, and those who take part."""

import dataclasses

from tree import SHAPES, Shape

# What a destination may be.
DISKS = ("ext4", "btrfs", "xfs", "sshfs", "folder")
# A tree for a server at a distance, where each request takes its time.
FAR = Shape(files=2_000, folders=220, bytes=48_000_000)
# What is backed up where the number of snapshots is what costs.
TINY = Shape(files=100, folders=10, bytes=1_000_000)
MANY = 1_500

OURS = ("builtin", "withrsync")


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the whole table's trees are, and how often all is measured."""

    # Trees A and B are this many times smaller in all that they have.
    home: int
    small_files: int
    far: Shape
    # Snapshots beside which the tiny tree is backed up.
    many: int
    rounds: int
    # What the tables say of it; nothing of the full size.
    said: str = ""


def fraction(shape, divisor):
    return Shape(shape.files // divisor, shape.folders // divisor, shape.bytes // divisor)


SIZES = {
    "full": Size(home=1, small_files=1, far=FAR, many=MANY, rounds=5),
    "small": Size(home=5, small_files=10, far=fraction(FAR, 2), many=MANY // 3, rounds=3, said="the smaller table of `--size small`"),
    # Whether every row can be measured here.
    "tiny": Size(home=1000, small_files=5000, far=fraction(FAR, 20), many=8, rounds=1, said="too small to say anything, `--size tiny`"),
}


@dataclasses.dataclass(frozen=True)
class Section:
    """What is measured together, and compared."""

    title: str
    dest: str
    shape: Shape
    seed: int = 1
    # "warm" or "cold".
    cache: str = "warm"
    # Who takes part; all that are installed if none are named.
    only: tuple[str, ...] | None = None
    renames: int = 10_000
    # Times that "nothing changed" is measured in a round.
    repeat: int = 1
    # A run with so many snapshots present is measured, too.
    snapshots: int = 0
    # Nothing but runs with one snapshot present and with so many.
    many: int = 0
    # Where it is not measured as often as the rest.
    rounds: int | None = None

    def key(self):
        """What its measurements are kept under: those of another shape are not its own."""
        fields = dataclasses.asdict(self).items()
        return "; ".join(f"{name} {value}" for name, value in fields if name not in ("title", "rounds"))


def title(shape, dest, cache):
    where = {"sshfs": "over sshfs with 1 ms for each round trip", "folder": "to plain folders"}.get(dest, f"to {dest}")
    read = ", nothing in the page cache" if cache == "cold" else ""
    return f"{shape.files:,} files {where}{read}"


def many_title(shape, many):
    return f"{shape.files} files to ext4 beside {many:,} snapshots"


def chosen(options):
    """The one part that the options describe; two where both states of the cache are asked for."""
    only = tuple(options.only.split(",")) if options.only else None
    return [
        Section(
            title=title(options.shape, options.dest, cache),
            dest=options.dest,
            shape=options.shape,
            seed=options.seed,
            cache=cache,
            only=only,
            renames=options.renames,
            repeat=options.repeat,
            snapshots=options.snapshots,
        )
        for cache in options.caches
    ]


def whole(options):
    """All parts of the table that is recorded."""
    size = SIZES[options.size]
    shape = fraction(SHAPES["A"], size.home)
    rsync = (*OURS, "rsync", "floor")

    def section(dest, shape, only=None, cache="warm", **more):
        return Section(title=title(shape, dest, cache), dest=dest, shape=shape, seed=options.seed, only=only, cache=cache, **more)

    return [
        section("ext4", shape),
        section("ext4", shape, only=rsync, cache="cold"),
        section("xfs", shape, only=rsync),
        section("btrfs", shape, only=(*rsync, "btrbk")),
        section("sshfs", size.far, only=(*OURS, "rsync"), renames=200),
        # Its snapshots are made once, and five runs with all of them measured.
        dataclasses.replace(section("ext4", TINY, only=("builtin", "rsync"), many=size.many, rounds=1), title=many_title(TINY, size.many)),
        section("ext4", fraction(SHAPES["B"], size.small_files), only=("builtin", "rsync", "floor")),
    ]
