# A nixpkgs that builds where no binary cache is: a stdenv of the host's own tools without a compiler,
# and of rustPlatform only the part that installs what cargo has built. All else is a real tree.
# flake.rs makes a flake of it.
{
  # A tree of nixpkgs with nixos/.
  tree,
  # The lib to use.
  libPath,
  # A folder with the built program in it.
  program,
  # old-nixos.nix
  oldNixos,
}:

let
  old = import oldNixos {
    nixpkgs = tree;
    inherit libPath;
  };
  inherit (old) lib;
  system = "x86_64-linux";

  # The only stage: nothing is built to build with.
  stage =
    {
      localSystem,
      config,
      overlays,
      ...
    }:
    [
      (_: {
        inherit config overlays;
        stdenv = import (tree + "/pkgs/stdenv/generic") {
          buildPlatform = localSystem;
          hostPlatform = localSystem;
          targetPlatform = localSystem;
          inherit config;
          initialPath = [
            "/"
            "/usr"
          ];
          shell = "/bin/bash";
          preHook = "export NIX_ENFORCE_PURITY=";
          cc = null;
          fetchurlBoot = null;
        };
      })
    ];

  overlay =
    final: prev:
    let
      # A package of the host's program of that name.
      ofHost =
        name: command:
        final.runCommand name { } ''
          mkdir -p "$out/bin"
          ln -s "$(type -p ${command} || echo /bin/false)" "$out/bin/${command}"
        '';
    in
    {
      bash = ofHost "bash" "bash" // {
        shellPath = "/bin/bash";
      };
      runtimeShell = "/bin/bash";
      sqlite = ofHost "sqlite" "sqlite3";

      rustPlatform = prev.rustPlatform // {
        buildRustPackage =
          arguments:
          final.stdenv.mkDerivation {
            inherit (arguments) pname version meta;
            nativeBuildInputs = arguments.nativeBuildInputs or [ ];
            postInstall = arguments.postInstall or "";
            # Evaluated as it would be with a compiler; nothing of it is used.
            passthru = { inherit (arguments) src cargoLock; };
            dontUnpack = true;
            dontStrip = true;
            installPhase = ''
              install -D -m 755 ${program}/backup "$out/bin/backup"
              runHook postInstall
            '';
          };
      };

      # The nodes evaluated as machines with a test's modules, and the script; no driver runs it.
      testers.runNixOSTest =
        test:
        let
          node =
            name: module:
            (old.nixosSystem {
              modules = [
                (tree + "/nixos/modules/virtualisation/qemu-vm.nix")
                (tree + "/nixos/modules/testing/test-instrumentation.nix")
                {
                  documentation.enable = false;
                  documentation.nixos.enable = false;
                  networking.hostName = lib.mkDefault name;
                }
                module
              ];
            }).config.system.build.vm;
        in
        final.linkFarm "vm-test-${test.name}" (
          lib.mapAttrsToList (name: module: {
            inherit name;
            path = node name module;
          }) test.nodes
          ++ [
            {
              name = "script";
              path = final.writeText "script.py" test.testScript;
            }
          ]
        );
    };

  pkgs = import tree {
    localSystem = lib.systems.elaborate system;
    stdenvStages = stage;
    overlays = [ overlay ];
    config = { };
  };

  # Our own packages get today's lib, the tree's get theirs.
  callPackage =
    file: arguments:
    let
      known = builtins.functionArgs (if lib.isFunction file then file else import file);
    in
    pkgs.callPackage file (builtins.intersectAttrs known { inherit lib; } // arguments);
in
{
  lib = lib // {
    inherit (old) nixosSystem;
  };

  legacyPackages.${system} = pkgs // {
    inherit callPackage;
  };
}
