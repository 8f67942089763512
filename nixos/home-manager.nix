# The module for home-manager: a user's own files, without root. The options are those of NixOS below
# services.backup; the configuration, the state and the units are the user's (XDG, systemd --user).
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.backup;

  state = "${config.xdg.stateHome}/backup";
  file = "${config.xdg.configHome}/backup/config.json";

  script = import ./script.nix {
    inherit lib pkgs;
    inherit (cfg) extraTools;
  };

  escape = import ./escape.nix;
  timer = import ./timer-config.nix { inherit (cfg) timerConfig; };

  # The secret of agenix, which has a module for home-manager, too.
  configFile = import ./secret.nix { config = asOfSystem; };

  units = import ./units.nix {
    facts = import ./unit-facts.nix {
      inherit cfg configFile;
      program = toString (
        map escape.argument [
          "${cfg.package}/bin/backup"
          "--config"
          file
        ]
        ++ [ "--as-unit" ]
        ++ map escape.argument (
          [
            "--state-dir"
            state
          ]
          ++ cfg.extraArgs
        )
      );
      mountUnit = path: import ./mount-unit.nix { inherit lib path; };
      stateDir = state;
    };
  };

  # Of a user's units systemd knows no PATH that has these.
  path = lib.concatStringsSep ":" (
    map (tool: "${tool}/bin") (
      import ./tools.nix { inherit cfg pkgs; }
      ++ lib.optional (cfg.notifications.enable && cfg.notifications.desktop) pkgs.libnotify
    )
    ++ [
      "${config.home.profileDirectory}/bin"
      "/run/wrappers/bin"
      "/run/current-system/sw/bin"
      "/usr/bin"
      "/bin"
      "/usr/sbin"
    ]
  );

  canRunHere = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;

  # A switch neither ends a backup that runs, nor starts one (sd-switch).
  onSwitch.Unit.X-SwitchMethod = "keep-old";

  # Lists are added to, as everywhere.
  withDefaults = lib.mapAttrsRecursive (
    _: value: if lib.isList value then value else lib.mkDefault value
  );

  # The rules are those of the system, which has more: what a user's configuration knows nothing of
  # holds.
  asOfSystem = {
    hwc.system.services.backup = cfg;
    age = config.age or { };
    fileSystems = lib.mapAttrs (_: view: {
      inherit (view.local) mountPoint;
      options = [ "nofail" ];
    }) (import ./disks.nix cfg // { local = cfg; });
    systemd.mounts = [ ];
    hardware.graphics.enable = true;
    services.mail.sendmailSetuidWrapper = true;
  };
  rules =
    (import ./assertions.nix {
      config = asOfSystem;
      inherit lib;
    }).config.content;
  named = lib.replaceStrings [ "hwc.system.services.backup." ] [ "services.backup." ];

  declared = (import ./options.nix { inherit lib; }).options.hwc.system.services.backup;
in
{
  options.services.backup = removeAttrs declared [
    "state"
    "user"
  ];

  config = lib.mkMerge [
    {
      services.backup = {
        package = lib.mkOptionDefault (pkgs.callPackage ./package.nix { });
        local.sources = lib.mkDefault [ config.home.homeDirectory ];
        schedule = lib.mapAttrs (
          _: value: lib.mkIf (value != null) (lib.mkForce value)
        ) timer.schedule;
      };
    }

    (lib.mkIf cfg.enable {
      services.backup.copies = (import ./copies.nix cfg).lines;

      xdg.configFile."backup/config.json".text = builtins.toJSON (
        import ./config-json.nix {
          inherit cfg configFile;
          preBackupScript = script "pre-backup" cfg.preBackupScript;
          postBackupScript = script "post-backup" cfg.postBackupScript;
        }
      );

      home.packages = [ cfg.package ] ++ import ./tools.nix { inherit cfg pkgs; };

      # What one option cannot know is said here: before anything is switched to.
      home.extraBuilderCommands = lib.mkIf canRunHere ''
        ${cfg.package}/bin/backup check ${config.xdg.configFile."backup/config.json".source}
      '';

      systemd.user.services = lib.mapAttrs (
        _: found:
        lib.mkIf found.exists (
          lib.mkMerge [
            (withDefaults found.sections)
            onSwitch
            { Service.Environment = [ "PATH=${path}" ]; }
          ]
        )
      ) units.ofUser.services;

      systemd.user.timers = lib.mkMerge [
        (lib.mapAttrs (
          _: found: lib.mkIf found.exists (withDefaults found.sections)
        ) units.ofUser.timers)
        { backup = lib.mkIf units.ofUser.timers.backup.exists { Timer = timer.rest; }; }
      ];

      assertions =
        map (rule: rule // { message = named rule.message; }) rules.assertions
        ++ [
          {
            assertion = !cfg.local.readableByUsers;
            message = ''
              services.backup.local.readableByUsers: true, and only root can show snapshots to other users
              hint: set it to false; you can read your own snapshots as they are'';
          }
          {
            assertion = lib.all (view: !view.local.readableByUsers) (
              lib.attrValues (import ./disks.nix cfg)
            );
            message = ''
              services.backup.destinations: one has readableByUsers = true, and only root can show snapshots to other users
              hint: set it to false; you can read your own snapshots as they are'';
          }
          {
            # agenix's module for home-manager names a variable that only a shell knows.
            assertion = configFile == null || lib.hasPrefix "/" (toString configFile);
            message = ''
              services.backup.protonDrive.secretName: the secret's path is ${toString configFile}, which is not absolute
              hint: set age.secrets."${cfg.protonDrive.secretName}".path to an absolute path'';
          }
        ];
      warnings = map named rules.warnings;
    })
  ];
}
