# A nixpkgs that builds where no binary cache is: a real tree, whose builders of small things use a
# stdenv of the host's own tools, without a compiler, and whose rustPlatform only installs what cargo
# has built. flake.rs makes a flake of it.
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

  whole = import tree {
    localSystem = lib.systems.elaborate system;
    config = { };
  };

  # The same tree on a stdenv of the host: one stage, as nothing is built to build with.
  native = import tree {
    localSystem = lib.systems.elaborate system;
    config = { };
    overlays = [
      (_: _: {
        runtimeShell = "/bin/bash";
      })
    ];
    stdenvStages =
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
  };

  # A package of the host's program of that name.
  ofHost =
    name: command:
    native.runCommand name { } ''
      mkdir -p "$out/bin"
      ln -s "$(type -p ${command} || echo /bin/false)" "$out/bin/${command}"
    '';

  # What the old tree has not under its name of today, or what is built with an example.
  tools = lib.mapAttrs ofHost {
    deadnix = "deadnix";
    exfatprogs = "mkfs.exfat";
    nixfmt-tree = "nixfmt";
    sqlite = "sqlite3";
    util-linux = "losetup";
  };

  # Our own package gets today's lib, the tree's get theirs.
  callPackage =
    file: arguments:
    let
      known = builtins.functionArgs (if lib.isFunction file then file else import file);
    in
    whole.callPackage file (builtins.intersectAttrs known (ours // { inherit lib; }) // arguments);

  ours = tools // {
    inherit (native)
      installShellFiles
      linkFarm
      runCommand
      writeShellScript
      writeText
      ;

    rustPlatform.buildRustPackage =
      arguments:
      native.stdenv.mkDerivation {
        inherit (arguments) pname version meta;
        nativeBuildInputs = arguments.nativeBuildInputs or [ ];
        postInstall = arguments.postInstall or "";
        # Evaluated as they would be with a compiler.
        passthru = { inherit (arguments) src cargoLock; };
        dontUnpack = true;
        dontStrip = true;
        installPhase = ''
          install -D -m 755 ${program}/backup "$out/bin/backup"
          runHook postInstall
        '';
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
      native.linkFarm "vm-test-${test.name}" (
        lib.mapAttrsToList (name: module: {
          inherit name;
          path = node name module;
        }) test.nodes
        ++ [
          {
            name = "script";
            path = native.writeText "script.py" test.testScript;
          }
        ]
      );
  };

  pkgs =
    whole
    // ours
    // {
      inherit callPackage;
      # NixOS adds its overlays, of which there are none.
      appendOverlays = _: pkgs;
    };
in
{
  lib = lib // {
    inherit (old) nixosSystem;
  };

  legacyPackages.${system} = pkgs;
}
