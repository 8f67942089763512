# What only several options together tell, or the rest of the system: each message names the option
# and ends with what to do. The program judges the same and more when the system is built; this is
# said earlier, while it is evaluated, and in the words of Nix.
{ config, lib, ... }:

let
  cfg = config.hwc.system.services.backup;
  inherit (cfg) cloud local notifications;

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

  mount = import ./mount.nix { inherit config; };
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
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
    ]
    ++ oneOf "notifications.ntfy" notifications.ntfy "topic" "topicFile"
    ++ oneOf "notifications.webhook" notifications.webhook "url" "urlFile"
    ++ oneOf "notifications.healthcheck" notifications.healthcheck "url" "urlFile";

    warnings =
      warn (!local.enable && !cloud.enable) "local.enable"
        "nothing is backed up: local.enable and cloud.enable are both false"
        "set one of them to true"
      ++
        warn (local.enable && local.requireMount && !mount.known) "local.mountPoint"
          "nothing in fileSystems mounts ${local.mountPoint}, so backups are refused until somebody mounts it"
          ''declare it, with options = [ "nofail" ] if it is not always there; or set local.requireMount to false to back up into a plain folder''
      ++
        warn
          (
            cloud.enable
            && cloud.provider == "proton-drive"
            && cloud.configFile == null
            && !cfg.protonDrive.enable
          )
          "cloud.configFile"
          "null, and protonDrive.enable is false: nothing gives the copies in the cloud their credentials"
          ''set protonDrive.enable to true, or write the configuration with `rclone --config /etc/rclone-proton.conf config` and set cloud.configFile = "/etc/rclone-proton.conf"''
      ++
        warn (local.enable && mount.stopsBoot) "local.mountPoint"
          "fileSystems.\"${local.mountPoint}\" has not the option nofail, so the machine does not boot without that disk"
          ''add options = [ "nofail" ] to it''
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
