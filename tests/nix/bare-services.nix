# What nixos/services.nix defines, without nixpkgs: a lib of the few functions that it calls, and
# packages that are names. Definitions are merged as far as it needs that, by one level below a service.
{
  # hwc.system.services.backup, with all of its options.
  cfg,
  # The units that would mount each path.
  mountUnits,
  # The folder in the store that has bin/backup.
  package,
  # A restricted user, or null.
  user ? null,
}:

let
  inherit (builtins)
    attrNames
    filter
    foldl'
    isAttrs
    isList
    mapAttrs
    removeAttrs
    stringLength
    substring
    ;

  merge =
    one: other:
    if isAttrs one && isAttrs other then
      one // mapAttrs (name: value: if one ? ${name} then merge one.${name} value else value) other
    else if isList one && isList other then
      one ++ other
    else
      throw "two definitions of one value";

  lib = {
    inherit mapAttrs;
    mkDefault = value: value;
    mkIf = condition: value: if condition then value else { };
    mkMerge = foldl' merge { };
    optional = condition: value: if condition then [ value ] else [ ];
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  };

  defined =
    (import ../../nixos/services.nix {
      inherit lib;
      config.hwc.system.services.backup = cfg // {
        inherit package;
        enable = true;
        extraTools = [ ];
        inherit user;
        extraArgs = [ ];
        timerConfig = { };
      };
      pkgs = {
        inherit lib;
        rsync = "rsync";
        rclone = "rclone";
        libnotify = "libnotify";
      };
      utils.escapeSystemdPath =
        path:
        let
          unit = mountUnits.${path};
        in
        substring 0 (stringLength unit - 6) unit;
    }).config;

  # A unit that there is not is none.
  existing = units: removeAttrs units (filter (name: units.${name} == { }) (attrNames units));
in
{
  services = existing defined.systemd.services;
  timers = existing defined.systemd.timers;
  udevRule =
    if isAttrs defined.services.udev.extraRules then "" else defined.services.udev.extraRules;
}
