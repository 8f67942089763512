# The module: turns the options into /etc/backup/config.json, which the program reads, and has the
# program judge that file while the system is built.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.hwc.system.services.backup;

  # A pipe whose first half fails is a failure, and a half-written dump is not backed up as if it
  # were whole.
  script =
    name: lines:
    if lines == null then
      null
    else
      "${pkgs.writeShellScript name ''
        set -euo pipefail
        ${lib.optionalString (cfg.extraTools != [ ]) ''
          export PATH=${lib.makeBinPath cfg.extraTools}''${PATH:+:$PATH}
        ''}
        ${lines}
      ''}";

  file = config.environment.etc."backup/config.json".source;
in
{
  imports = [
    ./options.nix
    ./assertions.nix
    ./commands.nix
    ./services.nix
  ];

  config = lib.mkMerge [
    # Below the default that the flake sets, so that the module also works without it.
    { hwc.system.services.backup.package = lib.mkOptionDefault (pkgs.callPackage ./package.nix { }); }

    (lib.mkIf cfg.enable {
      # As text, which can be read without building anything.
      environment.etc."backup/config.json".text = builtins.toJSON (
        import ./config-json.nix {
          inherit cfg;
          hostName = config.networking.hostName;
          preBackupScript = script "pre-backup" cfg.preBackupScript;
          postBackupScript = script "post-backup" cfg.postBackupScript;
          configFile = import ./secret.nix { inherit config; };
        }
      );

      # What one option cannot know is said here: before the system is switched to, not at 02:00.
      system.checks = lib.optional (pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform) (
        pkgs.runCommand "backup-config-check" { nativeBuildInputs = [ cfg.package ]; } ''
          backup check ${file} > $out
        ''
      );
    })
  ];
}
