# The commands for people: `backup`, and the short names backup-now, backup-status, backup-restore
# and backup-verify. What a run calls stands beside them, because a run by hand looks for it on the
# PATH of whoever starts it.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.hwc.system.services.backup;
in
{
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [
      cfg.package
    ]
    ++ import ./tools.nix { inherit cfg pkgs; }
    ++ lib.optional (cfg.user != null) (import ./as-user.nix { inherit cfg lib pkgs; });
  };
}
