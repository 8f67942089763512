# The programs that a run calls, and only those: what is not configured is not installed.
{ cfg, pkgs }:

let
  inherit (pkgs) lib;
in
lib.optional (cfg.local.enable && cfg.local.useRsync) pkgs.rsync
++ lib.optional cfg.cloud.enable pkgs.rclone
++ cfg.extraTools
