# A provider of the file-backup contract (RFC 189; NixOS/nixpkgs#522054), by which a service says what of it
# is to be backed up, and any provider does it:
#
#   hwc.system.services.backup.consumers.nextcloud.fileBackupContract.input =
#     config.services.nextcloud.fileBackupContract.input;
#
# The folders of all consumers are sources of the machine's backup, in one snapshot with the others.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;

  cfg = config.hwc.system.services.backup;

  # Who backs up; who restores is root, who gives files to their owners.
  program = if cfg.user == null then "backup" else "backup-as-${cfg.user}";

  # A pattern is for the consumer's own folders: at its top or anywhere below.
  patternsOf =
    input:
    lib.concatMap (
      folder:
      lib.concatMap (
        pattern:
        if lib.hasPrefix "/" pattern then
          [ "${folder}${pattern}" ]
        else
          [
            "${folder}/${pattern}"
            "${folder}/**/${pattern}"
          ]
      ) input.excludePatterns
    ) input.sourceDirectories;

  scriptOf =
    name: input:
    pkgs.writeShellApplication {
      name = "backup-of-${name}";
      runtimeInputs = [
        cfg.package
        pkgs.coreutils
        pkgs.gnused
        pkgs.util-linux
      ]
      ++ import ../tools.nix { inherit cfg pkgs; }
      ++ lib.optional (cfg.user != null) (import ../as-user.nix { inherit cfg lib pkgs; });
      text = ''
        ${builtins.readFile ../only-ours.sh}
        ${builtins.readFile ./put-back.sh}
        usage() {
          echo "usage: backup-of-${name} backup | snapshots | restore SNAPSHOT" >&2
          exit 2
        }

        case "''${1-} $#" in
          "backup 1")
            exec ${program} apply
            ;;
          "snapshots 1")
            # The oldest first; the name is the first word.
            backup list | sed --quiet '/^[0-9]\{4\}-/p' | tac
            ;;
          "restore 2")
            put_back "$2" ${lib.escapeShellArgs input.sourceDirectories}
            ;;
          *)
            usage
            ;;
        esac
      '';
    };

  inputs = lib.mapAttrsToList (_: consumer: consumer.fileBackupContract.input) cfg.consumers;
in
{
  options.hwc.system.services.backup.consumers = mkOption {
    default = { };
    description = ''
      Services whose files are backed up by the file-backup contract: their folders are sources of the
      machine's backup.
    '';
    example = lib.literalExpression ''
      {
        nextcloud.fileBackupContract.input = config.services.nextcloud.fileBackupContract.input;
      }
    '';
    type = types.attrsOf (
      types.submodule (
        { name, config, ... }:
        {
          options.fileBackupContract = {
            input = {
              user = mkOption {
                type = types.str;
                default = "root";
                description = ''
                  Who owns the files. Whoever it is, the backup runs as root, which keeps the owners.
                '';
              };

              sourceDirectories = mkOption {
                type = types.nonEmptyListOf (import ../types.nix { inherit lib; }).absolutePath;
                example = [ "/var/lib/nextcloud" ];
                description = "Folders to back up.";
              };

              excludePatterns = mkOption {
                type = types.listOf types.str;
                default = [ ];
                example = [ "*.log" ];
                description = "What of these folders is left out, and of no other.";
              };
            };

            output.script = mkOption {
              type = types.package;
              readOnly = true;
              default = scriptOf name config.fileBackupContract.input;
              defaultText = lib.literalMD "a package with `backup-of-‹name›`";
              description = ''
                Backs up the machine (`backup`), lists the snapshots, the oldest first (`snapshots`), and
                makes the folders what they were (`restore SNAPSHOT`). To be run as root.
              '';
            };
          };
        }
      )
    );
  };

  config = lib.mkIf cfg.enable {
    hwc.system.services.backup.also = {
      sources = lib.concatMap (input: input.sourceDirectories) inputs;
      excludePatterns = lib.concatMap patternsOf inputs;
    };

    assertions = [
      {
        assertion = cfg.consumers != { } -> cfg.local.enable;
        message = ''
          hwc.system.services.backup.consumers: set, and there are no snapshots to restore from: local.enable is false
          hint: set hwc.system.services.backup.local.enable to true'';
      }
    ];
  };
}
