# What the tests need beside the options to evaluate the providers: the options that they define, as NixOS
# and Clan declare them, and packages that are names. Of Clan's it is a stand-in with the same types.
{ lib, ... }:

let
  inherit (lib) mkOption types;

  named = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/${name}";
  };

  text = mkOption { type = types.str; };
  command = mkOption {
    type = types.nullOr types.str;
    default = null;
  };
in
{
  imports = [
    ../../nixos/also.nix
    ../../nixos/commands.nix
    ../../nixos/providers/file-backup.nix
  ];

  options = {
    environment.systemPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
    };

    clan.core = {
      state = mkOption {
        default = { };
        type = types.attrsOf (
          types.submodule {
            options = {
              folders = mkOption { type = types.listOf types.str; };
              preBackupCommand = command;
              postBackupCommand = command;
            };
          }
        );
      };

      backups.providers = mkOption {
        default = { };
        type = types.attrsOf (
          types.submodule {
            options = {
              list = text;
              create = text;
              restore = text;
            };
          }
        );
      };
    };
  };

  config = {
    hwc.system.services.backup.package = named "backup-0";

    _module.args.pkgs = {
      inherit lib;
      # With what it was given to make a script of.
      writeShellApplication = given: named given.name // { inherit (given) text; };
    }
    // lib.genAttrs [
      "coreutils"
      "gnused"
      "rclone"
      "rsync"
      "util-linux"
    ] named;
  };
}
