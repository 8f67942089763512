# The options hwc.system.services.backup.state.*, which only Nix knows: what they find becomes
# sources, a script and /etc/backup/state.json.
{ lib, config, ... }:

let
  inherit (lib) mkOption types;
  t = import ../types.nix { inherit lib; };
  cfg = config.hwc.system.services.backup;
in
{
  options.hwc.system.services.backup.state = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether to back up what this system itself says that it keeps, beside {option}`local.sources`:
        `StateDirectory=` and data directories of enabled services, databases, homes of normal users,
        persistent folders, volumes of containers, certificates and keys. `backup state` shows it all.
      '';
    };

    warn = mkOption {
      type = types.bool;
      default = cfg.state.enable;
      defaultText = lib.literalExpression "state.enable";
      example = true;
      description = ''
        Whether what this system keeps and what is in no source is a warning when the system is
        evaluated. Without {option}`state.enable` it is a way to be told, and nothing else changes.
      '';
    };

    databases = mkOption {
      type = types.enum [
        "dump"
        "files"
        "none"
      ];
      default = "dump";
      example = "files";
      description = ''
        How databases are backed up that are found. `dump`: each is written out to
        {file}`/var/backup/databases` before the snapshot (PostgreSQL by `pg_dumpall`, MySQL and
        MariaDB by their dump, SQLite by `.backup`), and the folders of the servers are left out.
        `files`: as the files that they are, which may be torn. `none`: not at all; a folder of a
        server that is in no source is a warning then. What stands within another folder that is
        backed up, as SQLite does, is in the backup as a file in any case.
      '';
    };

    sqlite = mkOption {
      type = types.listOf t.absolutePath;
      default = [ ];
      example = [ "/var/lib/app/app.db" ];
      description = ''
        SQLite databases to write out beside those of the services that are known. One that is not
        there makes the run incomplete.
      '';
    };

    ignore = mkOption {
      type = types.listOf t.absolutePath;
      default = [ ];
      example = [ "/var/lib/jellyfin/transcodes" ];
      description = ''
        Paths that need not be backed up, with all that is below them: known, no warning, and left out
        of the folders that {option}`state.enable` adds.
      '';
    };

    # What default.nix makes of it, for the other files of the module.
    derived = mkOption {
      type = types.raw or types.unspecified;
      internal = true;
      visible = false;
    };
  };
}
