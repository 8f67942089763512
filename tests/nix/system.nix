# A whole system with the module in it, and of it what the tests compare. Called by main.rs.
{
  # A tree with nixos/.
  nixpkgs,
  # A newer lib, or the tree's own.
  libPath ? nixpkgs + "/lib",
  # The modules to evaluate, beside nixos/.
  modules ? [ ],
  # Whether to import that one at all.
  withModule ? true,
}:

let
  inherit (import ./old-nixos.nix { inherit nixpkgs libPath; }) lib nixosSystem;

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

  ours = [
    ../../nixos
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

  system = nixosSystem {
    modules = [
      machine
      ./agenix.nix
    ]
    ++ lib.optionals withModule ours
    ++ modules;
  };

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
  }
  # What it says that it keeps, and the script that writes its databases out.
  // lib.optionalAttrs (config.environment.etc ? "backup/state.json") {
    state = config.environment.etc."backup/state.json".text;
    dump = config.hwc.system.services.backup.state.derived.script;
  };
}
