# A provider for Clan's `clan backups create | list | restore`: what is in clan.core.state is a source of the
# machine's backup, and its commands are run before and after. Imported beside the module, on a machine of
# a clan.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.hwc.system.services.backup;

  # Who backs up; who restores is root, who gives files to their owners.
  program = if cfg.user == null then "backup" else "backup-as-${cfg.user}";

  states = lib.attrValues config.clan.core.state;

  # Clan puts the commands on the system's PATH, which units do not have. Older releases have none for
  # after a backup.
  commands =
    key:
    lib.concatMapStrings (
      state:
      lib.optionalString (state.${key} or null != null) ''
        /run/current-system/sw/bin/${state.${key}}
      ''
    ) states;

  before = commands "preBackupCommand";
  after = commands "postBackupCommand";

  script =
    name: text:
    pkgs.writeShellApplication {
      inherit name text;
      runtimeInputs = [
        cfg.package
        pkgs.coreutils
        pkgs.gnused
        pkgs.util-linux
      ]
      ++ import ../tools.nix { inherit cfg pkgs; }
      ++ lib.optional (cfg.user != null) (import ../as-user.nix { inherit cfg lib pkgs; });
    };
in
{
  config = lib.mkIf cfg.enable {
    hwc.system.services.backup = {
      also.sources = lib.unique (lib.concatMap (state: state.folders) states);
      preBackupScript = lib.mkIf (before != "") before;
      postBackupScript = lib.mkIf (after != "") after;
    };

    clan.core.backups.providers.backup = {
      create = "backup-clan-create";
      list = "backup-clan-list";
      restore = "backup-clan-restore";
    };

    environment.systemPackages = [
      (script "backup-clan-create" ''
        exec ${program} apply
      '')

      # The newest first.
      (script "backup-clan-list" ''
        names=$(backup list | sed --quiet 's/^\([0-9]\{4\}-[^ ]*\).*/{"name":"\1"}/p')
        printf '[%s]\n' "$(paste --serial --delimiters=, <<< "$names")"
      '')

      # Clan gives NAME, and FOLDERS with colons between them.
      (script "backup-clan-restore" ''
        ${builtins.readFile ../only-ours.sh}
        ${builtins.readFile ./put-back.sh}
        if [ -z "''${NAME-}" ] || [ -z "''${FOLDERS-}" ]; then
          echo "backup-clan-restore: NAME and FOLDERS say what is restored, and one of them is not set" >&2
          exit 2
        fi
        IFS=: read -ra folders <<< "$FOLDERS"
        put_back "$NAME" "''${folders[@]}"
      '')
    ];

    assertions = [
      {
        assertion = cfg.local.enable;
        message = ''
          hwc.system.services.backup.local.enable: false, and Clan lists and restores local snapshots
          hint: set it to true'';
      }
      {
        assertion = !(cfg.user != null && before != "");
        message = ''
          hwc.system.services.backup.user: ${toString cfg.user}, and Clan's preBackupCommand wants root
          hint: set user to null'';
      }
    ];
  };
}
