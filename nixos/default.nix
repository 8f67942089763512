# The module, for `imports = [ /path/to/backup/nixos ];`. The flake's nixosModules.default is the same
# with the flake's package.
{ imports = [ ./module.nix ]; }
