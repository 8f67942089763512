# nixos/home-manager.nix without home-manager: a stand-in for the options of it that the module defines
# or reads, with the types that home-manager has for them, and packages that are names.
{
  libPath,
  # Not needed; so that the harnesses are called alike.
  nixpkgs ? null,
  # Definitions below services.backup.
  backup ? { },
  # Other modules.
  modules ? [ ],
}:

let
  lib = import libPath;
  inherit (lib) mkOption types;

  named = name: {
    type = "derivation";
    inherit name;
    outPath = "/nix/store/${name}";
  };

  ofType = type: mkOption { inherit type; };
  withDefault = type: default: mkOption { inherit type default; };

  primitive = types.oneOf [
    types.bool
    types.int
    types.str
    types.path
  ];
  # Units, their sections, and what is in these.
  units = withDefault (types.attrsOf (
    types.attrsOf (types.attrsOf (types.either primitive (types.listOf primitive)))
  )) { };

  standIn = {
    options = {
      assertions = withDefault (types.listOf types.unspecified) [ ];
      warnings = withDefault (types.listOf types.str) [ ];
      home = {
        homeDirectory = ofType types.path;
        profileDirectory = ofType types.path;
        packages = withDefault (types.listOf types.package) [ ];
        extraBuilderCommands = withDefault types.lines "";
      };
      xdg = {
        configHome = ofType types.path;
        stateHome = ofType types.path;
        configFile = withDefault (types.attrsOf (
          types.submodule (
            { name, ... }:
            {
              options = {
                text = ofType types.str;
                source = withDefault types.path "/nix/store/source-of-${baseNameOf name}";
              };
            }
          )
        )) { };
      };
      systemd.user = {
        services = units;
        timers = units;
      };
      age = withDefault types.anything { };
    };
    config = {
      _module.args.pkgs = {
        inherit lib;
        rsync = named "rsync";
        rclone = named "rclone";
        libnotify = named "libnotify";
        writeShellScript = name: _: named name;
        stdenv = {
          hostPlatform = "x86_64-linux";
          buildPlatform.canExecute = _: true;
        };
      };
      home = {
        homeDirectory = lib.mkDefault "/home/ann";
        profileDirectory = "/etc/profiles/per-user/ann";
      };
      xdg = {
        configHome = lib.mkDefault "/home/ann/.config";
        stateHome = lib.mkDefault "/home/ann/.local/state";
      };
      services.backup.package = named "backup-0";
    };
  };

  found = lib.evalModules {
    modules = [
      ../../nixos/home-manager.nix
      standIn
      { services.backup = backup; }
    ]
    ++ modules;
  };
in
builtins.seq nixpkgs {
  inherit (found) config;

  report = {
    config = found.config.xdg.configFile."backup/config.json".text or null;
    inherit (found.config.systemd.user) services timers;
    inherit (found.config) warnings;
    inherit (found.config.home) extraBuilderCommands;
    packages = map (package: package.name) found.config.home.packages;
    failed = map (a: a.message) (lib.filter (a: !a.assertion) found.config.assertions);
  };
}
