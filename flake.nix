{
  description = "Hard-link snapshots with a plan you can read before anything is deleted";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      forSystems =
        f:
        lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: f system nixpkgs.legacyPackages.${system});

      # A folder added to examples/ is checked without a word here.
      examples = lib.attrNames (
        lib.filterAttrs (
          name: type: type == "directory" && builtins.pathExists (./examples + "/${name}/config.json")
        ) (builtins.readDir ./examples)
      );
    in
    {
      packages = forSystems (
        system: pkgs: {
          default = pkgs.callPackage ./nixos/package.nix { };

          # Something to build: `nix build .#checks` finds this, a bare attribute set it cannot build.
          checks = pkgs.linkFarm "backup-checks" (
            lib.mapAttrsToList (name: path: { inherit name path; }) self.checks.${system}
          );
        }
      );

      checks = forSystems (
        system: pkgs:
        lib.listToAttrs (
          map (
            name:
            lib.nameValuePair "example-${name}" (
              pkgs.runCommand "backup-example-${name}"
                { nativeBuildInputs = [ self.packages.${system}.default ]; }
                ''
                  backup check ${./examples + "/${name}/config.json"} > $out
                ''
            )
          ) examples
        )
      );

      devShells = forSystems (
        system: pkgs: {
          default = pkgs.mkShell {
            inputsFrom = [ self.packages.${system}.default ];

            # The second line is what ./test wants.
            packages = with pkgs; [
              clippy
              rustfmt
              acl
              attr
              btrfs-progs
              e2fsprogs
              exfat
              exfatprogs
              libcap
              ntfs3g
              openssh
              rsync
              sshfs
              strace
              systemd
              tzdata
              util-linux
              xfsprogs
              zstd
            ];
          };
        }
      );

      formatter = forSystems (_: pkgs: pkgs.nixfmt-tree);
    };
}
