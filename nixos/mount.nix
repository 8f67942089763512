# What the system's configuration says of the file system at a mount point. Plain `builtins`.
{ config, mountPoint }:

let
  # A trailing slash is not part of a name; ours has none.
  clean = path: builtins.head (builtins.match "(/|.*[^/])/*" path);
  here = path: clean path == mountPoint;

  entries = builtins.filter (entry: here entry.mountPoint) (builtins.attrValues config.fileSystems);
  units = builtins.filter (unit: here unit.where) config.systemd.mounts;

  has = option: entry: builtins.elem option entry.options;
  atLeisure = entry: has "nofail" entry || has "noauto" entry || has "x-systemd.automount" entry;
in
{
  # Whether anything mounts it.
  known = entries != [ ] || units != [ ];

  # Whether a missing disk stops the boot. Where the root file system is the destination, it has to.
  stopsBoot = builtins.any (entry: entry.mountPoint != "/" && !atLeisure entry) entries;
}
