# The programs that a run calls, and only those: what is not configured is not installed.
{ cfg, pkgs }:

let
  inherit (pkgs) lib;
  views = [ cfg ] ++ builtins.attrValues (import ./disks.nix cfg);
in
lib.optional (builtins.any (view: view.local.enable && view.local.useRsync) views) pkgs.rsync
++ lib.optional (cfg.cloud.enable || import ./remotes.nix cfg != { }) pkgs.rclone
++ cfg.extraTools
