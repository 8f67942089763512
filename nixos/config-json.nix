# config.json as an attribute set: the option values as they are, less what only Nix knows, with
# what only the module can know put in. Plain `builtins`, so that a bare Nix can test it.
#
# A key and its option have one name; so a new option is a new key without a word here.
{
  # hwc.system.services.backup
  cfg,
  # Executables, or null; the options hold lines.
  preBackupScript ? null,
  postBackupScript ? null,
  # The rclone configuration: the option's, or the secret's path.
  configFile ? cfg.cloud.configFile,
}:

let
  inherit (builtins) filter attrNames mapAttrs;

  keys = (import ./schema.nix).destinations.value.keys;

  # A destination without what only the other type has.
  own =
    destination:
    removeAttrs destination (
      filter (key: keys.${key}.of != null && keys.${key}.of != destination.type) (attrNames destination)
      ++ (if destination.offSite or null == null then [ "offSite" ] else [ ])
    );

  # Without one, nothing is said of them.
  destinations = cfg.destinations or { };
in
removeAttrs cfg [
  "also"
  "consumers"
  "copies"
  "destinations"
  "enable"
  "package"
  "policy"
  "extraArgs"
  "extraTools"
  "state"
  "timerConfig"
  "user"
]
// {
  version = 1;
  inherit preBackupScript postBackupScript;
  cloud = cfg.cloud // {
    inherit configFile;
  };
  protonDrive = removeAttrs cfg.protonDrive [ "secretName" ];
}
// (if destinations == { } then { } else { destinations = mapAttrs (_: own) destinations; })
// (
  if cfg ? notifications && (cfg.notifications.report or null) == null then
    { notifications = removeAttrs cfg.notifications [ "report" ]; }
  else
    { }
)
// (if (cfg.policy or "none") == "none" then { } else { inherit (cfg) policy; })
