# The units: the program's own (units.nix), and what only NixOS adds to them. Without
# `schedule.enable` nothing starts a run: not a timer, not the boot, not a rebuild.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:

let
  cfg = import ./state/effective.nix config.hwc.system.services.backup;
  inherit (cfg) notifications;

  isRestricted = cfg.user != null;
  state = import ./state-dir.nix cfg;
  inherit (import ./escape.nix) argument;

  facts = import ./unit-facts.nix {
    inherit cfg;
    program = toString (
      [ "${cfg.package}/bin/backup --config /etc/backup/config.json --as-unit" ]
      ++ (if isRestricted then map argument state.options else [ ])
      ++ map argument cfg.extraArgs
    );
    mountUnit = path: "${utils.escapeSystemdPath path}.mount";
    configFile = import ./secret.nix { inherit config; };
    stateDir = state.folder;
  };

  units = import ./units.nix {
    inherit (lib) mkDefault;
    inherit facts;
  };

  services = if isRestricted then units.restrictedServices else units.services;

  # Whose services they are is not for others to say; the rest may be replaced.
  limits.serviceConfig = lib.mapAttrs (
    key: value:
    if builtins.isList value || key == "User" || key == "StateDirectory" then
      value
    else
      lib.mkDefault value
  ) (import ./restricted.nix { inherit cfg facts; });

  onNixos = {
    # A rebuild neither ends a backup that runs, nor starts one.
    restartIfChanged = lib.mkDefault false;
    stopIfChanged = lib.mkDefault false;

    path =
      import ./tools.nix { inherit cfg pkgs; }
      # sendmail is a wrapper.
      ++ lib.optional (notifications.enable && notifications.email != null) "/run/wrappers"
      ++ lib.optional (notifications.enable && notifications.desktop) pkgs.libnotify;
  };

  where = lib.mapAttrs (_: found: lib.mkIf found.exists found.unit);
in
{
  config = lib.mkIf cfg.enable {
    systemd.services = lib.mkMerge [
      (where services)
      (lib.mapAttrs (_: found: lib.mkIf found.exists onNixos) services)
      (lib.mkIf isRestricted (lib.mapAttrs (_: found: lib.mkIf found.exists limits) services))
    ];

    systemd.timers = lib.mkMerge [
      (where units.timers)
      {
        backup = lib.mkIf units.timers.backup.exists {
          timerConfig = (import ./timer-config.nix { inherit (cfg) timerConfig; }).rest;
        };
      }
    ];

    services.udev.extraRules = lib.mkIf (units.udevRule != "") units.udevRule;

    # Elsewhere than below /var/log no unit makes it.
    systemd.tmpfiles.settings.backup = lib.mkIf (!lib.hasPrefix "/var/log/" cfg.monitoring.logPath) {
      ${cfg.monitoring.logPath}.d = {
        user = lib.mkDefault (if isRestricted then cfg.user else "root");
        group = lib.mkDefault "root";
        mode = lib.mkDefault "0750";
      };
    };
  };
}
