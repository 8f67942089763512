# The run: its coordinator, its two parts, and what starts it. Without `schedule.enable` nothing
# does: not a timer, not the boot, not a rebuild.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:

let
  cfg = config.hwc.system.services.backup;
  inherit (cfg) local cloud schedule;
  inherit
    (import ./service.nix {
      inherit
        config
        lib
        pkgs
        utils
        ;
    })
    mountUnits
    program
    service
    ;
  escape = import ./escape.nix;

  parts =
    lib.optional local.enable "backup-local.service"
    ++ lib.optional cloud.enable "backup-cloud.service";

  # Outside of the sandbox, in which the folder that may be written is a mount of its own.
  whereMounted = lib.optionalAttrs local.requireMount {
    "${if local.ifAbsent == "fail" then "Assert" else "Condition"}PathIsMountPoint" =
      escape.whole local.mountPoint;
  };
in
{
  config = lib.mkIf cfg.enable {
    systemd.services = {
      backup = service {
        description = "Backup";
        box = "coordinator";
        arguments = "apply${lib.optionalString schedule.enable " --if-due"} --by-units";
        # Who stops the run stops its parts; and systemd remembers how they ended.
        unitConfig = lib.optionalAttrs (parts != [ ]) { PropagatesStopTo = parts; };
        # After a run that was killed: the post-script and the notification it owes.
        serviceConfig.ExecStopPost = "${program} settle";
        # Asks whether a backup is due whenever the destination is mounted.
        wantedBy = lib.optionals schedule.enable mountUnits;
      };

      backup-local = lib.mkIf local.enable (service {
        description = "Local steps of the backup";
        box = "local";
        arguments = "apply --only local";
        unitConfig = whereMounted;
      });

      backup-cloud = lib.mkIf cloud.enable (service {
        description = "Cloud steps of the backup";
        box = "cloud";
        arguments = "apply --only cloud";
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
      });
    };

    systemd.timers = lib.mkIf schedule.enable {
      backup = {
        description = "Backup on its schedule";
        documentation = [ "man:backup(1)" ];
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnCalendar = escape.whole (import ./calendar.nix { inherit (schedule) frequency timeOfDay; });
          RandomizedDelaySec = schedule.randomDelay;
          Persistent = schedule.persistent;
          AccuracySec = "1min";
          Unit = "backup.service";
        };
      };

      # A timer that fires on battery, without the disk, or in the hour that the change of clocks
      # leaves out, counts as done for systemd: so the program is asked again.
      backup-retry = {
        description = "Backup again if the schedule was not served";
        documentation = [ "man:backup(1)" ];
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnActiveSec = "15min";
          OnUnitInactiveSec = "15min";
          AccuracySec = "1min";
          Unit = "backup.service";
        };
      };
    };

    # Asks for a deferred backup when AC power comes back. At boot there is the timer.
    services.udev.extraRules = lib.mkIf (schedule.enable && schedule.onlyOnAC) ''
      ACTION=="change", SUBSYSTEM=="power_supply", ATTR{type}=="Mains", ATTR{online}=="1", TAG+="systemd", ENV{SYSTEMD_WANTS}+="backup.service"
    '';

    # Elsewhere than below /var/log no unit makes it.
    systemd.tmpfiles.settings.backup = lib.mkIf (!lib.hasPrefix "/var/log/" cfg.monitoring.logPath) {
      ${cfg.monitoring.logPath}.d = {
        user = "root";
        group = "root";
        mode = "0750";
      };
    };
  };
}
