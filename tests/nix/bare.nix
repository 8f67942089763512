# The options and assertions without NixOS around them: for a nixpkgs of which only lib is there,
# and fast. What the assertions ask of the rest of a system is declared as NixOS declares it.
{
  libPath,
  # Not needed; so that both harnesses are called alike.
  nixpkgs ? null,
  # Definitions below hwc.system.services.backup.
  backup ? { },
  # Other definitions.
  system ? { },
  # Other modules.
  modules ? [ ],
}:

let
  lib = import libPath;
  inherit (lib) mkOption types;

  anything =
    default:
    mkOption {
      type = types.anything;
      inherit default;
    };

  rest = {
    options = {
      assertions = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      warnings = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
      services.mail.sendmailSetuidWrapper = anything null;
      systemd.mounts = anything [ ];
      age = anything { };
      users.users = anything { };
      fileSystems = mkOption {
        default = { };
        type = types.attrsOf (
          types.submodule (
            { name, ... }:
            {
              options = {
                mountPoint = anything name;
                options = anything [ "defaults" ];
              };
            }
          )
        );
      };
    };
  };
in
builtins.seq nixpkgs (
  lib.evalModules {
    modules = [
      ../../nixos/options.nix
      ../../nixos/assertions.nix
      rest
      system
      { hwc.system.services.backup = backup; }
    ]
    ++ modules;
  }
)
