# A service of ours: what all have in common, and what one adds. The directives are those that
# `backup systemd-units` prints (planner/src/units/services.rs); a test compares the two.
{
  config,
  lib,
  pkgs,
  utils,
}:

let
  cfg = config.hwc.system.services.backup;
  inherit (cfg) local notifications;

  sandbox = import ./sandbox.nix {
    inherit cfg lib;
    configFile = import ./secret.nix { inherit config; };
  };
in
rec {
  # The unit that mounts the destination, if one does.
  mountUnits = lib.optional (
    local.enable && local.requireMount
  ) "${utils.escapeSystemdPath local.mountPoint}.mount";

  # The program with what every unit gives it.
  program = "${cfg.package}/bin/backup --config /etc/backup/config.json";

  service =
    {
      # The name of its rules in sandbox.nix.
      box,
      arguments,
      unitConfig ? { },
      serviceConfig ? { },
      after ? [ ],
      ...
    }@given:
    lib.mkMerge [
      (removeAttrs given [
        "box"
        "arguments"
        "unitConfig"
        "serviceConfig"
        "after"
      ])
      {
        documentation = [ "man:backup(1)" ];
        # The order only: whether it is mounted is the program's to see.
        after = after ++ mountUnits;

        # Any number of triggers may ask; asking is cheap.
        unitConfig = {
          StartLimitIntervalSec = 0;
        }
        // unitConfig;

        # A rebuild neither ends a backup that runs, nor starts one.
        restartIfChanged = false;
        stopIfChanged = false;

        path =
          import ./tools.nix { inherit cfg pkgs; }
          # sendmail is a wrapper.
          ++ lib.optional (notifications.enable && notifications.email != null) "/run/wrappers"
          ++ lib.optional (notifications.enable && notifications.desktop) pkgs.libnotify;

        serviceConfig = {
          Type = "notify";
          ExecStart = "${program} ${arguments}";
          # Incomplete or suspect (3), deferred (75), asked to stop and resumable.
          SuccessExitStatus = "3 75 130 143";
          # The program ends what it started.
          KillMode = "mixed";
          # It is ready at once, and a first run may take days: no limit to the run itself.
          TimeoutStartSec = "10min";
          TimeoutStopSec = "10min";
          Nice = 10;
          IOSchedulingClass = "idle";
          CPUWeight = 20;
          IOWeight = 20;
        }
        // sandbox.${box}
        // serviceConfig;
      }
    ];
}
