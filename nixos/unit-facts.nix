# What of the options the units depend on: named conditions and texts, the texts quoted as unit files
# want them. The program works out the same ones (planner/src/units/facts.rs), which a test compares.
# Plain `builtins`, so that a bare Nix tests them.
{
  # hwc.system.services.backup
  cfg,
  # The program with what every unit gives it.
  program,
  # The unit that would mount a path.
  mountUnit,
  # The rclone configuration, or null.
  configFile,
  # What is remembered between runs; systemd makes the default one.
  stateDir ? "/var/lib/backup",
  # The named destination that these options are the view of, or null for all the other units.
  name ? null,
  # Whether its schedule is its own.
  hasSchedule ? false,
  # Whether a disk that it reads lies where PrivateTmp would hide it.
  readsTmp ? false,
}:

let
  # The facts of each named destination, by its name.
  ofOther =
    more: name: view:
    import ./unit-facts.nix (
      {
        cfg = view;
        inherit
          program
          mountUnit
          stateDir
          name
          ;
        configFile = null;
        hasSchedule = cfg.destinations.${name}.schedule != null;
      }
      // more view
    );
  disks = builtins.mapAttrs (ofOther (_: { })) (import ./disks.nix cfg);
  remotes = builtins.mapAttrs (ofOther (view: {
    inherit (view.cloud) configFile;
    readsTmp = usesTmp || builtins.any (one: one.conditions."tmp.isUsed") (builtins.attrValues disks);
  })) (import ./remotes.nix cfg);
  # Whether a remote is used of which a restore can be tried.
  drillsRemotes = builtins.any (name: cfg.destinations.${name}.layout == "history") (
    builtins.attrNames remotes
  );
  # In the order of a run.
  inOrder = builtins.attrValues disks ++ builtins.attrValues remotes;

  # What is known of those of which a condition holds.
  known =
    condition: text:
    map (one: one.texts.${text}) (
      builtins.filter (one: one.conditions.${condition}) (builtins.attrValues disks)
    );

  escape = import ./escape.nix;
  inherit (cfg)
    cloud
    local
    monitoring
    schedule
    ;

  needsMount = local.enable && local.requireMount;

  # The folder below /var/log, which systemd makes.
  logs = builtins.match "/var/log/(.+)" monitoring.logPath;

  # The file is replaced by a rename. Nobody makes the whole system writable for it.
  metrics = if monitoring.prometheusFile == null then "/" else dirOf monitoring.prometheusFile;

  # Whether anything that is read or written lies where PrivateTmp would hide it.
  usesTmp =
    let
      below = path: builtins.match "(/var)?/tmp(/.*)?" path != null;
      covers = path: path == "/" || path == "/var";
    in
    builtins.any (path: below path || covers path) local.sources
    || below local.mountPoint
    || below stateDir
    || below monitoring.logPath
    || (configFile != null && below configFile)
    || readsTmp;
in
{
  inherit disks remotes;
  others = disks // remotes;

  conditions = {
    "local.enable" = local.enable;
    "cloud.enable" = cloud.enable;
    "local.readableByUsers" = local.enable && local.readableByUsers;
    "schedule.enable" = schedule.enable;
    "schedule.onlyOnAC" = schedule.onlyOnAC;
    "schedule.persistent" = schedule.persistent;
    # For systemd a delay of 0 is none.
    "schedule.isDelayed" = true;
    "monitoring.enable" = monitoring.enable;
    "monitoring.drill.enable" = (local.enable || drillsRemotes) && monitoring.drill.enable;
    "remotes.areUsed" = cloud.enable || remotes != { };
    "drill.isOfRemotes" = drillsRemotes;
    "drill.startsServices" = builtins.any (
      check: builtins.match "service:.*" (toString check) != null
    ) monitoring.drill.checks;
    "destination.isMounted" = needsMount;
    "scripts.areRun" = cfg.preBackupScript != null || cfg.postBackupScript != null;
    "metrics.areWritten" = metrics != "/";
    "logs.areBelowVarLog" = logs != null;
    "state.isInItsDefault" = stateDir == "/var/lib/backup";
    "tmp.isUsed" = usesTmp;
    "tmp.isUsedByAny" =
      usesTmp || builtins.any (one: one.conditions."tmp.isUsed") inOrder;
    "destination.hasSchedule" = hasSchedule;
  };

  lists = {
    "others.names" = map (one: one.texts.name) inOrder;
    "others.mountPoints" = known "local.enable" "mountPoint.word";
    "others.mountUnits" = known "destination.isMounted" "mountUnit";
    "others.readable" = known "local.readableByUsers" "name";
  };

  texts = {
    inherit program;
    mountUnit = mountUnit local.mountPoint;
    name = if name == null then "" else name;
    inherit (schedule) randomDelay;
    "mountPoint.word" = escape.word local.mountPoint;
    schedule = escape.whole (import ./calendar.nix { inherit (schedule) frequency timeOfDay; });
    healthCheckInterval = escape.whole monitoring.healthCheckInterval;
    drillSchedule = escape.whole monitoring.drill.schedule;
    "stateDirectory.word" = escape.word stateDir;
    "cloudStateDirectory.word" = escape.word "${stateDir}/cloud";
    "logPath.word" = escape.word monitoring.logPath;
    "logsDirectory.word" = if logs == null then "" else escape.word (builtins.head logs);
    "metricsFolder.word" = escape.word metrics;
  };
}
