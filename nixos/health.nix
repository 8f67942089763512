# The health check: by its own timer, whether or not backups have one, because an old backup is
# what it is to notice.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:

let
  cfg = config.hwc.system.services.backup;
  inherit (cfg) monitoring;
  escape = import ./escape.nix;
  inherit
    (import ./service.nix {
      inherit
        config
        lib
        pkgs
        utils
        ;
    })
    service
    ;
in
{
  config = lib.mkIf (cfg.enable && monitoring.enable) {
    systemd.services.backup-health-check = service {
      description = "Check of the backup's health";
      box = "health";
      arguments = "health";
    };

    systemd.timers.backup-health-check = {
      description = "Check of the backup's health on its schedule";
      documentation = [ "man:backup(1)" ];
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = escape.whole monitoring.healthCheckInterval;
        RandomizedDelaySec = "1h";
        Persistent = true;
      };
    };
  };
}
