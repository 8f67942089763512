"""The contestants. Each knows how it does what is measured; what it has no way to do, it lacks."""

from peers.btrbk import Btrbk
from peers.ours import BuiltIn, WithRsync
from peers.plain import Floor, Plain
from peers.repositories import Borg, Kopia, Restic, Rustic
from peers.rsync import Rsnapshot, Rsync

# In the order of the table's columns.
ALL = (BuiltIn, WithRsync, Rsync, Rsnapshot, Btrbk, Restic, Rustic, Kopia, Borg, Plain, Floor)
