# `services.backup` as another name of `hwc.system.services.backup`, for systems that have no tree
# of options called hwc. Imported beside default.nix, or as the flake's nixosModules.services-backup.
{ lib, ... }:

{
  imports = [
    (lib.mkAliasOptionModule
      [ "services" "backup" ]
      [
        "hwc"
        "system"
        "services"
        "backup"
      ]
    )
  ];
}
