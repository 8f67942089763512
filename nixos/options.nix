# The options, hwc.system.services.backup.*: one for each key of config.json, and those that only
# Nix knows. Declarations alone; needs nothing but lib. Default, description and type of a key are
# the program's own (schema.nix); here stand the examples, and types that are stricter.
{ lib, ... }:

let
  inherit (lib) literalExpression mkOption types;

  schema = import ./schema.nix;
  t = import ./types.nix { inherit lib; };

  # `more` is a paragraph that only matters to Nix.
  option =
    key:
    {
      type ? t.ofKey key,
      more ? "",
      ...
    }@given:
    mkOption (
      {
        inherit type;
        description = lib.concatStringsSep "\n\n" (
          lib.filter (text: text != "") [
            key.description
            more
          ]
        );
      }
      // lib.optionalAttrs (key ? default) { inherit (key) default; }
      // removeAttrs given [ "more" ]
    );

  # The options of one object of the schema. A name that the schema does not know is an error.
  section = keys: lib.mapAttrs (name: option keys.${name});

  # A channel with options of its own, or null for none.
  channel =
    key: example: given:
    option key {
      type = types.nullOr (types.submodule { options = section key.keys given; });
      inherit example;
    };
in
{
  options.hwc.system.services.backup = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to set up the backup system: its configuration, commands and units. Without it the
        module changes nothing; with it alone nothing is backed up: see `local.enable`,
        `cloud.enable` and `schedule.enable`.
      '';
    };

    package = mkOption {
      type = types.package;
      defaultText = literalExpression "the package of this flake";
      description = "The program.";
    };

    extraTools = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = literalExpression "[ pkgs.postgresql pkgs.sqlite ]";
      description = "Packages on the PATH of the scripts and the units.";
    };

    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "--threads=2"
        "--verbose"
      ];
      description = ''
        More options for the program in each unit: those that stand before the verb, see
        {command}`backup help`. What the module sets itself (`--config`, `--state-dir`, `--log-dir`,
        `--as-unit`) is not among them.
      '';
    };

    user = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "backup";
      description = ''
        The user who backs up, instead of root: one of {option}`users.users`, who may read every file
        (`CAP_DAC_READ_SEARCH`) and do nothing else that root may.

        The snapshots belong to that user, who must be allowed to write to the destination. Owners,
        access lists and devices are in the manifests, and root restores them. Files whose owners are to
        be seen on the disk itself want root.
      '';
    };

    timerConfig = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.bool
          types.int
          types.str
          (types.listOf types.str)
        ]
      );
      default = { };
      example = {
        OnCalendar = "00:05";
        RandomizedDelaySec = "5h";
        FixedRandomDelay = true;
      };
      description = ''
        What {file}`backup.timer` has (systemd.timer(5)), over what {option}`schedule` gives it.

        `OnCalendar`, `RandomizedDelaySec` and `Persistent` become {option}`schedule.frequency`,
        {option}`schedule.randomDelay` and {option}`schedule.persistent`, since the program itself
        decides by them whether a backup is due. An `OnCalendar` without a time of day takes
        {option}`schedule.timeOfDay`.
      '';
    };
  }
  // section schema {
    hostname = {
      type = types.nullOr t.folderName;
      defaultText = literalExpression "config.networking.hostName";
      example = "atlas";
    };
    preBackupScript = {
      type = types.nullOr types.lines;
      example = "pg_dumpall --file=/var/backup/databases.sql";
      more = ''
        Lines of bash, run with `set -euo pipefail` and {option}`extraTools` on the PATH.
      '';
    };
    postBackupScript = {
      type = types.nullOr types.lines;
      example = ''
        echo "backup: $BACKUP_RESULT"
      '';
      more = ''
        Lines of bash, run with `set -euo pipefail` and {option}`extraTools` on the PATH.
      '';
    };
    preBackupTimeout.example = "10m";
    postBackupTimeout.example = "10m";
    onPreBackupFailure.example = "warn";
  }
  // {
    local = section schema.local.keys {
      enable.example = true;
      mountPoint.example = "/mnt/nas-backup";
      requireMount.example = false;
      fileSystemUUID = {
        type = types.nullOr t.fileSystemUUID;
        example = "0a3407de-014b-458b-b5c1-848e92a327a3";
      };
      ifAbsent.example = "defer";
      useRsync.example = false;
      keepLast.example = 5;
      keepHourly.example = 24;
      keepDaily.example = 14;
      keepWeekly.example = 8;
      keepMonthly.example = 12;
      keepYearly.example = 3;
      weekStartsOn.example = "monday";
      makeRoom.example = "oldest";
      minSpaceGB.example = 50;
      maxHolesGB.example = 4096;
      sources.example = [
        "/home"
        "/etc/nixos"
        "/var/lib/paperless"
      ];
      optionalSources.example = [ "/var/lib/paperless" ];
      excludePatterns.example = [
        ".cache"
        "/home/*/Downloads"
        "target/"
      ];
      excludeCaches.example = false;
      excludeIfPresent.example = [ ".nobackup" ];
      allowFullCopies.example = true;
      readableByUsers.example = true;
      oneFileSystem.example = false;
    };

    cloud = section schema.cloud.keys {
      enable.example = true;
      provider.example = "custom";
      remote = {
        type = types.nullOr t.remote;
        example = "b2:my-bucket";
      };
      remotePath = {
        type = t.remotePath;
        example = "Backups/machines";
      };
      syncMode.example = "copy";
      keepHistoryDays.example = 30;
      maxDelete.example = 1000;
      bandwidthLimit = {
        type = types.nullOr t.bandwidthLimit;
        example = "10M";
      };
      configFile = {
        type = types.nullOr t.secretPath;
        example = "/etc/rclone-proton.conf";
        more = ''
          With {option}`protonDrive.enable` and agenix it may be null: then it is the secret that
          {option}`protonDrive.secretName` names. It must not be in the Nix store.
        '';
      };
      timeout.example = "12h";
    };

    destinations = option schema.destinations {
      type = types.attrsOf (
        types.submodule {
          options =
            section schema.destinations.value.keys {
              type.example = "disk";
              enable.example = false;
              sources.example = [ "/srv/photos" ];
              excludePatterns.example = [ "*.iso" ];
              keepLast.example = 5;
              keepHourly.example = 24;
              keepDaily.example = 14;
              keepWeekly.example = 8;
              keepMonthly.example = 12;
              keepYearly.example = 3;
              weekStartsOn.example = "monday";
              offSite.example = true;
              mountPoint.example = "/mnt/usb";
              requireMount.example = false;
              fileSystemUUID = {
                type = types.nullOr t.fileSystemUUID;
                example = "0a3407de-014b-458b-b5c1-848e92a327a3";
              };
              ifAbsent.example = "defer";
              useRsync.example = false;
              minSpaceGB.example = 50;
              makeRoom.example = "oldest";
              allowFullCopies.example = true;
              readableByUsers.example = true;
              remote = {
                type = types.nullOr t.remote;
                example = "b2:my-bucket";
              };
              remotePath = {
                type = t.remotePath;
                example = "Backups/machines";
              };
              configFile = {
                type = types.nullOr t.secretPath;
                example = "/etc/rclone-b2.conf";
                more = "It must not be in the Nix store.";
              };
              bandwidthLimit = {
                type = types.nullOr t.bandwidthLimit;
                example = "10M";
              };
              timeout.example = "12h";
              maxDelete.example = 1000;
              keepHistoryDays.example = 30;
              layout.example = "mirror";
              expire.example = "never";
            }
            // {
              schedule =
                channel schema.destinations.value.keys.schedule
                  {
                    frequency = "weekly";
                  }
                  {
                    frequency.example = "weekly";
                    timeOfDay.example = "12:30";
                    randomDelay.example = "10m";
                    onlyOnAC.example = false;
                  };
            };
        }
      );
      example = {
        usb = {
          type = "disk";
          mountPoint = "/mnt/usb";
          ifAbsent = "defer";
          keepMonthly = 24;
        };
      };
    };

    policy = option schema.policy { example = "3-2-1"; };

    copies = mkOption {
      type = types.listOf types.str;
      readOnly = true;
      example = [
        "3 copies with the original, on 2 kinds of medium, 1 off site (cloud), none that this machine cannot delete"
      ];
      description = ''
        How many copies there are of what is backed up: with the original, on how many kinds of medium, how
        many off site, and whether there is one that this machine cannot delete. For each list of sources a
        line. {option}`policy` makes an error of what is lacking.
      '';
    };

    protonDrive =
      section schema.protonDrive.keys {
        enable.example = true;
      }
      // {
        secretName = mkOption {
          type = types.str;
          default = "rclone-proton-config";
          example = "rclone";
          description = ''
            Name of the agenix secret ({option}`age.secrets.<name>`) that holds the rclone
            configuration and becomes {option}`cloud.configFile`.
          '';
        };
      };

    schedule = section schema.schedule.keys {
      enable = {
        example = true;
        more = "While it is false no timer exists and nothing starts a backup: not at boot, not at a rebuild.";
      };
      frequency.example = "Mon,Wed,Fri";
      timeOfDay.example = "12:30";
      randomDelay.example = "10m";
      onlyOnAC.example = false;
      persistent.example = false;
    };

    notifications =
      section schema.notifications.keys {
        enable.example = true;
        onSuccess.example = true;
        onFailure.example = false;
        desktop.example = false;
        command.example = literalExpression ''pkgs.writeShellScript "tell" "cat >> /var/log/told"'';
        report.example = "weekly";
      }
      // {
        email =
          channel schema.notifications.keys.email
            {
              to = "ann@example.org";
              from = "backup@example.org";
            }
            {
              to = {
                type = t.mailAddress;
                example = "ann@example.org";
              };
              from = {
                type = t.mailAddress;
                example = "backup@example.org";
              };
            };

        ntfy =
          channel schema.notifications.keys.ntfy
            {
              url = "https://ntfy.sh";
              topic = "backups-of-atlas";
            }
            {
              url = {
                type = t.url;
                example = "https://ntfy.sh";
              };
              topic = {
                type = types.nullOr t.topic;
                default = null;
                example = "backups-of-atlas";
              };
              topicFile = {
                type = types.nullOr t.secretPath;
                default = null;
                example = "/run/agenix/ntfy-topic";
              };
              tokenFile = {
                type = types.nullOr t.secretPath;
                example = "/run/agenix/ntfy-token";
              };
            };

        webhook =
          channel schema.notifications.keys.webhook
            {
              url = "https://example.org/hooks/backup";
            }
            {
              url = {
                type = types.nullOr t.url;
                default = null;
                example = "https://example.org/hooks/backup";
                more = "It stands in the Nix store, which everybody may read.";
              };
              urlFile = {
                type = types.nullOr t.secretPath;
                default = null;
                example = "/run/agenix/webhook-address";
              };
              headersFile = {
                type = types.nullOr t.secretPath;
                example = "/run/agenix/webhook-headers";
              };
            };

        healthcheck =
          channel schema.notifications.keys.healthcheck
            {
              urlFile = "/run/agenix/healthcheck-address";
            }
            {
              url = {
                type = types.nullOr t.url;
                default = null;
                example = "https://hc-ping.com/4f7c0a36-0d7c-4a2f-8e37-6d1f6f1f5a3b";
                more = "It stands in the Nix store, which everybody may read.";
              };
              urlFile = {
                type = types.nullOr t.secretPath;
                default = null;
                example = "/run/agenix/healthcheck-address";
              };
            };
      };

    monitoring = section schema.monitoring.keys {
      enable.example = false;
      healthCheckInterval.example = "daily";
      logPath.example = "/var/log/backups";
      maxAge.example = "3d";
      verifySubset.example = "1/7";
      prometheusFile.example = "/var/lib/prometheus-node-exporter/backup.prom";
    }
    // {
      drill = section schema.monitoring.keys.drill.keys {
        enable.example = true;
        schedule.example = "monthly";
        checks.example = [
          "/etc/backup/checks/letters"
          "service:postgresql"
        ];
        timeout.example = "30m";
      };
    };
  };
}
