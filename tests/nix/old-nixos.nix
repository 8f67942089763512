# A tree of nixpkgs, perhaps an old one, as today's modules find it: under a newer lib, and with the
# options that it lacks. What the tree has is its own.
{
  # The tree.
  nixpkgs,
  # The lib to use.
  libPath,
}:

let
  own = import (nixpkgs + "/lib");
  # Names that lib has dropped since are still used within the tree.
  lib = (import libPath).extend (_: prev: removeAttrs own (builtins.attrNames prev));

  bare = import (nixpkgs + "/nixos/lib/eval-config.nix");
  plain = bare {
    inherit lib;
    system = "x86_64-linux";
    modules = [ ];
  };

  declare =
    path: type: default:
    lib.optionalAttrs (!lib.hasAttrByPath path plain.options) (
      lib.setAttrByPath path (lib.mkOption { inherit type default; })
    );

  # Its name in packages since.
  renamed = {
    nixpkgs.overlays = [ (final: prev: { util-linux = prev.util-linux or prev.utillinux; }) ];
  };

  missing.options = lib.foldl' lib.recursiveUpdate { } [
    (declare [ "system" "checks" ] (lib.types.listOf lib.types.package) [ ])
    (declare [ "systemd" "tmpfiles" "settings" ] lib.types.anything { })
  ];
in
{
  inherit lib missing;

  # lib.nixosSystem, as the flake of nixpkgs has it.
  nixosSystem =
    { modules, ... }@args:
    bare (
      {
        inherit lib;
        system = "x86_64-linux";
      }
      // args
      // {
        modules = modules ++ [
          missing
          renamed
        ];
      }
    );
}
