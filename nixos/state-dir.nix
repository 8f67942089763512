# Where what is remembered between runs is, and for a restricted user the options that say so: the folder
# that root has by default stays root's, who restores with owners. Plain `builtins`.
cfg:

let
  folder = if cfg.user == null then "/var/lib/backup" else "/var/lib/backup-${cfg.user}";
in
{
  inherit folder;

  options = [
    "--state-dir"
    folder
    "--log-dir"
    cfg.monitoring.logPath
  ];
}
