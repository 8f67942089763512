# The program as the restricted user that the units have, with what they may: for root, who looks after
# the snapshots.
{
  cfg,
  lib,
  pkgs,
}:

pkgs.writeShellApplication {
  name = "backup-as-${cfg.user}";
  runtimeInputs = [
    cfg.package
    pkgs.coreutils
    pkgs.util-linux
  ]
  ++ import ./tools.nix { inherit cfg pkgs; };
  text = ''
    user=${lib.escapeShellArg cfg.user}
    group=$(id --group -- "$user")
    cd /
    umask 077
    exec setpriv --reuid "$user" --regid "$group" --init-groups --no-new-privs \
      --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search \
      --bounding-set=-all,+dac_read_search \
      backup --config /etc/backup/config.json \
      ${lib.escapeShellArgs (import ./state-dir.nix cfg).options} "$@"
  '';
}
