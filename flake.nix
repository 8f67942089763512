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
          name: type: type == "directory" && builtins.pathExists (./examples + "/${name}/config.nix")
        ) (builtins.readDir ./examples)
      );

      # What the module makes of an example, on a machine that boots nothing.
      configOf =
        pkgs: name:
        (lib.nixosSystem {
          modules = [
            self.nixosModules.default
            ./tests/nix/agenix.nix
            (./examples + "/${name}/config.nix")
            {
              nixpkgs.pkgs = pkgs;
              boot.isContainer = true;
              system.stateVersion = lib.trivial.release;
            }
          ];
        }).config.environment.etc."backup/config.json".text;
    in
    {
      packages = forSystems (
        system: pkgs: {
          default = pkgs.callPackage ./nixos/package.nix { };

          # Something to build: `nix build .#checks` finds this, a bare attribute set it cannot build.
          # The virtual machine wants KVM and is left to `nix flake check`.
          checks = pkgs.linkFarm "backup-checks" (
            lib.mapAttrsToList (name: path: { inherit name path; }) (
              removeAttrs self.checks.${system} [ "vm-test" ]
            )
          );
        }
      );

      # The real program on all examples: as they are written, and as the module writes them; and
      # the systemd units that it prints for each.
      checks = forSystems (
        system: pkgs:
        let
          check =
            name: file:
            pkgs.runCommand "backup-${name}" { nativeBuildInputs = [ self.packages.${system}.default ]; } ''
              mkdir "$out"
              cp ${file} "$out/config.json"
              backup check ${file} > "$out/check"
              backup --config ${file} --state-dir /var/lib/backup systemd-units --to "$out/units"
            '';
        in
        lib.mergeAttrsList (
          map (name: {
            "example-${name}" = check "example-${name}" (./examples + "/${name}/config.json");
            "module-${name}" = check "module-${name}" (pkgs.writeText "config.json" (configOf pkgs name));
          }) examples
        )
        // {
          vm-test = pkgs.testers.runNixOSTest (
            import ./nixos/vm-test.nix { module = self.nixosModules.default; }
          );
        }
      );

      nixosModules = {
        default =
          { lib, pkgs, ... }:
          {
            imports = [ ./nixos ];

            hwc.system.services.backup.package =
              lib.mkDefault
                self.packages.${pkgs.stdenv.hostPlatform.system}.default;
          };

        # The same, also under the name services.backup.
        services-backup = {
          imports = [
            self.nixosModules.default
            ./nixos/alias.nix
          ];
        };

        # For a machine of a clan: `clan backups create`, `list` and `restore`.
        clan = {
          imports = [
            self.nixosModules.default
            ./nixos/providers/clan.nix
          ];
        };
      };

      # For home-manager: a user's own backup, without root.
      homeModules.default =
        { lib, pkgs, ... }:
        {
          imports = [ ./nixos/home-manager.nix ];

          services.backup.package = lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        };

      # The older name of such an output.
      homeManagerModules = self.homeModules;

      overlays.default = final: _: { backup = final.callPackage ./nixos/package.nix { }; };

      devShells = forSystems (
        system: pkgs: {
          default = pkgs.mkShell {
            inputsFrom = [ self.packages.${system}.default ];

            # From acl on it is what ./test wants.
            packages = with pkgs; [
              clippy
              rustfmt
              deadnix
              acl
              attr
              bindfs
              btrfs-progs
              chromium
              dbus
              debootstrap
              dejavu_fonts
              desktop-file-utils
              dpkg
              e2fsprogs
              exfat
              exfatprogs
              fish
              libcap
              libfaketime
              libnotify
              mandoc
              msmtp
              ntfs3g
              openssh
              openssl
              python3Packages.pip
              python3Packages.python-dbusmock
              rclone
              rsnapshot
              rsync
              samba
              sshfs
              strace
              systemd
              tmux
              tzdata
              util-linux
              xfsprogs
              zsh
              zstd
            ];

            # With it ./test evaluates whole systems.
            HWC_NIXPKGS = "${nixpkgs}";
          };
        }
      );

      formatter = forSystems (_: pkgs: pkgs.nixfmt-tree);
    };
}
