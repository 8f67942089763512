# What a restricted user's services may do: read everything, and write to the destination, their state and
# their logs. One process does the whole run, as a user's own does, for nobody but root may start other
# units. Plain `builtins`, so that a bare Nix tests them.
{
  # hwc.system.services.backup
  cfg,
  # See unit-facts.nix.
  facts,
}:

let
  inherit (cfg) user;

  # Reading whatever it is, and nothing else that root may.
  capability = "CAP_DAC_READ_SEARCH";

  when = condition: value: if facts.conditions.${condition} then value else [ ];
  unless = condition: value: if facts.conditions.${condition} then [ ] else value;

  # The folder below /var/log, which systemd makes.
  logs =
    if facts.conditions."logs.areBelowVarLog" then
      {
        LogsDirectory = facts.texts."logsDirectory.word";
        LogsDirectoryMode = "0750";
      }
    else
      { };
in
{
  User = user;
  AmbientCapabilities = capability;
  CapabilityBoundingSet = capability;
  NoNewPrivileges = true;
  UMask = "0077";

  StateDirectory = "backup-${user}";
  StateDirectoryMode = "0700";
  # Where rclone keeps what it may lose.
  CacheDirectory = "backup-${user}";
  CacheDirectoryMode = "0700";
  Environment = [ "XDG_CACHE_HOME=%C/backup-${user}" ];

  # Scripts write where their user may.
  ProtectSystem = if facts.conditions."scripts.areRun" then "full" else "strict";
  ProtectHome = "read-only";
  PrivateTmp = !facts.conditions."tmp.isUsedByAny";
  PrivateDevices = true;
  ReadWritePaths =
    when "local.enable" [ "-${facts.texts."mountPoint.word"}" ]
    ++ map (word: "-${word}") facts.lists."others.mountPoints"
    ++ unless "logs.areBelowVarLog" [ "-${facts.texts."logPath.word"}" ]
    ++ when "metrics.areWritten" [ "-${facts.texts."metricsFolder.word"}" ];

  PrivateMounts = true;
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  RestrictNamespaces = true;
  RestrictRealtime = true;
  RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
  SystemCallArchitectures = "native";
  SystemCallErrorNumber = "EPERM";
  SystemCallFilter = [ "@system-service" ];
}
// logs
