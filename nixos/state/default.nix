# What this system keeps, and what becomes of it: sources, a script that writes databases out, and
# /etc/backup/state.json, which `backup state` shows.
{
  config,
  options,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.hwc.system.services.backup;
  isUsed = cfg.enable && (cfg.state.enable || cfg.state.warn);

  folder = "/var/backup/databases";

  found = import ./found.nix {
    inherit
      config
      options
      lib
      folder
      ;
  };

  table = import ./table.nix {
    inherit (found) found mounts stored;
    inherit (cfg.local)
      sources
      optionalSources
      excludePatterns
      oneFileSystem
      ;
    inherit (cfg.state) enable databases ignore;
    inherit folder;
  };

  dump = import ./dump.nix {
    inherit (table) dumps;
    inherit folder;
    hooks = lib.optionals cfg.state.enable (
      map (hook: {
        inherit (hook) from;
        script = "${pkgs.writeShellScript "backup-hook" ''
          set -euo pipefail
          ${hook.lines}
        ''}";
      }) found.hooks
    );
    path = lib.makeBinPath (
      [
        pkgs.coreutils
        pkgs.findutils
        pkgs.gnugrep
        pkgs.util-linux
      ]
      ++ lib.optional (lib.any (row: row.database.engine == "sqlite") table.dumps) pkgs.sqlite
    );
    servers =
      lib.optionalAttrs (config.services.postgresql.enable or false) {
        postgresql = "${config.services.postgresql.package}/bin";
      }
      // lib.optionalAttrs (config.services.mysql.enable or false) {
        mysql = "${config.services.mysql.package}/bin";
      };
  };
in
{
  imports = [ ./options.nix ];

  config = lib.mkIf isUsed {
    hwc.system.services.backup.state.derived = {
      inherit (table) sources optionalSources excludePatterns;
      # What it could not do the backup knows, and the user's own script runs; where the backup could
      # not be told, the script fails.
      dump =
        if dump == null then
          null
        else
          "${pkgs.writeShellScript "backup-dump-databases" dump} || [ $? = 1 ]";
      script = dump;
    };

    environment.etc."backup/state.json".text = builtins.toJSON (
      import ./json.nix {
        inherit table folder;
        inherit (cfg.state) enable;
      }
    );

    assertions = [
      {
        assertion = !(cfg.state.enable && cfg.user != null && dump != null);
        message = ''
          hwc.system.services.backup.state.databases: "${cfg.state.databases}", and ${toString cfg.user} (user) may not write databases out
          hint: set user to null, or state.databases to "files"; Clan's scripts want root, too'';
      }
    ];

    warnings = lib.optional (cfg.state.warn && table.warning != null) table.warning;
  };
}
