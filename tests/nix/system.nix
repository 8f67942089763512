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
  # Whether to import that one at all.
  withModule ? true,
}:

let
  own = import (nixpkgs + "/lib");
  new = import libPath;
  lib = new.extend (_: prev: removeAttrs own (builtins.attrNames prev));

  # What no backup needs and every NixOS wants.
  machine = {
    boot.loader.grub.enable = false;
    # The manual is another evaluation of everything.
    documentation.enable = false;
    documentation.nixos.enable = false;
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
  declare =
    path: type: default:
    lib.optionalAttrs (absent path) (lib.setAttrByPath path (lib.mkOption { inherit type default; }));
  missing.options = lib.foldl' lib.recursiveUpdate { } [
    (declare [ "system" "checks" ] (lib.types.listOf lib.types.package) [ ])
    (declare [ "systemd" "tmpfiles" "settings" ] lib.types.anything { })
  ];

  # agenix declares such secrets, where to find them decrypted and much else.
  agenix = {
    options.age.secrets = lib.mkOption {
      default = { };
      type = lib.types.attrsOf (
        lib.types.submodule (
          { name, ... }:
          {
            options = {
              file = lib.mkOption { type = lib.types.path; };
              path = lib.mkOption {
                type = lib.types.str;
                default = "/run/agenix/${name}";
              };
            };
          }
        )
      );
    };
  };

  ours = [
    ../../nixos/module.nix
    # The program as a derivation that nothing builds here.
    (
      { pkgs, ... }:
      {
        hwc.system.services.backup.package = lib.mkDefault (
          pkgs.runCommand "backup-0" { meta.mainProgram = "backup"; } "exit 1"
        );
      }
    )
  ];

  system = evaluate (
    [
      machine
      missing
      agenix
    ]
    ++ lib.optionals withModule ours
    ++ modules
  );

  inherit (system) config;
  isOurs = name: lib.hasPrefix "backup" name;
in
{
  inherit system;

  # What the tests compare, as JSON can have it.
  report = {
    config = config.environment.etc."backup/config.json".text;
    units = lib.mapAttrs (_: unit: {
      inherit (unit) text wantedBy;
    }) (lib.filterAttrs (name: unit: isOurs name && unit.enable) config.systemd.units);
    # The rules of others are none of ours.
    udev = lib.concatStringsSep "\n" (
      lib.filter (lib.hasInfix "backup.service") (lib.splitString "\n" config.services.udev.extraRules)
    );
    inherit (config) warnings;
    failed = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
  };
}
