# What only several options together tell, or the rest of the system: each message names the option
# and ends with what to do. The program judges the same and more when the system is built; this is
# said earlier, while it is evaluated, and in the words of Nix.
{ config, lib, ... }:

let
  cfg = import ./state/effective.nix config.hwc.system.services.backup;
  inherit (cfg) cloud local notifications;
  copies = import ./copies.nix cfg;

  say =
    option: problem: hint:
    "hwc.system.services.backup.${option}: ${problem}\nhint: ${hint}";

  # Holds, or the message fails the evaluation.
  must = assertion: option: problem: hint: {
    inherit assertion;
    message = say option problem hint;
  };

  # A channel has a value itself or in a file that holds it.
  oneOf =
    option: given: plain: file:
    lib.optional (given != null) (
      must ((given.${plain} == null) != (given.${file} == null)) option
        (
          if given.${plain} == null then
            "has neither `${plain}` nor `${file}`"
          else
            "has `${plain}` and `${file}`, which is the same twice"
        )
        "set ${option}.${file} to a file that only root can read, or ${option}.${plain} to what everybody may know"
    );

  warn =
    condition: option: problem: hint:
    lib.optional condition (say option problem hint);

  channels = with notifications; [
    email
    ntfy
    webhook
    healthcheck
    command
  ];

  mount = mountPoint: import ./mount.nix { inherit config mountPoint; };

  # The named disks that are used, each as if it were `local`.
  disks = import ./disks.nix cfg;
  views = disks // import ./remotes.nix cfg;
  used = lib.filterAttrs (_: of: of.enable) cfg.destinations;

  # What others have units of that name for, and sections of their own.
  taken = [
    "local"
    "cloud"
    "health-check"
    "drill"
    "view"
    "retry"
    "part"
    "main"
  ];

  # The named disks before this one, and `local`, at the same place.
  sharing =
    name:
    lib.filter (other: disks.${other}.local.mountPoint == disks.${name}.local.mountPoint) (
      lib.filter (other: other < name) (lib.attrNames disks)
    )
    ++ lib.optional (local.enable && local.mountPoint == disks.${name}.local.mountPoint) "local";

  ofDestination =
    name: of:
    let
      path = "destinations.${name}";
      isDisk = of.type == "disk";
      view = views.${name};
    in
    [
      (must (builtins.match "[a-z][a-z0-9-]{0,31}" name != null) path
        "not a name: it stands in the names of units and steps"
        "at most 32 lower-case letters, digits and dashes, a letter first"
      )
      (must (!lib.elem name taken) path "the name is taken"
        "give it another one, such as \"${name}-2\""
      )
      (must (isDisk -> of.mountPoint != null) "${path}.mountPoint" "not set"
        "set it to where the drive is mounted, such as \"/mnt/${name}\""
      )
      (must (!isDisk -> of.remote != null) "${path}.remote" "not set"
        "set it to one of those that `rclone listremotes` prints, such as \"b2:my-bucket\""
      )
      (must (view.local.sources != [ ])
        (if of.sources == null then "local.sources" else "${path}.sources")
        "empty although ${path}.enable is true"
        "name the folders to back up in ${path}.sources, or in local.sources"
      )
      (must (isDisk || of.layout != "mirror" || of.expire != "never") "${path}.expire"
        "\"never\", which a mirror cannot do: it moves what it replaces"
        "remove it, or set ${path}.layout to \"history\""
      )
      (must (of.keepDaily != 0 || of.keepWeekly != 0 || of.keepMonthly != 0) "${path}.keepDaily"
        "no snapshot would be kept for a day, week or month: keepDaily, keepWeekly and keepMonthly are all 0"
        "raise one of them"
      )
      (must (isDisk && of.mountPoint != null -> sharing name == [ ]) "${path}.mountPoint"
        "${toString of.mountPoint} is where ${lib.concatStringsSep " and " (sharing name)} is, too"
        "give each destination a folder of its own"
      )
      (must
        (
          of.schedule == null
          || of.schedule.frequency == null
          || elapses cfg.schedule.enable of.schedule.frequency
        )
        "${path}.schedule.frequency"
        "\"${toString (of.schedule.frequency or "")}\" never elapses, so nothing would ever be backed up there"
        "set it to an expression for which `systemd-analyze calendar` names a next elapse, such as \"weekly\""
      )
      (must (cfg.user or null == null || cfg.user == "root" || !(isDisk && of.readableByUsers))
        "${path}.readableByUsers"
        "true, and only root can show snapshots to users: `user` is set"
        "set it to false, or user to null"
      )
    ];

  # What is to be known of where a disk is mounted.
  ofMount =
    path: local:
    warn (local.enable && local.requireMount && !(mount local.mountPoint).known) "${path}.mountPoint"
      "nothing in fileSystems mounts ${local.mountPoint}, so backups are refused until somebody mounts it"
      ''declare it, with options = [ "nofail" ] if it is not always there; or set ${path}.requireMount to false to back up into a plain folder''
    ++
      warn (local.enable && (mount local.mountPoint).stopsBoot) "${path}.mountPoint"
        "fileSystems.\"${local.mountPoint}\" has not the option nofail, so the machine does not boot without that disk"
        ''add options = [ "nofail" ] to it'';

  # A restricted user sees nobody's session.
  isGraphical = import ./graphical.nix { inherit config lib; } && (cfg.user or null) == null;

  users = lib.attrByPath [ "users" "users" ] null config;

  # Whether a calendar expression that is in use can elapse. The release 26.05 is begun in 2025: no
  # system of it was there before.
  elapses =
    inUse: expression:
    !inUse
    || import ./elapses.nix {
      inherit expression;
      year = 1999 + lib.toIntBase10 (lib.versions.major lib.trivial.release);
    };

  # What the module gives the program itself.
  reserved = [
    "--config"
    "--state-dir"
    "--log-dir"
    "--as-unit"
  ];
  isReserved = argument: lib.any (name: argument == name || lib.hasPrefix "${name}=" argument) reserved;

  onCalendar = cfg.timerConfig.OnCalendar or null;
in
{
  config = lib.mkIf cfg.enable {
    hwc.system.services.backup.copies = copies.lines;

    assertions =
      map (gap: must false "policy" "\"${cfg.policy}\", and ${gap.problem}" gap.hint) copies.gaps
      ++ [
      (must (cfg.protonDrive.enable -> cloud.enable) "protonDrive.enable"
        "true, and without effect while cloud.enable is false"
        "set cloud.enable to true, or protonDrive.enable to false"
      )
      (must (cloud.enable && cfg.protonDrive.enable -> import ./secret.nix { inherit config; } != null)
        "protonDrive.secretName"
        "there is no secret \"${cfg.protonDrive.secretName}\" in age.secrets, and cloud.configFile is null"
        ''
          declare it with agenix, age.secrets."${cfg.protonDrive.secretName}".file = ./….age; or write the
          configuration with `rclone --config /etc/rclone-proton.conf config` and set
          cloud.configFile = "/etc/rclone-proton.conf"''
      )
      (must (local.enable || cloud.enable -> local.sources != [ ])
        (if local.enable then "local.sources" else "cloud.enable")
        (
          if local.enable then
            "empty although local.enable is true"
          else
            "true, and there is nothing to copy: local.enable is false and local.sources is empty"
        )
        "name the folders to back up in local.sources"
      )
      (must (cloud.enable && cloud.syncMode == "move" -> local.enable) "cloud.syncMode"
        ''"move" gives back the space of local snapshots, and local.enable is false''
        ''set cloud.syncMode to "sync" or "copy", or local.enable to true''
      )
      (must (cloud.enable && cloud.provider == "custom" -> cloud.remote != null) "cloud.remote"
        ''not set although cloud.provider is "custom"''
        "set it to one of those that `rclone listremotes` prints, such as \"b2:my-bucket\""
      )
      (must (cloud.remote != null -> cloud.provider == "custom") "cloud.remote"
        ''set although cloud.provider is not "custom"''
        ''set cloud.provider to "custom", or remove cloud.remote''
      )
      (must (local.enable -> local.keepDaily != 0 || local.keepWeekly != 0 || local.keepMonthly != 0)
        "local.keepDaily"
        "no snapshot would be kept for a day, week or month: keepDaily, keepWeekly and keepMonthly are all 0"
        "raise one of them"
      )
      (must (notifications.enable -> notifications.desktop || lib.any (channel: channel != null) channels)
        "notifications.enable"
        "true, and there is no channel: notifications.desktop is false and all others are null"
        "set one, such as notifications.email or notifications.ntfy"
      )
      (must
        (
          notifications.enable && notifications.desktop && !isGraphical
          -> lib.any (channel: channel != null) channels
        )
        "notifications.enable"
        "true, and nobody would be told: the only channel is notifications.desktop, and this system has no graphical session"
        "set a channel, such as notifications.email, notifications.ntfy or notifications.healthcheck; where a desktop is there that NixOS knows nothing of, set hardware.graphics.enable to true"
      )
      (must
        (cloud.enable && !cfg.protonDrive.enable -> cloud.configFile != null)
        "cloud.configFile"
        "null, and protonDrive.enable is false: nothing gives the copies in the cloud their credentials"
        ''set protonDrive.enable to true, or write the configuration with `rclone --config /etc/rclone.conf config` and set cloud.configFile = "/etc/rclone.conf"; units do not see what rclone has in a home''
      )
      (must (elapses cfg.schedule.enable cfg.schedule.frequency) "schedule.frequency"
        "\"${cfg.schedule.frequency}\" never elapses, so nothing would ever be backed up"
        "set it to an expression for which `systemd-analyze calendar` names a next elapse, such as \"daily\""
      )
      (must (elapses cfg.monitoring.enable cfg.monitoring.healthCheckInterval)
        "monitoring.healthCheckInterval"
        "\"${cfg.monitoring.healthCheckInterval}\" never elapses, so nothing would ever be checked"
        "set it to an expression for which `systemd-analyze calendar` names a next elapse, such as \"weekly\""
      )
      (must (elapses cfg.monitoring.drill.enable cfg.monitoring.drill.schedule)
        "monitoring.drill.schedule"
        "\"${cfg.monitoring.drill.schedule}\" never elapses, so no restore would ever be tried"
        "set it to an expression for which `systemd-analyze calendar` names a next elapse, such as \"weekly\""
      )
      (must (cfg.user or null == null || !cfg.monitoring.drill.enable) "monitoring.drill.enable"
        "true, and the services of a restricted user may make no namespaces, which a trial restore needs: `user` is set"
        "set it to false, or user to null"
      )
      (must (!lib.isList onCalendar || lib.length onCalendar == 1) "timerConfig.OnCalendar"
        "several expressions, and the program decides by one whether a backup is due"
        "write them as one, such as \"Mon,Fri *-*-* 02,14:00\""
      )
      (must (cfg.user or null == null || users == null || users ? ${cfg.user}) "user"
        "there is no user \"${toString (cfg.user or "")}\""
        "declare it, for example users.users.${toString (cfg.user or "")} = { isSystemUser = true; group = \"users\"; }"
      )
      (must (cfg.user or null == null || cfg.user == "root" || !local.readableByUsers) "local.readableByUsers"
        "true, and only root can show snapshots to users: `user` is set"
        "set it to false, or user to null"
      )
      (must (cfg.user or null != "root") "user" "root, which is what null means" "set it to null")
      (must (cfg.user or null != "nobody") "user"
        "nobody, as whom others run as well, who would own the snapshots then"
        "declare a user for it, such as users.users.backup"
      )
      (must (!lib.any isReserved cfg.extraArgs) "extraArgs"
        "the module gives the program ${lib.concatStringsSep ", " reserved} itself"
        "remove them; the folder of the logs is monitoring.logPath"
      )
    ]
    ++ lib.concatLists (lib.mapAttrsToList ofDestination used)
    ++ oneOf "notifications.ntfy" notifications.ntfy "topic" "topicFile"
    ++ oneOf "notifications.webhook" notifications.webhook "url" "urlFile"
    ++ oneOf "notifications.healthcheck" notifications.healthcheck "url" "urlFile";

    warnings =
      warn (!local.enable && !cloud.enable && used == { }) "local.enable"
        "nothing is backed up: local.enable and cloud.enable are both false"
        "set one of them to true"
      ++ ofMount "local" local
      ++ lib.concatLists (
        lib.mapAttrsToList (name: view: ofMount "destinations.${name}" view.local) disks
      )
      ++ warn (cfg.timerConfig != { } && !cfg.schedule.enable) "timerConfig"
        "set, and without effect while schedule.enable is false"
        "set schedule.enable to true"
      ++
        warn
          (
            notifications.enable
            && notifications.email != null
            && config.services.mail.sendmailSetuidWrapper == null
          )
          "notifications.email"
          "this system has no sendmail, so no mail is sent"
          "set up one, for example programs.msmtp or services.postfix";
  };
}
