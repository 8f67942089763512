# Evaluates the module as NixOS would: a whole system around `modules`, and of it what the tests
# compare. Called by main.rs.
#
# The tree of nixpkgs may be older than the lib; names that lib has dropped since are added for it,
# and options of NixOS that it lacks are declared below. The module knows nothing of either.
{
  # A tree with nixos/.
  nixpkgs,
  # A newer lib, or the tree's own.
  libPath ? nixpkgs + "/lib",
  # The modules to evaluate, beside nixos/module.nix.
  modules ? [ ],
}:

let
  own = import (nixpkgs + "/lib");
  new = import libPath;
  lib = new.extend (_: prev: removeAttrs own (builtins.attrNames prev));

  # What no backup needs and every NixOS wants.
  machine = {
    boot.loader.grub.enable = false;
    fileSystems."/" = {
      device = "/dev/disk/by-label/root";
      fsType = "ext4";
    };
    # Left to the network, as in a config.json without `hostname`, where an example names none.
    networking.hostName = lib.mkOverride 1400 "";
  };

  evaluate =
    modules:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      inherit lib modules;
      system = "x86_64-linux";
    };

  # Options of today's NixOS that an old tree has not; where the tree has them they are its own.
  absent = path: !lib.hasAttrByPath path (evaluate [ ]).options;
  missing = {
    options =
      lib.optionalAttrs
        (absent [
          "system"
          "checks"
        ])
        {
          system.checks = lib.mkOption {
            type = lib.types.listOf lib.types.package;
            default = [ ];
          };
        };
  };

  # The program as a derivation that nothing builds here.
  package =
    { lib, pkgs, ... }:
    {
      hwc.system.services.backup.package = lib.mkDefault (
        pkgs.runCommand "backup-0" { meta.mainProgram = "backup"; } "exit 1"
      );
    };

in
evaluate (
  [
    machine
    missing
    package
    ../../nixos/module.nix
  ]
  ++ modules
)
