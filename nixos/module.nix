# The module: turns the options into /etc/backup/config.json, which the program reads, and has the
# program judge that file while the system is built.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = import ./state/effective.nix config.hwc.system.services.backup;

  script = import ./script.nix {
    inherit lib pkgs;
    inherit (cfg) extraTools;
  };

  file = config.environment.etc."backup/config.json".source;

  # These three keys of systemd's are the program's as well, which decides by them whether a backup is
  # due. Above whatever `schedule` says, as all of timerConfig is.
  fromTimer = import ./timer-config.nix { inherit (cfg) timerConfig; };
in
{
  imports = [
    ./options.nix
    ./also.nix
    ./assertions.nix
    ./commands.nix
    ./services.nix
    ./providers/file-backup.nix
    ./state
  ];

  config = lib.mkMerge [
    # Below the default that the flake sets, so that the module also works without it.
    { hwc.system.services.backup.package = lib.mkOptionDefault (pkgs.callPackage ./package.nix { }); }

    {
      hwc.system.services.backup = {
        # Empty where the machine gets its name from the network.
        hostname = lib.mkIf (config.networking.hostName != "") (
          lib.mkDefault config.networking.hostName
        );
        schedule = lib.mapAttrs (
          _: value: lib.mkIf (value != null) (lib.mkForce value)
        ) fromTimer.schedule;
      };
    }

    (lib.mkIf cfg.enable {
      # As text, which can be read without building anything.
      environment.etc."backup/config.json".text = builtins.toJSON (
        import ./config-json.nix {
          inherit cfg;
          preBackupScript = script "pre-backup" cfg.preBackupScript;
          postBackupScript = script "post-backup" cfg.postBackupScript;
          configFile = import ./secret.nix { inherit config; };
        }
      );

      # What one option cannot know is said here: before the system is switched to, not at 02:00.
      system.checks = lib.optional (pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform) (
        pkgs.runCommand "backup-config-check" { nativeBuildInputs = [ cfg.package ]; } ''
          backup check ${file} > $out 2>&1 || { cat $out >&2; exit 1; }
          if grep 'never elapses' $out >&2; then
            echo 'hint: set schedule.frequency, or monitoring.healthCheckInterval, to an expression for' \
              'which `systemd-analyze calendar` names a next elapse' >&2
            exit 1
          fi
        ''
      );

      # A chapter of the manual. The whole of that is documented by the options.
      meta = {
        doc = ./manual.md;
        maintainers = [ ];
      };
    })
  ];
}
